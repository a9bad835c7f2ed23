"""The plays: what a monitor would see of them, at high speed and on a hand-driven clock."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from base.simulator.clock import ManualClock
from base.simulator.engine.events import BookChanged, BookCleared, Event, MarketChanged, TopChanged, Traded
from base.simulator.engine.orders import OrderRequest, Side, TimeInForce
from base.simulator.rate_limits import UNLIMITED
from base.simulator.scenarios.catalogue import UnknownScenario, find
from base.simulator.scenarios.stage import Stage
from base.simulator.semantics import Semantics
from base.simulator.venue import MEMBER, Venue
from tests.simulator.exchange_world import NOW, D
from tests.simulator.published_spec import REFERENCE

CRASH, CALM = "KXDEMO-26DEC31-CRASH", "KXDEMO-26DEC31-CALM"
STEP_S = 0.05
ENTRY, TRIGGER = D("0.56"), D("0.28")


class Show:
    """A play performed without a server. ``events`` holds (scenario seconds, event)."""

    def __init__(self, name: str, seconds: float, seed: int = 0, speed: float = 1.0) -> None:
        self.clock = ManualClock(NOW)
        self.venue = Venue(Semantics(), self.clock, UNLIMITED, salt=0)
        self.events: list[tuple[float, Event]] = []
        stage, play = Stage(self.venue, seed, speed), find(name)
        play.open(stage)
        self.venue.publish()
        for step in range(1, round(seconds / STEP_S) + 1):
            now_s = step * STEP_S
            self.venue.listeners[:] = [lambda event, at=now_s: self.events.append((at, event))]  # type: ignore[misc]
            self.clock.advance(STEP_S / speed)
            self.venue.advance()
            play.play(stage, now_s)
            self.venue.publish()

    def bids(self, ticker: str) -> list[tuple[float, Decimal | None]]:
        """Return (time, best bid) of every ticker message."""
        return [(at, e.top.bid) for at, e in self.events if isinstance(e, TopChanged) and e.ticker == ticker]

    def tops(self, ticker: str) -> list[tuple[float, TopChanged]]:
        """Return every ticker message of a market."""
        return [(at, e) for at, e in self.events if isinstance(e, TopChanged) and e.ticker == ticker]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_demo_is_safe_first_and_then_falls_through_the_trigger_by_small_steps(seed: int) -> None:
    """No fall above 0.03 at once, spread and size stay good, the end is low."""
    show = Show("demo", 24.0, seed)
    bids = [(at, bid) for at, bid in show.bids(CRASH) if bid is not None]
    assert all(bid > D("0.50") for at, bid in bids if at < 14.0)
    falls = [before - after for (_, before), (_, after) in pairwise(bids)]
    assert max(falls) <= D("0.03")
    crossed = next(at for at, bid in bids if bid <= TRIGGER)
    assert 14.0 < crossed < 20.0
    assert all(bid < D("0.12") for at, bid in bids if at > 22.0)
    for _, event in show.tops(CRASH):
        assert event.top.bid is not None
        assert event.top.ask is not None
        assert event.top.ask - event.top.bid <= D("0.04")
        assert event.top.bid_size >= 50


def test_demo_has_bids_inside_the_floor_when_the_trigger_is_crossed() -> None:
    """More than the position, between trigger - 0.10 and trigger."""
    clock = ManualClock(NOW)
    venue = Venue(Semantics(), clock, UNLIMITED, salt=0)
    stage, play = Stage(venue, 0), find("demo")
    play.open(stage)
    market = venue.exchange.state.market(CRASH)
    beat = 0
    while (top := market.top().bid) is None or top > TRIGGER:
        beat += 1
        play.play(stage, beat * 0.25)
    held = venue.exchange.state.account(MEMBER).holding(0, CRASH, 2).count
    inside = [c for p, c in market.book.bids.levels() if TRIGGER - D("0.10") <= p <= TRIGGER]
    assert sum(inside) > 10 * held


def test_every_demo_market_changes_at_least_once_a_second() -> None:
    """In the book and in the ticker, and trades happen."""
    show = Show("demo", 24.0)
    tickers = list(show.venue.exchange.state.markets)
    assert len(tickers) >= 4
    for ticker in tickers:
        for kind in (TopChanged, BookChanged):
            times = [at for at, e in show.events if isinstance(e, kind) and e.ticker == ticker]
            gaps = [b - a for a, b in zip([0.0, *times], [*times, 24.0], strict=True)]
            assert max(gaps) <= 1.0
        assert [e for _, e in show.events if isinstance(e, Traded) and e.ticker == ticker]


def test_the_no_positions_stop_never_fires_in_demo() -> None:
    """Half of 0.62 is far below what the NO bid ever is."""
    asks = [e.top.ask for _, e in Show("demo", 60.0).tops(CALM)]
    assert all(ask is not None and 1 - ask > D("0.55") for ask in asks)


def test_demo_holds_a_yes_and_a_no_with_bids_on_both_sides() -> None:
    """Any client can be tried at once; a buyer finds cash on the market's own shard."""
    show = Show("demo", 0.1)
    state = show.venue.exchange.state
    held = {h.ticker: h for h in state.account(MEMBER).holdings.values() if h.count}
    assert {ticker: h.count > 0 for ticker, h in held.items()} == {CRASH: True, CALM: False}
    for market in state.markets.values():
        assert min(len(market.book.bids.prices), len(market.book.asks.prices)) >= 15
        assert market.status.value == "active"
        assert market.close_ms - NOW > 3_600_000
    assert state.account(MEMBER).cash[0, 2] > 100
    assert {m.exchange_index for m in state.markets.values()} == {0, 2}
    assert "tapered_deci_cent" in {m.grid.label for m in state.markets.values()}


