"""The words of the trade: frozen facts that threads hand to each other.

Prices are Decimal dollars per contract and, unless a name says ``yes_``, are seen from the
side held. Counts are Decimal contracts. ``*_s`` are seconds on the boot clock (it counts
suspend), ``*_ms`` are Unix milliseconds. ``None`` is absent; nothing has a default that
could be mistaken for data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from base.units import PriceGrid, complement

Level = tuple[Decimal, Decimal]
"""One price level: ``(price, contracts)``."""


class Side(StrEnum):
    """The side of a market that a position holds."""

    YES = "yes"
    NO = "no"

    @property
    def other(self) -> Side:
        """The opposite side."""
        return Side.NO if self is Side.YES else Side.YES


class Source(StrEnum):
    """Where a quote came from."""

    BOOK = "book"
    TICKER = "ticker"
    REST = "rest"


class MarketStatus(StrEnum):
    """Status of a market as REST says it. See: docs.kalshi.com/getting_started/market_lifecycle."""

    INITIALIZED = "initialized"
    ACTIVE = "active"
    INACTIVE = "inactive"
    CLOSED = "closed"
    DETERMINED = "determined"
    DISPUTED = "disputed"
    AMENDED = "amended"
    FINALIZED = "finalized"
    UNKNOWN = "unknown"  # a word we do not know: never treated as open

    @property
    def is_settling(self) -> bool:
        """Whether the result is known: no exit exists any more."""
        return self in (MarketStatus.DETERMINED, MarketStatus.FINALIZED)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What every state is keyed by."""

    subaccount: int
    ticker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Best prices of one market, seen from one side. Dollars per contract; ``None`` is an empty side."""

    ticker: str
    side: Side
    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    bids: tuple[Level, ...]  # best first, up to 20; empty where depth is not known
    asks: tuple[Level, ...]
    source: Source
    exchange_ms: int | None  # when the exchange says the update happened
    received_s: float  # boot clock, as the frame left the socket; for REST the request's start
    epoch: int  # connection it came over; 0 for REST

    def flipped(self) -> Quote:
        """Return the same book seen from the other side."""
        return replace(
            self,
            side=self.side.other,
            bid=complement(self.ask),
            ask=complement(self.bid),
            bid_size=self.ask_size,
            ask_size=self.bid_size,
            bids=tuple((1 - price, count) for price, count in self.asks),
            asks=tuple((1 - price, count) for price, count in self.bids),
        )

    def seen_from(self, side: Side) -> Quote:
        """Return this quote from ``side``."""
        return self if side is self.side else self.flipped()


PRIMARY = 0
"""The primary account, as the exchange numbers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Contracts held in one market. ``entry`` is the average price paid per contract, fees excluded."""

    ticker: str
    side: Side
    count: Decimal  # > 0
    entry: Decimal | None  # None: nobody can say
    subaccount: int = PRIMARY

    @property
    def key(self) -> Key:
        """The key of this holding."""
        return Key(self.subaccount, self.ticker)

    @property
    def signed(self) -> Decimal:
        """The count as the exchange signs it: positive YES, negative NO."""
        return self.count if self.side is Side.YES else -self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What must be known of a market to trade it. The grid is on the YES scale."""

    ticker: str
    status: MarketStatus
    open_ms: int | None
    close_ms: int | None
    grid: PriceGrid
    exchange_index: int
    title: str | None = None
    result: str | None = None

    def is_open_at(self, exchange_now_ms: int) -> bool:
        """Whether orders are taken now, by status and by the clock: no event is sent at the close."""
        return self.status is MarketStatus.ACTIVE and (
            self.close_ms is None or exchange_now_ms < self.close_ms
        )

    def grid_of(self, side: Side) -> PriceGrid:
        """The price grid seen from ``side``."""
        return self.grid if side is Side.YES else self.grid.mirrored()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStatus:
    """Whether one matching engine takes orders."""

    exchange_index: int
    exchange_active: bool
    trading_active: bool

    @property
    def takes_orders(self) -> bool:
        """Whether an order sent now can be accepted."""
        return self.exchange_active and self.trading_active


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One trade of ours. ``trade_id`` identifies it on every source."""

    trade_id: str
    order_id: str
    client_order_id: str | None  # only the WebSocket says it
    ticker: str
    subaccount: int
    signed_count: Decimal  # YES-positive: how this fill moved the position
    yes_price: Decimal
    fee: Decimal  # dollars, for the whole fill
    ts_ms: int
    post_position: Decimal | None  # signed position after it; only the WebSocket says it

    def price_for(self, side: Side) -> Decimal:
        """The price seen from ``side``."""
        return self.yes_price if side is Side.YES else 1 - self.yes_price

    def count_for(self, side: Side) -> Decimal:
        """The contracts of ``side`` that it added; below zero, took away."""
        return self.signed_count if side is Side.YES else -self.signed_count


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """An order as the exchange reports it. Judge by counts, never by ``status``."""

    order_id: str
    client_order_id: str | None
    ticker: str
    subaccount: int
    is_yes_bid: bool  # True buys YES (sells NO), False sells YES (buys NO)
    yes_price: Decimal
    status: str  # resting | canceled | executed, or a word we do not know
    initial: Decimal
    filled: Decimal
    remaining: Decimal
    fill_cost: Decimal | None  # dollars paid or received for the fills, on the YES scale as reported
    fees: Decimal | None  # dollars, all fills together
    created_ms: int | None
    updated_ms: int | None
    reason: str | None  # last_update_reason, only the WebSocket says it
    exchange_index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitOrder:
    """An immediate-or-cancel, reduce-only sale of ``side``. Price is the worst accepted, from that side."""

    client_order_id: str
    ticker: str
    subaccount: int
    exchange_index: int
    side: Side
    count: Decimal
    price: Decimal


def _at_once(timeout_s: float) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Departure:
    """When the first byte of an order may leave. Until then its request is made ready.

    ``leave_by_s`` (boot clock): after this it does not leave at all. ``cleared`` waits that many seconds
    at most and says whether its rows are durable by then.
    """

    leave_by_s: float = float("inf")
    cleared: Callable[[float], bool] = _at_once

    def allows(self, boot_s: Callable[[], float], until_s: float) -> bool:
        """Wait until it may leave, at most until ``until_s`` (boot clock); ``False``: it does not leave."""
        by_s = min(self.leave_by_s, until_s)  # after a suspend it may long be past
        return self.cleared(max(0.0, by_s - boot_s())) and boot_s() <= by_s


AT_ONCE = Departure()
"""Whenever it is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOrder:
    """An order of the strategy: buy or sell ``count`` of ``side`` at ``price`` or better, from that side."""

    client_order_id: str
    ticker: str
    subaccount: int
    exchange_index: int
    side: Side
    is_buy: bool
    count: Decimal
    price: Decimal
    time_in_force: str  # good_till_canceled | immediate_or_cancel | fill_or_kill
    post_only: bool = False

    @property
    def only_reduces(self) -> bool:
        """Whether it may sell no more than is held. The exchange takes that with immediate-or-cancel only."""
        return not self.is_buy and self.time_in_force == "immediate_or_cancel"


