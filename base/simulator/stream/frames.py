"""The ``msg`` part of every frame, encoded once per event; the envelope is added per socket.

See: asyncapi.yaml of 2026-10, payload schemas.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from base.simulator.clock import rfc3339
from base.simulator.engine.accounts import Holding
from base.simulator.engine.events import (
    BookChanged,
    Filled,
    GroupChanged,
    TopChanged,
    Traded,
)
from base.simulator.engine.market import Market
from base.simulator.engine.money import ONE, ZERO, contracts, dollars, dollars6
from base.simulator.engine.orders import Order, Side
from base.simulator.rest.shapes import Json, direction
from base.simulator.venue import USER_ID

encode = msgspec.json.Encoder().encode


def envelope(
    kind: str,
    msg: bytes | None,
    sending_ms: int,
    *,
    sid: int | None = None,
    seq: int | None = None,
    command_id: int | None = None,
) -> bytes:
    """Put one frame together."""
    parts = [f'{{"type":"{kind}"'.encode()]
    for name, number in (("id", command_id), ("sid", sid), ("seq", seq)):
        if number is not None:
            parts.append(f',"{name}":{number}'.encode())
    if msg is not None:
        parts += [b',"msg":', msg]
    parts.append(f',"sending_ts_ms":{sending_ms}}}'.encode())
    return b"".join(parts)


def book_side(side: Side) -> str:
    """Return the side of the book as the feed names it: bids are yes, asks are no."""
    return "yes" if side is Side.BID else "no"


def delta_msg(market_id: str, event: BookChanged, *, yes_price: bool, is_own: bool) -> bytes:
    """Encode an ``orderbook_delta``; own orders show their id."""
    in_yes = yes_price or event.side is Side.BID
    body: Json = {
        "market_ticker": event.ticker,
        "market_id": market_id,
        "clock": event.clock,
        "price_dollars": dollars(event.price if in_yes else ONE - event.price),
        "delta_fp": contracts(event.delta),
        "side": book_side(event.side),
        "ts": rfc3339(event.now_ms),
        "ts_ms": event.now_ms,
    }
    if is_own:
        body |= {"client_order_id": event.client_order_id, "subaccount": event.subaccount}
    return encode(body)


def snapshot_msg(market: Market, *, yes_price: bool) -> bytes:
    """Encode an ``orderbook_snapshot``. The key of an empty side is absent."""
    body: Json = {
        "market_ticker": market.ticker,
        "market_id": market.market_id,
        "clock": market.clock,
    }
    yes, no = market.book.bids.levels(), market.book.asks.levels()
    if yes:
        body["yes_dollars_fp"] = [[dollars(p), contracts(c)] for p, c in yes]
    if no:
        priced = no if yes_price else [(ONE - p, c) for p, c in reversed(no)]
        body["no_dollars_fp"] = [[dollars(p), contracts(c)] for p, c in priced]
    return encode(body)


def unknown_snapshot_msg(ticker: str, market_id: str) -> bytes:
    """Encode the empty snapshot of a market that does not exist."""
    return encode({"market_ticker": ticker, "market_id": market_id, "clock": 0})


def ticker_msg(market_id: str, event: TopChanged, *, blank_empty: bool) -> bytes:
    """Encode a ``ticker``."""
    top, now_ms = event.top, event.now_ms
    return encode(
        {
            "market_ticker": event.ticker,
            "market_id": market_id,
            "price_dollars": "" if top.last is None else dollars(top.last),
            "yes_bid_dollars": _or_empty(top.bid, ZERO, blank=blank_empty),
            "yes_ask_dollars": _or_empty(top.ask, ONE, blank=blank_empty),
            "yes_bid_size_fp": contracts(top.bid_size),
            "yes_ask_size_fp": contracts(top.ask_size),
            "last_trade_size_fp": contracts(top.last_size),
            "volume_fp": contracts(top.volume),
            "open_interest_fp": contracts(top.open_interest),
            "dollar_volume": int(top.dollar_volume),
            "dollar_open_interest": int(top.open_interest * (top.last or ZERO)),
            "ts": now_ms // 1000,
            "ts_ms": now_ms,
            "time": rfc3339(now_ms),
        }
    )


def _or_empty(price: Decimal | None, sentinel: Decimal, *, blank: bool) -> str:
    if price is not None:
        return dollars(price)
    return "" if blank else dollars(sentinel)


def trade_msg(event: Traded) -> bytes:
    """Encode a ``trade``."""
    return encode(
        {
            "trade_id": event.trade_id,
            "market_ticker": event.ticker,
            "yes_price_dollars": dollars(event.price),
            "no_price_dollars": dollars(ONE - event.price),
            "count_fp": contracts(event.count),
            "taker_side": event.taker_side.outcome,
            "taker_outcome_side": event.taker_side.outcome,
            "taker_book_side": event.taker_side.value,
            "is_block_trade": event.is_block,
            "ts": event.now_ms // 1000,
            "ts_ms": event.now_ms,
        }
    )


def fill_msg(event: Filled) -> bytes:
    """Encode a ``fill``. The price is always the YES price."""
    return encode(
        {
            "trade_id": event.trade_id,
            "order_id": event.order_id,
            "client_order_id": event.client_order_id,
            "market_ticker": event.ticker,
            "exchange_index": event.exchange_index,
            "is_taker": event.is_taker,
            **direction(event.side),
            "purchased_side": event.side.outcome,
            "yes_price_dollars": dollars(event.price),
            "count_fp": contracts(event.count),
            "fee_cost": dollars6(event.fee),
            "post_position_fp": contracts(event.post_position),
            "subaccount": event.subaccount,
            "ts": event.now_ms // 1000,
            "ts_ms": event.now_ms,
        }
    )


def position_msg(holding: Holding) -> bytes:
    """Encode a ``market_position``."""
    return encode(
        {
            "user_id": USER_ID,
            "market_ticker": holding.ticker,
            "position_fp": contracts(holding.count),
            "position_cost_dollars": dollars6(holding.cost),
            "realized_pnl_dollars": dollars6(holding.realized),
            "fees_paid_dollars": dollars6(holding.fees),
            "position_fee_cost_dollars": dollars6(holding.fees),
            "volume_fp": contracts(holding.volume),
            "subaccount": holding.subaccount,
        }
    )


def order_msg(order: Order) -> bytes:
    """Encode a ``user_order``."""
    body: Json = {
        "order_id": order.order_id,
        "user_id": USER_ID,
        "client_order_id": order.client_order_id,
        "ticker": order.request.ticker,
        "exchange_index": order.exchange_index,
        "status": order.status,
        "side": order.side.outcome,
        "is_yes": order.side is Side.BID,
        "outcome_side": order.side.outcome,
        "book_side": order.side.value,
        "yes_price_dollars": dollars(order.price),
        "fill_count_fp": contracts(order.filled),
        "remaining_count_fp": contracts(order.remaining),
        "initial_count_fp": contracts(order.initial),
        "taker_fill_cost_dollars": dollars6(order.taker_cost),
        "maker_fill_cost_dollars": dollars6(order.maker_cost),
        "taker_fees_dollars": dollars6(order.taker_fees),
        "maker_fees_dollars": dollars6(order.maker_fees),
        "self_trade_prevention_type": order.request.prevention.value,
        "created_time": rfc3339(order.created_ms),
        "created_ts_ms": order.created_ms,
        "last_update_time": rfc3339(order.updated_ms),
        "last_updated_ts_ms": order.updated_ms,
        "subaccount_number": order.subaccount,
    }
    return encode(body | _order_options(order))


def _order_options(order: Order) -> Json:
    body: Json = {}
    if order.reason is not None:
        body["last_update_reason"] = order.reason
    if order.request.order_group_id is not None:
        body["order_group_id"] = order.request.order_group_id
    if order.expiration_ms is not None:
        body["expiration_time"] = rfc3339(order.expiration_ms)
        body["expiration_ts_ms"] = order.expiration_ms
    return body


def group_msg(event: GroupChanged) -> bytes:
    """Encode an ``order_group_updates``."""
    body: Json = {
        "event_type": event.kind,
        "order_group_id": event.group_id,
        "ts_ms": event.now_ms,
    }
    if event.limit is not None:
        body["contracts_limit_fp"] = contracts(event.limit)
    return encode(body)
