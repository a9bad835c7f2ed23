"""The journal: every decision and order is durable here before anything leaves.

One thread owns the file. Who sends an order waits for its rows, at most 250 ms; other rows are only
handed over. What the disk refused is written as soon as it takes rows again.
See stops-and-exits.md, section 6.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from base.clock import Clock, SystemClock
from base.errors import ConfigError
from base.feed.heartbeat import IDLE, STUCK_S, Heartbeat
from base.risk.emergency import EmergencyFile, as_kept
from base.risk.journal_file import JournalFile
from base.risk.messages import Row
from base.risk.recovered import Recovered

WAIT_S = 0.25
"""How long a caller waits for its rows to be durable."""
OPEN_S = 30.0
RETRY_S = 1.0
"""How often rows that the disk refused are tried again when nothing else comes."""
MOST_QUEUED = 10_000
MOST_UNWRITTEN = 10_000
MOST_DECISIONS = 500
"""Rounds waiting for the disk beyond which decisions, the largest rows and no order's, are let go."""
# What the disk says: the rows are right and may be written later. Anything else is said of a row.
_OF_THE_DISK = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB,
})  # fmt: skip
# After these the file is not written to any more: a sync that failed may have lost what it seemed to hold.
_FATAL = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_log = logging.getLogger(__name__)


