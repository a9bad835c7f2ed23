"""What the read endpoints know: the same facts as the engine, some hundred ms later."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from base.simulator.engine.accounts import Holding
from base.simulator.engine.events import (
    CashChanged,
    Event,
    Filled,
    HoldingChanged,
    OrderChanged,
    Settled,
)
from base.simulator.engine.orders import Order

Private = Filled | OrderChanged | HoldingChanged | CashChanged | Settled


@dataclass(slots=True)
class MemberView:
    """One member's data as the read endpoints show it."""

    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[Filled] = field(default_factory=list)
    holdings: dict[tuple[int, str], Holding] = field(default_factory=dict)
    settled: set[tuple[int, str]] = field(default_factory=set)
    settlements: list[Settled] = field(default_factory=list)
    cash: dict[tuple[int, int], Decimal] = field(default_factory=dict)
    updated_ms: int = 0


class ReadModel:
    """Applies private events after a lag. Positions may have a longer one."""

    def __init__(self, lag_s: float, position_lag_s: float | None) -> None:
        self.lag_ms = round(lag_s * 1000)
        self.position_lag_ms = None if position_lag_s is None else round(position_lag_s * 1000)
        self._views: dict[str, MemberView] = {}
        self._waiting: deque[tuple[int, Private]] = deque()
        self._waiting_positions: deque[tuple[int, HoldingChanged]] = deque()
        self._as_of_ms = 0

    def note(self, event: Event, now_ms: int) -> None:
        """Take an event in; it shows once its lag is over."""
        if isinstance(event, HoldingChanged):
            self._waiting_positions.append((now_ms, event))
        elif isinstance(event, Filled | OrderChanged | CashChanged | Settled):
            self._waiting.append((now_ms, event))

    def view(self, account_id: str, now_ms: int) -> MemberView:
        """Return what reads show now. Treat it as read-only."""
        self._catch_up(now_ms)
        return self._views.setdefault(account_id, MemberView())

    def as_of_ms(self, now_ms: int) -> int:
        """Return the time up to which reads are complete. Never goes back."""
        self._catch_up(now_ms)
        return self._as_of_ms

    def show_everything(self, now_ms: int) -> None:
        """Apply what waits at once, whatever the lag."""
        self._apply_up_to(now_ms, now_ms)

    def _catch_up(self, now_ms: int) -> None:
        position_lag_ms = self.lag_ms if self.position_lag_ms is None else self.position_lag_ms
        self._apply_up_to(now_ms - self.lag_ms, now_ms - position_lag_ms)
        self._as_of_ms = max(self._as_of_ms, now_ms - max(self.lag_ms, position_lag_ms))

    def _apply_up_to(self, limit_ms: int, position_limit_ms: int) -> None:
        while self._waiting and self._waiting[0][0] <= limit_ms:
            self._apply(*self._waiting.popleft())
        while self._waiting_positions and self._waiting_positions[0][0] <= position_limit_ms:
            self._apply(*self._waiting_positions.popleft())

    def _apply(self, at_ms: int, event: Private) -> None:
        view = self._views.setdefault(event.account_id, MemberView())
        view.updated_ms = at_ms
        match event:
            case Filled():
                view.fills.append(event)
            case OrderChanged(order=order):
                view.orders[order.order_id] = order
            case HoldingChanged(holding=holding, is_settled=is_settled):
                key = (holding.subaccount, holding.ticker)
                view.holdings[key] = holding
                (view.settled.add if is_settled else view.settled.discard)(key)
            case CashChanged():
                view.cash[event.subaccount, event.exchange_index] = event.available
            case Settled():
                view.settlements.append(event)