# --- what became of a request that may change something ------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The exchange took the order and says what filled at once."""

    client_order_id: str
    order_id: str
    filled: Decimal
    remaining: Decimal
    average_price: Decimal | None  # from the side of the order's request; None when nothing filled
    average_fee: Decimal | None  # dollars per contract
    ts_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The exchange said no; nothing happened there."""

    client_order_id: str
    status: int
    code: str  # the exchange's word; "" when it gave none
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """No byte left us, or the exchange's own limiter turned it away (429): nothing happened."""

    client_order_id: str
    why: str
    has_left: bool = False  # it reached the exchange's limiter: it counts against the pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """Bytes left and no readable answer came: only evidence says what the exchange did."""

    client_order_id: str
    why: str


Outcome = Accepted | Refused | NotSent | Unanswered


# --- account reports ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionsRead:
    """One complete read of the positions of a sub-account, every page."""

    subaccount: int
    positions: tuple[Position, ...]
    as_of_ms: int | None  # GET /exchange/user_data_timestamp read just before; None: not known
    started_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersRead:
    """Every order and fill of one market and sub-account since ``min_ts``, every page."""

    ticker: str
    subaccount: int
    orders: tuple[OrderReport, ...]
    fills: tuple[Fill, ...]
    as_of_ms: int | None
    started_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionPush:
    """A ``market_position`` frame: a hint that something changed. Without a time it proves nothing."""

    ticker: str
    subaccount: int
    signed_count: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent:
    """A change of a market as pushed; the REST read of the market decides."""

    ticker: str
    event: str  # created, activated, deactivated, close_date_updated, determined, settled, …
    close_ms: int | None
    result: str | None
    grid: PriceGrid | None


AccountEvent = Fill | OrderReport | PositionPush | LifecycleEvent
