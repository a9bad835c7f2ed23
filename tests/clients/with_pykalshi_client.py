"""pykalshi-client: asynchronous; imported by the name of another client, pykalshi."""

from __future__ import annotations

import asyncio
import json

from pykalshi import ClientConfig, KalshiCredentials, KalshiHttpClient, KalshiWebSocketClient
from pykalshi.api import markets, portfolio

from tests.clients.visit import FEED, HELD, SALE, Exchange, Seen, report, until


async def visit(exchange: Exchange) -> Seen:
    """Read, subscribe, sell.

    Markets and positions are read undecoded: its models of June 2026 demand members that the
    exchange has dropped since.
    """
    key = KalshiCredentials.from_key_file(exchange.key_id, exchange.private_key_path)
    where = ClientConfig(http_base_url=exchange.rest_origin, ws_base_url=exchange.websocket_origin)
    types: set[str] = set()

    async def note(frame: str) -> None:
        types.add(json.loads(frame)["type"])

    feed = KalshiWebSocketClient(key, where, on_message_callback=note)
    async with KalshiHttpClient(key, where) as client:
        listed = (await markets.get_markets(client, status="open"))["markets"]
        held = (await portfolio.get_positions(client))["market_positions"]
        await feed.connect()
        listening = asyncio.create_task(feed.listener_loop())
        await feed.add_market(HELD, ["ticker", "orderbook_delta", "fill"])
        await until(lambda: {"ticker", "orderbook_snapshot"} <= types)
        order = await client.create_event_order(client_order_id="pykalshi-client", **SALE)
        await until(lambda: types >= FEED)
        await feed.close()
        await listening
    return Seen(
        markets=[market["ticker"] for market in listed],
        position=next(p["position_fp"] for p in held if p["ticker"] == HELD),
        sold=order.fill_count,
        frames=sorted(types),
    )


if __name__ == "__main__":
    report(visit)
