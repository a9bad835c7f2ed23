"""The latest quote of every market, shared by all threads."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest

from base.feed.freshness import ConnectionFacts, Lag, MarketFacts
from base.feed.price_cache import PriceCache
from base.model import Side, Source
from tests.feed.quotes import make_quote
from tests.support import FakeClock, eventually

D = Decimal
T = "KXA"
LAG = Lag(value_s=0.0, error_s=0.0)


class Bench:
    """A cache on a fake clock with one connection."""

    def __init__(self, *, is_held: bool = True) -> None:
        self.clock = FakeClock()
        self.cache = PriceCache(self.clock)
        self.is_held = is_held
        self.connect(1)

    @property
    def now_s(self) -> float:
        return self.clock.boot_s()

    def connect(self, epoch: int, *, is_connected: bool = True) -> None:
        self.cache.set_connection(
            ConnectionFacts(epoch=epoch, is_connected=is_connected, heard_s=self.now_s, lag=None)
        )

    def facts(self, *, epoch: int = 1, in_sequence: bool = True) -> MarketFacts:
        return MarketFacts(
            epoch=epoch, has_sequence=True, in_sequence=in_sequence, is_held=self.is_held, alive_s=self.now_s
        )

    def put(self, bid: str | None, ask: str | None = "0.60", *, epoch: int = 1, first: bool = False) -> None:
        quote = make_quote(bid, ask, at_s=self.now_s, epoch=epoch)
        self.cache.put(quote, LAG, self.facts(epoch=epoch) if first else None)

    def put_rest(self, bid: str, *, ago_s: float = 0.0) -> None:
        self.cache.put_rest(make_quote(bid, "0.60", at_s=self.now_s - ago_s, source=Source.REST))

    def bid(self) -> Decimal | None:
        quote = self.cache.quote(T)
        return None if quote is None else quote.bid


def test_newest_quote_wins():
    """And is seen from the side that is asked for."""
    bench = Bench()
    bench.put("0.40", first=True)
    bench.put("0.41")
    assert bench.bid() == D("0.41")
    mirrored = bench.cache.quote(T, Side.NO)
    assert mirrored is not None
    assert (mirrored.bid, mirrored.ask) == (D("0.40"), D("0.59"))
    assert bench.cache.freshness(T).is_proven


def test_quote_of_an_older_connection_is_dropped():
    """A frame of a connection that is gone may not overwrite anything."""
    bench = Bench()
    bench.put("0.40", first=True)
    bench.connect(2)
    bench.put("0.10", epoch=1)
    assert bench.bid() == D("0.40")
    assert bench.cache.freshness(T).missing == "ack"


def test_rest_replaces_only_what_is_not_proven():
    """A proven quote is newer evidence than any answer; it is kept beside it to compare."""
    bench = Bench()
    bench.put("0.40", first=True)
    bench.put_rest("0.30")
    assert bench.bid() == D("0.40")
    rest = bench.cache.rest_quote(T)
    assert rest is not None
    assert rest.bid == D("0.30")
    bench.cache.set_facts(T, bench.facts(in_sequence=False))
    bench.clock.advance(1)
    bench.put_rest("0.31")
    assert bench.bid() == D("0.31")
    bench.put_rest("0.20", ago_s=0.5)  # an older answer that came later
    assert bench.bid() == D("0.31")


def test_rest_older_than_the_standing_quote_changes_nothing():
    """Its time is the request's start."""
    bench = Bench()
    bench.put("0.40", first=True)
    bench.cache.set_facts(T, bench.facts(in_sequence=False))
    bench.put_rest("0.30", ago_s=0.1)
    assert bench.bid() == D("0.40")


def test_standing_quote_is_as_old_as_its_last_confirmation():
    """Any in-sequence frame of the book's subscription proves that no change was missed."""
    bench = Bench()
    bench.put("0.40", first=True)
    bench.clock.advance(3)
    assert bench.cache.age_s(T) == 3
    bench.cache.heard(bench.now_s, in_book_sequence=False)
    assert bench.cache.age_s(T) == 3
    bench.cache.heard(bench.now_s, in_book_sequence=True)
    assert bench.cache.age_s(T) == 0
    bench.clock.advance(2)
    bench.cache.alive(T, bench.now_s)
    assert bench.cache.age_s(T) == 0
    assert bench.cache.age_s("KXNONE") is None


def test_life_ends_in_silence():
    """A held market that says nothing for five seconds is unknown; a message brings it back."""
    bench = Bench()
    bench.put("0.40", first=True)
    bench.clock.advance(5.1)
    bench.cache.heard(bench.now_s, LAG)
    assert bench.cache.freshness(T).missing == "life"
    bench.cache.alive(T, bench.now_s)
    assert bench.cache.freshness(T).missing is None


