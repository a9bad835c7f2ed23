"""Which call is answered by what, needs which scope, and costs how many tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from base.simulator.decoding import UNREADABLE
from base.simulator.rest import (
    api_keys,
    candlesticks,
    events,
    exchange_info,
    historical,
    market_data,
    order_changes,
    order_groups,
    orders,
    portfolio,
    transfers,
)
from base.simulator.rest.call import Answer, Call, Handler, ok
from base.simulator.venue import Venue

DEFAULT_COST, LOW_COST = 10, 2  # tokens
PREFIX = "/trade-api/v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One endpoint. ``scope`` None needs no signature; ``is_order`` writes bill per shard."""

    method: str
    path: str
    handler: Handler
    scope: str | None = "read"
    bucket: Literal["read", "write", "balance"] = "read"
    cost: int = DEFAULT_COST
    is_order: bool = False
    is_batch: bool = False


def _public(path: str, handler: Handler) -> Rule:
    return Rule(method="GET", path=path, handler=handler, scope=None)


def _read(path: str, handler: Handler, cost: int = DEFAULT_COST, scope: str = "read") -> Rule:
    return Rule(method="GET", path=path, handler=handler, cost=cost, scope=scope)


def _write(method: str, path: str, handler: Handler, scope: str = "write") -> Rule:
    return Rule(method=method, path=path, handler=handler, scope=scope, bucket="write")


def _order(
    method: str, path: str, handler: Handler, cost: int = DEFAULT_COST, *, is_batch: bool = False
) -> Rule:
    return Rule(
        method=method,
        path=path,
        handler=handler,
        scope="write::trade",
        bucket="write",
        cost=cost,
        is_order=True,
        is_batch=is_batch,
    )


def _group(method: str, path: str, handler: Handler) -> Rule:
    whole = f"/portfolio/order_groups{path}"
    return Rule(method=method, path=whole, handler=handler, scope="write::trade", bucket="write")


def _legacy(method: str, path: str) -> Rule:
    cost = 100 if method == "POST" else 20
    return _order(method, f"/portfolio/orders{path}", orders.refuse_legacy, cost, is_batch="batched" in path)


def get_endpoint_costs(venue: Venue, call: Call) -> Answer:
    """GET /account/endpoint_costs: those that differ from the default, as they are billed."""
    costs = [
        {"method": rule.method, "path": PREFIX + re.sub(r"{(\w+)}", r":\1", rule.path), "cost": rule.cost}
        for rule in RULES
        if rule.cost != DEFAULT_COST
    ]
    return ok({"default_cost": DEFAULT_COST, "endpoint_costs": costs})


