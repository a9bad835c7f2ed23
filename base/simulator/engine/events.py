"""What the engine reports: frozen facts, in the order in which they happened.

The protocol front turns them into frames and into what the read endpoints show. Prices are
dollars on the YES scale, counts contracts, times Unix milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from base.simulator.engine.accounts import Holding
from base.simulator.engine.grid import Grid
from base.simulator.engine.market import Top
from base.simulator.engine.orders import Order, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class BookChanged:
    """One level changed by ``delta`` contracts. Changes of one action share ``clock``."""

    ticker: str
    clock: int
    side: Side
    price: Decimal
    delta: Decimal
    now_ms: int
    account_id: str
    client_order_id: str
    subaccount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookCleared:
    """The whole book was dropped at once, after the market's close."""

    ticker: str
    clock: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopChanged:
    """A field of the ticker message changed."""

    ticker: str
    top: Top
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """Two orders met. ``taker_side`` is the incoming order's side."""

    trade_id: str
    number: int
    ticker: str
    price: Decimal
    count: Decimal
    taker_side: Side
    now_ms: int
    is_block: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """One side of a trade, for the member who owns the order."""

    account_id: str
    trade_id: str
    number: int
    order_id: str
    client_order_id: str
    ticker: str
    exchange_index: int
    side: Side
    price: Decimal
    count: Decimal
    fee: Decimal
    is_taker: bool
    post_position: Decimal
    subaccount: int
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChanged:
    """An order was accepted, filled, changed or ended. ``order`` is a copy."""

    account_id: str
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingChanged:
    """A position changed. ``holding`` is a copy; ``is_settled`` when the market paid out."""

    account_id: str
    holding: Holding
    is_settled: bool
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CashChanged:
    """What a sub-account may spend on one shard. Dollars."""

    account_id: str
    subaccount: int
    exchange_index: int
    available: Decimal
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A position was paid out. Counts and costs are those of the side held."""

    account_id: str
    number: int
    holding: Holding
    event_ticker: str
    result: str
    value: Decimal
    revenue: Decimal
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketChanged:
    """A lifecycle event; ``kind`` is the wire's ``event_type``. Unused fields are None."""

    ticker: str
    kind: str
    now_ms: int
    close_ms: int | None = None
    result: str | None = None
    settlement_value: Decimal | None = None
    grid: Grid | None = None
    yes_sub_title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventListed:
    """The first market of an event was listed."""

    event_ticker: str
    series_ticker: str
    title: str
    subtitle: str
    collateral_return_type: str
    exchange_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFeesChanged:
    """An event's fees differ from its series' from now on; None: they no longer do."""

    event_ticker: str
    fee_type: str | None
    multiplier: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChanged:
    """An order group's event; ``limit`` in contracts where the wire carries it."""

    account_id: str
    subaccount: int
    group_id: str
    kind: str
    limit: Decimal | None
    now_ms: int


Event = (
    BookChanged
    | BookCleared
    | TopChanged
    | Traded
    | Filled
    | OrderChanged
    | HoldingChanged
    | CashChanged
    | Settled
    | MarketChanged
    | EventListed
    | EventFeesChanged
    | GroupChanged
)
