"""One installation of the program: its folder, and the process that runs on it now, if any."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from base.app.account_folder import AccountFolder
from base.app.control import ask
from base.errors import MonitorError
from benchmarks.exchange_process import Address
from tests.reference import ROOT
from tests.torture.witness import STOP

LOOK_S = 0.02
LIFE_S = 300
"""A program ends by itself after this, should the battery die before it."""
ENDS = frozenset({"CLOSED", "RETIRED", "CANCELLED", "WITHDRAWN"})


class NotSo(Exception):
    """What a round waits for did not happen in time: the promise it is about is broken, or the round is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intents:
    """What journals say of exits."""

    ids: frozenset[str]
    open: frozenset[str]  # their newest row is no end
    quantities: Mapping[str, str]  # contracts, by ticker; the largest where there were several
    attempts: frozenset[str]  # client order ids


class Program:
    """``python run.py run`` on the folder of a round. At most one process at a time, but for ``second``."""

    def __init__(self, folder: Path, address: Address, *settings: str):
        self.folder = folder
        self._arguments = ["run", "--no-ui", "--for", str(LIFE_S), "--config", str(ROOT / "config.yaml")]
        for setting in [
            *address.settings,
            f'stops.default={{stop: "{STOP}"}}',
            f"paths.data={folder / 'data'}",
            f"paths.logs={folder / 'logs'}",
            f"paths.emergency={folder / 'emergency'}",
            *settings,
        ]:
            self._arguments += ["--set", setting]
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self.began_s = 0.0  # monotonic

    # --- the process ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it as a person does."""
        self._start([str(ROOT / "run.py")])

    def start_to_die(self, hook: str, nth: int = 1) -> None:
        """Start it; it dies at the ``nth`` time it comes to ``hook``."""
        mark = self.folder / f"died-{self._starts}"
        self._start(["-m", "tests.torture.launcher", hook, str(nth), str(mark)])

    def _start(self, how: list[str]) -> None:
        assert not self.is_running
        self._process = self.spawn(how)
        self.began_s = time.monotonic()

    def spawn(self, how: list[str] | None = None) -> subprocess.Popen[bytes]:
        """Start one more, whatever runs; what it says is kept in the folder."""
        self._starts += 1
        with (self.folder / f"said-{self._starts}.txt").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, *(how or [str(ROOT / "run.py")]), *self._arguments],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip

    def take(self, process: subprocess.Popen[bytes], began_s: float) -> None:
        """Go on with a process that ``spawn`` started."""
        self._process, self.began_s = process, began_s

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal to its whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """``kill -9``, now."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()

    def wait_dead(self, hook: str, timeout_s: float) -> None:
        """Wait until it was killed at its hook.

        Raises:
            NotSo: It never came there, or it ended otherwise.
        """
        assert self._process is not None
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotSo(f"the hook {hook!r} was not reached within {timeout_s:g} s") from None
        if status != -signal.SIGKILL:
            raise NotSo(f"it ended with status {status} before the hook {hook!r}: {self.said()}")

    def said(self) -> str:
        """The end of what the newest process said."""
        return (self.folder / f"said-{self._starts}.txt").read_text(errors="replace")[-600:]

    # --- what it shows ----------------------------------------------------------------------------

    def status(self) -> dict[str, Any] | None:
        """What ``status --json`` shows; ``None``: nobody answers yet."""
        for path in self.folder.glob("data/custom-*"):
            with contextlib.suppress(MonitorError):
                found: dict[str, Any] = ask(AccountFolder(path), "status")
                return found
        return None

    def ask(self, command: str, arguments: Mapping[str, object]) -> None:
        """Type a command; it may die over it."""
        for path in self.folder.glob("data/custom-*"):
            with contextlib.suppress(MonitorError):
                ask(AccountFolder(path), command, arguments)

    def events(self) -> list[str]:
        """Lines of the stop-loss log."""
        path = self.folder / "logs" / "stop_loss.log"
        return path.read_text().splitlines() if path.exists() else []

    def wait(self, condition: Any, what: str, timeout_s: float, every_s: float = LOOK_S) -> None:
        """Wait until ``condition()`` holds.

        Raises:
            NotSo: It did not within ``timeout_s``, or the process ended meanwhile.
        """
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if not self.is_running:
                status = None if self._process is None else self._process.returncode
                raise NotSo(f"the program ended ({status}) while waiting until {what}: {self.said()}")
            if time.monotonic() > deadline_s:
                raise NotSo(f"not {what} within {timeout_s:g} s: {self._shown()}")
            time.sleep(every_s)

    def _shown(self) -> str:
        """Its status in a line."""
        if (status := self.status()) is None:
            return "no status"
        rows = [f"{p['ticker']} {p['state']} {p['protection']} {p['reason']}" for p in status["positions"]]
        return ", ".join([*rows, f"connected {status['connected']}", *status["alarms"]])

    # --- its journal ------------------------------------------------------------------------------

    def journals(self) -> list[Path]:
        """The journal, and damaged ones that were put aside."""
        return sorted(self.folder.glob("data/custom-*/journal.sqlite*"))

    def intents(self) -> Intents:
        """What the journal, and those put aside as far as they can be read, say of exits."""
        quantities: dict[str, str] = {}
        newest: dict[str, str] = {}
        attempts: set[str] = set()
        for path in self.journals():
            if path.name.endswith(("-wal", "-shm")):
                continue
            with (
                contextlib.suppress(sqlite3.Error),
                closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as reader,
            ):
                for intent, ticker, count in reader.execute(
                    "SELECT intent_id, ticker, quantity FROM intents"
                ):
                    newest.setdefault(intent, "TRIGGERED")
                    quantities[ticker] = max(quantities.get(ticker, "0"), count, key=float)
                attempts |= {row[0] for row in reader.execute("SELECT client_order_id FROM attempts")}
                moved = "SELECT intent_id, to_state FROM transitions WHERE intent_id IS NOT NULL ORDER BY seq"
                newest |= dict(reader.execute(moved).fetchall())
        return Intents(
            ids=frozenset(newest),
            open=frozenset(intent for intent, state in newest.items() if state not in ENDS),
            quantities=quantities,
            attempts=frozenset(attempts),
        )
