"""An order: what was asked for, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from base.simulator.engine.money import FEE_STEP, ONE, ZERO


class Side(StrEnum):
    """Side of the one YES book: a bid buys YES (sells NO), an ask sells YES (buys NO)."""

    BID = "bid"
    ASK = "ask"

    @property
    def other(self) -> Side:
        """Return the side it trades against."""
        return Side.ASK if self is Side.BID else Side.BID

    @property
    def sign(self) -> int:
        """Return how a fill moves the signed position: +1 for a bid."""
        return 1 if self is Side.BID else -1

    @property
    def outcome(self) -> str:
        """Return the outcome that a fill leads towards: yes for a bid."""
        return "yes" if self is Side.BID else "no"


class TimeInForce(StrEnum):
    """How long an order may wait."""

    GTC = "good_till_canceled"
    IOC = "immediate_or_cancel"
    FOK = "fill_or_kill"


class Prevention(StrEnum):
    """Which of two own orders gives way when they would trade with each other."""

    TAKER = "taker_at_cross"
    MAKER = "maker"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What a client asks for. Dollars on the YES scale, contracts, Unix milliseconds."""

    ticker: str
    side: Side
    count: Decimal
    price: Decimal
    time_in_force: TimeInForce = TimeInForce.GTC
    prevention: Prevention = Prevention.TAKER
    client_order_id: str | None = None
    expiration_ms: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    cancel_on_pause: bool = False
    subaccount: int = 0
    order_group_id: str | None = None
    exchange_index: int | None = None  # None or -1: routed by ticker


@dataclass(frozen=True, slots=True)
class Tally:
    """Contracts filled, what they cost on the side they lead to, and the fees. Dollars."""

    filled: Decimal = ZERO
    cost: Decimal = ZERO
    fees: Decimal = ZERO

    def since(self, before: Tally) -> Tally:
        """Return what was added."""
        return Tally(self.filled - before.filled, self.cost - before.cost, self.fees - before.fees)

    def average_price(self, side: Side) -> Decimal | None:
        """Return the average fill price on the YES scale, None without a fill."""
        if not self.filled:
            return None
        cost = (self.cost / self.filled).quantize(FEE_STEP)
        return cost if side is Side.BID else ONE - cost


@dataclass(slots=True, kw_only=True)
class Order:
    """The exchange's record of one order. Only the engine changes it; others get copies."""

    order_id: str
    number: int  # grows with every order; lists are sorted by it
    account_id: str
    request: OrderRequest
    client_order_id: str
    price: Decimal
    initial: Decimal
    remaining: Decimal
    created_ms: int
    updated_ms: int
    exchange_index: int
    expiration_ms: int | None
    status: str = "resting"
    filled: Decimal = ZERO
    taker_cost: Decimal = ZERO
    maker_cost: Decimal = ZERO
    taker_fees: Decimal = ZERO
    maker_fees: Decimal = ZERO
    fee_kept: Decimal = field(default=ZERO, repr=False)
    reason: str | None = None

    @property
    def side(self) -> Side:
        """Return the side of the book."""
        return self.request.side

    @property
    def subaccount(self) -> int:
        """Return the sub-account number."""
        return self.request.subaccount

    @property
    def unit_cost(self) -> Decimal:
        """Return what one contract of the outcome it leads to costs at its limit. Dollars."""
        return cost_per_contract(self.side, self.price)

    @property
    def fees(self) -> Decimal:
        """Return all fees paid. Dollars."""
        return self.taker_fees + self.maker_fees

    @property
    def tally(self) -> Tally:
        """Return what was filled so far."""
        return Tally(self.filled, self.taker_cost + self.maker_cost, self.fees)

    @property
    def average_price(self) -> Decimal | None:
        """Return the average fill price on the YES scale, None without a fill."""
        return self.tally.average_price(self.side)


def cost_per_contract(side: Side, price: Decimal) -> Decimal:
    """Return the price of one contract that the side leads to: YES at p, or NO at 1 - p."""
    return price if side is Side.BID else ONE - price
