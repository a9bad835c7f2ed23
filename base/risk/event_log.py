"""logs/stop_loss.log: one line per stop-loss event, for ``tail -F``. Its format is a contract.

``2026-11-20T14:03:07.123Z EVENT ticker=… subaccount=… side=… key=value …``, UTC, no spaces in values.
A thread of its own writes: whoever has something to say does not wait for the disk, however long it takes.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from base.clock import Clock, utc_text
from base.errors import ConfigError
from base.risk.messages import Line

EVENTS = frozenset({
    "ARMED", "RESIZED", "TRIGGERED", "NO_BID", "SENT", "FILLED", "PARTIAL", "NO_FILL", "UNKNOWN", "FOUND",
    "CONFIRMING", "CLOSED", "STUCK", "WAITING", "REFUSED", "FLIPPED", "RETIRED", "CANCELLED", "EXTERNAL",
    "UNPROTECTED", "PROTECTED", "BLIND", "SEEING", "RECOVERED", "HALTED", "RESUMED", "ALARM",
})  # fmt: skip
LOUD = frozenset({"ALARM", "UNPROTECTED"})
RELOADED = frozenset({"reloaded", "reload_refused"})  # a person who changed the settings waits for these
MOST_WAITING = 1_000
"""Lines that wait for a disk that hangs; more are left out, which is said once."""
CLOSE_S = 2.0
_COUNTS = frozenset({"count", "before", "left", "sold"})


class EventLog:
    """Appends events; never raises into the exit path: a bad disk is counted, not suffered."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        echo: TextIO | None = None,
        mark: Mapping[str, str] | None = None,
    ):
        self._clock = clock
        self._mark = dict(mark or {})  # stands at the end of every line, e.g. execution=paper
        self._echo = sys.stderr if echo is None else echo
        self._lock = threading.Lock()  # the event-log lock: the order of lines; no disk is asked under it
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # Guarded by _lock:
        self._recent: deque[str] = deque(maxlen=200)
        self.failures = 0
        self._hear: Callable[[Line], None] | None = None
        self._path = path
        try:
            self._file = self._open()  # from now on the thread's
        except OSError as e:
            raise ConfigError("paths.logs", f"cannot write {path}: {e.strerror}") from e
        self._thread = threading.Thread(target=self._run, name="event log", daemon=True)
        self._thread.start()

    def tell(self, hear: Callable[[Line], None]) -> None:
        """Let ``hear`` know every line from now on. It returns at once; what it raises goes no further."""
        self._hear = hear

    def write(self, line: Line) -> None:
        """Append one line; loud ones, and what a reload did, also go to stderr."""
        if self._mark:
            line = replace(line, fields={**line.fields, **self._mark})
        text = format_line(line, self._clock.utc_ms())
        with self._lock:
            self._recent.append(text)
            has_room = self._waiting.qsize() < MOST_WAITING
            if has_room:
                self._waiting.put(text)
        if not has_room:
            self._failed("its disk does not answer")
        if line.event in LOUD or line.fields.get("reason") in RELOADED:
            self._say(text)
        if self._hear is not None:
            try:
                self._hear(line)
            except Exception:  # whoever listens, the exit goes on
                self._count_failure()

    def _run(self) -> None:
        while (text := self._waiting.get()) is not None:
            try:
                self._follow_path()
                self._file.write(text + "\n")
            except (OSError, ValueError) as e:
                self._failed(str(e))
        with suppress(OSError):
            self._file.close()

    def _failed(self, why: str) -> None:
        """A line is lost. What is loud is on stderr all the same; so is this, once."""
        if self._count_failure() == 1:
            self._say(f"{self._path} cannot be written: {why}")

    def _count_failure(self) -> int:
        with self._lock:
            self.failures += 1
            return self.failures

    def _say(self, text: str) -> None:
        try:
            self._echo.write(text + "\n")
            self._echo.flush()
        except (OSError, ValueError):
            self._count_failure()

    def _open(self) -> TextIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self._path.open("a", encoding="utf-8", buffering=1)

    def _follow_path(self) -> None:
        """Begin a new file where the old one was moved away, as those do who rotate logs, or removed."""
        try:
            if os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
                return
        except FileNotFoundError:
            pass
        old, self._file = self._file, self._open()
        old.close()

    def recent(self, count: int) -> list[str]:
        """The newest lines, oldest first."""
        with self._lock:
            return list(self._recent)[-count:]

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """Write what waits and close the file; ``False``: the disk did not take it within ``timeout_s``."""
        self._waiting.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


def format_line(line: Line, utc_ms: int) -> str:
    """Write one event as its line."""
    if line.event not in EVENTS:
        raise ValueError(f"{line.event} is not an event of the stop-loss log")
    head = {
        "ticker": line.key.ticker if line.key else None,
        "subaccount": line.key.subaccount if line.key else None,
        "side": line.side,
    }
    fields: Mapping[str, object] = {**head, **line.fields}
    words = [f"{name}={_text(name, value)}" for name, value in fields.items()]
    return " ".join([utc_text(utc_ms), line.event, *words])


def _text(name: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        return f"{value:.2f}" if name in _COUNTS else f"{value:.4f}"
    # Titles and refusals come from outside: no control character, no space, may break a line or a field.
    text = "".join(c if c.isprintable() and not c.isspace() else "_" for c in str(value))
    return text.replace("=", ":") or "-"
