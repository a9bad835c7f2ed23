"""Whether an order may enter, and with how many contracts. Nothing is changed here."""

from __future__ import annotations

from decimal import Decimal

from base.simulator.engine import groups, netting
from base.simulator.engine.accounts import Account
from base.simulator.engine.fees import model_fee
from base.simulator.engine.market import Market, Status
from base.simulator.engine.money import COUNT_STEP, ZERO
from base.simulator.engine.orders import Order, OrderRequest, TimeInForce
from base.simulator.engine.refusal import Refused, bad_order
from base.simulator.engine.state import State

CLOSED = (Status.CLOSED, Status.DETERMINED, Status.DISPUTED, Status.AMENDED, Status.FINALIZED)
MAX_OPEN_ORDERS = 200_000


def route(state: State, ticker: str, exchange_index: int | None) -> Market:
    """Find the market on the shard asked for. A wrong shard does not know the ticker."""
    market = state.market(ticker)
    if exchange_index not in (None, -1, market.exchange_index):
        raise Refused(404, "market_not_found", "market not found")
    return market


def check_open(state: State, market: Market, *, is_cancel: bool = False) -> None:
    """Raise Refused where pauses and the market's status forbid the operation."""
    shard = state.shards[market.exchange_index]
    if market.status in CLOSED:
        semantics = state.semantics
        raise Refused(semantics.closed_market_status, semantics.closed_market_code, "market is not active")
    if not shard.is_running:
        raise Refused(409, "exchange_is_paused", "exchange is paused")
    if is_cancel:
        if market.status is Status.INACTIVE and not state.semantics.cancel_while_inactive:
            raise Refused(409, "trading_is_paused", "trading is paused")
        return
    if not shard.is_trading or market.status is not Status.ACTIVE:
        raise Refused(409, "trading_is_paused", "trading is paused")


def check_terms(state: State, market: Market, request: OrderRequest, now_ms: int) -> None:
    """Raise Refused for a combination, price or size that is never allowed."""
    if request.count < COUNT_STEP:
        raise Refused(400, "invalid_order_size", "invalid order size")
    if not market.grid.holds(request.price):
        raise Refused(400, "invalid_price", "invalid price", "price is not on the market's grid")
    if market.settlement_floor is not None and request.price <= market.settlement_floor:
        raise Refused(400, "invalid_price", "invalid price", "price must be above the settlement floor")
    is_gtc = request.time_in_force is TimeInForce.GTC
    if request.reduce_only and request.time_in_force is not TimeInForce.IOC:
        raise bad_order("reduce_only requires immediate_or_cancel")
    if request.post_only and not is_gtc:
        raise bad_order("post_only requires good_till_canceled")
    if request.expiration_ms is not None and (not is_gtc or request.expiration_ms <= now_ms):
        raise bad_order("expiration_time must be in the future and needs good_till_canceled")
    if request.post_only and market.book.crosses(request.side, request.price):
        raise bad_order("post only cross")


def repeated(state: State, account: Account, client_order_id: str | None) -> Order | None:
    """Return the earlier order with this id, where ids count as taken."""
    first = account.orders_by_client_id.get(client_order_id or "")
    if first is None or (state.semantics.dedupe == "open_only" and first.status != "resting"):
        return None
    if state.semantics.repeat_answer == 409:
        raise Refused(409, "order_already_exists", "order already exists")
    return first


def allowed_count(state: State, account: Account, market: Market, request: OrderRequest) -> Decimal:
    """Return the contracts that may trade: all, or for reduce_only what the position has.

    0 means there is nothing to reduce.
    """
    if not request.reduce_only or state.semantics.reduce_only == "ignored":
        return request.count
    holding = account.holding(request.subaccount, market.ticker, market.exchange_index)
    reducible = holding.reducible_by(request.side)
    if state.semantics.reduce_only_counts_resting:
        for order in account.resting.values():
            same = order.request.ticker == market.ticker and order.subaccount == request.subaccount
            if same and order.side is request.side:
                reducible -= order.remaining
        reducible = max(reducible, ZERO)
    if not reducible and state.semantics.reduce_only_nothing == "rejected":
        raise bad_order("reduce only order has nothing to reduce")
    if reducible < request.count and state.semantics.reduce_only_excess == "rejected":
        raise bad_order("reduce only order exceeds the position")
    return min(request.count, reducible)


def check_cash(
    state: State,
    account: Account,
    market: Market,
    request: OrderRequest,
    count: Decimal,
    now_ms: int,
    *,
    without: str = "",
) -> None:
    """Raise Refused unless the market's own shard holds the collateral and the fee."""
    if account.is_house:
        return
    subaccount, shard = request.subaccount, market.exchange_index
    holding = account.holding(subaccount, market.ticker, shard)
    closing = min(count, holding.reducible_by(request.side))
    opening = count - closing
    unit = request.price if request.side.sign > 0 else 1 - request.price
    fee_type, multiplier = state.fee_terms(market, now_ms)
    fee = model_fee(opening, request.price, is_taker=True, fee_type=fee_type, multiplier=multiplier)
    needed = opening * unit + fee + _called_back(state, account, request, closing, shard, payout=1 - unit)
    own = account.cash.get((subaccount, shard), ZERO) + netting.returned(state, account, subaccount, shard)
    free = own - account.reserved(subaccount, shard, without=without)
    if own < 0 or (needed and free < needed):
        raise Refused(400, "insufficient_balance", "insufficient balance")


def _called_back(
    state: State, account: Account, request: OrderRequest, closing: Decimal, shard: int, payout: Decimal
) -> Decimal:
    """Return the cash that closing one leg of a netted set needs beyond what its limit brings."""
    is_netted = state.markets[request.ticker].spec.mutually_exclusive
    if not closing or request.side.sign < 0 or not is_netted or state.semantics.netted_close == "allowed":
        return ZERO
    lost = netting.lost_by_closing(state, account, request.subaccount, request.ticker, closing, shard)
    return max(lost - closing * payout, ZERO)


def check_group(state: State, account: Account, market: Market, request: OrderRequest) -> None:
    """Raise Refused for a triggered group or too many open orders."""
    place = request.subaccount, market.exchange_index
    groups.admit(state, account.account_id, request.order_group_id, *place)
    if len(account.resting) >= MAX_OPEN_ORDERS:
        raise bad_order("too many open orders")
