"""Which call is answered by what, needs which scope, and costs how many tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from base.simulator.rest import exchange_info, market_data, orders, portfolio
from base.simulator.rest.call import Call, Handler
from base.simulator.rest.exchange_info import DEFAULT_COST, LOW_COST

PREFIX = "/trade-api/v2"
Cost = Callable[[Call], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One endpoint. ``scope`` None needs no signature; ``is_order`` writes bill per shard."""

    method: str
    path: str
    handler: Handler
    scope: str | None = "read"
    bucket: Literal["read", "write"] = "read"
    cost: int = DEFAULT_COST
    is_order: bool = False
    is_batch: bool = False


def _public(path: str, handler: Handler) -> Rule:
    return Rule(method="GET", path=path, handler=handler, scope=None)


def _read(path: str, handler: Handler, cost: int = DEFAULT_COST) -> Rule:
    return Rule(method="GET", path=path, handler=handler, cost=cost)


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


RULES: tuple[Rule, ...] = (
    _public("/exchange/status", exchange_info.get_status),
    _public("/exchange/schedule", exchange_info.get_schedule),
    _public("/exchange/user_data_timestamp", exchange_info.get_user_data_timestamp),
    _public("/account/endpoint_costs", exchange_info.get_endpoint_costs),
    _read("/account/limits", exchange_info.get_limits),
    _read("/api_keys", exchange_info.list_keys),
    _public("/markets", market_data.list_markets),
    _public("/markets/trades", market_data.list_trades),
    _read("/markets/orderbooks", market_data.get_books),
    _public("/markets/{ticker}", market_data.get_market),
    _public("/markets/{ticker}/orderbook", market_data.get_book),
    _read("/portfolio/balance", portfolio.get_balance),
    _read("/portfolio/positions", portfolio.list_positions),
    _read("/portfolio/fills", portfolio.list_fills),
    _read("/portfolio/settlements", portfolio.list_settlements),
    _read("/portfolio/orders", portfolio.list_orders),
    _read("/portfolio/orders/{order_id}", portfolio.get_order, LOW_COST),
    _order("POST", "/portfolio/events/orders", orders.create),
    _order("DELETE", "/portfolio/events/orders", orders.cancel_all, LOW_COST),
    _order("DELETE", "/portfolio/events/orders/{order_id}", orders.cancel, LOW_COST),
    _order("POST", "/portfolio/orders", orders.refuse_legacy, 100),
    _order("DELETE", "/portfolio/orders/{order_id}", orders.refuse_legacy, 20),
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
    except msgspec.DecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
