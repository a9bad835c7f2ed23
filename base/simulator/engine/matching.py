"""The match itself: price, then time, at the resting order's price."""

from __future__ import annotations

from decimal import Decimal

from base.simulator.engine import groups, resting
from base.simulator.engine.events import Filled, Traded
from base.simulator.engine.fees import charge, model_fee
from base.simulator.engine.market import Market
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Order, Prevention, cost_per_contract
from base.simulator.engine.state import State

TRADE_ID, ORDER_ID, MARKET_ID, GROUP_ID = 1, 2, 3, 4


def match(state: State, market: Market, taker: Order, now_ms: int) -> str | None:
    """Trade ``taker`` against the book until nothing crosses.

    Returns the reason when self-trade prevention ended the incoming order, else None.
    """
    while taker.remaining > 0:
        maker = market.book.first_against(taker.side, taker.price)
        if maker is None:
            return None
        if maker.account_id == taker.account_id:
            if _incoming_gives_way(state, taker):
                return "SelfTradeCancel"
            resting.cancel(state, market, maker, "SelfTradeCancel", now_ms)
            continue
        count = min(taker.remaining, maker.remaining)
        if not _can_pay(state, market, maker, count):
            resting.cancel(state, market, maker, "MarginCancel", now_ms)
            continue
        _trade(state, market, taker, maker, count, now_ms)
    return None


def _incoming_gives_way(state: State, taker: Order) -> bool:
    if taker.request.prevention is Prevention.TAKER:
        return True
    return state.semantics.maker_prevention == "cancel_incoming"


def _can_pay(state: State, market: Market, maker: Order, count: Decimal) -> bool:
    # Cash may have gone since the order was accepted (its position was closed elsewhere);
    # the exchange then cancels it rather than lend money.
    account = state.accounts[maker.account_id]
    if account.is_house:
        return True
    holding = account.holding(maker.subaccount, market.ticker, market.exchange_index)
    opening = count - min(count, holding.reducible_by(maker.side))
    cash = account.cash.get((maker.subaccount, market.exchange_index), ZERO)
    return opening == 0 or cash >= opening * maker.unit_cost + count * Decimal("0.02")


def _trade(state: State, market: Market, taker: Order, maker: Order, count: Decimal, now_ms: int) -> None:
    number = state.number()
    trade_id = state.uuid(TRADE_ID, number)
    price = maker.price
    resting.shrink(state, market, maker, count, now_ms)
    if not maker.remaining:
        market.book.ladder(maker.side).remove(maker)
        resting.forget(state, maker)
    taker.remaining -= count
    note_trade(market, price, count)
    state.outbox.append(
        Traded(
            trade_id=trade_id,
            number=number,
            ticker=market.ticker,
            price=price,
            count=count,
            taker_side=taker.side,
            now_ms=now_ms,
        )
    )
    for order, is_taker in ((taker, True), (maker, False)):
        apply_fill(state, market, order, trade_id, number, price, count, is_taker, now_ms)


def note_trade(market: Market, price: Decimal, count: Decimal) -> None:
    """Remember the last trade and count its volume."""
    market.last = price
    market.last_size = count
    market.volume += count
    market.dollar_volume += count * price


def apply_fill(
    state: State,
    market: Market,
    order: Order,
    trade_id: str,
    number: int,
    price: Decimal,
    count: Decimal,
    is_taker: bool,
    now_ms: int,
) -> None:
    """Move position and cash of one side of a trade and report it."""
    account = state.accounts[order.account_id]
    holding = account.holding(order.subaccount, market.ticker, market.exchange_index)
    before = max(holding.count, ZERO)
    gross = holding.trade(order.side, price, count)
    market.open_interest += max(holding.count, ZERO) - before
    fee = _take_fee(state, market, order, price, count, gross, is_taker)
    holding.fees += fee
    account.pay(order.subaccount, market.exchange_index, gross - fee)
    _book_fill(order, price, count, fee, is_taker)
    if account.is_house:
        return
    state.outbox.append(
        Filled(
            account_id=account.account_id,
            trade_id=trade_id,
            number=number,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            ticker=market.ticker,
            exchange_index=market.exchange_index,
            side=order.side,
            price=price,
            count=count,
            fee=fee,
            is_taker=is_taker,
            post_position=holding.count,
            subaccount=order.subaccount,
            now_ms=now_ms,
        )
    )
    state.report_holding(account, order.subaccount, market, now_ms)
    state.report_cash(account, order.subaccount, market.exchange_index, now_ms)
    if not is_taker:
        order.status = "resting" if order.remaining else "executed"
        state.report_order(order, "Trade", now_ms)
    groups.note_match(state, order, count, now_ms)


def _take_fee(
    state: State,
    market: Market,
    order: Order,
    price: Decimal,
    count: Decimal,
    gross: Decimal,
    is_taker: bool,
) -> Decimal:
    spec = market.spec
    fee = model_fee(count, price, is_taker=is_taker, fee_type=spec.fee_type, multiplier=spec.fee_multiplier)
    net, order.fee_kept = charge(gross, fee, order.fee_kept)
    state.fees_collected += net
    return net


def _book_fill(order: Order, price: Decimal, count: Decimal, fee: Decimal, is_taker: bool) -> None:
    cost = cost_per_contract(order.side, price) * count
    order.filled += count
    if is_taker:
        order.taker_cost += cost
        order.taker_fees += fee
    else:
        order.maker_cost += cost
        order.maker_fees += fee
