"""One market's book in price-time priority, quoted in YES."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal

from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Order, Side

Level = tuple[Decimal, Decimal]  # (price in dollars, contracts)


class Ladder:
    """The resting orders of one side. Prices ascending; within a price first come first."""

    def __init__(self) -> None:
        self.prices: list[Decimal] = []
        self._queues: dict[Decimal, dict[str, Order]] = {}  # insertion order is time priority
        self._totals: dict[Decimal, Decimal] = {}

    def add(self, order: Order) -> None:
        """Put the order at the back of its price's queue."""
        queue = self._queues.get(order.price)
        if queue is None:
            queue = self._queues[order.price] = {}
            self._totals[order.price] = ZERO
            insort(self.prices, order.price)
        queue[order.order_id] = order
        self._totals[order.price] += order.remaining

    def remove(self, order: Order) -> None:
        """Take the order out with all that remains of it."""
        self.shrink(order, order.remaining)
        self._queues[order.price].pop(order.order_id)
        if not self._queues[order.price]:
            del self._queues[order.price], self._totals[order.price]
            del self.prices[bisect_left(self.prices, order.price)]

    def shrink(self, order: Order, by: Decimal) -> None:
        """Lower the level's total; the caller changes the order itself."""
        self._totals[order.price] -= by

    def first_at(self, price: Decimal) -> Order:
        """Return the order that is first in line at ``price``."""
        return next(iter(self._queues[price].values()))

    def orders_at(self, price: Decimal) -> Iterator[Order]:
        """Yield the orders at one price, first in line first."""
        yield from list(self._queues.get(price, {}).values())

    def total_at(self, price: Decimal) -> Decimal:
        """Return the contracts resting at ``price``."""
        return self._totals.get(price, ZERO)

    def levels(self) -> list[Level]:
        """Return all levels, ascending by price."""
        return [(price, self._totals[price]) for price in self.prices]

    def __iter__(self) -> Iterator[Order]:
        for price in list(self.prices):
            yield from list(self._queues[price].values())


class Book:
    """Both sides of one market."""

    def __init__(self) -> None:
        self.bids = Ladder()
        self.asks = Ladder()

    def ladder(self, side: Side) -> Ladder:
        """Return the side's own ladder."""
        return self.bids if side is Side.BID else self.asks

    def best(self, side: Side) -> Level | None:
        """Return the best level: the highest bid or the lowest ask. None when empty."""
        ladder = self.ladder(side)
        if not ladder.prices:
            return None
        price = ladder.prices[-1 if side is Side.BID else 0]
        return price, ladder.total_at(price)

    def crosses(self, side: Side, price: Decimal) -> bool:
        """Say whether an incoming order would meet a resting one."""
        best = self.best(side.other)
        if best is None:
            return False
        return price >= best[0] if side is Side.BID else price <= best[0]

    def first_against(self, side: Side, price: Decimal) -> Order | None:
        """Return the resting order that an incoming one would meet first, or None."""
        best = self.best(side.other)
        if best is None or not self.crosses(side, price):
            return None
        return self.ladder(side.other).first_at(best[0])

    def against(self, side: Side, price: Decimal) -> Iterator[Order]:
        """Yield the resting orders that an incoming one would meet, in the order of the meetings."""
        ladder = self.ladder(side.other)
        for level in list(ladder.prices) if side is Side.BID else ladder.prices[::-1]:
            if (level > price) if side is Side.BID else (level < price):
                return
            yield from ladder.orders_at(level)

    def ahead_of(self, order: Order) -> Decimal:
        """Return the contracts that trade before ``order``: better prices, earlier orders."""
        total = ZERO
        for other in self.ladder(order.side):
            better = other.price > order.price if order.side is Side.BID else other.price < order.price
            if better:
                total += other.remaining
        for other in self.ladder(order.side).orders_at(order.price):
            if other.order_id == order.order_id:
                break
            total += other.remaining
        return total

    def __iter__(self) -> Iterator[Order]:
        yield from self.bids
        yield from self.asks