RULES: tuple[Rule, ...] = (
    _public("/exchange/status", exchange_info.get_status),
    _public("/exchange/schedule", exchange_info.get_schedule),
    _public("/exchange/user_data_timestamp", exchange_info.get_user_data_timestamp),
    _public("/account/endpoint_costs", get_endpoint_costs),
    _read("/account/limits", exchange_info.get_limits),
    _read("/api_keys", api_keys.list_keys),
    _write("POST", "/api_keys", api_keys.create),
    _write("POST", "/api_keys/generate", api_keys.generate),
    _write("DELETE", "/api_keys/{api_key}", api_keys.delete),
    _public("/markets", market_data.list_markets),
    _public("/markets/candlesticks", candlesticks.get_batch),
    _public("/markets/trades", market_data.list_trades),
    _read("/markets/orderbooks", market_data.get_books),
    _public("/markets/{ticker}", market_data.get_market),
    _public("/markets/{ticker}/orderbook", market_data.get_book),
    _public("/events", events.list_events),
    _public("/events/fee_changes", events.list_event_fee_changes),
    _public("/events/multivariate", events.list_combo_events),
    _public("/events/{event_ticker}", events.get_event),
    _public("/events/{event_ticker}/metadata", events.get_event_metadata),
    _public("/series", events.list_series),
    _public("/series/fee_changes", events.list_series_fee_changes),
    _public("/series/{series_ticker}", events.get_series),
    _public("/series/{series_ticker}/markets/{ticker}/candlesticks", candlesticks.get_candlesticks),
    _public("/series/{series_ticker}/events/{ticker}/candlesticks", candlesticks.get_of_event),
    _public("/historical/cutoff", historical.get_cutoff),
    _public("/historical/markets", historical.list_markets),
    _public("/historical/markets/{ticker}", historical.get_market),
    _public("/historical/markets/{ticker}/candlesticks", candlesticks.get_archived),
    _public("/historical/trades", historical.list_trades),
    _read("/historical/fills", portfolio.list_old_fills),
    _read("/historical/orders", portfolio.list_old_orders),
    _read("/historical/positions", portfolio.list_old_positions),
    Rule(
        method="GET",
        path="/portfolio/balance",
        handler=portfolio.get_balance,
        scope="read::portfolio_balance",
        bucket="balance",
    ),
    _read("/portfolio/summary/total_resting_order_value", transfers.get_resting_value),
    _write("POST", "/portfolio/subaccounts", transfers.create_subaccount),
    _write("POST", "/portfolio/subaccounts/transfer", transfers.move_between_subaccounts, "write::transfer"),
    _read("/portfolio/subaccounts/transfers", transfers.list_between_subaccounts),
    _read("/portfolio/subaccounts/balances", transfers.list_balances, scope="read::portfolio_balance"),
    _read("/portfolio/subaccounts/netting", transfers.get_netting),
    _write("PUT", "/portfolio/subaccounts/netting", transfers.set_netting),
    _write(
        "POST",
        "/portfolio/intra_exchange_instance_transfer",
        transfers.move_between_shards,
        "write::transfer",
    ),
    _read("/portfolio/intra_exchange_instance_transfers", transfers.list_between_shards),
    _read("/portfolio/intra_exchange_instance_transfers/{transfer_id}", transfers.get_between_shards),
    _read("/portfolio/positions", portfolio.list_positions),
    _read("/portfolio/fills", portfolio.list_fills),
    _read("/portfolio/settlements", portfolio.list_settlements),
    _read("/portfolio/orders", portfolio.list_orders),
    _legacy("POST", "/batched"),  # before {order_id}, which would take it for one
    _legacy("DELETE", "/batched"),
    _read("/portfolio/orders/queue_positions", order_changes.list_queue_positions),
    _read("/portfolio/orders/{order_id}", portfolio.get_order, LOW_COST),
    _read("/portfolio/orders/{order_id}/queue_position", order_changes.get_queue_position),
    _order("POST", "/portfolio/events/orders", orders.create),
    _order("DELETE", "/portfolio/events/orders", orders.cancel_all, LOW_COST),
    _order("POST", "/portfolio/events/orders/batched", order_changes.create_batch, is_batch=True),
    _order("DELETE", "/portfolio/events/orders/batched", order_changes.cancel_batch, LOW_COST, is_batch=True),
    _order("DELETE", "/portfolio/events/orders/{order_id}", orders.cancel, LOW_COST),
    _order("POST", "/portfolio/events/orders/{order_id}/amend", order_changes.amend),
    _order("POST", "/portfolio/events/orders/{order_id}/decrease", order_changes.decrease),
    _read("/portfolio/order_groups", order_groups.list_groups),
    _group("POST", "/create", order_groups.create),
    _read("/portfolio/order_groups/{order_group_id}", order_groups.get_group),
    _group("DELETE", "/{order_group_id}", order_groups.delete),
    _group("PUT", "/{order_group_id}/trigger", order_groups.trigger),
    _group("PUT", "/{order_group_id}/reset", order_groups.reset),
    _group("PUT", "/{order_group_id}/limit", order_groups.set_limit),
    _legacy("POST", ""),
    _legacy("DELETE", "/{order_id}"),
    _legacy("POST", "/{order_id}/amend"),
    _legacy("POST", "/{order_id}/decrease"),
)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a call costs and where. ``routed``: by ticker, so that every shard is billed."""

    tokens: int
    exchange_index: int | None
    routed: bool


def bill(rule: Rule, call: Call) -> Bill:
    """Work out the bill before anything is decoded for good.

    See: docs.kalshi.com/getting_started/exchange_sharding, read 2026-11-20.
    """
    body = _peek(call.body)
    if rule.is_batch:
        items = body.get("orders")
        return Bill(rule.cost * max(len(items) if isinstance(items, list) else 1, 1), None, False)
    index = body.get("exchange_index", call.text("exchange_index"))
    try:
        shard = None if index is None else int(index)
    except (TypeError, ValueError):
        shard = None
    has_ticker = bool(body.get("ticker") or body.get("market_ticker") or call.text("market_ticker"))
    routed = rule.is_order and has_ticker and shard in (None, -1)
    return Bill(rule.cost, shard if rule.is_order else None, routed)


def _peek(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body) if body else {}
    except UNREADABLE:
        return {}
    return decoded if isinstance(decoded, dict) else {}
