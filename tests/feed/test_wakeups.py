"""Who is woken when: a breach must not wait for the next sweep because a wake-up was swallowed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from base.feed.freshness import ConnectionFacts, Lag, MarketFacts
from base.feed.price_cache import PriceCache, Watch
from base.model import Quote, Side, Source
from tests.support import FakeClock

D = Decimal
CONNECTED = ConnectionFacts(epoch=1, is_connected=True, heard_s=1.0, lag=Lag(value_s=0.1, error_s=0.1))
TRUSTED = MarketFacts(epoch=1, has_sequence=True, in_sequence=True, is_held=True, alive_s=1.0)
GAP = replace(TRUSTED, in_sequence=False)


class Reader:
    """A reader of a cache whose markets A and B are trusted; it counts how often it was woken."""

    def __init__(self) -> None:
        self.woken = 0
        self.cache = PriceCache(FakeClock(boot_s=2.0))
        self.watch: Watch = self.cache.watch(self._wake)
        self.cache.set_connection(CONNECTED)
        for ticker in "AB":
            self.cache.set_facts(ticker, TRUSTED)

    def _wake(self) -> None:
        self.woken += 1

    def rest(self) -> None:
        """Take what changed and wait for the next wake-up."""
        self.watch.take_changed()
        self.woken = 0


@pytest.fixture
def reader() -> Reader:
    """One that follows nothing yet."""
    return Reader()


def breach(ticker: str) -> Quote:
    """A book that shows a price at which somebody would want to leave."""
    return Quote(
        ticker=ticker, side=Side.YES, bid=D("0.10"), ask=D("0.60"), bid_size=D(9), ask_size=D(9), bids=(),
        asks=(), source=Source.BOOK, exchange_ms=None, received_s=2.0, epoch=1,
    )  # fmt: skip


def test_the_book_that_rebuilds_trust_wakes_its_reader(reader: Reader) -> None:
    """The first trusted quote after a gap is news, and may be the breach itself."""
    for ticker in "AB":
        reader.watch.follow(ticker)
    reader.rest()
    reader.cache.set_facts("A", GAP)
    reader.rest()
    reader.cache.put(breach("A"), facts=TRUSTED)
    assert reader.woken == 1
    assert reader.watch.take_changed() == {"A"}


def test_following_another_market_swallows_no_wake_up(reader: Reader) -> None:
    """A reader that follows A at the end of its round is still told of a breach in B."""
    reader.watch.follow("B")
    reader.rest()
    reader.watch.follow("A")
    reader.cache.put(breach("B"))
    assert reader.woken > 0
    assert "B" in reader.watch.take_changed()


def test_quotes_that_nobody_took_yet_wake_once(reader: Reader) -> None:
    """A flood of updates is one wake-up until the reader has looked; then the next one wakes again."""
    reader.watch.follow("A")
    reader.rest()
    for _ in range(3):
        reader.cache.put(breach("A"))
    assert reader.woken == 1
    reader.rest()
    reader.cache.put(breach("A"))
    assert reader.woken == 1
