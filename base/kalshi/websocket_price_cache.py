"""The price cache that the WebSocket fills: decoded frames in, quotes seen from YES out."""

from __future__ import annotations

from base.feed.freshness import Lag, MarketFacts
from base.feed.price_cache import PriceCache
from base.kalshi.messages import Ticker
from base.kalshi.order_book import OrderBook
from base.model import Quote, Side, Source


class WebSocketPriceCache(PriceCache):
    """A proven book is the quote; a ticker only where no book is. The session decides which."""

    def put_ticker(
        self,
        frame: Ticker,
        *,
        received_s: float,
        epoch: int,
        lag: Lag | None = None,
        facts: MarketFacts | None = None,
    ) -> None:
        """Store the best prices of a ticker frame that came over connection ``epoch``."""
        quote = Quote(
            ticker=frame.ticker,
            side=Side.YES,
            bid=frame.bid,
            ask=frame.ask,
            bid_size=frame.bid_size,
            ask_size=frame.ask_size,
            bids=(),
            asks=(),
            source=Source.TICKER,
            exchange_ms=frame.ts_ms,
            received_s=received_s,
            epoch=epoch,
        )
        self.put(quote, lag, facts)

    def put_book(
        self,
        book: OrderBook,
        *,
        received_s: float,
        epoch: int,
        exchange_ms: int | None,
        lag: Lag | None = None,
        facts: MarketFacts | None = None,
    ) -> None:
        """Store the best levels of a book as it stands after a frame of connection ``epoch``."""
        self.put(book.quote(received_s=received_s, exchange_ms=exchange_ms, epoch=epoch), lag, facts)
