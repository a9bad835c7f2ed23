"""A day of a series at high speed: 96 markets come and go, and none is lost on the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from base.clock import SystemClock
from base.kalshi import reconnecting, rest_calls
from base.kalshi.auth import load_signer
from base.kalshi.best_prices import BestPrices
from base.kalshi.live_prices import LivePrices
from base.kalshi.series import Pace
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.support import eventually

D = Decimal
SERIES = "KXDAY"
MARKETS = 96
LIFE_S = 0.2
WITH_FAULT_S = 0.8
"""Life of a market in which a line is cut or REST fails: it must be longer than the fault."""
FAST = Pace(first_look_s=0.02, slow_look_s=0.2, lead_s=0.15, grace_s=0.2, tick_s=0.01)
"""A quarter of an hour in 0.2 s; the quick look of 1 s would be 0.2 ms, so this is the harder case."""
CUTS, REFUSALS = frozenset({20, 61, 80}), frozenset({35, 61})


@pytest.fixture
def sim() -> Iterator[SimulatorServer]:
    """An exchange without markets."""
    with SimulatorServer(semantics=Semantics(read_lag_s=0.0)) as server:
        yield server


@dataclass
class Seen:
    """What was called back of one market, and when it was open."""

    opens: datetime
    closes: datetime
    first: datetime | None = None


class Day:
    """The exchange's side: lists a market ahead or late, opens, moves, closes and determines it."""

    def __init__(self, sim: SimulatorServer):
        self.sim = sim
        self.seen: dict[str, Seen] = {}

    def ticker(self, n: int) -> str:
        return f"{SERIES}-26NOV21-{n:02}"

    def life_s(self, n: int) -> float:
        return WITH_FAULT_S if n in CUTS | REFUSALS else LIFE_S

    def list_market(self, n: int, opens: datetime) -> None:
        """List market ``n``. Its times are kept to judge the client by."""
        closes = opens + timedelta(seconds=self.life_s(n))
        self.seen[self.ticker(n)] = Seen(opens, closes)
        self.sim.add_market(self.ticker(n), open_in_s=_seconds_to(opens), close_in_s=_seconds_to(closes))

    def run(self) -> None:
        """One market after the other; every third is listed only when it is open already."""
        self.list_market(0, datetime.now(UTC))
        for n in range(MARKETS):
            seen = self.seen[self.ticker(n)]
            if n + 1 < MARKETS and (n + 1) % 3 != 2:
                self.list_market(n + 1, seen.closes)
            _pause(_seconds_to(seen.opens) + 0.005)  # the books of markets to come cannot be filled
            self.sim.set_book(self.ticker(n), yes=[("0.40", "50")], no=[("0.55", "70")])
            self._break(n)
            if n >= 2:
                self.sim.determine(self.ticker(n - 2), "yes")
            _pause(_seconds_to(seen.closes) - 0.05)
            if n + 1 < MARKETS and (n + 1) % 3 == 2:
                _pause(_seconds_to(seen.closes) + 0.01)
                self.list_market(n + 1, datetime.now(UTC))

    def _break(self, n: int) -> None:
        if n in REFUSALS:
            self.sim.fail_next(503, path_contains="/markets", n=6)
        if n in CUTS:
            self.sim.cut_connections()

    def note(self, prices: BestPrices) -> None:
        """The client's callback."""
        seen = self.seen[prices.ticker]
        if seen.first is None and prices.yes_bid is not None:
            seen.first = datetime.now(UTC)

    @property
    def lost(self) -> list[str]:
        """The markets of which no price came while they were open."""
        return [t for t, seen in self.seen.items() if seen.first is None or seen.first >= seen.closes]


def client(sim: SimulatorServer, **settings: Any) -> LivePrices:
    prices = LivePrices(
        sim.rest_url, sim.websocket_url, load_signer(sim.key_id, sim.private_key_path), pace=FAST, **settings
    )
    # Time runs a thousand times faster: the clock can't be off by half a second.
    now_ms = SystemClock().utc_ms()
    prices._offset.note(now_ms, now_ms, now_ms, now_ms)
    return prices


