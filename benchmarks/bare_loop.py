"""The yardstick: the shortest program that sells when a frame says so, and guards nothing.

websocket-client ``recv`` → ``json.loads`` → RSA-PSS → ``requests`` over a connection kept open.
"""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests
import websocket
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from benchmarks.exchange_process import ORDERS, SAFE_BID, TOUCHING_BID, Address, ExchangeProcess

_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


class BareLoop:
    """One connection to the feed and one to REST, both open."""

    def __init__(self, address: Address, tickers: list[str]):
        self._address = address
        pem = Path(address.private_key_path).read_bytes()
        self._key = load_pem_private_key(pem, password=None)
        self._url = address.rest_url + ORDERS
        self._path = urlsplit(self._url).path
        self._session = requests.Session()
        self._session.trust_env = False
        feed_path = urlsplit(address.websocket_url).path
        self._feed = websocket.create_connection(address.websocket_url, header=self._signed("GET", feed_path))
        params = {"channels": ["orderbook_delta"], "market_tickers": tickers, "use_yes_price": True}
        self._feed.send(json.dumps({"id": 1, "cmd": "subscribe", "params": params}))
        status_path = urlsplit(address.rest_url).path + "/exchange/status"
        self._session.get(
            f"{address.rest_url}/exchange/status", headers=self._signed("GET", status_path), timeout=5
        )

    def close(self) -> None:
        """Close both connections."""
        self._feed.close()
        self._session.close()

    def sell(self, times: int) -> None:
        """Read frames until the best bid has vanished ``times`` times; sell each time."""
        while times:
            frame = json.loads(self._feed.recv())
            if frame["type"] != "orderbook_delta":
                continue
            msg = frame["msg"]
            if msg["price_dollars"] == f"{SAFE_BID}00" and msg["delta_fp"].startswith("-"):
                self._post(msg["market_ticker"], times)
                times -= 1

    def _post(self, ticker: str, number: int) -> None:
        order = {
            "ticker": ticker,
            "client_order_id": f"bare-{id(self)}-{number}",
            "side": "ask",
            "count": "1.00",
            "price": f"{TOUCHING_BID}00",
            "time_in_force": "immediate_or_cancel",
            "self_trade_prevention_type": "maker",
            "reduce_only": True,
            "subaccount": 0,
            "exchange_index": 0,
        }
        answer = self._session.post(
            self._url, json=order, headers=self._signed("POST", self._path), timeout=5
        )
        answer.raise_for_status()

    def _signed(self, method: str, path: str) -> dict[str, str]:
        stamp = str(time.time_ns() // 1_000_000)
        signature = self._key.sign(f"{stamp}{method}{path}".encode(), _PSS, hashes.SHA256())
        return {
            "KALSHI-ACCESS-KEY": self._address.key_id,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
        }


def bare_delays_ms(exchange: ExchangeProcess, ticker: str, times: int, pause_s: float) -> list[float]:
    """Let the bare loop sell ``times`` times on a market that the member holds."""
    loop = BareLoop(exchange.address, [ticker])
    try:
        exchange.begin("touch_all", [ticker] * times, pause_s, rearms=True)
        loop.sell(times)
        delays: list[float] = exchange.end()
        return delays
    finally:
        loop.close()
