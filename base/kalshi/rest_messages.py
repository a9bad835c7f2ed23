"""REST answers, decoded and checked at the border, turned into the words of the trade. Pure.

Money comes as strings; a JSON number where a string belongs is refused.
See: docs.kalshi.com/openapi.yaml 3.34.0 as of 2026-10-26.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import msgspec
from msgspec import Struct

from base.errors import WireError
from base.kalshi.reports import buys_yes
from base.model import (
    Fill,
    OrderReport,
    Position,
    Side,
)
from base.units import ONE, ZERO, parse_count, parse_decimal, parse_price

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")


def read(body: bytes, shape: type[T]) -> T:
    """Return ``body`` as ``shape``.

    Raises:
        WireError: If it isn't JSON of that shape.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as e:
        raise WireError(shape.__name__, str(e)) from None


def unix_ms(moment: datetime | None) -> int | None:
    """Return Unix milliseconds; a moment without a zone is refused.

    Raises:
        WireError: If the zone is missing.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise WireError("time", moment.isoformat())
    return (moment - _EPOCH) // timedelta(milliseconds=1)


# --- orders ---------------------------------------------------------------------------------


class Created(Struct):
    """The answer to a new order. Note: no ``_fp`` or ``_dollars`` in its names."""

    order_id: str
    fill_count: str
    remaining_count: str
    ts_ms: int | None = None
    client_order_id: str | None = None
    average_fill_price: str | None = None
    average_fee_paid: str | None = None


class Cancelled(Struct):
    """The answer to a cancel."""

    order_id: str
    reduced_by: str
    client_order_id: str | None = None
    ts_ms: int | None = None


class OrderRow(Struct):
    """One order in a list."""

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
    created_time: datetime | None = None
    last_update_time: datetime | None = None
    exchange_index: int | None = None
    subaccount_number: int | None = None

    def report(self, asked_subaccount: int) -> OrderReport:
        """Return the report; ``asked_subaccount`` is where the row itself names none."""
        taker_cost = parse_decimal(self.taker_fill_cost_dollars, "taker_fill_cost_dollars")
        taker_fees = parse_decimal(self.taker_fees_dollars, "taker_fees_dollars")
        named = self.subaccount_number
        return OrderReport(
            order_id=self.order_id,
            client_order_id=self.client_order_id or None,
            ticker=self.ticker,
            subaccount=asked_subaccount if named is None else named,
            is_yes_bid=buys_yes(self.book_side),
            yes_price=parse_price(self.yes_price_dollars, "yes_price_dollars"),
            status=self.status,
            initial=parse_count(self.initial_count_fp, "initial_count_fp"),
            filled=parse_count(self.fill_count_fp, "fill_count_fp"),
            remaining=parse_count(self.remaining_count_fp, "remaining_count_fp"),
            fill_cost=taker_cost + parse_decimal(self.maker_fill_cost_dollars, "maker_fill_cost_dollars"),
            fees=taker_fees + parse_decimal(self.maker_fees_dollars, "maker_fees_dollars"),
            created_ms=unix_ms(self.created_time),
            updated_ms=unix_ms(self.last_update_time),
            reason=None,
            exchange_index=self.exchange_index,
        )


class OrdersPage(Struct):
    """``GET /portfolio/orders``."""

    orders: list[OrderRow]
    cursor: str | None = None


class OneOrder(Struct):
    """``GET /portfolio/orders/{id}``."""

    order: OrderRow


class FillRow(Struct):
    """One fill in a list; it has no ``client_order_id``."""

    trade_id: str
    order_id: str
    ticker: str
    book_side: str
    count_fp: str
    yes_price_dollars: str
    fee_cost: str
    created_time: datetime | None = None
    ts: int | None = None  # seconds
    subaccount_number: int | None = None

    def report(self, asked_subaccount: int) -> Fill:
        """Return the fill."""
        count = parse_count(self.count_fp, "count_fp")
        created_ms = unix_ms(self.created_time)
        if created_ms is None and self.ts is None:
            raise WireError("created_time", None)
        named = self.subaccount_number
        return Fill(
            trade_id=self.trade_id,
            order_id=self.order_id,
            client_order_id=None,
            ticker=self.ticker,
            subaccount=asked_subaccount if named is None else named,
            signed_count=count if buys_yes(self.book_side) else -count,
            yes_price=parse_price(self.yes_price_dollars, "yes_price_dollars"),
            fee=parse_decimal(self.fee_cost, "fee_cost"),
            ts_ms=created_ms if created_ms is not None else (self.ts or 0) * 1000,
            post_position=None,
        )


class FillsPage(Struct):
    """``GET /portfolio/fills``."""

    fills: list[FillRow]
    cursor: str | None = None


# --- account --------------------------------------------------------------------------------


class PositionRow(Struct):
    """One market's position; negative is NO."""

    ticker: str
    position_fp: str
    market_exposure_dollars: str | None = None

    def position(self, subaccount: int) -> Position | None:
        """Return the position, ``None`` when nothing is held.

        The exposure is what the contracts cost, on the side held. See: openapi.yaml, MarketPosition.
        """
        signed = parse_decimal(self.position_fp, "position_fp")
        if signed == ZERO:
            return None
        return Position(
            ticker=self.ticker,
            side=Side.YES if signed > ZERO else Side.NO,
            count=abs(signed),
            entry=self._entry(abs(signed)),
            subaccount=subaccount,
        )

    def _entry(self, count: Decimal) -> Decimal | None:
        if self.market_exposure_dollars is None:
            return None
        entry = abs(parse_decimal(self.market_exposure_dollars, "market_exposure_dollars")) / count
        return entry if ZERO < entry < ONE else None  # outside, it is no price: nobody can say


class PositionsPage(Struct):
    """``GET /portfolio/positions``."""

    market_positions: list[PositionRow]
    cursor: str | None = None


class BalanceBody(Struct):
    """``GET /portfolio/balance``."""

    balance_dollars: str


class AsOf(Struct):
    """``GET /exchange/user_data_timestamp``."""

    as_of_time: datetime


class Bucket(Struct):
    """One token bucket."""

    refill_rate: float
    bucket_capacity: float


class LimitsBody(Struct):
    """``GET /account/limits``."""

    usage_tier: str
    read: Bucket
    write: Bucket


class CostRow(Struct):
    """What one endpoint costs."""

    method: str
    path: str
    cost: float


class CostsBody(Struct):
    """``GET /account/endpoint_costs``."""

    default_cost: float
    endpoint_costs: list[CostRow]