@pytest.mark.slow
def test_a_day_of_roll_over_loses_no_market(sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """(G) 96 of 96 subscribed and priced while open, through cuts of the line and errors of REST."""
    monkeypatch.setattr(reconnecting, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(rest_calls, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(rest_calls, "LONGEST_RETRY_S", 0.05)
    day = Day(sim)
    frames = sim.record_frames()
    largest = 0
    with client(sim, on_orderbook=day.note) as prices:
        prices.start(series=SERIES)
        eventually(lambda: prices.get_stats()["connected"])
        playing = threading.Thread(target=day.run)
        playing.start()
        while playing.is_alive():
            playing.join(0.05)
            largest = max(largest, len(prices.subscribed_markets))
        assert day.lost == []
        assert len(day.seen) == MARKETS
        eventually(lambda: prices.subscribed_markets == frozenset())
        stats = prices.get_stats()
    assert largest <= 6, "old ones are let go as new ones come"
    assert stats["reconnects"] == len(CUTS)
    assert stats["callback_errors"] == 0
    assert stats["dead"] == []
    assert acknowledged(frames) >= set(day.seen)
    assert longest_list(frames) <= 6


def acknowledged(frames: list[bytes]) -> set[str]:
    """The markets whose book the exchange sent to the client."""
    return {
        m["msg"]["market_ticker"] for m in map(json.loads, list(frames)) if m["type"] == "orderbook_snapshot"
    }


def longest_list(frames: list[bytes]) -> int:
    """The longest list of markets that one subscription had by the exchange's own word."""
    lists = [m["msg"] for m in map(json.loads, list(frames)) if m["type"] == "ok"]
    return max((len(msg["market_tickers"]) for msg in lists if "market_tickers" in msg), default=0)


def test_a_series_without_open_markets_is_said_once_and_looked_for_again(
    sim: SimulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Said plainly, once; a market that opens later is found."""
    with client(sim) as prices:
        prices.start(series="KXBTC15M")
        eventually(lambda: prices.get_stats()["series"] == {"KXBTC15M": "no open markets in series KXBTC15M"})
        _pause(0.5)
        said = [
            r.getMessage() for r in caplog.records if "no open markets in series KXBTC15M" in r.getMessage()
        ]
        assert len(said) == 1
        sim.add_market("KXBTC15M-26NOV211500-15")
        sim.set_book("KXBTC15M-26NOV211500-15", yes=[("0.40", "50")], no=[("0.55", "70")])
        eventually(lambda: prices.get_price("KXBTC15M-26NOV211500-15") == D("0.40"))
        assert prices.get_stats()["series"] == {"KXBTC15M": ""}
        assert [m.ticker for m in prices.series_markets("KXBTC15M")] == ["KXBTC15M-26NOV211500-15"]


def test_a_market_listed_ahead_is_subscribed_before_it_opens(sim: SimulatorServer) -> None:
    """Within the lead, and acknowledged by the exchange; one further ahead waits."""
    frames = sim.record_frames()
    sim.add_market("KXT-26DEC31-NEXT", open_in_s=30, close_in_s=60)
    sim.add_market("KXT-26DEC31-LATER", open_in_s=90, close_in_s=120)
    signer = load_signer(sim.key_id, sim.private_key_path)
    with LivePrices(sim.rest_url, sim.websocket_url, signer) as prices:
        prices.start(series="KXT")
        eventually(lambda: acknowledged(frames) == {"KXT-26DEC31-NEXT"})
        assert prices.subscribed_markets == {"KXT-26DEC31-NEXT"}
        assert prices.series_markets("KXT") == ()


def test_rest_errors_are_said_once_and_backed_off(
    sim: SimulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused reads don't hammer; the series is found once REST answers."""
    sim.add_market("KXT-26DEC31-A")
    sim.set_book("KXT-26DEC31-A", yes=[("0.40", "50")], no=[("0.55", "70")])
    sim.fail_next(403, path_contains="/markets", n=4)
    with client(sim) as prices:
        prices.start(series="KXT")
        eventually(lambda: "cannot be read" in str(prices.get_stats()["series"]))
        eventually(lambda: prices.get_price("KXT-26DEC31-A", "no") == D("0.55"))
        assert sum("series not read" in r.getMessage() for r in caplog.records) == 1


def test_letting_go_of_a_series_unsubscribes_its_markets(sim: SimulatorServer) -> None:
    """What was asked for by name stays; a market of the series left out by name stays out."""
    for name in ("A", "B", "C"):
        sim.add_market(f"KXT-26DEC31-{name}")
    with client(sim) as prices:
        prices.subscribe_market("KXT-26DEC31-A")
        prices.subscribe_series("KXT")
        eventually(lambda: len(prices.subscribed_markets) == 3)
        prices.unsubscribe_from_markets(["KXT-26DEC31-B"])
        _pause(0.5)
        assert prices.subscribed_markets == {"KXT-26DEC31-A", "KXT-26DEC31-C"}
        prices.unsubscribe_series("KXT")
        eventually(lambda: prices.subscribed_markets == {"KXT-26DEC31-A"})


def _seconds_to(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


def _pause(seconds: float) -> None:
    threading.Event().wait(max(0.0, seconds))
