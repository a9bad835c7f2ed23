"""All markets of the feed, and what the price cache has been told of each."""

from __future__ import annotations

from collections.abc import Iterable

from base.feed.freshness import Lag, MarketFacts
from base.kalshi.feed_stats import FeedStats
from base.kalshi.market_feed import MarketFeed
from base.kalshi.messages import Ticker
from base.kalshi.order_book import OrderBook
from base.kalshi.websocket_price_cache import WebSocketPriceCache


class MarketBoard:
    """The markets wanted now, keyed by ticker; the one place that writes the cache for the feed."""

    def __init__(self, cache: WebSocketPriceCache, stats: FeedStats):
        self.cache = cache
        self.stats = stats
        self.epoch = 0
        self.markets: dict[str, MarketFeed] = {}
        self.held = 0

    def want(self, held: set[str], watched: set[str], now_s: float) -> None:
        """Keep exactly these markets. One whose kind changes starts from nothing."""
        wanted = held | watched
        for ticker in set(self.markets) - wanted:
            del self.markets[ticker]
            self.cache.drop(ticker)
        for ticker in wanted:
            market = self.markets.get(ticker)
            if market is None or market.is_held != (ticker in held):
                self.markets[ticker] = MarketFeed(ticker, is_held=ticker in held, now_s=now_s)
        self.held = len(held)
        self.publish(self.markets.values(), now_s)

    def connected(self, epoch: int, now_s: float) -> None:
        """Begin connection ``epoch``."""
        self.epoch = epoch
        for market in self.markets.values():
            market.connected(now_s)
        self.publish(self.markets.values(), now_s)

    def publish(self, markets: Iterable[MarketFeed], now_s: float) -> None:
        """Tell the cache what changed about ``markets``."""
        for market in markets:
            if (facts := self._changed_facts(market, now_s)) is not None:
                self.cache.set_facts(market.ticker, facts)

    def show_ticker(self, market: MarketFeed, frame: Ticker, at_s: float, lag: Lag | None) -> None:
        """Make a ticker frame the market's quote."""
        facts = None
        if not market.has_ticker:
            market.has_ticker = True
            facts = self._changed_facts(market, at_s)
        self.cache.put_ticker(frame, received_s=at_s, epoch=self.epoch, lag=lag, facts=facts)

    def show_book(
        self, market: MarketFeed, book: OrderBook, at_s: float, exchange_ms: int | None, lag: Lag | None
    ) -> None:
        """Make the book's best levels the market's quote."""
        before = market.last_facts
        # Facts only move when trust does; most updates skip the comparison.
        settled = (
            before is not None and before.epoch == self.epoch and before.has_sequence and before.in_sequence
        )
        facts = None if settled else self._changed_facts(market, at_s)
        self.cache.put_book(
            book, received_s=at_s, epoch=self.epoch, exchange_ms=exchange_ms, lag=lag, facts=facts
        )

    def _changed_facts(self, market: MarketFeed, now_s: float) -> MarketFacts | None:
        facts, before = market.facts(self.epoch, now_s), market.last_facts
        if before is not None and (
            before.epoch == facts.epoch
            and before.has_sequence == facts.has_sequence
            and before.in_sequence == facts.in_sequence
            and before.is_held == facts.is_held
        ):
            return None  # life alone moves with the frames themselves
        market.last_facts = facts
        return facts
