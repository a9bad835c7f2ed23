"""A tiny client of its own, so that the exchange is not judged by the code that it judges."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import requests
import websocket
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from base.simulator.key_files import KeyPair
from base.simulator.server import SimulatorServer

FEED_PATH = "/trade-api/ws/v2"
A, B = "KXSIM-26DEC31-A", "KXSIM-26DEC31-B"


@cache
def load_key(key_path: str) -> PrivateKeyTypes:
    """Read a key once: checking an RSA key takes longer than signing with it."""
    with open(key_path, "rb") as file:
        return serialization.load_pem_private_key(file.read(), password=None)


def signed(key_id: str, key_path: str, method: str, path: str, *, skew_s: float = 0.0) -> dict[str, str]:
    """Return the three headers."""
    key = load_key(key_path)
    stamp = str(int((time.time() + skew_s) * 1000))
    text = f"{stamp}{method}{path}".encode()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(text)
    else:
        assert isinstance(key, rsa.RSAPrivateKey)
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        signature = key.sign(text, pss, hashes.SHA256())
    return {
        "KALSHI-ACCESS-KEY": key_id,
        "KALSHI-ACCESS-TIMESTAMP": stamp,
        "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
    }


class Client:
    """Signed REST calls."""

    def __init__(self, sim: SimulatorServer, key: KeyPair | None = None, timeout_s: float = 5.0) -> None:
        self.sim = sim
        self.timeout_s = timeout_s
        self.key_id = key.key_id if key else sim.key_id
        self.key_path = key.private_key_path if key else sim.private_key_path
        self.session = requests.Session()

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one signed request."""
        url = self.sim.rest_url + path
        headers = signed(self.key_id, self.key_path, method, urlsplit(url).path)
        return self.session.request(method, url, headers=headers, timeout=self.timeout_s, **options)

    def get(self, path: str) -> Any:
        """Return the decoded body of a GET that succeeds."""
        reply = self.call("GET", path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def order(self, **fields: Any) -> requests.Response:
        """Create an order; the default is a reduce-only sale of 10 YES of market A, any price."""
        body = {
            "ticker": A,
            "side": "ask",
            "count": "10.00",
            "price": "0.0100",
            "time_in_force": "immediate_or_cancel",
            "self_trade_prevention_type": "maker",
            **fields,
        }
        return self.call("POST", "/portfolio/events/orders", json=body)


class Feed:
    """One WebSocket. Frames that were passed over stay in ``seen``."""

    def __init__(self, sim: SimulatorServer, timeout_s: float = 5.0) -> None:
        headers = signed(sim.key_id, sim.private_key_path, "GET", FEED_PATH)
        self.socket = websocket.create_connection(sim.websocket_url, header=headers, timeout=timeout_s)
        self.seen: list[dict[str, Any]] = []
        self._last_id = 0

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, cmd: str, **params: Any) -> int:
        """Send a command; return its id."""
        self._last_id += 1
        body: dict[str, Any] = {"id": self._last_id, "cmd": cmd}
        if params:
            body["params"] = params
        self.socket.send(json.dumps(body))
        return self._last_id

    def receive(self) -> dict[str, Any]:
        """Return the next frame."""
        frame: dict[str, Any] = json.loads(self.socket.recv())
        self.seen.append(frame)
        return frame

    def until(self, test: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next frame that passes the test."""
        while not test(frame := self.receive()):
            pass
        return frame

    def until_type(self, kind: str) -> dict[str, Any]:
        """Return the next frame of a type."""
        return self.until(lambda frame: frame["type"] == kind)

    def reply(self, cmd: str, **params: Any) -> dict[str, Any]:
        """Send a command and return the frame that answers it."""
        command_id = self.send(cmd, **params)
        return self.until(lambda frame: frame.get("id") == command_id)

    def subscribe(self, *channels: str, tickers: list[str] | None = None, **options: Any) -> dict[str, Any]:
        """Subscribe and return the first answer."""
        if tickers is not None:
            options["market_tickers"] = tickers
        return self.reply("subscribe", channels=list(channels), **options)


def eventually(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
