"""The only reader of prices by REST."""

from __future__ import annotations

import threading
from collections.abc import Collection

import pytest

from base.clock import SystemClock
from base.errors import OutcomeUnknown, RequestRefused
from base.feed.freshness import ConnectionFacts, Lag, MarketFacts
from base.feed.price_cache import PriceCache
from base.feed.refresher import HELD_EVERY_S, PriceRefresher
from base.model import Quote, Source
from tests.feed.quotes import D, make_quote
from tests.support import FakeClock, eventually

LAG = Lag(value_s=0.0, error_s=0.0)


class Exchange:
    """Answers with a bid for every market, or fails."""

    def __init__(self, clock: FakeClock | SystemClock) -> None:
        self.clock = clock
        self.calls: list[list[str]] = []
        self.bid = "0.40"
        self.fails = False
        self.refused: set[str] = set()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def read_books(self, tickers: Collection[str]) -> list[Quote]:
        started_s = self.clock.boot_s()
        self.calls.append(list(tickers))
        self.may_answer.wait(5)
        if self.fails:
            raise OutcomeUnknown("HTTP 503")
        if self.refused & set(tickers):
            raise RequestRefused(404, "not_found")
        return [make_quote(self.bid, "0.60", at_s=started_s, ticker=t, source=Source.REST) for t in tickers]


class Bench:
    """A refresher whose rounds the test makes."""

    def __init__(self, *held: str, watched: tuple[str, ...] = ()) -> None:
        self.clock = FakeClock()
        self.cache = PriceCache(self.clock)
        self.exchange = Exchange(self.clock)
        self.held = set(held)
        self.doubted: list[str] = []
        self.refresher = PriceRefresher(
            self.cache,
            self.exchange,
            self.clock,
            stale_after_s=60.0,
            held=lambda: self.held,
            on_disagreement=self.doubted.append,
        )
        for ticker in (*held, *watched):
            self.cache.set_facts(ticker, self.facts(ticker, epoch=0))

    def facts(self, ticker: str, *, epoch: int = 1) -> MarketFacts:
        return MarketFacts(
            epoch=epoch,
            has_sequence=True,
            in_sequence=True,
            is_held=ticker in self.held,
            alive_s=self.clock.boot_s(),
        )

    def prove(self, *tickers: str, bid: str = "0.40") -> None:
        now_s = self.clock.boot_s()
        self.cache.set_connection(ConnectionFacts(epoch=1, is_connected=True, heard_s=now_s, lag=LAG))
        for ticker in tickers:
            self.cache.put(make_quote(bid, "0.60", at_s=now_s, ticker=ticker), LAG, self.facts(ticker))

    def keep_alive(self, *tickers: str) -> None:
        for ticker in tickers:
            self.cache.alive(ticker, self.clock.boot_s(), LAG)

    def run(self, seconds: float, step_s: float = 0.1, alive: tuple[str, ...] = ()) -> list[list[str]]:
        """Let time pass in rounds; return the calls made meanwhile."""
        before = len(self.exchange.calls)
        for _ in range(round(seconds / step_s)):
            self.refresher.run_once()
            self.clock.advance(step_s)
            self.keep_alive(*alive)
        return self.exchange.calls[before:]


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch):
    """On a fake clock the pace would wait for real time; its own test has a real one."""
    monkeypatch.setattr(PriceRefresher, "_keep_pace", lambda self: None)


def test_proven_markets_cost_nothing():
    """Zero requests a minute in steady state, whatever their number; the audit is one."""
    bench = Bench(*(f"KX{n:04d}" for n in range(300)))
    bench.prove(*bench.held)
    assert bench.run(59, 0.5, tuple(bench.held)) == []
    assert len(bench.run(60, 0.5, tuple(bench.held))) == 1


def test_unproven_held_markets_are_read_together_and_often():
    """A hundred a call; never older than five seconds."""
    bench = Bench(*(f"KX{n:04d}" for n in range(250)))
    calls = bench.run(0.6)
    assert [len(call) for call in calls] == [100, 100, 50]
    assert bench.cache.quote("KX0000") is not None
    ages = []
    for _ in range(100):
        bench.run(0.1)
        ages.append(max(bench.cache.age_s(ticker) or 0.0 for ticker in bench.held))
    assert max(ages) <= 5.0
    assert len(bench.exchange.calls) <= 3 * (2 + round(10.6 / HELD_EVERY_S))


def test_unproven_watched_market_is_read_by_its_own_bound():
    """Nobody holds it: ``stale_after_s`` is enough."""
    bench = Bench(watched=("KXW",))
    assert len(bench.run(59)) == 1
    assert len(bench.run(10)) == 1


def test_proof_that_is_only_late_is_not_worth_a_read():
    """A flicker of a tenth of a second."""
    bench = Bench("KXA")
    bench.prove("KXA")
    bench.run(0.2)
    bench.cache.set_facts("KXA", bench.facts("KXA", epoch=0))
    assert bench.run(0.2) == []
    bench.prove("KXA")
    assert bench.run(1.0) == []


