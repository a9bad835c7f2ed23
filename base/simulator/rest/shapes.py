"""JSON shapes of the read endpoints.

See: openapi.yaml 3.34.0, schemas Market, Order, Fill, MarketPosition, Trade, Settlement.
"""

from __future__ import annotations

from decimal import Decimal

from base.simulator.clock import rfc3339
from base.simulator.engine.accounts import Holding
from base.simulator.engine.events import Filled, Settled, Traded
from base.simulator.engine.grid import Grid
from base.simulator.engine.market import Market
from base.simulator.engine.money import ONE, ZERO, contracts, dollars, dollars6
from base.simulator.engine.orders import Order, Side
from base.simulator.venue import USER_ID

Json = dict[str, object]
SETTLEMENT_TIMER_S = 60


def ranges_json(grid: Grid) -> list[dict[str, str]]:
    """Return ``price_ranges``."""
    return [{"start": dollars(b.start), "end": dollars(b.end), "step": dollars(b.step)} for b in grid.bands]


def market_json(market: Market) -> Json:
    """Return a Market. An empty side shows bid 0.0000, ask 1.0000, size 0.00."""
    return _terms(market) | _times(market) | _prices(market) | _outcome(market)


def _terms(market: Market) -> Json:
    spec = market.spec
    return {
        "ticker": spec.ticker,
        "event_ticker": spec.event,
        "market_type": "binary",
        "title": spec.title,
        "subtitle": "",
        "yes_sub_title": spec.yes_sub_title,
        "no_sub_title": spec.no_sub_title,
        "status": market.status.value,
        "can_close_early": spec.can_close_early,
        "rules_primary": spec.rules,
        "rules_secondary": "",
        "price_level_structure": market.grid.label,
        "price_ranges": ranges_json(market.grid),
        "settlement_timer_seconds": SETTLEMENT_TIMER_S,
        "notional_value_dollars": "1.0000",
        "exchange_index": spec.exchange_index,
        "is_provisional": False,
    }


def _times(market: Market) -> Json:
    close, waived_ms = rfc3339(market.close_ms), market.spec.fee_waiver_until_ms
    waiver: Json = {} if waived_ms is None else {"fee_waiver_expiration_time": rfc3339(waived_ms)}
    return waiver | {
        "created_time": rfc3339(market.created_ms),
        "updated_time": rfc3339(market.updated_ms),
        "open_time": rfc3339(market.spec.open_ms),
        "close_time": close,
        "expiration_time": close,
        "expected_expiration_time": close,
        "latest_expiration_time": rfc3339(market.spec.close_ms + 7 * 86_400_000),
    }


def _prices(market: Market) -> Json:
    top = market.top()
    bid, ask = top.bid if top.bid is not None else ZERO, top.ask if top.ask is not None else ONE
    last = top.last if top.last is not None else ZERO
    return {
        "yes_bid_dollars": dollars(bid),
        "yes_ask_dollars": dollars(ask),
        "no_bid_dollars": dollars(ONE - ask),
        "no_ask_dollars": dollars(ONE - bid),
        "yes_bid_size_fp": contracts(top.bid_size),
        "yes_ask_size_fp": contracts(top.ask_size),
        "last_price_dollars": dollars(last),
        "previous_yes_bid_dollars": dollars(bid),
        "previous_yes_ask_dollars": dollars(ask),
        "previous_price_dollars": dollars(last),
        "volume_fp": contracts(top.volume),
        "volume_24h_fp": contracts(top.volume),
        "open_interest_fp": contracts(top.open_interest),
    }


def _outcome(market: Market) -> Json:
    body: Json = {"result": market.result, "expiration_value": market.result}
    floor = market.settlement_floor
    body["settlement_bounds_type"] = "default" if floor is None else "floor"
    if floor is not None:
        body["settlement_floor_dollars"] = dollars(floor)
    if market.settlement_value is not None:
        body["settlement_value_dollars"] = dollars(market.settlement_value)
    if market.settled_ms is not None:
        body["settlement_ts"] = rfc3339(market.settled_ms)
    return body


def book_json(market: Market, depth: int, *, ascending: bool, omit_empty: bool) -> Json:
    """Return ``orderbook_fp``: bids only, NO in NO terms, best level last when ascending."""
    yes = market.book.bids.levels()
    no = [(ONE - price, count) for price, count in reversed(market.book.asks.levels())]
    body: Json = {}
    for name, levels in (("yes_dollars", yes), ("no_dollars", no)):
        shown = levels[-depth:] if depth else levels
        pairs = [[dollars(price), contracts(count)] for price, count in shown]
        if pairs or not omit_empty:
            body[name] = pairs if ascending else pairs[::-1]
    return body


