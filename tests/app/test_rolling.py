"""A strategy on a series: its cycle goes on as one market closes and the next one opens."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path

from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.app.loopback import OTHER, running_app, stage_market
from tests.app.rolling import BuysEachMarket
from tests.support import eventually

FIRST, SECOND = "KXROLL-26NOV21-00", "KXROLL-26NOV21-15"
BOOK = {"yes": [("0.40", "500")], "no": [("0.55", "500")]}


def test_strategy_trades_each_market_of_a_series_while_it_is_open(tmp_path: Path) -> None:
    """Two markets, one after the other: one contract of each is bought, and both are subscribed in time."""
    with SimulatorServer(semantics=Semantics(read_lag_s=0.0)) as sim:
        stage_market(sim, OTHER)
        sim.add_market(FIRST, close_in_s=5)
        sim.add_market(SECOND, open_in_s=5)
        sim.set_book(FIRST, **BOOK)
        strategy = {"class": "tests.app.rolling:BuysEachMarket", "interval_s": Decimal("0.1")}
        with running_app(sim, tmp_path, strategy=strategy) as app:
            running = BuysEachMarket.newest
            assert running is not None
            parts = app._parts
            assert parts is not None
            eventually(lambda: running.bought == [FIRST], 4)
            eventually(lambda: parts.cache.quote(OTHER) is not None)
            assert sim.position(FIRST) == Decimal(1)
            eventually(lambda: _has_book(sim), 10)
            eventually(lambda: running.bought == [FIRST, SECOND], 5)
            assert sim.position(SECOND) == Decimal(1)
            eventually(lambda: parts.cache.quote(OTHER) is None)  # unwatched: nobody follows it any more
            assert running.updates > 10
        assert "series follower" not in {thread.name for thread in threading.enumerate()}


def _has_book(sim: SimulatorServer) -> bool:
    """Fill the second market's book as soon as it takes orders."""
    try:
        sim.set_book(SECOND, **BOOK)
    except Exception:  # the exchange's own refusal: not open yet
        return False
    return True
