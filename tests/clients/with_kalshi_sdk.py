"""kalshi-sdk: asynchronous, typed, strict about every frame."""

from __future__ import annotations

from kalshi import AsyncKalshiClient, CreateOrderV2Request, KalshiConfig

from tests.clients.visit import HELD, SALE, Exchange, Seen, report


async def visit(exchange: Exchange) -> Seen:
    """Read, subscribe, sell.

    Of the market its book is read: the model of a market demands ``liquidity_dollars``, which
    openapi.yaml 3.34.0 does not have. While it subscribes it drops data frames, so the channel
    whose first frame matters comes last.
    """
    where = KalshiConfig(
        base_url=exchange.rest_url, ws_base_url=exchange.websocket_url, allow_unknown_host=True
    )
    sale = CreateOrderV2Request(client_order_id="kalshi-sdk", **SALE)
    async with AsyncKalshiClient(
        key_id=exchange.key_id, private_key_path=exchange.private_key_path, config=where
    ) as client:
        book = await client.markets.orderbook(HELD)
        positions = (await client.portfolio.positions()).market_positions
        async with client.ws.connect() as feed:
            fills = await feed.subscribe_fill()
            tickers = await feed.subscribe_ticker(tickers=[HELD])
            books = await feed.subscribe_orderbook_delta(tickers=[HELD])
            frames = [await anext(books), await anext(tickers)]
            order = await client.orders.create_v2(request=sale)
            frames.append(await anext(fills))
    return Seen(
        markets=[book.ticker] if book.yes and book.no else [],
        position=str(next(p.position for p in positions if p.ticker == HELD)),
        sold=str(order.fill_count),
        frames=[frame.type for frame in frames],
    )


if __name__ == "__main__":
    report(visit)
