"""A tiny exchange that always knows what is true: what is held, what was traded, which ids it has seen.

It shares no arithmetic with the program it judges: an order is reduce-only and immediate-or-cancel,
an id is taken once and for ever, and every fill says the position after it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from random import Random

from base.model import (
    Accepted,
    ExitOrder,
    Fill,
    OrderReport,
    OrdersRead,
    Outcome,
    PositionsRead,
    Refused,
    Side,
)
from base.risk.messages import Send
from tests.risk.world import TICKER, World

D = Decimal
ZERO = D(0)
CONTRACT = D("0.01")


class TrueExchange:
    """One market and one account. Counts are on the side the world began with: negative is the other."""

    def __init__(self, world: World, random: Random):
        self.world = world
        self.random = random
        self.held = D(10)
        self.bid: Decimal | None = D("0.52")
        self.ask: Decimal | None = D("0.54")
        self.orders: list[OrderReport] = []
        self.fills: list[Fill] = []
        self.unpushed: list[Fill] = []
        self.sold: defaultdict[str, Decimal] = defaultdict(Decimal)  # contracts by intent
        self.ids: set[str] = set()
        self.has_turned = False  # the other side was held at some time
        self._trades = 0

    # --- trades -----------------------------------------------------------------------------------

    def execute(self, send: Send) -> OrderReport | None:
        """Match an exit with the best price; ``None``: its id was used before."""
        order = send.order
        if order.client_order_id in self.ids:
            return None
        self.ids.add(order.client_order_id)
        filled = self._fillable(order)
        report = OrderReport(
            order_id=f"O{len(self.ids)}", client_order_id=order.client_order_id, ticker=TICKER, subaccount=0,
            is_yes_bid=order.side is Side.NO, yes_price=self._on_yes(order.price, order.side),
            status="executed" if filled == order.count else "canceled", initial=order.count, filled=filled,
            remaining=ZERO, fill_cost=None, fees=None, created_ms=self.world.utc_ms(), updated_ms=None,
            reason=None, exchange_index=2,
        )  # fmt: skip
        price = self.best_for(order.side) or ZERO
        for part in self._parts(filled):
            count = -part if order.side is self.world.side else part
            self._trade(count, self._on_yes(price, order.side), report.order_id, order.client_order_id)
        self.sold[send.intent_id] += filled
        self.orders.append(report)
        return report

    def accept(self, send: Send, *, rests: bool = False) -> Outcome:
        """Execute ``send`` and answer; with ``rests`` the answer says that the remainder rests."""
        client_id, report = send.order.client_order_id, self.execute(send)
        if report is None:
            return Refused(client_order_id=client_id, status=409, code="order_already_exists", details="")
        return Accepted(
            client_order_id=client_id,
            order_id=report.order_id,
            filled=report.filled,
            remaining=send.order.count - report.filled if rests else ZERO,
            average_price=self.best_for(send.order.side) if report.filled else None,
            average_fee=D("0.01") if report.filled else None,
            ts_ms=self.world.utc_ms(),
        )

    def trade_elsewhere(self, count: Decimal) -> None:
        """The user buys ``count`` contracts of the world's side by hand, or sells them when negative."""
        self._trade(count, D("0.50"), f"elsewhere-{self._trades}", None)

    def best_for(self, side: Side) -> Decimal | None:
        """The best price at which ``side`` can be sold now."""
        if side is self.world.side:
            return self.bid
        return None if self.ask is None else 1 - self.ask

    def _fillable(self, order: ExitOrder) -> Decimal:
        best = self.best_for(order.side)
        if best is None or best < order.price:
            return ZERO
        held = self.held if order.side is self.world.side else -self.held
        filled = min(order.count, max(held, ZERO))
        if self.random.random() < 0.4:
            filled = (filled * D(self.random.choice(["0.3", "0.5", "0.9"]))).quantize(CONTRACT)
        return filled

    def _parts(self, filled: Decimal) -> list[Decimal]:
        """One fill, or two of the same millisecond."""
        if filled == ZERO:
            return []
        if filled < 2 or self.random.random() < 0.5:
            return [filled]
        return [filled / 2, filled - filled / 2]

    def _trade(self, count: Decimal, yes_price: Decimal, order_id: str, client_id: str | None) -> None:
        self._trades += 1
        self.held += count
        self.has_turned = self.has_turned or self.held < ZERO
        fill = Fill(
            trade_id=f"T{self._trades}", order_id=order_id, client_order_id=client_id, ticker=TICKER,
            subaccount=0, signed_count=self._signed(count), yes_price=yes_price,
            fee=D("0.01"), ts_ms=self.world.utc_ms(), post_position=self._signed(self.held),
        )  # fmt: skip
        self.fills.append(fill)
        self.unpushed.append(fill)

    @staticmethod
    def _on_yes(price: Decimal, side: Side) -> Decimal:
        return price if side is Side.YES else 1 - price

    def _signed(self, count: Decimal) -> Decimal:
        return count if self.world.side is Side.YES else -count

    # --- reports ----------------------------------------------------------------------------------

    def orders_read(self, lag_ms: int = 0, *, has_as_of: bool = True) -> OrdersRead:
        """Orders and fills as they were ``lag_ms`` ago; fills carry neither our id nor the position."""
        until_ms = self.world.utc_ms() - lag_ms
        fills = [fill for fill in self.fills if fill.ts_ms <= until_ms]
        return OrdersRead(
            ticker=TICKER,
            subaccount=0,
            orders=tuple(order for order in self.orders if (order.created_ms or 0) <= until_ms),
            fills=tuple(replace(fill, client_order_id=None, post_position=None) for fill in fills),
            as_of_ms=until_ms if has_as_of else None,
            started_s=self.world.now_s,
        )

    def positions_read(self, lag_ms: int = 0, *, has_as_of: bool = True) -> PositionsRead:
        """The position as it was ``lag_ms`` ago; nothing held is not listed."""
        until_ms = self.world.utc_ms() - lag_ms
        later = sum((fill.signed_count for fill in self.fills if fill.ts_ms > until_ms), ZERO)
        held = self.held - self._signed(later)
        return PositionsRead(
            subaccount=0,
            positions=() if held == ZERO else (self.world.position(str(held), "0.60"),),
            as_of_ms=until_ms if has_as_of else None,
            started_s=self.world.now_s,
        )
