"""Amend, decrease, batches and queue positions.

See: openapi.yaml 3.34.0, operations AmendOrderV2, DecreaseOrderV2, Batch*OrdersV2.
"""

from __future__ import annotations

from typing import Any

import msgspec

from base.simulator.engine import changes
from base.simulator.engine.changes import Amendment
from base.simulator.engine.money import contracts, read_count, read_price
from base.simulator.engine.orders import Order, Side
from base.simulator.engine.refusal import Refused, bad_order, not_found
from base.simulator.rest import orders
from base.simulator.rest.call import Answer, BadBody, Call, ok
from base.simulator.rest.orders import CreateOrder, averages_json, check_client_id, created_json
from base.simulator.rest.shapes import Json
from base.simulator.venue import Venue


class AmendOrder(msgspec.Struct):
    """AmendOrderV2Request."""

    ticker: str
    side: Side
    price: str
    count: str
    client_order_id: str | None = None
    updated_client_order_id: str | None = None
    expiration_time: int | None = None  # Unix seconds; 0 clears
    exchange_index: int | None = None


class DecreaseOrder(msgspec.Struct):
    """DecreaseOrderV2Request: exactly one of the two counts."""

    reduce_by: str | None = None
    reduce_to: str | None = None
    exchange_index: int | None = None
    market_ticker: str | None = None


class CancelItem(msgspec.Struct):
    """One entry of BatchCancelOrdersV2Request."""

    order_id: str
    subaccount: int | None = None
    exchange_index: int | None = None
    market_ticker: str | None = None


class CancelBatch(msgspec.Struct):
    """BatchCancelOrdersV2Request."""

    orders: list[CancelItem]


class CreateBatch(msgspec.Struct):
    """BatchCreateOrdersV2Request; the items are decoded one by one."""

    orders: list[dict[str, Any]]


def amend(venue: Venue, call: Call) -> Answer:
    """POST /portfolio/events/orders/{order_id}/amend."""
    body = call.decode(AmendOrder)
    order = _find(venue, call, call.params["order_id"], body.exchange_index, body.ticker)
    orders.check_attestation(venue, call, order.request.ticker)
    before, rested = order.tally, order.remaining
    changes.amend(venue.exchange.state, order, _amendment(body, order), call.now_ms)
    reply: Json = {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "ts_ms": call.now_ms,
    }
    fills = order.tally.since(before)
    if fills.filled or order.remaining != rested:  # a new price or expiry alone shows no counts [spec]
        reply["remaining_count"] = contracts(order.remaining)
        reply["fill_count"] = contracts(fills.filled)
    return ok(reply | averages_json(fills, order.side))


def _amendment(body: AmendOrder, order: Order) -> Amendment:
    count, price = read_count(body.count), read_price(body.price)
    if count is None or price is None:
        raise BadBody("count and price must be fixed-point strings")
    if body.client_order_id not in (None, "", order.client_order_id):
        raise Refused(400, "order_id_and_client_order_id_mismatch", "order ids do not match")
    check_client_id(body.updated_client_order_id)
    expiration_ms = order.expiration_ms
    if body.expiration_time is not None:
        expiration_ms = body.expiration_time * 1000 or None
    return Amendment(
        side=body.side,
        price=price,
        count=count,
        expiration_ms=expiration_ms,
        client_order_id=body.updated_client_order_id,
    )


def decrease(venue: Venue, call: Call) -> Answer:
    """POST /portfolio/events/orders/{order_id}/decrease."""
    body = call.decode(DecreaseOrder)
    if (body.reduce_by is None) == (body.reduce_to is None):
        raise bad_order("exactly one of reduce_by and reduce_to is required")
    order = _find(venue, call, call.params["order_id"], body.exchange_index, body.market_ticker)
    count = read_count(body.reduce_by if body.reduce_by is not None else body.reduce_to)
    if count is None:
        raise BadBody("reduce_by and reduce_to must be fixed-point strings")
    remaining = order.remaining - count if body.reduce_by is not None else count
    changes.decrease(venue.exchange.state, order, remaining, call.now_ms)
    return ok(
        {
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "remaining_count": contracts(order.remaining),
            "ts_ms": call.now_ms,
        }
    )


def _find(venue: Venue, call: Call, order_id: str, exchange_index: int | None, ticker: str | None) -> Order:
    return changes.find_resting(
        venue.exchange.state,
        call.account_id,
        order_id,
        ticker=ticker,
        exchange_index=exchange_index,
        subaccount=call.subaccount() or 0,
    )


def create_batch(venue: Venue, call: Call) -> Answer:
    """POST /portfolio/events/orders/batched: 201 even when items failed."""
    items = call.decode(CreateBatch).orders
    return Answer(201, {"orders": [_create_item(venue, call, item) for item in items]})


def _create_item(venue: Venue, call: Call, item: dict[str, Any]) -> Json:
    client_order_id = item.get("client_order_id")
    try:
        body = msgspec.convert(item, CreateOrder)
        request = orders.to_request(call, body)
        orders.check_attestation(venue, call, request.ticker)
        order = venue.exchange.submit(call.account_id, request, call.now_ms)
        return created_json(venue, order, call.now_ms)
    except Refused as refusal:
        error = {"code": refusal.code, "message": refusal.message, "details": refusal.details}
    except (BadBody, msgspec.ValidationError) as problem:
        error = {"code": "bad_request", "message": "bad request", "details": str(problem)}
    return {"client_order_id": client_order_id, "error": error}


def cancel_batch(venue: Venue, call: Call) -> Answer:
    """DELETE /portfolio/events/orders/batched: 200 even when items failed."""
    items = call.decode(CancelBatch).orders
    return ok({"orders": [_cancel_item(venue, call, item) for item in items]})


def _cancel_item(venue: Venue, call: Call, item: CancelItem) -> Json:
    try:
        order = changes.find_resting(
            venue.exchange.state,
            call.account_id,
            item.order_id,
            ticker=item.market_ticker,
            exchange_index=item.exchange_index,
            subaccount=call.meant(item.subaccount),
        )
        removed = venue.exchange.cancel(order, call.now_ms)
    except Refused as refusal:
        error = {"code": refusal.code, "message": refusal.message, "details": refusal.details}
        return {"order_id": item.order_id, "reduced_by": "0.00", "error": error}
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "reduced_by": contracts(removed),
        "ts_ms": call.now_ms,
    }


def get_queue_position(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/orders/{order_id}/queue_position."""
    order = venue.exchange.state.account(call.account_id).resting.get(call.params["order_id"])
    if order is None or call.locked not in (None, order.subaccount):
        raise not_found("order not found")
    book = venue.exchange.state.markets[order.request.ticker].book
    return ok({"queue_position_fp": contracts(book.ahead_of(order))})


def list_queue_positions(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/orders/queue_positions."""
    state = venue.exchange.state
    tickers, event = set(call.texts("market_tickers")), call.text("event_ticker")
    subaccount = call.subaccount() or 0
    found = []
    for order in state.account(call.account_id).resting.values():
        market = state.markets[order.request.ticker]
        is_wanted = not tickers or market.ticker in tickers
        if order.subaccount == subaccount and is_wanted and event in (None, market.spec.event):
            ahead = contracts(market.book.ahead_of(order))
            found.append(
                {"order_id": order.order_id, "market_ticker": market.ticker, "queue_position_fp": ahead}
            )
    return ok({"queue_positions": found})
