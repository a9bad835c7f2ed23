"""A REST client against the embedded exchange, and servers that misbehave on purpose."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from base.clock import Clock, SystemClock
from base.feed.clock_offset import ClockOffset
from base.kalshi.auth import load_signer
from base.kalshi.rate_budget import BucketLimit, RateBudget
from base.kalshi.rest_client import KalshiRest
from base.model import ExitOrder, Side
from base.simulator.server import SimulatorServer

PLENTY = BucketLimit(1e6, 1e6)
ORDERS = "/portfolio/events/orders"


def client_of(
    sim: SimulatorServer,
    *,
    url: str | None = None,
    timeout_s: float = 3.0,
    offset: ClockOffset | None = None,
    clock: Clock | None = None,
    on_recovered: Callable[[], None] | None = None,
    ed25519: bool = False,
) -> KalshiRest:
    """A client with the simulator's key and more budget than any test needs."""
    clock = clock or SystemClock()
    budget = RateBudget(clock)
    budget.set_limits(PLENTY, PLENTY)
    key = (
        (sim.ed25519_key_id, sim.ed25519_private_key_path) if ed25519 else (sim.key_id, sim.private_key_path)
    )
    return KalshiRest(
        url or sim.rest_url,
        load_signer(*key),
        budget,
        clock,
        offset or ClockOffset(),
        for_exits=True,
        timeout_s=timeout_s,
        on_recovered=on_recovered,
    )


def exit_of(
    ticker: str,
    side: Side = Side.YES,
    count: str = "10",
    price: str = "0.30",
    own_id: str = "sl-1",
    shard: int = 0,
) -> ExitOrder:
    """An exit order."""
    return ExitOrder(
        client_order_id=own_id,
        ticker=ticker,
        subaccount=0,
        exchange_index=shard,
        side=side,
        count=Decimal(count),
        price=Decimal(price),
    )


@contextmanager
def rude_server(
    talk: Callable[[socket.socket, bytes], None], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """A server on loopback: ``talk`` is given each connection and the head of its first request."""
    listener = socket.create_server(("127.0.0.1", 0))
    ending = threading.Event()

    def serve() -> None:
        while not ending.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            connection = plain if tls is None else tls.wrap_socket(plain, server_side=True)
            head = b""
            with connection:
                while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
                    head += more
                talk(connection, head)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http{'' if tls is None else 's'}://127.0.0.1:{listener.getsockname()[1]}/trade-api/v2"
    finally:
        ending.set()
        listener.close()