def test_request_is_read_at_once_even_if_proven():
    """A confirm read; several for one market are one."""
    bench = Bench("KXA", "KXB")
    bench.prove("KXA", "KXB")
    for _ in range(3):
        bench.refresher.request("KXA")
    assert bench.run(0.1) == [["KXA"]]
    assert bench.cache.rest_quote("KXA") is not None
    assert bench.run(0.1) == []


def test_failures_back_off_and_are_told():
    """0.5 to 5 seconds; a success ends it."""
    bench = Bench("KXA")
    bench.exchange.fails = True
    calls = bench.run(60)
    assert 12 <= len(calls) <= 80
    assert bench.refresher.failing_since_s is not None
    assert bench.refresher.failures == len(calls)
    assert bench.refresher.last_success_s is None
    bench.exchange.fails = False
    bench.run(6)
    assert bench.refresher.failing_since_s is None
    assert bench.refresher.last_success_s is not None


def test_a_market_that_is_refused_costs_no_other_its_price():
    """A call that is refused for one of its markets is made in parts; from then on that one is read alone."""
    held = [f"KX-{n}" for n in range(8)]
    bench = Bench(*held)
    bench.exchange.refused = {"KX-3"}
    bench.run(1.0)
    assert {ticker for ticker in held if bench.cache.quote(ticker)} == {*held} - {"KX-3"}
    bench.exchange.calls.clear()
    bench.run(HELD_EVERY_S + 0.5)
    assert all(call == ["KX-3"] or "KX-3" not in call for call in bench.exchange.calls)
    assert ["KX-3"] in bench.exchange.calls
    bench.exchange.refused.clear()
    bench.run(HELD_EVERY_S + 0.5)
    assert bench.cache.quote("KX-3") is not None
    bench.exchange.calls.clear()
    bench.run(2 * HELD_EVERY_S)
    assert any("KX-3" in call and len(call) > 1 for call in bench.exchange.calls)


def test_request_outlives_a_failure():
    """What was asked for is still read once REST answers again."""
    bench = Bench("KXA")
    bench.prove("KXA")
    bench.exchange.fails = True
    bench.refresher.request("KXA")
    bench.run(0.2)
    bench.exchange.fails = False
    bench.run(6, alive=("KXA",))
    assert bench.cache.rest_quote("KXA") is not None


def test_audit_rotates():
    """Each minute the next hundred."""
    bench = Bench(*(f"KX{n:04d}" for n in range(150)))
    bench.prove(*bench.held)
    calls = bench.run(125, 0.5, tuple(bench.held))
    assert [len(call) for call in calls] == [100, 100]
    assert calls[0][0] == "KX0000"
    assert calls[1][0] == "KX0100"


def test_lasting_disagreement_is_reported_once():
    """REST says something else for more than two seconds and the feed has not moved."""
    bench = Bench("KXA")
    bench.prove("KXA")
    bench.exchange.bid = "0.30"
    bench.refresher.request("KXA")
    bench.run(1.9, alive=("KXA",))
    assert bench.doubted == []
    bench.run(1.0, alive=("KXA",))
    assert bench.doubted == ["KXA"]
    bench.run(5, alive=("KXA",))
    assert bench.doubted == ["KXA"]


@pytest.mark.parametrize("bid", ["0.40", "0.41", "0.39"])
def test_difference_of_a_tick_is_none(bid: str):
    """The two were not taken at the same instant."""
    bench = Bench("KXA")
    bench.prove("KXA")
    bench.exchange.bid = bid
    bench.refresher.request("KXA")
    bench.run(5, alive=("KXA",))
    assert bench.doubted == []


def test_feed_that_moves_on_explains_the_difference():
    """A change that arrived after the read."""
    bench = Bench("KXA")
    bench.prove("KXA")
    bench.exchange.bid = "0.30"
    bench.refresher.request("KXA")
    bench.run(0.5, alive=("KXA",))
    bench.prove("KXA", bid="0.31")
    bench.run(5, alive=("KXA",))
    assert bench.doubted == []


def test_forgotten_market_is_not_read_any_more():
    """Released and dropped."""
    bench = Bench("KXA")
    assert bench.run(0.6) != []
    bench.held.clear()
    bench.cache.drop("KXA")
    assert bench.run(5) == []


def test_request_made_during_a_read_begins_another():
    """The answer under way may be older than the request: one in flight, one after it."""
    clock = SystemClock()
    cache = PriceCache(clock)
    exchange = Exchange(clock)
    refresher = PriceRefresher(cache, exchange, clock, stale_after_s=60.0, held=set)
    exchange.may_answer.clear()
    refresher.start()
    refresher.request("KXA")
    eventually(lambda: len(exchange.calls) == 1)
    for _ in range(3):
        refresher.request("KXA")
    assert len(exchange.calls) == 1
    exchange.may_answer.set()
    eventually(lambda: len(exchange.calls) == 2)
    first = cache.rest_quote("KXA")
    assert first is not None
    assert first.bid == D("0.40")
    assert refresher.stop(1.0)