class Journal(threading.Thread):
    """The journal thread. ``append`` belongs to the thread that sends orders, the file to this one."""

    def __init__(self, path: Path, emergency: EmergencyFile | None = None, clock: Clock | None = None):
        super().__init__(name="journal", daemon=True)
        self.path = path
        self.emergency = emergency
        self.warnings: tuple[str, ...] = ()  # what a person should know of the files, once it is open
        self._clock = clock or SystemClock()
        self.heart = Heartbeat(self.name)
        self._queue: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._opened = threading.Event()
        self._open_error: Exception | None = None
        self._recovered = Recovered()
        # Owned by the caller:
        self._given_up: _Batch | None = None  # nobody waits twice for a disk that hangs
        self._failures_told = 0
        # Owned by this thread, read by others:
        self.failures = 0
        self._unwritten: list[_Batch] = []  # that the disk refused, oldest first
        self._is_failing = False
        self._death: Exception | None = None  # the disk lost what it had: this file is not written to again
        self._has_lost_rows = False  # some were not right and stand nowhere, or only in the emergency file

    def open(self, timeout_s: float = OPEN_S) -> None:
        """Start the thread and open the file.

        Raises:
            ConfigError: No journal can be kept there, or a newer version wrote it.
        """
        self.start()
        if not self._opened.wait(timeout_s):
            raise ConfigError("paths.data", f"the journal {self.path} did not open within {timeout_s:g} s")
        if self._open_error is not None:
            raise ConfigError("paths.data", f"the journal {self.path} cannot be used: {self._open_error}")

    def recovered(self) -> Recovered:
        """What the journal knew when it was opened."""
        return self._recovered

    def append(self, rows: Sequence[Row], *, wait: bool = True) -> bool:
        """Hand ``rows`` over.

        With ``wait``, ``True`` says that they and all rows before them are durable; ``False``: not
        within 250 ms. Without, it says what ``check`` says.
        """
        if self._queue.qsize() >= MOST_QUEUED:
            return False
        batch = _Batch(rows)
        self._queue.put(batch)
        if not wait:
            return self.check()
        if self._is_hanging or not batch.done.wait(WAIT_S):
            self._given_up = batch
            return False
        if batch.is_durable:
            self._failures_told = self.failures
            if self.emergency is not None and not self._has_lost_rows:
                self.emergency.empty()
        return batch.is_durable

    def keep(self, rows: Sequence[Row]) -> bool:
        """Write rows into the emergency file; ``False``: there is none, or it failed too."""
        return self.emergency is not None and self.emergency.write([as_kept(row) for row in rows])

    def check(self) -> bool:
        """Whether nothing failed since the last call, and nothing waits for the disk to come back."""
        has_failed = self.failures != self._failures_told
        self._failures_told = self.failures
        return not (has_failed or self._is_failing or self._is_hanging)

    @property
    def _is_hanging(self) -> bool:
        return self._given_up is not None and not self._given_up.done.is_set()

    def stop(self, timeout_s: float) -> None:
        """Write what is queued, close the file and end. The emergency file goes when nothing needs it."""
        if self.ident is not None:
            self._queue.put(None)
            self.join(timeout_s)
        if self.emergency is None:
            return
        if self._unwritten or self._has_lost_rows or self.is_alive() or self._open_error is not None:
            self.emergency.close()
        else:
            self.emergency.remove()

    # --- this thread ------------------------------------------------------------------------------

    def run(self) -> None:
        """Own the file: write what comes, a transaction for all that waits."""
        try:
            file = JournalFile(self.path, self._clock)
            self._note_damage(file)
            self._take_emergency_rows(file)
            self._recovered = file.recovered()
        except Exception as e:
            self._open_error = e
            self._opened.set()
            return
        self._opened.set()
        try:
            self._serve(file)
        finally:
            file.close()

    def _note_damage(self, file: JournalFile) -> None:
        if file.kept_aside is not None:
            self.warnings += (
                f"{file.path} was damaged ({file.damage}): it is kept as {file.kept_aside.name}. A new "
                "one is begun. What was armed or on its way out is not known: look at your positions",
            )

    def _take_emergency_rows(self, file: JournalFile) -> None:
        """Carry over what an earlier run left in the emergency file, then empty it."""
        if self.emergency is None:
            return
        where = f"paths.emergency: {self.emergency.path}"
        try:
            rounds = self.emergency.open()
        except OSError as e:
            self.warnings += (f"{where} cannot be used ({e}): if the disk fails, an order leaves no trace",)
            self.emergency = None
            return
        if carried := file.carry_over(rounds):
            _log.warning("emergency_rows_carried_over count=%d", carried)
        self.emergency.empty()
        if self.emergency.lies_beside(self.path):
            self.warnings += (f"{where} lies on the disk of the journal: name a folder on another one",)

    def _serve(self, file: JournalFile) -> None:
        is_last = False
        while not is_last:
            batches, is_last = self._take()
            self._write_all(file, batches)

    def _take(self) -> tuple[list[_Batch], bool]:
        """Wait for rows, then take all that are there; also say whether they are the last ones."""
        batches: list[_Batch] = []
        self.heart.due_s = IDLE
        try:
            item = self._queue.get(timeout=RETRY_S if self._unwritten else None)
        except queue.Empty:
            return batches, False
        while item is not None:
            batches.append(item)
            if self._queue.empty():
                return batches, False
            item = self._queue.get()
        return batches, True

    def _write_all(self, file: JournalFile, batches: list[_Batch]) -> None:
        """Write what could not be written before, then ``batches``; one bad row does not spoil the others."""
        waiting, self._unwritten = [*self._unwritten, *batches], []
        error = self._write(file, waiting)
        if error is None or _is_of_the_disk(error):
            self._settle(waiting, error)
        else:
            for batch in waiting:
                if not self._unwritten:
                    error = self._write(file, [batch])
                self._settle([batch], error)
        self._is_failing = bool(self._unwritten) or self._death is not None

    def _write(self, file: JournalFile, batches: list[_Batch]) -> Exception | None:
        if self._death is not None:
            return self._death
        # The disk may take as long as it likes: who sends an order waits 250 ms, then the emergency file has
        # it. To end the process would help nobody, the next one would wait for the same disk.
        self.heart.due_s = IDLE
        try:
            file.write([row for batch in batches for row in batch.rows])
        except MemoryError:
            raise
        except Exception as e:
            # Whatever is wrong with a row or the disk, this thread must live to write the next.
            self.failures += 1
            _log.error("journal_failed why=%s", ascii(str(e)))
            if _code(e) in _FATAL and "_SHM" not in getattr(e, "sqlite_errorname", ""):
                self._death = e  # shared memory alone holds nothing that could be lost
            return e
        finally:
            self.heart.due_s = self._clock.boot_s() + STUCK_S
        return None

    def _settle(self, batches: list[_Batch], error: Exception | None) -> None:
        for batch in batches:
            batch.settle(is_durable=error is None)
            if error is not None and _is_of_the_disk(error):
                self._keep(batch)
            elif error is not None:
                self._has_lost_rows = True

    def _keep(self, batch: _Batch) -> None:
        """The disk may come back: later rows refer to these."""
        if len(self._unwritten) >= MOST_DECISIONS:
            batch.rows = [row for row in batch.rows if row.table != "decisions"]
        if len(self._unwritten) < MOST_UNWRITTEN and self._death is None:
            self._unwritten.append(batch)
        else:
            self._has_lost_rows = True


class _Batch:
    """Rows handed over together, and a caller's wait for them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.done = threading.Event()
        self.is_durable = False

    def settle(self, *, is_durable: bool) -> None:
        """Tell the caller."""
        self.is_durable = is_durable
        self.done.set()


def _code(error: Exception) -> int:
    """SQLite's word on an error; 0: it did not come from there."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_of_the_disk(error: Exception) -> bool:
    return _code(error) in _OF_THE_DISK
