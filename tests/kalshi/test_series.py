"""Which markets of a series are followed when, and that no polling loses one. Time is given, never read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.kalshi.series import (
    Pace,
    Phase,
    SeriesView,
    next_look_ms,
    open_markets,
    phase_of,
    take_look,
    to_ask_by_name,
    to_follow,
)
from base.model import Market, MarketStatus
from base.units import PriceGrid

GRID = PriceGrid.of([("0.0000", "1.0000", "0.0100")])
PACE = Pace()
NOW = 1_795_000_000_000
MINUTE = 60_000
QUARTER = 15 * MINUTE
S = MarketStatus


def market(
    ticker: str = "KXT-1",
    status: MarketStatus = S.ACTIVE,
    opens: int | None = NOW - MINUTE,
    closes: int | None = NOW + MINUTE,
) -> Market:
    return Market(ticker=ticker, status=status, open_ms=opens, close_ms=closes, grid=GRID, exchange_index=0)


def looked(*found: Market, at: int = NOW, before: SeriesView | None = None) -> SeriesView:
    return take_look(before or SeriesView(), found, at, PACE)


@pytest.mark.parametrize(
    ("status", "opens", "closes", "phase"),
    [
        pytest.param(S.ACTIVE, NOW - 1, NOW + 1, Phase.OPEN, id="open"),
        pytest.param(S.ACTIVE, NOW - 1, NOW, Phase.CLOSED, id="the clock closes it, silently"),
        pytest.param(S.ACTIVE, None, None, Phase.OPEN, id="without times the status decides"),
        pytest.param(S.INITIALIZED, NOW + 1, NOW + 2, Phase.UPCOMING, id="not yet"),
        pytest.param(S.INITIALIZED, NOW, NOW + 2, Phase.OPEN, id="the clock opens it, silently"),
        pytest.param(S.INITIALIZED, None, None, Phase.UPCOMING, id="nobody says when"),
        pytest.param(S.INACTIVE, NOW - 1, NOW + 1, Phase.PAUSED, id="halted"),
        pytest.param(S.INACTIVE, NOW - 1, NOW, Phase.CLOSED, id="halted past its close"),
        pytest.param(S.UNKNOWN, NOW - 1, NOW + 1, Phase.PAUSED, id="a new word is never open"),
        pytest.param(S.CLOSED, NOW - 1, NOW + 1, Phase.CLOSED, id="closed early"),
        pytest.param(S.DETERMINED, NOW - 2, NOW - 1, Phase.ENDED, id="determined"),
        pytest.param(S.DISPUTED, NOW - 2, NOW - 1, Phase.ENDED, id="disputed"),
        pytest.param(S.AMENDED, NOW - 2, NOW - 1, Phase.ENDED, id="amended"),
        pytest.param(S.FINALIZED, NOW - 2, NOW - 1, Phase.ENDED, id="paid out"),
    ],
)
def test_phase(status: MarketStatus, opens: int | None, closes: int | None, phase: Phase) -> None:
    """Status and clock together; no message announces an open or a close."""
    assert phase_of(market(status=status, opens=opens, closes=closes), NOW) is phase


@pytest.mark.parametrize(
    ("found", "is_followed"),
    [
        pytest.param(market(), True, id="open"),
        pytest.param(market(status=S.INACTIVE), True, id="paused: it may come back"),
        pytest.param(market(status=S.INITIALIZED, opens=NOW + 60_000, closes=None), True, id="about to open"),
        pytest.param(market(status=S.INITIALIZED, opens=NOW + 60_001, closes=None), False, id="opens later"),
        pytest.param(market(status=S.INITIALIZED, opens=None, closes=None), False, id="opens who knows when"),
        pytest.param(market(closes=NOW - 119_999), True, id="just closed"),
        pytest.param(market(closes=NOW - 120_000), False, id="closed for the grace time"),
        pytest.param(market(status=S.DETERMINED, closes=NOW - 1), False, id="determined"),
    ],
)
def test_followed(found: Market, is_followed: bool) -> None:
    """From shortly before the open until determined, or until the grace time after the close."""
    assert to_follow(looked(found), NOW, PACE) == (frozenset({found.ticker}) if is_followed else frozenset())


def test_the_clock_alone_moves_on_between_looks() -> None:
    """With REST down the next market is followed before it opens and the old one let go after the grace."""
    first = market("KXT-1", closes=NOW + MINUTE)
    second = market("KXT-2", S.INITIALIZED, opens=NOW + 2 * MINUTE, closes=NOW + QUARTER)
    view = looked(first, second)
    assert to_follow(view, NOW, PACE) == {"KXT-1"}
    assert to_follow(view, NOW + MINUTE, PACE) == {"KXT-1", "KXT-2"}
    assert [m.ticker for m in open_markets(view, NOW + 2 * MINUTE)] == ["KXT-2"]
    assert to_follow(view, NOW + 3 * MINUTE, PACE) == {"KXT-2"}


def test_looks_after_a_change_become_rarer() -> None:
    """1, 2, 4, … s after the last change, and never rarer than every 60 s."""
    view, at = looked(market(closes=None)), NOW
    pauses = []
    for _ in range(9):
        due = next_look_ms(view, PACE)
        assert due is not None
        pauses.append((due - at) // 1000)
        at = due
        view = looked(market(closes=None), at=at, before=view)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_new_market_starts_the_quick_looks_anew() -> None:
    """Strikes of one event may be listed one after another."""
    view = looked(market(closes=None))
    for _ in range(8):
        view = looked(market(closes=None), before=view)
    view = looked(market(closes=None), market("KXT-2", closes=None), before=view)
    assert next_look_ms(view, PACE) == NOW + 1000


@pytest.mark.parametrize(
    ("found", "due"),
    [
        pytest.param(market(closes=NOW + 300), NOW + 300, id="its close"),
        pytest.param(market(status=S.INITIALIZED, opens=NOW + 400, closes=None), NOW + 400, id="its open"),
        pytest.param(
            market(status=S.INITIALIZED, opens=NOW + 60_500, closes=None), NOW + 500, id="its subscription"
        ),
        pytest.param(market(closes=NOW - 119_800), NOW + 200, id="the end of its grace"),
    ],
)
def test_next_look_is_at_the_next_edge(found: Market, due: int) -> None:
    """What is known to change is looked at when it does."""
    assert next_look_ms(looked(found), PACE) == due


def test_nothing_looked_at_yet_is_due_at_once() -> None:
    """The first look waits for nothing."""
    assert next_look_ms(SeriesView(), PACE) is None
    assert to_follow(SeriesView(), NOW, PACE) == frozenset()


def test_a_market_that_left_the_listing_is_asked_for_by_name() -> None:
    """Paused, closed early or determined: only the answer tells, and no answer changes nothing."""
    a, b = market("KXT-1"), market("KXT-2")
    view = looked(a, b)
    assert to_ask_by_name(view, [b]) == ["KXT-1"]
    assert to_follow(looked(b, before=view), NOW, PACE) == {"KXT-1", "KXT-2"}
    ended = looked(b, replace(a, status=S.DETERMINED), before=view)
    assert to_follow(ended, NOW, PACE) == {"KXT-2"}
    assert to_ask_by_name(ended, [b]) == []


def test_an_early_close_gets_its_grace_from_when_it_was_seen() -> None:
    """``closed`` before ``close_time``: it may be reopened, so it is not dropped at once."""
    view = looked(market(closes=NOW + QUARTER))
    closed = market(status=S.CLOSED, closes=NOW + QUARTER)
    view = looked(closed, at=NOW + 1000, before=view)
    assert to_follow(view, NOW + 120_999, PACE) == {"KXT-1"}
    assert to_follow(view, NOW + 121_000, PACE) == frozenset()
    reopened = looked(market(closes=NOW + QUARTER), at=NOW + 2000, before=view)
    assert to_follow(reopened, NOW + 200_000, PACE) == {"KXT-1"}


# --- a day of a series ------------------------------------------------------------------------


class Listing:
    """96 markets of a quarter of an hour, each listed some time before or after its open."""

    def __init__(self, listed_after: list[int], determined_after: int):
        self.determined_after = determined_after
        self.listed_after = listed_after
        self.spans = {
            f"KXT-{n:02}": (NOW + n * QUARTER, NOW + (n + 1) * QUARTER) for n in range(len(listed_after))
        }

    def listed_ms(self, ticker: str) -> int:
        return self.spans[ticker][0] + self.listed_after[int(ticker[4:])]

    def at(self, now: int, names: list[str] | None = None) -> list[Market]:
        """What open, unopened and by-name reads show."""
        found = []
        for ticker, (opens, closes) in self.spans.items():
            if now < self.listed_ms(ticker):
                continue
            is_open, is_coming = opens <= now < closes, now < opens
            status = S.ACTIVE if is_open else S.INITIALIZED if is_coming else S.CLOSED
            if now >= closes + self.determined_after:
                status = S.DETERMINED
            if is_open or is_coming or (names is not None and ticker in names):
                found.append(market(ticker, status, opens, closes))
        return found


@settings(max_examples=15, deadline=None)
@given(
    # Listed between an hour before and half a minute after the open.
    listed_after=st.lists(st.integers(-3_600_000, 30_000), min_size=96, max_size=96),
    determined_after=st.integers(0, 10 * MINUTE),
    lateness=st.lists(st.integers(0, 20_000), min_size=1, max_size=50),
    failures=st.lists(st.booleans(), min_size=1, max_size=40),
    retry=st.integers(500, 30_000),
)
def test_no_market_of_a_day_is_missed_however_late_looks_come(
    listed_after: list[int], determined_after: int, lateness: list[int], failures: list[bool], retry: int
) -> None:
    """Looks come up to 20 s late and fail for up to 40 in a row: each market is followed while open.

    One that a look has shown before its open is followed *at* its open; any other from the first
    look that could show it, at the latest 60 s and the looks' own lateness after it was listed.
    """
    listing = Listing(listed_after, determined_after)
    view, now, turn = SeriesView(), NOW, 0
    first_followed: dict[str, int] = {}
    last_followed: dict[str, int] = {}
    in_time: set[str] = set()
    while now < NOW + 97 * QUARTER:
        has_failed = failures[turn % len(failures)] and not all(failures)
        if not has_failed:
            found = listing.at(now)
            names = to_ask_by_name(view, found)
            view = take_look(
                view, [*found, *(m for m in listing.at(now, names) if m.ticker in names)], now, PACE
            )
            in_time |= {t for t, m in view.markets.items() if m.open_ms is not None and m.open_ms >= now}
        for ticker in to_follow(view, now, PACE):
            first_followed.setdefault(ticker, now)
            last_followed[ticker] = now
        due = next_look_ms(view, PACE)
        due = now + retry if has_failed or due is None else due
        step = max(now + 1, due + lateness[turn % len(lateness)])
        # The thread also acts on the clock between looks: at each quarter, here.
        quarter = NOW + ((now - NOW) // QUARTER + 1) * QUARTER
        if now < quarter < step:
            for ticker in to_follow(view, quarter, PACE):
                first_followed.setdefault(ticker, quarter)
                last_followed[ticker] = quarter
        now, turn = step, turn + 1
    longest_gap = 61_000 + max(lateness) + (40 * (retry + max(lateness)) if any(failures) else 0)
    for ticker, (opens, closes) in listing.spans.items():
        if ticker in in_time:
            assert first_followed[ticker] <= opens, ticker
        if listing.listed_ms(ticker) + longest_gap < closes:
            assert max(first_followed[ticker], opens) < closes, ticker
        assert last_followed.get(ticker, 0) <= closes + 120_000 + max(lateness) + retry, ticker
    assert len(to_follow(view, now, PACE)) == 0


@settings(max_examples=12, deadline=None)
@given(
    listed_after=st.lists(st.integers(-3_600_000, 30_000), min_size=96, max_size=96),
    lateness=st.lists(st.integers(0, 20_000), min_size=1, max_size=50),
)
def test_all_96_are_followed_within_seconds_of_being_listed(
    listed_after: list[int], lateness: list[int]
) -> None:
    """Without failures: 96 of 96 while open, and soon, for the quick looks follow each close."""
    listing = Listing(listed_after, 60_000)
    view, now, turn, first = SeriesView(), NOW, 0, dict[str, int]()
    while now < NOW + 96 * QUARTER:
        found = listing.at(now)
        names = to_ask_by_name(view, found)
        view = take_look(view, [*found, *(m for m in listing.at(now, names) if m.ticker in names)], now, PACE)
        for ticker in to_follow(view, now, PACE):
            first.setdefault(ticker, now)
        due = next_look_ms(view, PACE)
        assert due is not None
        now, turn = max(now + 1, due + lateness[turn % len(lateness)]), turn + 1
    assert sorted(first) == sorted(listing.spans)
    for ticker, (opens, _) in listing.spans.items():
        # Listed at most 30 s after the open: the looks then are at most 16 s apart, and late.
        assert first[ticker] <= max(opens, listing.listed_ms(ticker)) + 33_000 + 2 * max(lateness), ticker


def test_a_market_that_ended_is_not_followed_even_before_the_next_look() -> None:
    """Determined while nobody looked: nothing more comes of it."""
    ended = market(status=S.DETERMINED)
    assert to_follow(SeriesView(markets={ended.ticker: ended}), NOW, PACE) == frozenset()
