"""REST answers about markets, books and the exchange itself. Pure.

See: docs.kalshi.com/openapi.yaml 3.34.0 as of 2026-10-26.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from base.kalshi.numbers import level_count, level_price
from base.kalshi.order_book import DEPTH
from base.kalshi.reports import PriceBand, grid_of
from base.kalshi.rest_messages import unix_ms
from base.model import Level, Market, MarketStatus, Quote, ShardStatus, Side, Source
from base.units import ONE

_STATUSES = {status.value: status for status in MarketStatus}


class MarketRow(Struct):
    """One market."""

    ticker: str
    status: str
    price_ranges: list[PriceBand]
    open_time: datetime | None = None
    close_time: datetime | None = None
    exchange_index: int = 0  # markets from before the shards live on shard 0
    title: str | None = None
    result: str | None = None

    def market(self) -> Market:
        """Return the market; an unknown status is never open."""
        return Market(
            ticker=self.ticker,
            status=_STATUSES.get(self.status, MarketStatus.UNKNOWN),
            open_ms=unix_ms(self.open_time),
            close_ms=unix_ms(self.close_time),
            grid=grid_of(self.price_ranges),
            exchange_index=self.exchange_index,
            title=self.title or None,
            result=self.result or None,
        )


class MarketsPage(Struct):
    """``GET /markets``; rows are read one by one, so that a broken one spoils only itself."""

    markets: list[msgspec.Raw]
    cursor: str | None = None


class _Ladders(Struct):
    yes_dollars: list[tuple[str, str]] | None = None
    no_dollars: list[tuple[str, str]] | None = None


class BookRow(Struct):
    """One order book: bids of both sides, NO prices in NO terms, arrays in any order."""

    ticker: str
    orderbook_fp: _Ladders

    def quote(self, received_s: float) -> Quote | None:
        """Return the best levels seen from YES; ``None``: it crosses, so it is no price."""
        bids = _best(self.orderbook_fp.yes_dollars)
        asks = tuple((ONE - price, count) for price, count in _best(self.orderbook_fp.no_dollars))
        bid, bid_size = bids[0] if bids else (None, None)
        ask, ask_size = asks[0] if asks else (None, None)
        if bid is not None and ask is not None and bid >= ask:
            return None
        return Quote(
            ticker=self.ticker,
            side=Side.YES,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            bids=bids,
            asks=asks,
            source=Source.REST,
            exchange_ms=None,
            received_s=received_s,
            epoch=0,
        )


class BooksBody(Struct):
    """``GET /markets/orderbooks``."""

    orderbooks: list[BookRow]


class _ShardRow(Struct):
    exchange_index: int
    exchange_active: bool
    trading_active: bool


class StatusBody(Struct):
    """``GET /exchange/status``. The flags on top speak for shard 0 only."""

    exchange_active: bool
    trading_active: bool
    exchange_index_statuses: list[_ShardRow] | None = None

    def shards(self) -> tuple[ShardStatus, ...]:
        """Return the status of each shard that is named."""
        rows = self.exchange_index_statuses or [_ShardRow(0, self.exchange_active, self.trading_active)]
        return tuple(
            ShardStatus(
                exchange_index=row.exchange_index,
                exchange_active=row.exchange_active,
                trading_active=row.trading_active,
            )
            for row in rows
        )


def _best(pairs: list[tuple[str, str]] | None) -> tuple[Level, ...]:
    levels = [(level_price(price), level_count(count)) for price, count in pairs or ()]
    return tuple(sorted((level for level in levels if level[1]), reverse=True)[:DEPTH])
