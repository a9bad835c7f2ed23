"""holds.jsonl: what was decided and changed nothing, at each sweep. Bounded, unsynced, never waited for.

What changed stands in the journal. A line that cannot be written is counted and let go.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from base.risk.decide import Moment
from base.risk.guard import Guard
from base.risk.journal_tables import json_text

BYTES = 16 * 1024 * 1024
"""Of one file; the one before it is kept beside it."""
MOST_WAITING = 8
"""Sweeps that wait for the disk; newer ones are let go."""
QUIET = frozenset({"Hold", "Unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLine:
    """One holding that was looked at and left as it was."""

    at_ms: int
    subaccount: int
    ticker: str
    side: str
    state: str
    decision: str
    reason: str
    bid: Decimal | None
    trigger: Decimal | None
    target: Decimal | None
    peak: Decimal | None


def unchanged(guards: Iterable[Guard], since: Moment) -> list[HoldLine]:
    """What was looked at since ``since`` and decided as before."""
    return [
        HoldLine(
            at_ms=guard.looked_ms,
            subaccount=guard.key.subaccount,
            ticker=guard.key.ticker,
            side=guard.side.value,
            state=guard.state.value,
            decision=guard.decided.kind,
            reason=guard.decided.reason,
            bid=guard.bid,
            trigger=None if guard.stop is None else guard.stop.trigger,
            target=None if guard.stop is None else guard.stop.target,
            peak=guard.decided.peak,
        )
        for guard in guards
        if guard.decided is not None
        and guard.decided.kind in QUIET
        and guard.decided_ms < since.exchange_ms <= guard.looked_ms
    ]


class HoldLog:
    """The file and the thread that writes it."""

    def __init__(self, path: Path, size: int = BYTES):
        self._queue: queue.Queue[Sequence[HoldLine] | None] = queue.Queue(MOST_WAITING)
        self._file = _PrivateFile(path, maxBytes=size, backupCount=1, encoding="utf-8", delay=True)
        self._thread = threading.Thread(target=self._run, name="hold log", daemon=True)
        self._dropped = 0

    @property
    def lost(self) -> int:
        """Sweeps that were not written."""
        return self._dropped + self._file.failures

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def write(self, lines: Sequence[HoldLine]) -> None:
        """Hand over the lines of one sweep; never waits."""
        try:
            self._queue.put_nowait(lines)
        except queue.Full:
            self._dropped += 1

    def stop(self, timeout_s: float) -> None:
        """Write what waits, if the disk lets it, and end."""
        if self._thread.ident is None:
            return
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return  # the disk hangs: so does the thread
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (lines := self._queue.get()) is not None:
            text = "\n".join(json_text(line) for line in lines)
            self._file.handle(logging.makeLogRecord({"msg": text}))
        with suppress(OSError):
            self._file.close()


class _PrivateFile(RotatingFileHandler):
    """A rotated file for this user only; what goes wrong is counted."""

    failures = 0

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return open(descriptor, "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:
        """Count it: nobody is waiting."""
        self.failures += 1
