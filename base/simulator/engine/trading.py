"""Order entry."""

from __future__ import annotations

from base.simulator.engine import admission, resting
from base.simulator.engine.accounts import Account
from base.simulator.engine.market import Market
from base.simulator.engine.matching import ORDER_ID, fillable, match
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Order, OrderRequest, TimeInForce
from base.simulator.engine.refusal import Refused
from base.simulator.engine.state import State


def submit(state: State, account_id: str, request: OrderRequest, now_ms: int) -> Order:
    """Accept and match one order; return its record.

    Raises:
        Refused: It did not enter. Only a killed fill-or-kill uses up its client id.
    """
    account = state.account(account_id)
    market = admission.route(state, request.ticker, request.exchange_index)
    is_stillborn = _is_dropped_by_pause(state, market, request)
    admission.check_terms(state, market, request, now_ms)
    first = admission.repeated(state, account, request.client_order_id)
    if first is not None:
        return first
    admission.check_group(state, account, market, request)
    count = admission.allowed_count(state, account, market, request)
    admission.check_cash(state, account, market, request, count, now_ms)
    order = enter(state, account, market, request, now_ms)
    if is_stillborn or _is_dropped_by_tail(state, account, request, now_ms):
        _finish(state, market, order, "HaltCancel", now_ms)
    elif not count:
        _finish(state, market, order, "ReduceOnlyCancel", now_ms)
    else:
        order.remaining = count
        _execute(state, market, order, now_ms)
    return order


def _is_dropped_by_pause(state: State, market: Market, request: OrderRequest) -> bool:
    try:
        admission.check_open(state, market)
    except Refused as refusal:
        is_ioc = request.time_in_force is TimeInForce.IOC
        is_accepted = is_ioc and state.semantics.ioc_while_paused == "cancelled"
        if refusal.code != "trading_is_paused" or not is_accepted:
            raise
        return True
    return False


def _is_dropped_by_tail(state: State, account: Account, request: OrderRequest, now_ms: int) -> bool:
    # "Newly placed orders may also be cancelled during the minute after the request" [spec].
    is_hit = request.time_in_force is TimeInForce.GTC or state.semantics.cancel_all_tail_hits_ioc
    tail_ms = round(state.semantics.cancel_all_tail_s * 1000)
    since = [account.cancelled_all_at.get(key) for key in (None, request.subaccount)]
    return is_hit and any(at is not None and now_ms < at + tail_ms for at in since)


def enter(state: State, account: Account, market: Market, request: OrderRequest, now_ms: int) -> Order:
    """Write an accepted order down; it does not trade or rest yet."""
    number = state.number()
    order_id = state.uuid(ORDER_ID, number)
    order = Order(
        order_id=order_id,
        number=number,
        account_id=account.account_id,
        request=request,
        client_order_id=request.client_order_id or order_id,
        price=request.price,
        initial=request.count,
        remaining=request.count,
        created_ms=now_ms,
        updated_ms=now_ms,
        exchange_index=market.exchange_index,
        expiration_ms=request.expiration_ms,
    )
    state.orders[order_id] = order
    if request.client_order_id and not account.is_house:
        account.orders_by_client_id[request.client_order_id] = order
    return order


def _execute(state: State, market: Market, order: Order, now_ms: int) -> None:
    """Match the order, then let it rest, end it or kill it. One exchange action."""
    market.clock += 1
    is_fok = order.request.time_in_force is TimeInForce.FOK
    if is_fok and fillable(state, market, order) < order.remaining:
        _finish(state, market, order, None, now_ms)
        raise Refused(409, "fill_or_kill_insufficient_resting_volume", "fill or kill: not enough volume")
    reason = match(state, market, order, now_ms)
    _finish(state, market, order, reason, now_ms)
    state.report_top(market, now_ms)


def _finish(state: State, market: Market, order: Order, reason: str | None, now_ms: int) -> None:
    """Decide what the incoming order is now, after all it could trade."""
    is_gtc = order.request.time_in_force is TimeInForce.GTC
    is_capped = order.initial > order.filled + order.remaining  # by reduce_only, at placement
    if order.filled and not order.remaining and not is_capped:
        order.status, reason = "executed", "Trade"
    elif is_gtc and reason is None:
        reason = "Trade" if order.filled else None
        resting.rest(state, market, order, now_ms)
    else:
        order.status, order.remaining = "canceled", ZERO
        reason = reason or ("ReduceOnlyCancel" if is_capped else None)
    if order.status != "resting":
        resting.forget(state, order)
    state.report_order(order, reason, now_ms)
    account = state.accounts[order.account_id]
    state.report_cash(account, order.subaccount, order.exchange_index, now_ms)
