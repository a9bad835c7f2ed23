"""Account reports as the WebSocket writes them, turned into the words of the trade. Pure.

``book_side`` is the safe field for direction: buying NO shows as action "sell", side "no",
``book_side`` "ask". See: docs.kalshi.com/getting_started/order_direction, read 2026-11-20.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from base.errors import WireError
from base.model import Fill, LifecycleEvent, OrderReport, PositionPush
from base.units import PriceGrid, PriceRange, parse_count, parse_decimal, parse_price

PRIMARY = 0
"""The sub-account meant where a frame names none. See: asyncapi.yaml, fill and market_position."""


def buys_yes(book_side: str) -> bool:
    """Whether ``book_side`` buys YES (which sells NO).

    Raises:
        WireError: If it is neither ``bid`` nor ``ask``.
    """
    if book_side not in ("bid", "ask"):
        raise WireError("book_side", book_side)
    return book_side == "bid"


def grid_of(bands: list[PriceBand]) -> PriceGrid:
    """Return the price grid that ``price_ranges`` describes, bands in any order.

    Raises:
        WireError: If a number is malformed or the bands make no grid.
    """
    ranges = [
        PriceRange(
            start=parse_price(band.start, "price_ranges"),
            end=parse_price(band.end, "price_ranges"),
            step=parse_price(band.step, "price_ranges"),
        )
        for band in bands
    ]
    return PriceGrid(tuple(sorted(ranges, key=lambda band: band.start)))


class PriceBand(Struct):
    """One entry of ``price_ranges``. Dollars as strings."""

    start: str
    end: str
    step: str


class FillMsg(Struct):
    """``msg`` of a ``fill`` frame."""

    trade_id: str
    order_id: str
    market_ticker: str
    book_side: str
    yes_price_dollars: str
    count_fp: str
    fee_cost: str
    ts_ms: int
    post_position_fp: str
    client_order_id: str | None = None
    subaccount: int | None = None

    def report(self) -> Fill:
        """Return the fill."""
        count = parse_count(self.count_fp, "count_fp")
        return Fill(
            trade_id=self.trade_id,
            order_id=self.order_id,
            client_order_id=self.client_order_id or None,
            ticker=self.market_ticker,
            subaccount=PRIMARY if self.subaccount is None else self.subaccount,
            signed_count=count if buys_yes(self.book_side) else -count,
            yes_price=parse_price(self.yes_price_dollars, "yes_price_dollars"),
            fee=parse_decimal(self.fee_cost, "fee_cost"),
            ts_ms=self.ts_ms,
            post_position=parse_decimal(self.post_position_fp, "post_position_fp"),
        )


class UserOrderMsg(Struct):
    """``msg`` of a ``user_order`` frame. It says ``ticker`` where others say ``market_ticker``."""

    order_id: str
    ticker: str
    status: str
    book_side: str
    yes_price_dollars: str
    initial_count_fp: str
    fill_count_fp: str
    remaining_count_fp: str
    taker_fill_cost_dollars: str
    maker_fill_cost_dollars: str
    taker_fees_dollars: str
    maker_fees_dollars: str
    client_order_id: str | None = None
    created_ts_ms: int | None = None
    last_updated_ts_ms: int | None = None
    last_update_reason: str | None = None
    exchange_index: int | None = None
    subaccount_number: int | None = None

    def report(self) -> OrderReport:
        """Return the order's report."""
        return OrderReport(
            order_id=self.order_id,
            client_order_id=self.client_order_id or None,
            ticker=self.ticker,
            subaccount=PRIMARY if self.subaccount_number is None else self.subaccount_number,
            is_yes_bid=buys_yes(self.book_side),
            yes_price=parse_price(self.yes_price_dollars, "yes_price_dollars"),
            status=self.status,
            initial=parse_count(self.initial_count_fp, "initial_count_fp"),
            filled=parse_count(self.fill_count_fp, "fill_count_fp"),
            remaining=parse_count(self.remaining_count_fp, "remaining_count_fp"),
            fill_cost=_sum(self.taker_fill_cost_dollars, self.maker_fill_cost_dollars, "fill_cost"),
            fees=_sum(self.taker_fees_dollars, self.maker_fees_dollars, "fees"),
            created_ms=self.created_ts_ms,
            updated_ms=self.last_updated_ts_ms,
            reason=self.last_update_reason or None,
            exchange_index=self.exchange_index,
        )


class PositionMsg(Struct):
    """``msg`` of a ``market_position`` frame; the position is negative for NO."""

    market_ticker: str
    position_fp: str
    subaccount: int | None = None

    def report(self) -> PositionPush:
        """Return the hint."""
        return PositionPush(
            ticker=self.market_ticker,
            subaccount=PRIMARY if self.subaccount is None else self.subaccount,
            signed_count=parse_decimal(self.position_fp, "position_fp"),
        )


class LifecycleMsg(Struct):
    """``msg`` of a ``market_lifecycle_v2`` frame. Its times are seconds."""

    market_ticker: str
    event_type: str
    close_ts: int | None = None
    result: str | None = None
    price_ranges: list[PriceBand] | None = None

    def report(self) -> LifecycleEvent:
        """Return the change of the market."""
        return LifecycleEvent(
            ticker=self.market_ticker,
            event=self.event_type,
            close_ms=None if self.close_ts is None else self.close_ts * 1000,
            result=self.result or None,
            grid=None if not self.price_ranges else grid_of(self.price_ranges),
        )


def _sum(taker: str, maker: str, field: str) -> Decimal:
    return parse_decimal(taker, field) + parse_decimal(maker, field)