def test_watch_keeps_the_extremes_between_two_looks():
    """A touch and its recovery between two looks are both seen."""
    bench = Bench()
    bench.put("0.50", first=True)
    woken: list[int] = []
    watch = bench.cache.watch(lambda: woken.append(1))
    watch.follow(T)
    watch.follow(T)
    assert watch.take_changed() == {T}
    for bid in ("0.39", "0.55"):
        bench.put(bid)
    seen = watch.look(T, Side.YES, trigger=D("0.40"), target=None)
    assert seen is not None
    assert (seen.quote.bid, seen.lowest.bid, seen.updates) == (D("0.55"), D("0.39"), 3)
    assert watch.take_changed() == {T}
    watch.unfollow(T)
    watch.unfollow(T)
    bench.put("0.30")
    assert watch.look(T, Side.YES, trigger=None, target=None) is None


def test_reader_is_woken_once_until_it_takes_the_changes():
    """A burst costs one wake-up; the next quote after taking wakes again."""
    bench = Bench()
    bench.put("0.50", first=True)
    woken: list[int] = []
    watch = bench.cache.watch(lambda: woken.append(1))
    watch.follow(T)
    watch.take_changed()
    woken.clear()
    for _ in range(10):
        bench.put("0.51")
    assert len(woken) == 1
    watch.take_changed()
    bench.put("0.52")
    assert len(woken) == 2


def test_each_watch_has_its_own_history():
    """One reader's look takes nothing from another."""
    bench = Bench()
    watches = [bench.cache.watch(lambda: None) for _ in range(2)]
    for watch in watches:
        watch.follow(T)
    bench.put("0.39", first=True)
    bench.put("0.50")
    for watch in watches:
        seen = watch.look(T, Side.YES, trigger=None, target=None)
        assert seen is not None
        assert seen.lowest.bid == D("0.39")


@pytest.mark.parametrize("break_it", ["new epoch", "link lost", "gap"])
def test_history_ends_where_nobody_was_looking(break_it: str):
    """Nothing says what happened in between: a touch from before does not count on."""
    bench = Bench()
    bench.put("0.30", first=True)
    watch = bench.cache.watch(lambda: None)
    watch.follow(T)
    if break_it == "new epoch":
        bench.connect(2)
    elif break_it == "link lost":
        bench.connect(1, is_connected=False)
    else:
        bench.cache.set_facts(T, bench.facts(in_sequence=False))
        bench.cache.set_facts(T, bench.facts())
    assert watch.look(T, Side.YES, trigger=D("0.40"), target=None) is None


def test_dropped_market_is_forgotten():
    """And a reader that still follows it starts from nothing."""
    bench = Bench()
    bench.put("0.30", first=True)
    watch = bench.cache.watch(lambda: None)
    watch.follow(T)
    bench.cache.drop(T)
    bench.cache.drop(T)
    assert (bench.cache.quote(T), bench.cache.facts(T), len(bench.cache)) == (None, None, 0)
    assert watch.look(T, Side.YES, trigger=None, target=None) is None
    bench.put("0.50", first=True)
    seen = watch.look(T, Side.YES, trigger=None, target=None)
    assert seen is not None
    assert seen.lowest.bid == D("0.50")


def test_process_that_stood_still_proves_anew():
    """What was touched before is forgotten, and each proof comes with something received after."""
    bench = Bench()
    bench.put("0.40", first=True)
    woken = threading.Event()
    watch = bench.cache.watch(woken.set)
    watch.follow(T)
    assert bench.cache.freshness(T).is_proven
    woken.clear()
    bench.cache.distrust()
    assert woken.is_set()
    assert watch.look(T, Side.YES, trigger=D("0.50"), target=None) is None
    assert bench.cache.freshness(T).missing == "connection"
    bench.cache.heard(bench.now_s)
    assert bench.cache.freshness(T).missing == "lag"
    bench.cache.heard(bench.now_s, LAG)
    assert bench.cache.freshness(T).missing == "life"
    bench.put("0.41")
    assert bench.cache.freshness(T).is_proven
    seen = watch.look(T, Side.YES, trigger=D("0.50"), target=None)
    assert seen is not None
    assert (seen.lowest.bid, seen.stop_touch.since_s) == (D("0.41"), bench.now_s)  # type: ignore[union-attr]


def test_readers_and_writers_in_many_threads():
    """No update is lost to a reader that keeps looking, and no thread blocks another for long."""
    bench = Bench()
    bench.put("0.50", first=True)
    rounds, lowest = 2_000, D("0.01")
    woken = threading.Event()
    watch = bench.cache.watch(woken.set)
    watch.follow(T)
    seen: list[Decimal] = []
    updates = [0]

    def write() -> None:
        for number in range(rounds):
            bench.put(str(lowest) if number == rounds // 2 else "0.50")

    writer = threading.Thread(target=write)
    writer.start()

    def all_seen() -> bool:
        woken.wait(0.01)
        woken.clear()
        for ticker in watch.take_changed():
            found = watch.look(ticker, Side.YES, trigger=None, target=None)
            if found is not None:
                updates[0] += found.updates
                seen.append(found.lowest.bid or D(1))
        return updates[0] == rounds + 1

    eventually(all_seen, 10)
    writer.join()
    assert min(seen) == lowest
