"""The embedded exchange in a process of its own, so that it and the program have a core each.

Commands go over a pipe: any control of ``SimulatorServer``, or a method of ``Driver``. The driver
measures on its own side; CLOCK_MONOTONIC is the same in all processes of one machine.
"""

from __future__ import annotations

import logging
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from base.simulator import rate_limits
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from benchmarks.measuring import NS_PER_MS, NotReached, until

SAFE_BID, TOUCHING_BID, DEEP_BID = "0.44", "0.39", "0.30"
STOP = "0.40"
ASK, WIDE_ASK = "0.46", "0.56"
"""YES prices. A wide spread is not believed: the program reads the book by REST before it sells."""
ORDERS = "/portfolio/events/orders"
PRICES = "/markets/orderbooks"
_BURST = 4
_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the exchange is, and the key that opens it."""

    rest_url: str
    websocket_url: str
    key_id: str
    private_key_path: str

    @property
    def settings(self) -> list[str]:
        """Settings that reach it, live, as ``--set`` takes them."""
        return [
            "exchange.environment=custom",
            f"exchange.rest_url={self.rest_url}",
            f"exchange.websocket_url={self.websocket_url}",
            f"exchange.key_id={self.key_id}",
            f"exchange.private_key_path={self.private_key_path}",
            "execution=live",
        ]


class Driver:
    """What the benchmarks do to the exchange, inside its process."""

    def __init__(self, sim: SimulatorServer):
        self._sim = sim
        self._quiet = threading.Event()
        self._traffic: threading.Thread | None = None

    def list_markets(self, tickers: Sequence[str], held: str = "0", ask: str = ASK) -> None:
        """List markets whose bid is safely above the stop, and let the member hold ``held`` of each."""

        def list_them() -> None:
            for ticker in tickers:
                self._sim.add_market(ticker)
                self._arrange(ticker, ask)
                if held != "0":
                    self._sim.set_position(ticker, held, "0.60")

        self._sim.at_once(list_them)

    def _arrange(self, ticker: str, ask: str = ASK) -> None:
        bids = [(SAFE_BID, "100"), (TOUCHING_BID, "500"), (DEEP_BID, "100"), ("0.20", "100")]
        best = 1 - Decimal(ask)
        self._sim.set_book(ticker, yes=bids, no=[(best, "500"), (best - Decimal("0.05"), "500")])

    def start_traffic(self, held: Sequence[str], watched: Sequence[str], frames_per_s: int) -> None:
        """Send frames from now on: half of them deltas of held books, half tickers of watched markets."""
        self._quiet.clear()
        turns = [(ticker, DEEP_BID) for ticker in held] + [(ticker, SAFE_BID) for ticker in watched]
        random.Random(0).shuffle(turns)
        self._traffic = threading.Thread(target=self._send, args=(turns, frames_per_s), daemon=True)
        self._traffic.start()

    def stop_traffic(self) -> None:
        """End the traffic."""
        self._quiet.set()
        if self._traffic is not None:
            self._traffic.join()

    def _send(self, turns: list[tuple[str, str]], frames_per_s: int) -> None:
        due_s, at = time.monotonic(), 0
        while not self._quiet.wait(max(0.0, due_s - time.monotonic())):
            ticker, price = turns[at % len(turns)]
            self._sim.burst(ticker, _BURST, price)
            due_s, at = max(due_s + _BURST / frames_per_s, time.monotonic() - 0.1), at + 1

    def touch_all(self, tickers: Sequence[str], pause_s: float, *, rearms: bool = False) -> list[float]:
        """Let the bid of each market touch its stop, one after the other.

        Returns:
            Milliseconds from the frame's write to the arrival of the order, for each.
        """
        chance = random.Random(0)
        delays_ms = []
        for ticker in tickers:
            delays_ms.append(self._touch(ticker))
            if rearms:
                self._arrange(ticker)
            # Not in step with any timer of the program's.
            time.sleep(pause_s * chance.uniform(0.5, 1.5))
        return delays_ms

    def _touch(self, ticker: str) -> float:
        self._sim.forget_requests()
        frames = self._sim.record_frames()
        self._sim.set_level(ticker, "bid", SAFE_BID, "0")
        times_ns = self._sim.frame_times_ns
        marks = (b"orderbook_delta", ticker.encode(), f'"{SAFE_BID}00"'.encode())
        sent_ns = next(
            at_ns
            for frame, at_ns in zip(list(frames), times_ns, strict=False)
            if all(mark in frame for mark in marks)
        )
        return (self.order_ns(ticker) - sent_ns) / NS_PER_MS

    def order_ns(self, ticker: str) -> int:
        """When the first order for ``ticker`` arrived, ``time.monotonic_ns``; wait for it."""
        wanted = f'"{ticker}"'.encode()
        found: list[int] = []

        def has_come() -> bool:
            found[:] = [
                request.received_ns
                for request in self._sim.requests
                if request.method == "POST" and request.path.endswith(ORDERS) and wanted in request.body
            ]
            return bool(found)

        until(has_come, 10.0, every_s=0.002)
        return found[0]

    def reads(self) -> list[str]:
        """The path of every read since requests were last forgotten, below the API's root."""
        asked = [r for r in self._sim.requests if r.method == "GET" and not r.is_upgrade]
        return [request.path.partition("/v2")[2] for request in asked]

    def requests_of(self, path_end: str) -> int:
        """How many requests of this path have come since they were last forgotten."""
        return sum(request.path.endswith(path_end) for request in self._sim.requests)


class ExchangeProcess:
    """The handle on it. A context manager."""

    def __init__(
        self,
        tier: str = "UNLIMITED",
        driver: Callable[[SimulatorServer], object] = Driver,
        semantics: Semantics | None = None,
    ):
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(target=_serve, args=(theirs, tier, driver, semantics), daemon=True)
        self._process.start()
        theirs.close()
        self.address: Address = self._result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()

    def do(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Carry out one command over there and return its result."""
        self.begin(name, *args, **kwargs)
        return self._result()

    def begin(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Begin a command; ``end`` waits for its result."""
        self._pipe.send((name, args, kwargs))

    def end(self) -> Any:
        """Return the result of the command begun."""
        return self._result()

    def _result(self) -> Any:
        result = self._pipe.recv()
        if isinstance(result, Exception):
            raise result
        return result


def _serve(
    pipe: Connection,
    tier: str,
    drive: Callable[[SimulatorServer], object],
    semantics: Semantics | None,
) -> None:
    logging.disable(logging.CRITICAL)
    with SimulatorServer(tier=getattr(rate_limits, tier), cash="1000000", semantics=semantics) as sim:
        driver = drive(sim)
        pipe.send(
            Address(
                rest_url=sim.rest_url,
                websocket_url=sim.websocket_url,
                key_id=sim.key_id,
                private_key_path=sim.private_key_path,
            )
        )
        while True:
            try:
                name, args, kwargs = pipe.recv()
            except EOFError:
                return
            try:
                pipe.send(getattr(driver if hasattr(driver, name) else sim, name)(*args, **kwargs))
            except Exception as e:
                pipe.send(NotReached(f"{name}: {e!r}"))
