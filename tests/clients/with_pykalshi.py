"""pykalshi: synchronous, typed, a feed on a thread of its own."""

from __future__ import annotations

from pykalshi import KalshiClient, TimeInForce

from tests.clients.visit import FEED, HELD, Exchange, Seen, report
from tests.support import eventually


def visit(exchange: Exchange) -> Seen:
    """Read, subscribe, sell."""
    with KalshiClient(
        api_key_id=exchange.key_id,
        private_key_path=exchange.private_key_path,
        api_base=exchange.rest_url,
    ) as client:
        markets = [market.ticker for market in client.get_markets()]
        [position] = [p for p in client.portfolio.get_positions() if p.ticker == HELD]
        feed = client.feed()
        feed._ws_url = exchange.websocket_url  # it has no setting for the feed's address
        types: set[str] = set()
        for channel in ("ticker", "orderbook_delta", "fill"):
            feed.on(channel, lambda message: types.add(KINDS.get(type(message).__name__, "")))
            feed.subscribe(channel, market_ticker=HELD)
        feed.start()
        try:
            eventually(lambda: "ticker" in types, timeout_s=20)
            order = client.portfolio.place_order(
                HELD,
                book_side="ask",
                count_fp="1.00",
                price_dollars="0.0100",
                time_in_force=TimeInForce.IOC,
                reduce_only=True,
            )
            eventually(lambda: types >= FEED, timeout_s=20)
        finally:
            feed.stop()
    return Seen(
        markets=markets,
        position=str(position.position_fp),
        sold=str(order.fill_count_fp),
        frames=sorted(types),
    )


KINDS = {
    "TickerMessage": "ticker",
    "OrderbookSnapshotMessage": "orderbook_snapshot",
    "OrderbookDeltaMessage": "orderbook_delta",
    "FillMessage": "fill",
}


if __name__ == "__main__":
    report(visit)
