"""A client that others wrote for the real exchange works here unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, eventually

pykalshi = pytest.importorskip("pykalshi", reason="needs the pykalshi package")


def test_pykalshi_reads_subscribes_and_sells(sim: SimulatorServer) -> None:
    """Markets, positions, balance, a feed, an IOC sale."""
    with pykalshi.KalshiClient(
        api_key_id=sim.key_id, private_key_path=sim.private_key_path, api_base=sim.rest_url
    ) as client:
        assert [m.ticker for m in client.get_markets()] == [A]
        position = client.portfolio.get_positions()[0]
        assert (position.ticker, str(position.position_fp)) == (A, "25.00")
        assert client.portfolio.get_balance() is not None
        feed = client.feed()
        feed._ws_url = sim.websocket_url
        seen: list[Any] = []
        for channel in ("ticker", "orderbook_delta", "fill"):
            feed.on(channel, seen.append)
            feed.subscribe(channel, market_ticker=A)
        feed.start()
        try:
            assert feed.is_connected
            eventually(lambda: bool(seen))
            order = client.portfolio.place_order(
                A,
                book_side="ask",
                count_fp="10.00",
                price_dollars="0.4000",
                time_in_force=pykalshi.TimeInForce.IOC,
                reduce_only=True,
            )
            assert str(order.fill_count_fp) == "10.00"
            eventually(lambda: any(type(m).__name__ == "FillMessage" for m in seen))
        finally:
            feed.stop()
    assert sim.position(A) == 15
