"""Putting orders into the book and taking them out again."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from base.simulator.engine.market import Market
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Order
from base.simulator.engine.state import State


def rest(state: State, market: Market, order: Order, now_ms: int) -> None:
    """Put what remains of an order into the book."""
    market.book.ladder(order.side).add(order)
    state.accounts[order.account_id].resting[order.order_id] = order
    if order.expiration_ms is not None:
        state.expiring.add(order.order_id)
    state.report_level(market, order, order.remaining, now_ms)


def shrink(state: State, market: Market, order: Order, by: Decimal, now_ms: int) -> None:
    """Lower a resting order; it keeps its place in the queue."""
    market.book.ladder(order.side).shrink(order, by)
    order.remaining -= by
    state.report_level(market, order, -by, now_ms)


def lift(state: State, market: Market, order: Order, now_ms: int) -> Decimal:
    """Take a resting order out of the book; return the contracts taken out."""
    removed = order.remaining
    market.book.ladder(order.side).remove(order)
    forget(state, order)
    if removed:
        state.report_level(market, order, -removed, now_ms)
    return removed


def forget(state: State, order: Order) -> None:
    """Drop an order that left the book from the lists of resting orders."""
    account = state.accounts[order.account_id]
    account.resting.pop(order.order_id, None)
    state.expiring.discard(order.order_id)
    if account.is_house:
        state.orders.pop(order.order_id, None)  # liquidity comes and goes; keep memory flat


def cancel(state: State, market: Market, order: Order, reason: str, now_ms: int) -> Decimal:
    """Take a resting order out and end it; return the contracts cancelled."""
    removed = lift(state, market, order, now_ms)
    order.remaining = ZERO
    order.status = "canceled"
    state.report_order(order, reason, now_ms)
    state.report_cash(state.accounts[order.account_id], order.subaccount, order.exchange_index, now_ms)
    return removed


def cancel_each(state: State, orders: Iterable[Order], reason: str, now_ms: int) -> int:
    """Cancel resting orders, one exchange action per market; return how many."""
    by_ticker: dict[str, list[Order]] = {}
    for order in orders:
        by_ticker.setdefault(order.request.ticker, []).append(order)
    for ticker, group in by_ticker.items():
        market = state.markets[ticker]
        market.clock += 1
        for order in group:
            cancel(state, market, order, reason, now_ms)
        state.report_top(market, now_ms)
    return sum(len(group) for group in by_ticker.values())
