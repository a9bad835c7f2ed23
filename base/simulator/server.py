"""The embedded exchange inside a test: the real server on real sockets, and its controls.

>>> with SimulatorServer() as sim:
...     sim.add_market("KXSIM-26DEC31-A")
...     sim.set_book("KXSIM-26DEC31-A", yes=[("0.50", "100")], no=[("0.48", "100")])
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from base.simulator.clock import Clock, SystemClock
from base.simulator.controls import Controls
from base.simulator.key_controls import KeyControls
from base.simulator.key_files import KeyPair, create_ed25519, create_rsa
from base.simulator.keys import ApiKey
from base.simulator.rate_limits import UNLIMITED, Tier
from base.simulator.running import Running
from base.simulator.scenarios.catalogue import find
from base.simulator.semantics import Semantics
from base.simulator.venue import MEMBER, Venue

T = TypeVar("T")
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0


class SimulatorServer(Controls, KeyControls):
    """The server in a background thread on a free port of 127.0.0.1.

    Every control runs on the server's own thread and returns when it is done, so a test may
    call them from anywhere. ``tier`` limits requests; unlimited unless a test is about limits.
    """

    def __init__(
        self,
        scenario: str = "empty",
        seed: int = 0,
        speed: float = 1.0,
        semantics: Semantics | None = None,
        clock: Clock | None = None,
        tier: Tier = UNLIMITED,
        cash: str = "10000",
        port: int = 0,
    ) -> None:
        super().__init__()
        self.clock = clock or SystemClock()
        self.semantics = semantics or Semantics()
        self._scenario, self._seed, self._speed, self._tier = scenario, seed, speed, tier
        self._cash, self._port = Decimal(cash), port
        self._started = threading.Event()
        self._thread: threading.Thread | None = None
        self._running: Running | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> SimulatorServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start serving; returns once connections are accepted."""
        self._folder = Path(tempfile.mkdtemp(prefix="simulator-"))
        self.rsa, self.ed25519 = create_rsa(self._folder), create_ed25519(self._folder)
        venue = Venue(self.semantics, self.clock, self._tier, salt=secrets.randbits(32))
        for pair in (self.rsa, self.ed25519):
            venue.keys[pair.key_id] = ApiKey(
                key_id=pair.key_id, public_key=pair.public_key, account_id=MEMBER
            )
        listener = socket.create_server(("127.0.0.1", self._port), backlog=1024)
        scenario = find(self._scenario)
        running = Running(venue, scenario, listener, seed=self._seed, speed=self._speed)
        self._running = running
        if self._scenario == "empty" and self._cash:
            for shard in venue.exchange.state.shards:
                venue.exchange.deposit(MEMBER, self._cash, venue.now_ms(), exchange_index=shard)
            venue.publish()
            venue.reads.show_everything(venue.now_ms())
        self._thread = threading.Thread(target=self._serve, name="simulator", daemon=True)
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_S):
            raise TimeoutError("the simulator did not start")

    def stop(self) -> None:
        """Stop serving; connections are cut. The key files are removed."""
        if self._thread is not None and self._loop is not None and self._running is not None:
            self._loop.call_soon_threadsafe(self._running.stop)
            self._thread.join(STOP_TIMEOUT_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        asyncio.run(self._serve_until_stopped())

    async def _serve_until_stopped(self) -> None:
        running = self.running
        self._loop = asyncio.get_running_loop()
        serving = asyncio.create_task(running.serve())
        while not running.is_accepting and not serving.done():
            await asyncio.sleep(0.001)
        self._started.set()
        await serving

    @property
    def running(self) -> Running:
        """Return the running server. Only its own thread may change what is behind it."""
        if self._running is None:
            raise RuntimeError("the simulator is not started")
        return self._running

    def at_once(self, act: Callable[[], T]) -> T:
        """Run ``act``, which may use any controls, in one go: to set up very much."""
        return self._call(act)

    def _call(self, act: Callable[[], T]) -> T:
        """Run ``act`` on the server's thread, publish what it did, return its result."""
        if self._loop is None:
            raise RuntimeError("the simulator is not started")
        if threading.current_thread() is self._thread:  # within ``at_once``
            return act()

        async def run() -> T:
            self.running.venue.advance()
            try:
                return act()
            finally:
                self.running.venue.publish()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(STOP_TIMEOUT_S)

    def add_key(
        self,
        *,
        scopes: tuple[str, ...] = ("read", "write"),
        subaccount: int | None = None,
        account_id: str = MEMBER,
    ) -> KeyPair:
        """Register one more Ed25519 key, e.g. read-only or locked to a sub-account."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        pair = create_ed25519(folder)
        key = ApiKey(
            key_id=pair.key_id,
            public_key=pair.public_key,
            account_id=account_id,
            scopes=scopes,
            subaccount=subaccount,
        )
        self._call(lambda: self.running.venue.keys.update({pair.key_id: key}))
        return pair

    # Where to find it

    @property
    def rest_url(self) -> str:
        """Return the REST base."""
        return f"http://127.0.0.1:{self.running.port}/trade-api/v2"

    @property
    def websocket_url(self) -> str:
        """Return the WebSocket address."""
        return f"ws://127.0.0.1:{self.running.port}/trade-api/ws/v2"

    @property
    def key_id(self) -> str:
        """Return the id of the RSA key."""
        return self.rsa.key_id

    @property
    def private_key_path(self) -> str:
        """Return the file of the RSA key, mode 0600."""
        return self.rsa.private_key_path

    @property
    def ed25519_key_id(self) -> str:
        """Return the id of the Ed25519 key."""
        return self.ed25519.key_id

    @property
    def ed25519_private_key_path(self) -> str:
        """Return the file of the Ed25519 key, mode 0600."""
        return self.ed25519.private_key_path

    rsa: KeyPair
    ed25519: KeyPair
