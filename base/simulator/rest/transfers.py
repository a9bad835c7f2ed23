"""Sub-accounts, and cash on its way between them and between shards.

Amounts on this wire: whole cents between sub-accounts, centi-cents ($0.0001) between shards.
See: openapi.yaml 3.34.0, operations *Subaccount* and *IntraExchangeInstanceTransfer*.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from base.simulator.engine import transfers
from base.simulator.engine.money import BALANCE_STEP, COUNT_STEP, ZERO, dollars
from base.simulator.engine.refusal import Refused, not_found
from base.simulator.engine.transfers import Place, Transfer
from base.simulator.rest.call import Answer, Call, ok
from base.simulator.rest.paging import page
from base.simulator.rest.shapes import Json, cents
from base.simulator.venue import Venue

CENT, CENTICENT = COUNT_STEP, BALANCE_STEP  # dollars
MAX_TRANSFERS = 500
Instance = Literal["event_contract", "margined"]


class CreateSubaccount(msgspec.Struct):
    """CreateSubaccountRequest."""

    exchange_index: int = 0


class SubaccountTransfer(msgspec.Struct):
    """ApplySubaccountTransferRequest."""

    client_transfer_id: str
    from_subaccount: int
    to_subaccount: int
    amount_cents: int
    exchange_index: int = 0


class ShardTransfer(msgspec.Struct):
    """IntraExchangeInstanceTransferRequest."""

    source: Instance
    destination: Instance
    amount: int
    client_transfer_id: str | None = None
    source_exchange_shard: int = 0
    destination_exchange_shard: int = 0
    source_subaccount: int = 0
    destination_subaccount: int = 0


class Netting(msgspec.Struct):
    """UpdateSubaccountNettingRequest."""

    subaccount_number: int
    enabled: bool


def create_subaccount(venue: Venue, call: Call) -> Answer:
    """POST /portfolio/subaccounts: for unrestricted keys of the Advanced tier and above."""
    call.decode(CreateSubaccount)
    _check_unrestricted(call)
    if venue.budget(call.account_id).tier.name == "basic":
        raise Refused(403, "forbidden", "subaccounts need the advanced tier")
    return Answer(
        201, {"subaccount_number": transfers.open_subaccount(venue.exchange.state, call.account_id)}
    )


def _check_unrestricted(call: Call) -> None:
    if call.locked is not None:
        raise Refused(403, "forbidden", "key is restricted to one subaccount")


def move_between_subaccounts(venue: Venue, call: Call) -> Answer:
    """POST /portfolio/subaccounts/transfer."""
    body = call.decode(SubaccountTransfer)
    _check_unrestricted(call)
    transfers.transfer(
        venue.exchange.state,
        call.account_id,
        Place(body.from_subaccount, body.exchange_index),
        Place(body.to_subaccount, body.exchange_index),
        body.amount_cents * CENT,
        call.now_ms,
        body.client_transfer_id,
    )
    return ok({})


def move_between_shards(venue: Venue, call: Call) -> Answer:
    """POST /portfolio/intra_exchange_instance_transfer."""
    body = call.decode(ShardTransfer)
    for subaccount in (body.source_subaccount, body.destination_subaccount):
        call.check_subaccount(subaccount)
    if "margined" in (body.source, body.destination):
        raise Refused(400, "invalid_parameters", "invalid parameters", "margined")
    if body.client_transfer_id and (body.source_subaccount or body.destination_subaccount):
        raise Refused(400, "invalid_parameters", "invalid parameters", "client_transfer_id")
    done = transfers.transfer(
        venue.exchange.state,
        call.account_id,
        Place(body.source_subaccount, body.source_exchange_shard),
        Place(body.destination_subaccount, body.destination_exchange_shard),
        body.amount * CENTICENT,
        call.now_ms,
        body.client_transfer_id,
    )
    return ok({"transfer_id": done.transfer_id})


def _own(venue: Venue, call: Call, *, between_shards: bool) -> list[Transfer]:
    return [
        t
        for t in venue.exchange.state.transfers
        if t.account_id == call.account_id
        and t.is_between_shards == between_shards
        and call.locked in (None, t.source.subaccount)
    ]


def list_between_subaccounts(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/subaccounts/transfers."""
    shown, cursor = page(call, _own(venue, call, between_shards=False), lambda t: t.number)
    listed = [
        {
            "transfer_id": t.transfer_id,
            "from_subaccount": t.source.subaccount,
            "to_subaccount": t.destination.subaccount,
            "amount_cents": cents(t.amount),
            "created_ts": t.created_ms // 1000,
            "exchange_index": t.source.exchange_index,
        }
        for t in shown
    ]
    return ok({"transfers": listed, "cursor": cursor})


