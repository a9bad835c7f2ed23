"""Who wants which markets: the feed hears of the first and of the last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from base.feed.watch_list import WatchList


class Feed:
    """What is subscribed; refuses what a feed would not be told."""

    def __init__(self) -> None:
        self.on: set[str] = set()

    def begin(self, ticker: str) -> None:
        assert ticker not in self.on
        self.on.add(ticker)

    def end(self, ticker: str) -> None:
        self.on.remove(ticker)


def test_a_market_stays_while_anybody_wants_it() -> None:
    """A series that rolls on doesn't take away what was asked for by name."""
    feed = Feed()
    wanted = WatchList(feed.begin, feed.end)
    wanted.add("you", ["A"])
    wanted.want("series", ["A", "B"])
    wanted.want("series", ["C"])
    assert feed.on == wanted.tickers == {"A", "C"}
    wanted.want("series", [])
    assert feed.on == {"A"}


def test_left_out_stays_out_until_it_is_added_again() -> None:
    """The series goes on naming it; once the series has passed the exception is forgotten."""
    feed = Feed()
    wanted = WatchList(feed.begin, feed.end)
    wanted.want("series", ["A", "B"])
    wanted.leave_out("you", ["A"])
    wanted.want("series", ["A", "B", "C"])
    assert feed.on == {"B", "C"}
    wanted.add("you", ["A"])
    assert feed.on == {"A", "B", "C"}
    wanted.leave_out("you", ["A"])
    wanted.want("series", ["B"])
    wanted.want("series", ["A"])
    assert feed.on == {"A"}


NAMES = st.sets(st.sampled_from("ABCDE"))
STEPS = st.lists(st.tuples(st.sampled_from(["want", "add", "leave_out"]), st.sampled_from("xyz"), NAMES))


@given(STEPS)
def test_the_feed_has_exactly_what_is_wanted(steps: list[tuple[str, str, set[str]]]) -> None:
    """Whatever is asked in whatever order; nothing is begun twice or ended before it began."""
    feed = Feed()
    wanted = WatchList(feed.begin, feed.end)
    for step, who, names in steps:
        getattr(wanted, step)(who, names)
        assert feed.on == wanted.tickers
        if step == "leave_out":
            assert not names & wanted.tickers
