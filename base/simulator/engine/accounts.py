"""Accounts: cash per shard, positions with their cost, the ids already used."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from base.simulator.engine.money import FEE_STEP, ONE, ZERO, floor_to
from base.simulator.engine.orders import Order, Side


@dataclass(slots=True, kw_only=True)
class Holding:
    """A net position of one sub-account in one market: positive YES, negative NO.

    ``cost`` is what the contracts held cost on their own side; all amounts in dollars.
    """

    ticker: str
    subaccount: int
    exchange_index: int
    count: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    traded: Decimal = ZERO
    volume: Decimal = ZERO
    updated_ms: int = 0

    def reducible_by(self, side: Side) -> Decimal:
        """Return how many contracts an order on ``side`` would close."""
        return max(-self.count * side.sign, ZERO)

    def trade(self, side: Side, price: Decimal, count: Decimal) -> Decimal:
        """Apply a fill at a YES price; return the signed change of cash without fees.

        Closing pays out the price of the outcome held; opening costs that of the new one.
        """
        unit = price if side is Side.BID else ONE - price
        closing = min(count, self.reducible_by(side))
        opening = count - closing
        payout = closing * (ONE - unit)
        if closing:
            cost_part = floor_to(self.cost * closing / abs(self.count), FEE_STEP)
            self.realized += payout - cost_part
            self.cost -= cost_part
        self.count += side.sign * count
        if not self.count:
            self.cost = ZERO
        self.cost += opening * unit
        self.traded += count * unit
        self.volume += count
        return payout - opening * unit


@dataclass(slots=True, kw_only=True)
class Account:
    """One member. ``is_house`` marks the scenario's own liquidity: unlimited credit, no reports."""

    account_id: str
    is_house: bool = False
    cash: dict[tuple[int, int], Decimal] = field(default_factory=dict)  # (sub-account, shard)
    holdings: dict[tuple[int, str], Holding] = field(default_factory=dict)
    orders_by_client_id: dict[str, Order] = field(default_factory=dict)
    resting: dict[str, Order] = field(default_factory=dict)
    opened_subaccounts: int = 0  # numbered from 1; 0 is there from the start
    netting: dict[int, bool] = field(default_factory=dict)
    cancelled_all_at: dict[int | None, int] = field(default_factory=dict)

    def holding(self, subaccount: int, ticker: str, exchange_index: int) -> Holding:
        """Return the position, an empty one if there was none."""
        key = (subaccount, ticker)
        if key not in self.holdings:
            self.holdings[key] = Holding(ticker=ticker, subaccount=subaccount, exchange_index=exchange_index)
        return self.holdings[key]

    def pay(self, subaccount: int, exchange_index: int, amount: Decimal) -> None:
        """Add ``amount`` dollars (negative: take) to the cash on one shard."""
        key = (subaccount, exchange_index)
        self.cash[key] = self.cash.get(key, ZERO) + amount

    def reserved(self, subaccount: int, exchange_index: int, *, without: str = "") -> Decimal:
        """Return the dollars that resting orders of one sub-account keep on one shard.

        ``without`` leaves out the order with that id.
        """
        total = ZERO
        closable: dict[tuple[str, Side], Decimal] = {}
        for order in self.resting.values():
            same_place = order.subaccount == subaccount and order.exchange_index == exchange_index
            if not same_place or order.order_id == without:
                continue
            key = (order.request.ticker, order.side)
            if key not in closable:
                holding = self.holdings.get((subaccount, order.request.ticker))
                closable[key] = holding.reducible_by(order.side) if holding else ZERO
            closing = min(order.remaining, closable[key])
            closable[key] -= closing
            total += (order.remaining - closing) * order.unit_cost
        return total

    def available(self, subaccount: int, exchange_index: int) -> Decimal:
        """Return the dollars of one shard that no resting order keeps."""
        return self.cash.get((subaccount, exchange_index), ZERO) - self.reserved(subaccount, exchange_index)