def list_between_shards(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/intra_exchange_instance_transfers."""
    own = _own(venue, call, between_shards=True)
    shown, cursor = page(call, own, lambda t: t.number, highest_limit=MAX_TRANSFERS)
    return ok({"transfers": [_shard_json(t) for t in shown], **({"cursor": cursor} if cursor else {})})


def get_between_shards(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/intra_exchange_instance_transfers/{transfer_id}."""
    for each in _own(venue, call, between_shards=True):
        if each.transfer_id == call.params["transfer_id"]:
            return ok({"transfer": _shard_json(each)})
    raise not_found("transfer not found")


def _shard_json(done: Transfer) -> Json:
    body: Json = {
        "transfer_id": done.transfer_id,
        "source": "event_contract",
        "destination": "event_contract",
        "source_exchange_shard": done.source.exchange_index,
        "destination_exchange_shard": done.destination.exchange_index,
        "amount": dollars(done.amount),
        "status": "complete" if done.is_complete else "pending",
        "created_ts": done.created_ms // 1000,
    }
    return body | ({"client_transfer_id": done.client_transfer_id} if done.client_transfer_id else {})


def list_balances(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/subaccounts/balances, as late as all reads are."""
    view, state = venue.reads.view(call.account_id, call.now_ms), venue.exchange.state
    opened = state.account(call.account_id).opened_subaccounts
    places = {(own, 0) for own in range(opened + 1)} | set(view.cash)
    listed = [
        {
            "subaccount_number": own,
            "exchange_index": shard,
            "balance": dollars(view.cash.get((own, shard), ZERO)),
            "updated_ts": (view.updated_ms or call.now_ms) // 1000,
        }
        for own, shard in sorted(places)
        if call.locked in (None, own)
    ]
    return ok({"subaccount_balances": listed})


def get_netting(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/subaccounts/netting."""
    account = venue.exchange.state.account(call.account_id)
    listed = [
        {"subaccount_number": own, "enabled": account.netting.get(own, True), "exchange_index": 0}
        for own in range(account.opened_subaccounts + 1)
        if call.locked in (None, own)
    ]
    return ok({"netting_configs": listed})


def set_netting(venue: Venue, call: Call) -> Answer:
    """PUT /portfolio/subaccounts/netting."""
    body = call.decode(Netting)
    call.check_subaccount(body.subaccount_number)
    if not transfers.exists(venue.exchange.state, call.account_id, body.subaccount_number):
        raise Refused(400, "invalid_parameters", "invalid parameters", "subaccount")
    state = venue.exchange.state
    account = state.account(call.account_id)
    account.netting[body.subaccount_number] = body.enabled
    for shard in state.shards:
        state.report_cash(account, body.subaccount_number, shard, call.now_ms)
    return Answer(200)


def get_resting_value(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/summary/total_resting_order_value: cents, and dollars per shard."""
    per_shard = dict.fromkeys(venue.exchange.state.shards, Decimal(0))
    for order in venue.reads.view(call.account_id, call.now_ms).orders.values():
        if order.status == "resting" and call.locked in (None, order.subaccount):
            per_shard[order.exchange_index] += order.remaining * order.unit_cost
    breakdown = [{"exchange_index": i, "balance": dollars(value)} for i, value in sorted(per_shard.items())]
    total = cents(sum(per_shard.values(), ZERO))
    return ok({"total_resting_order_value": total, "resting_order_value_breakdown": breakdown})