def order_json(order: Order) -> Json:
    """Return an Order."""
    expiration = order.expiration_ms
    return {
        "order_id": order.order_id,
        "user_id": USER_ID,
        "client_order_id": order.client_order_id,
        "ticker": order.request.ticker,
        **direction(order.side),
        "side": "yes",  # of an order, unlike a fill: what is bought or sold, always YES here
        "type": "limit",
        "status": order.status,
        "yes_price_dollars": dollars(order.price),
        "no_price_dollars": dollars(ONE - order.price),
        "fill_count_fp": contracts(order.filled),
        "remaining_count_fp": contracts(order.remaining),
        "initial_count_fp": contracts(order.initial),
        "taker_fill_cost_dollars": dollars6(order.taker_cost),
        "maker_fill_cost_dollars": dollars6(order.maker_cost),
        "taker_fees_dollars": dollars6(order.taker_fees),
        "maker_fees_dollars": dollars6(order.maker_fees),
        "expiration_time": None if expiration is None else rfc3339(expiration),
        "created_time": rfc3339(order.created_ms),
        "last_update_time": rfc3339(order.updated_ms),
        "self_trade_prevention_type": order.request.prevention.value,
        "order_group_id": order.request.order_group_id,
        "cancel_order_on_pause": order.request.cancel_on_pause,
        "subaccount_number": order.subaccount,
        "exchange_index": order.exchange_index,
    }


def direction(side: Side) -> Json:
    """Return the direction fields: buying NO shows as action sell, side no, book_side ask."""
    return {
        "side": side.outcome,
        "action": "buy" if side is Side.BID else "sell",
        "outcome_side": side.outcome,
        "book_side": side.value,
    }


def fill_json(fill: Filled) -> Json:
    """Return a Fill. There is no client_order_id here; join by order_id."""
    return {
        "fill_id": fill.trade_id,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "ticker": fill.ticker,
        "market_ticker": fill.ticker,
        **direction(fill.side),
        "count_fp": contracts(fill.count),
        "yes_price_dollars": dollars(fill.price),
        "no_price_dollars": dollars(ONE - fill.price),
        "is_taker": fill.is_taker,
        "fee_cost": dollars6(fill.fee),
        "created_time": rfc3339(fill.now_ms),
        "ts": fill.now_ms // 1000,
        "subaccount_number": fill.subaccount,
        "exchange_index": fill.exchange_index,
    }


def position_json(holding: Holding) -> Json:
    """Return a MarketPosition: positive YES, negative NO; exposure is the cost."""
    return {
        "ticker": holding.ticker,
        "exchange_index": holding.exchange_index,
        "position_fp": contracts(holding.count),
        "market_exposure_dollars": dollars6(holding.cost),
        "total_traded_dollars": dollars6(holding.traded),
        "realized_pnl_dollars": dollars6(holding.realized),
        "fees_paid_dollars": dollars6(holding.fees),
        "last_updated_ts": rfc3339(holding.updated_ms),
    }


def event_position_json(event_ticker: str, holdings: list[Holding]) -> Json:
    """Return an EventPosition: the sums of an event's positions."""
    exposure = sum((h.cost for h in holdings), ZERO)
    return {
        "event_ticker": event_ticker,
        "total_cost_dollars": dollars6(sum((h.traded for h in holdings), ZERO)),
        "total_cost_shares_fp": contracts(sum((h.volume for h in holdings), ZERO)),
        "event_exposure_dollars": dollars6(exposure),
        "realized_pnl_dollars": dollars6(sum((h.realized for h in holdings), ZERO)),
        "fees_paid_dollars": dollars6(sum((h.fees for h in holdings), ZERO)),
    }


def trade_json(trade: Traded) -> Json:
    """Return a public Trade."""
    return {
        "trade_id": trade.trade_id,
        "ticker": trade.ticker,
        "count_fp": contracts(trade.count),
        "yes_price_dollars": dollars(trade.price),
        "no_price_dollars": dollars(ONE - trade.price),
        "taker_side": trade.taker_side.outcome,
        "taker_outcome_side": trade.taker_side.outcome,
        "taker_book_side": trade.taker_side.value,
        "created_time": rfc3339(trade.now_ms),
        "is_block_trade": trade.is_block,
    }


def settlement_json(settled: Settled) -> Json:
    """Return a Settlement. ``revenue`` and ``value`` are whole cents."""
    holding = settled.holding
    yes, no = max(holding.count, ZERO), max(-holding.count, ZERO)
    return {
        "ticker": holding.ticker,
        "exchange_index": holding.exchange_index,
        "event_ticker": settled.event_ticker,
        "market_result": settled.result,
        "yes_count_fp": contracts(yes),
        "yes_total_cost_dollars": dollars6(holding.cost if yes else ZERO),
        "no_count_fp": contracts(no),
        "no_total_cost_dollars": dollars6(holding.cost if no else ZERO),
        "revenue": cents(settled.revenue),
        "value": cents(settled.value),
        "fee_cost": dollars6(holding.fees),
        "settled_time": rfc3339(settled.now_ms),
    }


def cents(amount: Decimal) -> int:
    """Return whole cents, truncated."""
    return int(amount * 100)
