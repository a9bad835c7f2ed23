"""The program under test as a process that starts, is killed and starts again on the same folder."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading as real_threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from greenlet import GreenletExit

import base.app.key_watch
import base.app.starting
import base.app.wiring
import base.kalshi.rest_transport
import base.kalshi.websocket_client
from base.app.account_folder import AccountFolder
from base.app.config import Config
from base.app.credentials import Access
from base.app.stopping import Stops
from base.app.wiring import Parts
from base.clock import SystemClock
from base.errors import MonitorError
from base.kalshi.auth import load_signer
from base.kalshi.endpoints import endpoints_of
from base.risk.event_log import EventLog, format_line
from base.risk.messages import Line
from tests.simulation import network, threads
from tests.simulation.exchange import KEY, KEY_ID
from tests.simulation.plan import Plan
from tests.simulation.scheduler import Process, Scheduler, Task

REST_URL, FEED_URL = "http://127.0.0.1:1/trade-api/v2", "ws://127.0.0.1:1/trade-api/ws/v2"
PARENT_S = 5.0
"""The parent starts a dead child again within this."""
_PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
SIGNER = load_signer(KEY_ID, "", _PEM)


class Silence:
    """A stream that nobody reads."""

    def write(self, text: str) -> int:
        """Swallow."""
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


class MemoryLog(EventLog):
    """The event log, without its file: the judge reads it."""

    def __init__(self, path: Path, clock: SystemClock, echo: object = None, mark: object = None):
        self._clock = clock
        self._mark = {}
        self.failures = 0

    def write(self, line: Line) -> None:
        """Show the judge one line, as it would stand in the file."""
        threads.RUN.watch.line(line, format_line(line, self._clock.utc_ms()))

    def recent(self, count: int) -> list[str]:
        """Nobody asks."""
        return []

    def close(self) -> None:
        """Nothing to close."""


def plug_in() -> None:
    """Put the simulated network and log into the program's modules. Once per process."""
    logging.disable(logging.CRITICAL)
    for module, name, substitute in (
        (base.kalshi.rest_transport, "DeadlineAdapter", network.Adapter),
        (base.kalshi.rest_transport, "Dialer", lambda clock: None),
        (base.kalshi.websocket_client, "Connector", network.Connector),
        (base.kalshi.websocket_client, "Dialer", lambda clock: None),
        (base.kalshi.websocket_client, "Waker", network.Waker),
        (base.app.wiring, "EventLog", MemoryLog),
        (base.app.wiring, "CurrentStderr", Silence),
        (base.app.key_watch, "CurrentStderr", Silence),
        (base.app.starting, "CurrentStderr", Silence),
        (base.app.starting, "CurrentStderr", Silence),
    ):
        setattr(module, name, substitute)


class Program:
    """One installation: a folder, and the process that runs on it now, if any."""

    def __init__(self, plan: Plan, scheduler: Scheduler, machine: Any, folder: Path):
        self._scheduler, self._machine = scheduler, machine
        self.folder = folder
        self.config = _config(plan, folder)
        self.process: Process | None = None
        self.parts: Parts | None = None
        self.is_guarding = False  # recovery is done
        self.starts = 0
        self.ends: list[str] = []
        self.told: Callable[[str], None] = lambda what: None
        self._owned: AccountFolder | None = None

    @property
    def is_running(self) -> bool:
        """Whether a process runs."""
        return self.process is not None and not self.process.is_dead

    @property
    def journal_path(self) -> Path:
        """The journal's file."""
        return self._account_folder().journal

    def start(self) -> None:
        """Start a process, unless one runs."""
        if self.is_running:
            return
        self.starts += 1
        self.process = Process(self._machine, f"program-{self.starts}")
        self._scheduler.spawn("main", self._main, self.process)

    def kill(self, why: str) -> None:
        """End the process at once, wherever it is. The kernel frees its lock."""
        if not self.is_running or self.process is None:
            return
        self.process.is_dead = True
        self.let_go()
        self.is_guarding, self.parts = False, None
        self.ends.append(why)
        self.told(f"killed: {why}")
        current = self._scheduler.current
        if current is not None and current.process is self.process:
            raise GreenletExit

    def let_go(self) -> None:
        """What the kernel does with the files of a process that ends."""
        if self.parts is not None:
            for kept in (self.parts.journal.emergency, self.parts.journal.head):
                if kept is not None:
                    kept.close()
        if self._owned is not None:
            self._owned.release()
            self._owned = None

    def _account_folder(self) -> AccountFolder:
        return AccountFolder(self.folder / "data" / f"custom-{SIGNER.account_hash}")

    def _main(self) -> None:
        access = Access(
            environment="custom", endpoints=endpoints_of("custom", REST_URL, FEED_URL), signer=SIGNER
        )
        folder = self._account_folder()
        folder.claim()
        self._owned = folder
        clock = SystemClock()
        stops = Stops(clock)
        self.parts = Parts(self.config, access, folder, clock, self._crashed)
        try:
            base.app.starting.recover(
                self.parts, self.config, access, clock, stops, base.app.starting.threading.Event()
            )
        except MonitorError as e:
            # As the real one: what it cannot start with ends it, and its parent tries again.
            self._scheduler.after(PARENT_S, self.start)
            self.kill(f"could not start: {str(e).replace(str(self.folder), '…')}")
        self.is_guarding = True
        self.told("guarding")

    def _crashed(self, name: str, error: BaseException | None) -> None:
        """A critical thread died: the process ends, its parent starts it again."""
        threads.RUN.watch.crashed(name, error)
        self._scheduler.after(PARENT_S / 2, self.start)
        self.kill(f"thread {name} died")

    def crashed_task(self, task: Task, error: BaseException) -> None:
        """An exception left a thread."""
        threads.RUN.watch.crashed(task.name, error)


def _config(plan: Plan, folder: Path) -> Config:
    rules = [{"market": holding.ticker, **holding.rule} for holding in plan.holdings]
    return Config.model_validate(
        {
            "exchange": {
                "environment": "custom",
                "rest_url": REST_URL,
                "websocket_url": FEED_URL,
                "key_id": KEY_ID,
            },
            "execution": "live",
            "stops": {**plan.settings, "rules": tuple(rules), "default": {"stop": "0.30"}},
            "paths": {"data": str(folder / "data"), "logs": str(folder / "logs")},
        }
    )


def new_folder() -> Path:
    """A folder in memory: a commit there costs no disk."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="simulation-", dir=shared if shared.is_dir() else None))


def remove(folder: Path) -> None:
    """Take a folder away."""
    shutil.rmtree(folder, ignore_errors=True)


def real_thread_count() -> int:
    """How many real threads this process has: a simulation has one."""
    return real_threading.active_count()
