"""A recorded day of a series at high speed: markets come and go, and none is lost on the way."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from base.clock import SystemClock
from base.kalshi import reconnecting, rest_calls
from base.kalshi.auth import load_signer
from base.kalshi.best_prices import BestPrices
from base.kalshi.live_prices import LivePrices
from base.kalshi.series import Pace
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.reference import reference_file
from tests.support import eventually

D = Decimal
SERIES = "KXSOL15M"
SPEED = 3000.0
QUARTER_S = 900.0
QUARTER_MS = QUARTER_S * 1000 / SPEED
"""How long a market is open: 300 ms of the exchange's time."""
FAST = Pace(
    first_look_s=0.02, slow_look_s=0.1, lead_s=0.25, grace_s=0.2, tick_s=0.01, empty_for_s=0.1
)  # fmt: skip
"""The quick look of 1 s would be 0.3 ms, so this is the harder case."""


@pytest.fixture
def sim() -> Iterator[SimulatorServer]:
    """An exchange without markets."""
    with SimulatorServer(semantics=Semantics(read_lag_s=0.0)) as server:
        yield server


class DayClock:
    """The client's clocks and the exchange's. The day stands still until it begins.

    A thread of this process drives it by steps: where a busy machine gives our threads no time, none
    passes for client and exchange either. So it makes the day longer, never a market too short to be seen.
    """

    STEP_S = 0.004

    def __init__(self) -> None:
        self._boot_s, self._day_s = SystemClock().boot_s(), 0.0
        self._begins_ms, self._has_begun = SystemClock().utc_ms(), False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock of the day", daemon=True)

    def __enter__(self) -> DayClock:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def begin(self) -> None:
        """Let the day go on."""
        self._has_begun = True

    def boot_s(self) -> float:
        """For ages."""
        return self._boot_s

    def utc_ms(self) -> int:
        """For signatures, and what the client compares with close times."""
        return self._begins_ms + round(self._day_s * 1000)

    now_ms = utc_ms  # as the exchange asks

    def _run(self) -> None:
        while not self._ended.wait(self.STEP_S):
            self._boot_s += self.STEP_S
            self._day_s += self.STEP_S if self._has_begun else 0.0


@dataclass
class Day:
    """The recording as the test reads it, and what the client was called back with.

    A market's name says when it closes in New York: KXSOL15M-26AUG170145-45 at 01:45.
    """

    sim: SimulatorServer
    clock: DayClock
    closes_s: dict[str, float]  # from the first recorded row
    quoted: dict[str, bool] = field(default_factory=dict)  # first quoted while it was open?

    @classmethod
    def read(cls, path: Path, sim: SimulatorServer, clock: DayClock) -> Day:
        """Find out each market's close."""
        rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        closes = {row["ticker"]: datetime.strptime(row["ticker"].split("-")[1], "%y%b%d%H%M") for row in rows}
        new_york = ZoneInfo("America/New_York")
        closes_s = {t: at.replace(tzinfo=new_york).timestamp() - rows[0]["ts"] for t, at in closes.items()}
        return cls(sim, clock, closes_s)

    def close_ms(self, ticker: str) -> int:
        """When it closes by the exchange's clock; later, where this machine slows the play down."""
        return self.sim.running.stage.ms_at(self.closes_s[ticker])

    @property
    def gaps(self) -> int:
        """How often a quarter of an hour or more is missing."""
        return _gaps([*self.closes_s.values()])

    def note(self, prices: BestPrices) -> None:
        """The client's callback: a market is quoted for the first time."""
        if prices.yes_bid is not None and prices.ticker not in self.quoted:
            self.quoted[prices.ticker] = self.clock.utc_ms() < self.close_ms(prices.ticker)

    def disturb(self) -> int:
        """Of nine markets cut the line in one and fail reads in two; return the number of cuts.

        Five refused reads last from before a market opens nearly until it closes: that it was subscribed
        ahead carries it. But that nothing is open can't be said while nothing can be read.
        """
        cuts = 0
        for rank, ticker in enumerate(self.closes_s):
            if _gaps([*self.closes_s.values()][rank : rank + 3]):
                continue
            self._wait_for_close(ticker, 150 if rank % 9 == 6 else QUARTER_MS - 20)
            if refused := {4: 1, 6: 5}.get(rank % 9):
                self.sim.fail_next(503, path_contains="/markets", n=refused)
            if rank % 9 == 4:
                cuts += 1
                self.sim.cut_connections()
        self._wait_for_close(ticker, 0)
        return cuts

    def _wait_for_close(self, ticker: str, before_ms: float) -> None:
        eventually(lambda: self.clock.utc_ms() >= self.close_ms(ticker) - before_ms, 120, every_s=0.005)


def _gaps(closes_s: list[float]) -> int:
    return sum(after - close > 1.5 * QUARTER_S for close, after in pairwise(closes_s))


def client(sim: SimulatorServer, **settings: Any) -> LivePrices:
    prices = LivePrices(
        sim.rest_url, sim.websocket_url, load_signer(sim.key_id, sim.private_key_path), pace=FAST, **settings
    )
    # Time runs thousands of times faster, or stands: the exchange's clock is ours, not measured against another.
    offset, clock = prices._offset, prices._clock
    offset.exchange_ms = lambda local_ms: (clock.utc_ms(), 1)  # type: ignore[method-assign]
    return prices


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_recorded_day_of_roll_over_loses_no_market(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """(G) Each market of the recording is subscribed and quoted while open, in order, through cuts and 503s.

    Where the recording has a gap, the client says once that nothing is open, and again when the day is over.
    """
    path = reference_file("data/kxsol15m_snapshots_20260817.jsonl.gz")
    monkeypatch.setenv("REFERENCE_DIR", str(path.parents[1]))
    monkeypatch.setattr(reconnecting, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(rest_calls, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(rest_calls, "LONGEST_RETRY_S", 0.05)
    semantics = Semantics(read_lag_s=0.0, close_clear_s=0.05)
    with DayClock() as clock, SimulatorServer("sol", speed=SPEED, semantics=semantics, clock=clock) as sim:
        day, frames = Day.read(path, sim, clock), sim.record_frames()
        with client(sim, on_orderbook=day.note, clock=clock) as prices:
            prices.start(series=SERIES)
            eventually(lambda: day.quoted)
            clock.begin()
            cuts = day.disturb()
            eventually(lambda: prices.subscribed_markets == frozenset())
            eventually(lambda: said_empty(caplog) == day.gaps + 1)
            stats = prices.get_stats()
    assert list(day.quoted) == list(day.closes_s), "all of them, in order"
    assert [ticker for ticker, was_open in day.quoted.items() if not was_open] == []
    assert acknowledged(frames) == set(day.closes_s)
    assert longest_list(frames) <= 6, "old ones are let go as new ones come"
    assert stats["reconnects"] == cuts > 10
    assert stats["series"] == {SERIES: f"no open markets in series {SERIES}"}
    assert stats["callback_errors"] == 0
    assert stats["dead"] == []


def said_empty(caplog: pytest.LogCaptureFixture) -> int:
    """How often the log said that nothing is open."""
    return sum(f"no open markets in series {SERIES}" in r.getMessage() for r in caplog.records)


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


def _pause(seconds: float) -> None:
    threading.Event().wait(max(0.0, seconds))
