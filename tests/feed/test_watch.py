"""What a reader missed between two looks."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from base.feed.freshness import UNHEARD
from base.feed.watch import JUMP, MarketWatch, Sighting, Track
from base.model import Quote, Side
from tests.feed.quotes import make_quote

D = Decimal
prices = st.integers(1, 99).map(lambda cents: D(cents) / 100)
series = st.lists(prices, min_size=1, max_size=60)


def look(
    watch: MarketWatch,
    side: Side = Side.YES,
    trigger: str | None = None,
    target: str | None = None,
    **rest: object,
) -> Sighting:
    terms: dict[str, object] = {
        "dwell_s": 0.0,
        "least_updates": 1,
        "now_s": 2_000.0,
        "confirmed_s": 0.0,
        "freshness": UNHEARD,
        "rest": None,
    }
    found = watch.look(
        side,
        trigger=None if trigger is None else D(trigger),
        target=None if target is None else D(target),
        **(terms | rest),  # type: ignore[arg-type]
    )
    assert found is not None
    return found


def watch_of(*quotes: Quote) -> MarketWatch:
    watch = MarketWatch(900.0)
    for quote in quotes:
        watch.see(quote)
    return watch


@given(values=series, level=prices)
def test_track_knows_since_when_a_level_was_kept(values: list[Decimal], level: Decimal):
    """Against the plain definition: the length of the newest run at or below, and at or above."""
    track = Track()
    for number, value in enumerate(values, 1):
        track.add(value, float(number), number)
        kept = values[:number]
        for find, holds in ((track.at_most, lambda v: v <= level), (track.at_least, lambda v: v >= level)):
            run = 0
            while run < number and holds(kept[number - 1 - run]):
                run += 1
            expected = None if run == 0 else (float(number - run + 1), number - run + 1)
            assert find(level) == expected


@given(values=series, back=st.integers(0, 60))
def test_track_knows_what_was_sustained(values: list[Decimal], back: int):
    """The highest level kept since then is the lowest value of that stretch."""
    track = Track()
    for number, value in enumerate(values, 1):
        track.add(value, float(number), number)
    first = max(1, len(values) - back)
    stretch = values[first - 1 :]
    assert track.highest_since(float(first), first) == min(stretch)
    assert track.lowest_since(float(first), first) == max(stretch)
    assert track.highest_since(0.5, 0) is None


@given(values=st.lists(prices, min_size=1, max_size=200))
def test_track_is_bounded_by_the_grid(values: list[Decimal]):
    """A price that is quoted again and again takes no more memory than once."""
    track = Track()
    for number, value in enumerate(values, 1):
        track.add(value, float(number), number)
    assert len(track._below) <= len(set(values))
    assert len(track._above) <= len(set(values))


@given(chunks=st.lists(st.lists(st.none() | prices, max_size=10), max_size=10), trigger=prices)
def test_touch_between_two_looks_is_never_lost(chunks: list[list[Decimal | None]], trigger: Decimal):
    """However the quotes fall between the looks, the lowest and highest bids are handed over once."""
    watch = MarketWatch(900.0)
    at_s, standing = 1_000.0, None
    for chunk in chunks:
        since = [] if standing is None else [standing]
        for bid in chunk:
            at_s += 1
            watch.see(make_quote(bid, "0.995", at_s=at_s))
            standing = bid
            since += [] if bid is None else [bid]
        if watch.newest is None:
            continue
        seen = look(watch, trigger=str(trigger))
        assert seen.updates == len(chunk)
        if since:
            assert seen.lowest.bid == min(since)
            assert seen.highest.bid == max(since)
        touched_now = standing is not None and standing <= trigger
        assert (seen.stop_touch is not None) == touched_now


@given(
    pairs=st.lists(st.tuples(st.none() | prices, st.none() | prices), min_size=1, max_size=40),
    trigger=prices,
    dwell=st.integers(0, 20),
    updates=st.integers(1, 10),
)
def test_no_mirrors_yes(pairs, trigger: Decimal, dwell: int, updates: int):
    """The mirrored market seen from NO gives the same sighting as the market seen from YES."""
    straight, mirrored = MarketWatch(900.0), MarketWatch(900.0)
    for number, (bid, ask) in enumerate(pairs):
        at_s = 1_000.0 + number
        straight.see(make_quote(bid, ask, at_s=at_s))
        mirrored.see(
            make_quote(None if ask is None else 1 - ask, None if bid is None else 1 - bid, at_s=at_s)
        )
    terms = {"dwell_s": float(dwell), "least_updates": updates, "now_s": 1_000.0 + len(pairs)}
    yes = look(straight, Side.YES, str(trigger), str(trigger), **terms)
    no = look(mirrored, Side.NO, str(trigger), str(trigger), **terms)
    for one, other in ((yes.quote, no.quote), (yes.lowest, no.lowest), (yes.highest, no.highest)):
        assert (one.bid, one.ask, one.bids, one.asks) == (other.bid, other.ask, other.bids, other.asks)
    assert (yes.stop_touch, yes.target_touch) == (no.stop_touch, no.target_touch)
    assert (yes.sustained_bid, yes.jumped_s, yes.updates) == (no.sustained_bid, no.jumped_s, no.updates)


def test_empty_side_is_not_touched():
    """No bid is no price; it neither touches a stop nor ends the count of the touch before it."""
    watch = watch_of(make_quote("0.40", "0.45", at_s=1), make_quote(None, "0.45", at_s=2))
    assert look(watch, trigger="0.40").stop_touch is None
    watch.see(make_quote("0.39", "0.45", at_s=3))
    touch = look(watch, trigger="0.40").stop_touch
    assert touch is not None
    assert touch.since_s == 1


def test_jump_is_remembered():
    """A single fall of more than 0.15 is suspicious."""
    watch = watch_of(make_quote("0.60", "0.62", at_s=1), make_quote(D("0.60") - JUMP, "0.62", at_s=2))
    assert look(watch).jumped_s is None
    watch.see(make_quote("0.20", "0.62", at_s=3))
    assert look(watch).jumped_s == 3


def test_restart_forgets():
    """After a gap nothing says what happened in between."""
    watch = watch_of(make_quote("0.10", "0.62"))
    watch.restart(950.0)
    assert watch.newest is None
    assert watch.look(
        Side.YES, trigger=D("0.20"), target=None, dwell_s=0.0, least_updates=1, now_s=960.0, confirmed_s=0.0,
        freshness=UNHEARD, rest=None,
    ) is None  # fmt: skip
    watch.see(make_quote("0.60", "0.62", at_s=960))
    seen = look(watch, trigger="0.20")
    assert (seen.lowest.bid, seen.began_s, seen.stop_touch) == (D("0.60"), 950.0, None)
