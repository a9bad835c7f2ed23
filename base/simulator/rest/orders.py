"""Order entry, V2: create, cancel, cancel all.

See: openapi.yaml 3.34.0, operations CreateOrderV2, CancelOrderV2, CancelAllOrders.
"""

from __future__ import annotations

import re

import msgspec

from base.simulator.engine import changes
from base.simulator.engine.money import contracts, dollars, read_count, read_price
from base.simulator.engine.orders import Order, OrderRequest, Prevention, Side, Tally, TimeInForce
from base.simulator.engine.refusal import Refused
from base.simulator.rest.call import Answer, BadBody, Call, ok
from base.simulator.rest.shapes import Json
from base.simulator.venue import Venue

# A dot in the id was refused on the wire once, and FIX allows 64 characters.
CLIENT_ID = re.compile(r"[A-Za-z0-9_:-]{1,64}")


class CreateOrder(msgspec.Struct):
    """CreateOrderV2Request. A JSON number for count or price does not decode."""

    ticker: str
    side: Side
    count: str
    price: str
    time_in_force: TimeInForce
    self_trade_prevention_type: Prevention
    client_order_id: str | None = None
    expiration_time: int | None = None  # Unix seconds
    post_only: bool = False
    reduce_only: bool = False
    cancel_order_on_pause: bool = False
    subaccount: int | None = None
    order_group_id: str | None = None
    exchange_index: int | None = None


def create(venue: Venue, call: Call) -> Answer:
    """POST /portfolio/events/orders."""
    request = to_request(call, call.decode(CreateOrder))
    check_attestation(venue, call, request.ticker)
    order = venue.exchange.submit(call.account_id, request, call.now_ms)
    return Answer(201, created_json(venue, order, call.now_ms))


def to_request(call: Call, body: CreateOrder) -> OrderRequest:
    """Read the strings of a create body. Raises: BadBody, Refused."""
    count, price = read_count(body.count), read_price(body.price)
    if count is None:
        raise BadBody("count must be a fixed-point string with at most 2 decimals")
    if price is None:
        raise BadBody("price must be a fixed-point dollar string")
    check_client_id(body.client_order_id)
    return OrderRequest(
        ticker=body.ticker,
        side=body.side,
        count=count,
        price=price,
        time_in_force=body.time_in_force,
        prevention=body.self_trade_prevention_type,
        client_order_id=body.client_order_id or None,
        expiration_ms=body.expiration_time * 1000 if body.expiration_time else None,
        post_only=body.post_only,
        reduce_only=body.reduce_only,
        cancel_on_pause=body.cancel_order_on_pause,
        subaccount=call.meant(body.subaccount),
        order_group_id=body.order_group_id or None,
        exchange_index=body.exchange_index,
    )


def check_attestation(venue: Venue, call: Call, ticker: str) -> None:
    """Raise Refused where the key's location attestation has lapsed and the category needs one."""
    semantics, until_s = venue.semantics, venue.region_expiration_s
    market = venue.exchange.state.markets.get(ticker)
    has_lapsed = until_s is not None and call.now_ms >= until_s * 1000
    if semantics.attestation == "shown" or market is None or not has_lapsed:
        return
    if market.spec.category in semantics.attested_categories:
        code, status = semantics.attestation_code, semantics.attestation_status
        raise Refused(status, code, "location attestation has expired")


def check_client_id(client_order_id: str | None) -> None:
    """Raise Refused for characters or a length that the exchange does not take."""
    if client_order_id and not CLIENT_ID.fullmatch(client_order_id):
        raise Refused(400, "invalid_parameters", "invalid parameters", "client_order_id")


def created_json(venue: Venue, order: Order, now_ms: int) -> Json:
    """Return a CreateOrderV2Response. For IOC ``remaining_count`` is final: 0 even after nothing."""
    remaining = order.remaining
    is_ioc = order.request.time_in_force is TimeInForce.IOC
    if is_ioc and not venue.semantics.ioc_remaining_is_zero:
        remaining = order.initial - order.filled
    body: Json = {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "fill_count": contracts(order.filled),
        "remaining_count": contracts(remaining),
        "ts_ms": now_ms,
    }
    return body | averages_json(order.tally, order.side)


def averages_json(fills: Tally, side: Side) -> Json:
    """Return average price and fee per contract; nothing without a fill."""
    average = fills.average_price(side)
    if average is None:
        return {}
    return {
        "average_fill_price": dollars(average),
        "average_fee_paid": f"{fills.fees / fills.filled:.4f}",
    }


def cancel(venue: Venue, call: Call) -> Answer:
    """DELETE /portfolio/events/orders/{order_id}."""
    order = find(venue, call, call.params["order_id"])
    removed = venue.exchange.cancel(order, call.now_ms)
    return ok(
        {
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "reduced_by": contracts(removed),
            "ts_ms": call.now_ms,
        }
    )


def find(venue: Venue, call: Call, order_id: str) -> Order:
    """Find a resting order by the query's ticker or shard. Raises: Refused(404)."""
    return changes.find_resting(
        venue.exchange.state,
        call.account_id,
        order_id,
        ticker=call.text("market_ticker"),
        exchange_index=call.integer("exchange_index"),
        subaccount=call.subaccount() or 0,
    )


def cancel_all(venue: Venue, call: Call) -> Answer:
    """DELETE /portfolio/events/orders: all shards; without subaccount every sub-account."""
    changes.cancel_all(venue.exchange.state, call.account_id, call.subaccount(), call.now_ms)
    return Answer(204)


def refuse_legacy(venue: Venue, call: Call) -> Answer:
    """POST and DELETE /portfolio/orders*: gone."""
    raise Refused(410, "deprecated_v1_order_endpoint", "deprecated v1 order endpoint")
