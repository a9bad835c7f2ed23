"""The plays: what a monitor would see of them, at high speed and on a hand-driven clock."""

from __future__ import annotations

import contextlib
import socket
import time
from itertools import pairwise
from pathlib import Path

import pytest

from base.simulator.clock import ManualClock
from base.simulator.engine.events import BookChanged, BookCleared, MarketChanged, TopChanged, Traded
from base.simulator.rate_limits import UNLIMITED
from base.simulator.running import LONGEST_STEP_S, SLICE_S, Running
from base.simulator.scenarios.catalogue import UnknownScenario, find
from base.simulator.scenarios.stage import Stage
from base.simulator.semantics import Semantics
from base.simulator.venue import MEMBER, Venue
from tests.simulator.exchange_world import NOW, D
from tests.simulator.published_spec import REFERENCE
from tests.simulator.show import STEP_S, Show, needs_recordings

CRASH, CALM = "KXDEMO-26DEC31-CRASH", "KXDEMO-26DEC31-CALM"
ENTRY, TRIGGER = D("0.56"), D("0.28")


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


class TooMuch:
    """A play that no machine keeps up with: one market after the other, another listed on the way."""

    notice = ""

    def open(self, stage: Stage) -> None:
        stage.list_market("KXSIM-26DEC31-A", "A", close_in_s=10)
        stage.list_market("KXSIM-26DEC31-B", "B", open_in_s=10, close_in_s=20)

    def play(self, stage: Stage, until_s: float) -> None:
        ends_s = time.monotonic() + LONGEST_STEP_S
        while time.monotonic() < ends_s:
            pass
        if "KXSIM-26DEC31-C" not in stage.exchange.state.markets and until_s > SLICE_S:
            stage.list_market("KXSIM-26DEC31-C", "C", open_in_s=20, close_in_s=30)


def test_a_play_that_slows_down_keeps_its_markets_one_after_the_other() -> None:
    """Opens move with closes, and a market that is listed later comes later as well."""
    clock = ManualClock(NOW)
    listener = socket.create_server(("127.0.0.1", 0))
    with contextlib.closing(listener):
        venue = Venue(Semantics(), clock, UNLIMITED, salt=0)
        running = Running(venue, TooMuch(), listener, seed=0, speed=1.0)
        for _ in range(2):
            clock.advance(5)
            running.step()
    a, b, c = venue.exchange.state.markets.values()
    assert a.close_ms == b.spec.open_ms
    assert b.close_ms == c.spec.open_ms
    assert (a.close_ms, b.close_ms, c.close_ms) == tuple(NOW + s * 1000 for s in (19.5, 29.5, 39.5))


def test_an_unknown_scenario_is_refused_with_what_exists(tmp_path: Path) -> None:
    """A name, a file without markets."""
    with pytest.raises(UnknownScenario, match="demo"):
        find("nonsense")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(UnknownScenario, match="no frame"):
        find(str(empty))


@needs_recordings
@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_sol_plays_its_day_and_says_that_its_books_are_synthesised(
    monkeypatch: pytest.MonkeyPatch, speed: float
) -> None:
    """One market after the other, each open for its recorded quarter of an hour, at any speed."""
    monkeypatch.setenv("REFERENCE_DIR", str(REFERENCE))
    show = Show("sol", 3700.0, speed=speed, step_s=2.0)  # from 05:36:36 to 06:38:16
    state = show.venue.exchange.state
    markets = sorted(state.markets.values(), key=lambda m: m.close_ms)
    for text in (*(m.spec.title for m in markets), find("sol").notice):
        assert all(part in text for part in ("synthesised", "Johnny-God", "CC BY 4.0"))
    assert [m.ticker.rpartition("-")[2] for m in markets] == ["45", "00", "15", "30", "45"]
    for before, after in pairwise(markets):
        assert before.close_ms == after.spec.open_ms
        assert abs(before.close_ms - before.spec.open_ms - 900_000 / speed) <= 1
    statuses = [m.status.value for m in markets]
    assert statuses == ["finalized"] * 4 + ["active"]
    bids = [bid for _, bid in show.bids("KXSOL15M-26AUG170230-30") if bid is not None]
    assert (max(bids), min(bids)) == (D("0.946"), D("0.17"))
    traded = {h.ticker: h.traded for h in state.account(MEMBER).holdings.values()}
    assert traded == {
        "KXSOL15M-26AUG170145-45": D("9.75"), "KXSOL15M-26AUG170200-00": D(9), "KXSOL15M-26AUG170230-30": D("15.75"),
    }  # fmt: skip
