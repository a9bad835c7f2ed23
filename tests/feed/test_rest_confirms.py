"""A book read by REST is news to its reader, also where the feed is proven and keeps its quote."""

from __future__ import annotations

from decimal import Decimal

from base.feed.freshness import ConnectionFacts, Lag, MarketFacts
from base.feed.price_cache import PriceCache
from base.model import Quote, Side, Source
from tests.support import FakeClock

CONNECTED = ConnectionFacts(epoch=1, is_connected=True, heard_s=1.0, lag=Lag(value_s=0.1, error_s=0.1))
TRUSTED = MarketFacts(epoch=1, has_sequence=True, in_sequence=True, is_held=True, alive_s=1.0)


def seen(source: Source, epoch: int) -> Quote:
    """A book that shows a price at which somebody would want to leave."""
    return Quote(
        ticker="A", side=Side.YES, bid=Decimal("0.10"), ask=Decimal("0.60"), bid_size=Decimal(9),
        ask_size=Decimal(9), bids=(), asks=(), source=source, exchange_ms=None, received_s=2.0, epoch=epoch,
    )  # fmt: skip


def test_a_book_that_only_confirms_is_looked_at_at_once() -> None:
    """A suspicious exit waits for the REST book: it must not lie there until the next timer."""
    cache = PriceCache(FakeClock(boot_s=2.0))
    woken: list[bool] = []
    watch = cache.watch(lambda: woken.append(True))
    cache.set_connection(CONNECTED)
    cache.set_facts("A", TRUSTED)
    watch.follow("A")
    cache.put(seen(Source.BOOK, 1))
    watch.take_changed()
    woken.clear()
    cache.put_rest(seen(Source.REST, 0))
    assert woken
    assert watch.take_changed() == {"A"}
    assert cache.quote("A") == seen(Source.BOOK, 1)
