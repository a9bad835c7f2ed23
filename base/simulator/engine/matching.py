"""The match itself: price, then time, at the resting order's price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from base.simulator.engine import groups, netting, resting
from base.simulator.engine.events import Filled, Traded
from base.simulator.engine.fees import charge, model_fee
from base.simulator.engine.market import Market
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Order, Prevention, Side, cost_per_contract
from base.simulator.engine.state import State

TRADE_ID, ORDER_ID, MARKET_ID = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Execution:
    """One trade: dollars on the YES scale, contracts, Unix milliseconds."""

    trade_id: str
    number: int
    price: Decimal
    count: Decimal
    now_ms: int


def match(state: State, market: Market, taker: Order, now_ms: int) -> str | None:
    """Trade ``taker`` against the book until nothing crosses.

    Returns the reason when self-trade prevention or its group ended the incoming order, else None.
    """
    while taker.remaining > 0:
        if groups.is_stopped(state, taker):
            return "HaltCancel"
        maker = market.book.first_against(taker.side, taker.price)
        if maker is None:
            return None
        if maker.account_id == taker.account_id:
            if _gives_way(state, taker):
                return "SelfTradeCancel"
            resting.cancel(state, market, maker, "SelfTradeCancel", now_ms)
            continue
        count = min(taker.remaining, maker.remaining)
        if not _can_pay(state, market, maker, count):
            resting.cancel(state, market, maker, "MarginCancel", now_ms)
            continue
        _meet(state, market, taker, maker, count, now_ms)
    return None


def fillable(state: State, market: Market, taker: Order) -> Decimal:
    """Return the contracts that ``match`` would trade. Nothing is changed."""
    total = ZERO
    for maker in market.book.against(taker.side, taker.price):
        if maker.account_id == taker.account_id:
            if _gives_way(state, taker):
                break
        elif _can_pay(state, market, maker, maker.remaining):
            total += maker.remaining
    return total


def _gives_way(state: State, taker: Order) -> bool:
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
    place = (maker.subaccount, market.exchange_index)
    cash = account.cash.get(place, ZERO) + netting.returned(state, account, *place)
    return opening == 0 or cash >= opening * maker.unit_cost + count * Decimal("0.02")


def _meet(state: State, market: Market, taker: Order, maker: Order, count: Decimal, now_ms: int) -> None:
    resting.shrink(state, market, maker, count, now_ms)
    if not maker.remaining:
        market.book.ladder(maker.side).remove(maker)
        resting.forget(state, maker)
    taker.remaining -= count
    execute(state, market, taker, maker, maker.price, count, now_ms)


def print_trade(
    state: State,
    market: Market,
    taker_side: Side,
    price: Decimal,
    count: Decimal,
    now_ms: int,
    *,
    is_block: bool = False,
) -> Execution:
    """Make a trade public: last price, volume and the report. A block trade counts like any other."""
    number = state.number()
    done = Execution(state.uuid(TRADE_ID, number), number, price, count, now_ms)
    market.last, market.last_size = price, count
    market.volume += count
    market.dollar_volume += count * price
    state.outbox.append(
        Traded(
            trade_id=done.trade_id,
            number=number,
            ticker=market.ticker,
            price=price,
            count=count,
            taker_side=taker_side,
            now_ms=now_ms,
            is_block=is_block,
        )
    )
    return done


def execute(
    state: State,
    market: Market,
    taker: Order,
    maker: Order,
    price: Decimal,
    count: Decimal,
    now_ms: int,
) -> None:
    """Carry out one trade for both of its orders, taker first."""
    done = print_trade(state, market, taker.side, price, count, now_ms)
    for order, is_taker in ((taker, True), (maker, False)):
        _apply(state, market, order, done, is_taker=is_taker)


def _apply(state: State, market: Market, order: Order, done: Execution, *, is_taker: bool) -> None:
    """Move position and cash of one side of a trade and report it."""
    account = state.accounts[order.account_id]
    holding = account.holding(order.subaccount, market.ticker, market.exchange_index)
    before = max(holding.count, ZERO)
    gross = holding.trade(order.side, done.price, done.count)
    market.open_interest += max(holding.count, ZERO) - before
    fee = _take_fee(state, market, order, done, gross, is_taker)
    holding.fees += fee
    account.pay(order.subaccount, market.exchange_index, gross - fee)
    _note_on_order(order, done, fee, is_taker)
    if account.is_house:
        return
    _report_fill(state, market, order, done, fee, holding.count, is_taker)
    state.report_holding(account, order.subaccount, market, done.now_ms)
    state.report_cash(account, order.subaccount, market.exchange_index, done.now_ms)
    if not is_taker:
        order.status = "resting" if order.remaining else "executed"
        state.report_order(order, "Trade", done.now_ms)
    groups.note_match(state, order, done.count, done.now_ms)


def _take_fee(
    state: State, market: Market, order: Order, done: Execution, gross: Decimal, is_taker: bool
) -> Decimal:
    fee_type, multiplier = state.fee_terms(market, done.now_ms)
    fee = model_fee(done.count, done.price, is_taker=is_taker, fee_type=fee_type, multiplier=multiplier)
    net, order.fee_kept = charge(gross, fee, order.fee_kept)
    state.fees_collected += net
    return net


def _note_on_order(order: Order, done: Execution, fee: Decimal, is_taker: bool) -> None:
    cost = cost_per_contract(order.side, done.price) * done.count
    order.filled += done.count
    if is_taker:
        order.taker_cost += cost
        order.taker_fees += fee
    else:
        order.maker_cost += cost
        order.maker_fees += fee


def _report_fill(
    state: State,
    market: Market,
    order: Order,
    done: Execution,
    fee: Decimal,
    post_position: Decimal,
    is_taker: bool,
) -> None:
    state.outbox.append(
        Filled(
            account_id=order.account_id,
            trade_id=done.trade_id,
            number=done.number,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            ticker=market.ticker,
            exchange_index=market.exchange_index,
            side=order.side,
            price=done.price,
            count=done.count,
            fee=fee,
            is_taker=is_taker,
            post_position=post_position,
            subaccount=order.subaccount,
            now_ms=done.now_ms,
        )
    )
