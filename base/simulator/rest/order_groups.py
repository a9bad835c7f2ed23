"""Order groups. Without ``exchange_index`` they live on shard 0."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from base.simulator.engine import groups
from base.simulator.engine.money import contracts, read_count
from base.simulator.engine.refusal import Refused, not_found
from base.simulator.engine.state import Group
from base.simulator.rest.call import Answer, BadBody, Call, ok
from base.simulator.rest.shapes import Json
from base.simulator.venue import Venue


class CreateGroup(msgspec.Struct):
    """CreateOrderGroupRequest."""

    subaccount: int | None = None
    contracts_limit: int | None = None
    contracts_limit_fp: str | None = None
    exchange_index: int = 0


class UpdateLimit(msgspec.Struct):
    """UpdateOrderGroupLimitRequest."""

    contracts_limit: int | None = None
    contracts_limit_fp: str | None = None


def _limit(body: CreateGroup | UpdateLimit) -> Decimal:
    whole = None if body.contracts_limit is None else Decimal(body.contracts_limit)
    exact = None if body.contracts_limit_fp is None else read_count(body.contracts_limit_fp)
    limit = whole if body.contracts_limit_fp is None else exact
    if limit is None:
        raise BadBody("contracts_limit or contracts_limit_fp is required")
    if whole not in (None, limit):
        raise Refused(400, "invalid_parameters", "invalid parameters", "contracts_limit")
    return limit


def _find(venue: Venue, call: Call) -> Group:
    subaccount, shard = call.subaccount() or 0, call.integer("exchange_index") or 0
    group = groups.find(venue.exchange.state, call.account_id, call.params["order_group_id"])
    if group.subaccount != subaccount or group.exchange_index != shard:
        raise not_found("order group not found")
    return group


def create(venue: Venue, call: Call) -> Answer:
    """POST /portfolio/order_groups/create."""
    body = call.decode(CreateGroup)
    group = groups.create(
        venue.exchange.state,
        call.account_id,
        call.meant(body.subaccount),
        body.exchange_index,
        _limit(body),
        call.now_ms,
    )
    reply = {
        "order_group_id": group.group_id,
        "subaccount": group.subaccount,
        "exchange_index": group.exchange_index,
    }
    return Answer(201, reply)


def list_groups(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/order_groups."""
    wanted = call.subaccount()
    own = [g for g in venue.exchange.state.groups.values() if g.account_id == call.account_id]
    listed = [
        {
            "id": g.group_id,
            "contracts_limit_fp": contracts(g.limit),
            "is_auto_cancel_enabled": not g.is_triggered,
            "exchange_index": g.exchange_index,
        }
        for g in own
        if wanted in (None, g.subaccount)
    ]
    return ok({"order_groups": listed})


def get_group(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/order_groups/{order_group_id}."""
    state, wanted = venue.exchange.state, call.subaccount()
    group = groups.find(state, call.account_id, call.params["order_group_id"])
    if wanted not in (None, group.subaccount):
        raise not_found("order group not found")
    body: Json = {
        "is_auto_cancel_enabled": not group.is_triggered,
        "contracts_limit_fp": contracts(group.limit),
        "orders": [order.order_id for order in groups.orders_of(state, group)],
        "exchange_index": group.exchange_index,
    }
    return ok(body)


def delete(venue: Venue, call: Call) -> Answer:
    """DELETE /portfolio/order_groups/{order_group_id}."""
    groups.delete(venue.exchange.state, _find(venue, call), call.now_ms)
    return ok({})


def trigger(venue: Venue, call: Call) -> Answer:
    """PUT /portfolio/order_groups/{order_group_id}/trigger."""
    groups.trigger(venue.exchange.state, _find(venue, call), call.now_ms)
    return ok({})


def reset(venue: Venue, call: Call) -> Answer:
    """PUT /portfolio/order_groups/{order_group_id}/reset."""
    groups.reset(venue.exchange.state, _find(venue, call), call.now_ms)
    return ok({})


def set_limit(venue: Venue, call: Call) -> Answer:
    """PUT /portfolio/order_groups/{order_group_id}/limit."""
    limit = _limit(call.decode(UpdateLimit))
    groups.set_limit(venue.exchange.state, _find(venue, call), limit, call.now_ms)
    return ok({})