@pytest.mark.parametrize("name", ["demo", "calm", "wick", "crash", "close"])
def test_the_same_seed_plays_the_same(name: str) -> None:
    """And another seed plays otherwise."""
    first, again, other = (Show(name, 12.0, seed=s) for s in (7, 7, 8))
    assert repr(first.events) == repr(again.events)
    assert repr(first.events) != repr(other.events)


def test_wick_goes_down_in_one_update_and_is_back_within_a_second() -> None:
    """One print."""
    bids = Show("wick", 14.0).bids("KXDEMO-26DEC31-WICK")
    low = [at for at, bid in bids if bid is not None and bid < D("0.30")]
    assert low
    assert low[-1] - low[0] < 1.0
    assert bids[-1][1] == D("0.54")


def test_crash_falls_further_than_any_single_step_should() -> None:
    """One update, 0.34, and it stays."""
    bids = [bid for _, bid in Show("crash", 18.0).bids("KXDEMO-26DEC31-JUMP") if bid is not None]
    falls = [before - after for before, after in pairwise(bids)]
    assert max(falls) == D("0.34")
    assert bids[-1] == D("0.20")


@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_close_ends_silently_then_is_determined_and_settled(speed: float) -> None:
    """Empty book and ticker after the close, result after that, money last."""
    ticker = "KXDEMO-26DEC31-CLOSE"
    show = Show("close", 32.0, speed=speed)
    cleared = next(at for at, e in show.events if isinstance(e, BookCleared))
    assert cleared > 20.0
    at, last = show.tops(ticker)[-1]
    assert (last.top.bid, last.top.ask, at >= cleared) == (None, None, True)
    kinds = [e.kind for _, e in show.events if isinstance(e, MarketChanged) and e.ticker == ticker]
    assert kinds == ["determined", "settled"]
    changed = [at for at, e in show.events if isinstance(e, BookChanged) and e.ticker == ticker]
    assert max(changed) <= 20.0 + STEP_S


def _capture(folder: Path, *, broken: bool = False) -> Path:
    ticker = "KXREC-26DEC31-T1.50"
    frames = [
        {"type": "orderbook_snapshot", "sid": 2, "seq": 1, "msg": {
            "market_ticker": ticker, "yes_dollars_fp": [["0.4100", "25.00"]], "no_dollars_fp": [["0.5500", "40.00"]]}},
        {"type": "orderbook_delta", "sid": 2, "seq": 2, "msg": {
            "market_ticker": ticker, "price_dollars": "0.4200", "delta_fp": "13.00", "side": "yes"}},
        {"type": "orderbook_delta", "sid": 2, "seq": 3, "msg": {
            "market_ticker": ticker, "price_dollars": "0.5500", "delta_fp": "-40.00", "side": "no"}},
        {"type": "orderbook_delta", "sid": 2, "seq": 4, "msg": {
            "market_ticker": ticker, "price_dollars": "0.5050", "delta_fp": "7.00", "side": "no"}},
    ]  # fmt: skip
    lines = [json.dumps({"recv_ns": NOW * 10**6 + i * 10**9, "frame": f}) for i, f in enumerate(frames)]
    if broken:
        lines[2:2] = ["{", json.dumps({"recv_ns": NOW * 10**6, "frame": {"type": "orderbook_delta", "msg": {
            "market_ticker": ticker, "side": "yes"}}})]  # fmt: skip
    path = folder / "capture.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines))
    return path


