"""kalshi-python-sync: Kalshi's own, generated from openapi.yaml. It has no feed."""

from __future__ import annotations

from pathlib import Path

from kalshi_python_sync import Configuration, KalshiClient

from tests.clients.visit import HELD, SALE, Exchange, Seen, report


def visit(exchange: Exchange) -> Seen:
    """Read and sell."""
    settings = Configuration(host=exchange.rest_url)
    settings.api_key_id = exchange.key_id
    settings.private_key_pem = Path(exchange.private_key_path).read_text()
    client = KalshiClient(settings)
    positions = client.get_positions().market_positions
    return Seen(
        markets=[market.ticker for market in client.get_markets(status="open").markets],
        position=next(p.position_fp for p in positions if p.ticker == HELD),
        sold=client.create_order_v2(**SALE).fill_count,
        frames=None,
    )


if __name__ == "__main__":
    report(visit)
