"""What may be done to a resting order: cancel, decrease, amend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from base.simulator.engine import admission, resting
from base.simulator.engine.market import Market
from base.simulator.engine.matching import match
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Order, Side
from base.simulator.engine.refusal import Refused, bad_order, not_found
from base.simulator.engine.state import State


def find_resting(
    state: State,
    account_id: str,
    order_id: str,
    *,
    ticker: str | None = None,
    exchange_index: int | None = None,
    subaccount: int = 0,
) -> Order:
    """Find a resting order the way the exchange does.

    An id alone is looked up on shard 0. Cancelled, executed, unknown, another member's and
    another shard's orders are the same 404.
    """
    order = state.orders.get(order_id)
    if exchange_index in (None, -1):
        exchange_index = state.market(ticker).exchange_index if ticker else 0
    known = (
        order is not None
        and order.account_id == account_id
        and order.subaccount == subaccount
        and order.exchange_index == exchange_index
        and order.order_id in state.accounts[account_id].resting
    )
    if order is None or not known:
        raise not_found("order not found")
    if ticker and ticker != order.request.ticker:
        raise Refused(400, "order_ticker_mismatch", "order ticker mismatch")
    return order


def cancel(state: State, order: Order, now_ms: int, reason: str | None = None) -> Decimal:
    """Cancel a resting order; return the contracts taken out. Raises: Refused."""
    market = state.markets[order.request.ticker]
    admission.check_open(state, market, is_cancel=True)
    market.clock += 1
    removed = resting.cancel(state, market, order, reason or "Decrease", now_ms)
    state.report_top(market, now_ms)
    return removed


def cancel_all(state: State, account_id: str, subaccount: int | None, now_ms: int) -> int:
    """Cancel what may be cancelled, on all shards; None is every sub-account. The tail begins."""
    state.account(account_id).cancelled_all_at[subaccount] = now_ms
    return cancel_each(state, account_id, subaccount, now_ms)


def cancel_each(state: State, account_id: str, subaccount: int | None, now_ms: int) -> int:
    """Cancel what may be cancelled, as if one by one: what is placed afterwards is safe."""
    chosen = []
    for order in state.account(account_id).resting.values():
        try:
            admission.check_open(state, state.markets[order.request.ticker], is_cancel=True)
        except Refused:
            continue
        if subaccount in (None, order.subaccount):
            chosen.append(order)
    return resting.cancel_each(state, chosen, "Decrease", now_ms)


def decrease(state: State, order: Order, remaining: Decimal, now_ms: int) -> None:
    """Lower what remains of a resting order; it keeps its place. 0 cancels it."""
    market = state.markets[order.request.ticker]
    admission.check_open(state, market)
    if not ZERO <= remaining < order.remaining:
        raise bad_order("reduce_to must be lower than the remaining count")
    if not remaining:
        cancel(state, order, now_ms)
        return
    market.clock += 1
    resting.shrink(state, market, order, order.remaining - remaining, now_ms)
    state.report_order(order, "Decrease", now_ms)
    _report_after(state, market, order, now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What an amend asks for. ``count`` is filled + wanted; ``client_order_id`` is a new id."""

    side: Side
    price: Decimal
    count: Decimal
    expiration_ms: int | None = None
    client_order_id: str | None = None


def amend(state: State, order: Order, wish: Amendment, now_ms: int) -> None:
    """Change price, total count and expiry of a resting order. Raises: Refused.

    Only a smaller size or a new expiry keeps the place in the queue.
    """
    market = state.markets[order.request.ticker]
    admission.check_open(state, market)
    if wish.side is not order.side:
        raise Refused(400, "order_side_mismatch", "order side mismatch")
    wanted = wish.count - order.filled
    if wanted <= 0:
        raise Refused(400, "invalid_order_size", "invalid order size")
    # A post-only order stays one: an amend that would cross is refused, as its creation would be.
    changed = replace(order.request, price=wish.price, count=wanted, expiration_ms=wish.expiration_ms)
    admission.check_terms(state, market, changed, now_ms)
    account = state.accounts[order.account_id]
    admission.check_cash(state, account, market, changed, wanted, now_ms, without=order.order_id)
    if wish.client_order_id:
        admission.repeated(state, account, wish.client_order_id)
        account.orders_by_client_id[wish.client_order_id] = order
        order.client_order_id = wish.client_order_id
    market.clock += 1
    order.expiration_ms, order.initial = wish.expiration_ms, wish.count
    _apply(state, market, order, wish.price, wanted, now_ms)
    _report_after(state, market, order, now_ms)


def _apply(state: State, market: Market, order: Order, price: Decimal, wanted: Decimal, now_ms: int) -> None:
    if price == order.price and wanted <= order.remaining:
        if wanted < order.remaining:
            resting.shrink(state, market, order, order.remaining - wanted, now_ms)
        state.report_order(order, "Amend", now_ms)
        return
    resting.lift(state, market, order, now_ms)
    order.price, order.remaining = price, wanted
    reason = match(state, market, order, now_ms)
    if order.remaining and reason is None:
        resting.rest(state, market, order, now_ms)
    else:
        order.status = "canceled" if order.remaining else "executed"
        order.remaining = ZERO
    state.report_order(order, reason or "Amend", now_ms)


def _report_after(state: State, market: Market, order: Order, now_ms: int) -> None:
    if order.expiration_ms is not None and order.status == "resting":
        state.expiring.add(order.order_id)
    else:
        state.expiring.discard(order.order_id)
    account = state.accounts[order.account_id]
    state.report_cash(account, order.subaccount, order.exchange_index, now_ms)
    state.report_top(market, now_ms)