@pytest.mark.parametrize("broken", [False, True])
def test_a_capture_becomes_the_book(tmp_path: Path, broken: bool) -> None:
    """Recorded levels are liquidity; broken lines are skipped; a finer grid is recognised."""
    show = Show(str(_capture(tmp_path, broken=broken)), 4.0)
    market = next(iter(show.venue.exchange.state.markets.values()))
    assert market.grid.label == "deci_cent"
    assert market.book.bids.levels() == [(D("0.41"), D(25)), (D("0.42"), D(13))]
    assert market.book.asks.levels() == [(D("0.495"), D(7))]
    assert show.venue.exchange.state.account(MEMBER).holding(0, market.ticker, 2).count == 25


@pytest.mark.parametrize("speed", [1.0, 50.0])
@pytest.mark.parametrize(
    ("yes", "no", "result", "paid"), [("0.9700", "0.0100", "yes", 25), ("0.0200", "0.9600", "no", 0)]
)
def test_a_recorded_market_ends_as_its_last_prices_say(
    tmp_path: Path, yes: str, no: str, result: str, paid: int, speed: float
) -> None:
    """After its close: empty book, result, money; at any speed."""
    ticker = "KXREC-26DEC31-T1.50"
    close = datetime.fromtimestamp(NOW / 1000 + 3, UTC).isoformat()
    book = {"market_ticker": ticker, "yes_dollars_fp": [[yes, "9.00"]], "no_dollars_fp": [[no, "9.00"]]}
    lines: list[dict[str, object]] = [
        {"note": "watch_market", "data": {"market_ticker": ticker, "close_time": close}},
        {"frame": {"type": "orderbook_snapshot", "msg": book}},
    ]
    path = tmp_path / "capture.jsonl"
    path.write_text("\n".join(json.dumps({"recv_ns": NOW * 10**6} | line) for line in lines))
    # The book is cleared one real second after the close; at speed 50 that is long after it.
    show = Show(str(path), 20.0 if speed == 1 else 80.0, speed=speed)
    market = show.venue.exchange.state.market(ticker)
    assert (market.status, market.result) == ("finalized", result)
    kinds = [e.kind for _, e in show.events if isinstance(e, MarketChanged)]
    assert kinds == ["determined", "settled"]
    holding = show.venue.exchange.state.account(MEMBER).holding(0, ticker, 2)
    assert holding.count == 0
    assert holding.realized + 25 * (1 - D(no)) == paid
    assert "as recorded" in find(str(path)).notice


def test_orders_hit_the_recorded_book(tmp_path: Path) -> None:
    """A sale takes what was recorded; the recording's next frames go on from there."""
    clock = ManualClock(NOW)
    venue = Venue(Semantics(), clock, UNLIMITED, salt=0)
    stage, play = Stage(venue, 0), find(str(_capture(tmp_path)))
    play.open(stage)
    play.play(stage, 1.5)
    request = OrderRequest(
        ticker="KXREC-26DEC31-T1.50", side=Side.ASK, count=D(20), price=D("0.40"),
        time_in_force=TimeInForce.IOC, reduce_only=True,
    )  # fmt: skip
    order = venue.exchange.submit(MEMBER, request, NOW)
    assert (order.filled, order.average_price) == (D(20), D("0.4165"))
    book = venue.exchange.state.market("KXREC-26DEC31-T1.50").book
    assert book.bids.levels() == [(D("0.41"), D(18))]
    play.play(stage, 9.0)
    assert book.asks.levels() == [(D("0.495"), D(7))]


def test_an_unknown_scenario_is_refused_with_what_exists(tmp_path: Path) -> None:
    """A name, a file without markets."""
    with pytest.raises(UnknownScenario, match="demo"):
        find("nonsense")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(UnknownScenario, match="no frame"):
        find(str(empty))


needs_recordings = pytest.mark.skipif(
    not (REFERENCE / "data").is_dir(), reason=f"needs the recordings in {REFERENCE}/data: set REFERENCE_DIR"
)


@needs_recordings
def test_sol_plays_and_says_that_its_book_is_synthesised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The falling market falls."""
    monkeypatch.setenv("REFERENCE_DIR", str(REFERENCE))
    show = Show("sol", 130.0)
    markets = show.venue.exchange.state.markets.values()
    for text in (*(m.spec.title for m in markets), find("sol").notice):
        assert all(part in text for part in ("synthesised", "Johnny-God", "CC BY 4.0"))
    bids = [bid for _, bid in show.bids("KXSOL15M-26AUG170230-30") if bid is not None]
    assert max(bids) == D("0.946")
    assert min(bids) == D("0.17")


@needs_recordings
def test_a_recorded_session_plays() -> None:
    """Two minutes of the real feed; the book never crosses."""
    show = Show(str(REFERENCE / "data" / "kxbtc15m_ws_20260514T0109Z.jsonl.gz"), 60.0)
    tops = [e.top for _, e in show.events if isinstance(e, TopChanged)]
    assert len(tops) > 100
    assert all(t.bid < t.ask for t in tops if t.bid is not None and t.ask is not None)
