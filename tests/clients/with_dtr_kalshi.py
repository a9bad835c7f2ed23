"""dtr-kalshi: signs and sends; paths and bodies are its user's."""

from __future__ import annotations

from dtr_kalshi import KalshiSyncClient, KalshiWebSocketConnection

from tests.clients.visit import FEED, HELD, SALE, Exchange, Seen, report


async def visit(exchange: Exchange) -> Seen:
    """Read, subscribe, sell."""
    client = KalshiSyncClient(exchange.key_id, exchange.private_key_path)
    client.api_base_url = exchange.rest_origin
    markets = client.get("/markets", {"status": "open"})["markets"]
    positions = client.get("/portfolio/positions")["market_positions"]
    feed = KalshiWebSocketConnection(exchange.key_id, exchange.private_key_path)
    feed.ws_base_url = exchange.websocket_origin
    order: dict[str, str] = {}
    types: set[str] = set()
    async with feed:
        channels = ["ticker", "orderbook_delta", "fill"]
        await feed.send_message("subscribe", {"channels": channels, "market_tickers": [HELD]})
        async for frame in feed:
            types.add(frame["type"])
            if not order and types >= FEED - {"fill"}:
                order = client.post("/portfolio/events/orders", SALE)
            if types >= FEED:
                break
    return Seen(
        markets=[market["ticker"] for market in markets],
        position=next(p["position_fp"] for p in positions if p["ticker"] == HELD),
        sold=order["fill_count"],
        frames=sorted(types),
    )


if __name__ == "__main__":
    report(visit)
