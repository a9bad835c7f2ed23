"""The journal: every decision and order is durable here before anything leaves.

One thread owns the file. Who sends an order waits for its rows, at most 250 ms; other rows are only
handed over. What the disk refused is written as soon as it takes rows again.
See stops-and-exits.md, section 6.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from pathlib import Path

from base.clock import Clock, SystemClock
from base.errors import ConfigError
from base.feed.heartbeat import IDLE, STUCK_S, Heartbeat
from base.risk.emergency import EmergencyFile, Kept, as_kept
from base.risk.journal_batch import NO_ROOM, Batch, is_fatal, is_of_the_disk
from base.risk.journal_file import JournalFile, is_full
from base.risk.journal_head import Head, JournalHead
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
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._opened = threading.Event()
        self._open_error: Exception | None = None
        self._recovered = Recovered()
        # Owned by the caller:
        self._given_up: Batch | None = None  # nobody waits twice for a disk that hangs
        self._failures_told = 0
        # Owned by this thread, read by others:
        self.failures = 0
        self._unwritten: list[Batch] = []  # that the disk refused, oldest first
        self._is_failing = False
        self._file: JournalFile | None = None  # none: its disk was full at the start, and still is
        self._left: list[list[Kept]] = []  # what an emergency file kept and the journal does not have yet
        self._next_try_s = 0.0
        self.head = None if emergency is None else JournalHead(emergency.path)
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
        batch = Batch(rows)
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
        is_needed = self._unwritten or self._left or self._has_lost_rows or self._open_error is not None
        for kept in (self.emergency, self.head):
            if kept is not None and (is_needed or self.is_alive()):
                kept.close()
            elif kept is not None:
                kept.remove()

    # --- this thread ------------------------------------------------------------------------------

    def run(self) -> None:
        """Own the file: write what comes, a transaction for all that waits."""
        try:
            self._begin()
        except Exception as e:
            self._open_error = e
            self._opened.set()
            return
        self._opened.set()
        try:
            self._serve()
        finally:
            if self._file is not None:
                self._file.close()

    def _begin(self) -> None:
        """Learn what the files hold. A disk that is full keeps nobody from guarding: rows wait for room."""
        self._open_emergency()
        head = None if self.head is None else self.head.open()
        try:
            self._recovered = self._open_file(head)
            if self.emergency is not None:
                self.emergency.empty()
        except Exception as e:
            if not is_full(e):
                raise
            self._is_failing = True
            self.warnings += (
                f"{self.path}: its disk is full. Positions are guarded; orders are noted in the emergency "
                "file: make room",
            )
            copy = JournalFile(self.path, self._clock, in_memory=True)
            self._recovered = self._learn(copy, head)
            copy.close()
        if self.emergency is not None and self.emergency.lies_beside(self.path):
            where = f"paths.emergency: {self.emergency.path}"
            self.warnings += (f"{where} lies on the disk of the journal: name a folder on another one",)

    def _open_file(self, head: Head | None = None) -> Recovered:
        """Open the file, and write into it first of all what the emergency file kept."""
        file = JournalFile(self.path, self._clock)
        try:
            self._note_damage(file)
            found = self._learn(file, head)
        except BaseException:
            file.close()
            raise
        self._file, self._left = file, []
        return found

    def _learn(self, file: JournalFile, head: Head | None) -> Recovered:
        """What journal and emergency file know together. ``head``: the newest row that the last run wrote."""
        is_old = head is not None and file.lacks(head)
        if carried := file.carry_over(self._left):
            _log.warning("emergency_rows_carried_over count=%d", carried)
        if is_old and file.kept_aside is None:  # else that is said already
            self.warnings += (
                f"{file.path} is older than what was written last, as from a backup: exits that were under "
                "way are not gone on with. Nothing is sold before all that was sold shows: look at your "
                "positions",
            )
        found = file.recovered()
        return found.of_old_journal() if is_old else found

    def _note_damage(self, file: JournalFile) -> None:
        if file.kept_aside is not None:
            self.warnings += (
                f"{file.path} was damaged ({file.damage}): it is kept as {file.kept_aside.name}. A new "
                "one is begun. What was armed or on its way out is not known: look at your positions",
            )

    def _open_emergency(self) -> None:
        """Take what an earlier run left in the emergency file."""
        if self.emergency is None:
            return
        try:
            self._left = self.emergency.open()
        except OSError as e:
            where = f"paths.emergency: {self.emergency.path}"
            self.warnings += (f"{where} cannot be used ({e}): if the disk fails, an order leaves no trace",)
            self.emergency = None

    def _serve(self) -> None:
        is_last = False
        while not is_last:
            batches, is_last = self._take()
            self._write_all(batches)
            if self._file is None:
                self._try_again()

    def _try_again(self) -> None:
        """Open the file if its disk has room by now; after the rows that wait, for nobody waits for this."""
        now_s = self._clock.boot_s()
        if now_s < self._next_try_s:
            return
        self._next_try_s = now_s + RETRY_S
        self.heart.due_s = IDLE
        try:
            self._open_file()
        except Exception as e:
            _log.debug("journal_not_opened why=%s", ascii(str(e)))
        else:
            self._write_all([])

    def _take(self) -> tuple[list[Batch], bool]:
        """Wait for rows, then take all that are there; also say whether they are the last ones."""
        batches: list[Batch] = []
        self.heart.due_s = IDLE
        try:
            has_to_try = self._unwritten or self._file is None
            item = self._queue.get(timeout=RETRY_S if has_to_try else None)
        except queue.Empty:
            return batches, False
        while item is not None:
            batches.append(item)
            if self._queue.empty():
                return batches, False
            item = self._queue.get()
        return batches, True

    def _write_all(self, batches: list[Batch]) -> None:
        """Write what could not be written before, then ``batches``; one bad row does not spoil the others."""
        waiting, self._unwritten = [*self._unwritten, *batches], []
        error = self._write(waiting)
        if error is None or is_of_the_disk(error):
            self._settle(waiting, error)
        else:
            for batch in waiting:
                if not self._unwritten:
                    error = self._write([batch])
                self._settle([batch], error)
        self._is_failing = bool(self._unwritten) or self._death is not None or self._file is None

    def _write(self, batches: list[Batch]) -> Exception | None:
        if self._death is not None:
            return self._death
        if self._file is None:
            return NO_ROOM
        # The disk may take as long as it likes: who sends an order waits 250 ms, then the emergency file has
        # it. To end the process would help nobody, the next one would wait for the same disk.
        self.heart.due_s = IDLE
        try:
            self._file.write([row for batch in batches for row in batch.rows])
            if self.head is not None:
                self.head.write(self._file.head)
        except MemoryError:
            raise
        except Exception as e:
            # Whatever is wrong with a row or the disk, this thread must live to write the next.
            self.failures += 1
            _log.error("journal_failed why=%s", ascii(str(e)))
            if is_fatal(e):
                self._death = e
            return e
        finally:
            self.heart.due_s = self._clock.boot_s() + STUCK_S
        return None

    def _settle(self, batches: list[Batch], error: Exception | None) -> None:
        for batch in batches:
            batch.settle(is_durable=error is None)
            if error is not None and is_of_the_disk(error):
                self._keep(batch)
            elif error is not None:
                self._has_lost_rows = True

    def _keep(self, batch: Batch) -> None:
        """The disk may come back: later rows refer to these."""
        if len(self._unwritten) >= MOST_DECISIONS:
            batch.rows = [row for row in batch.rows if row.table != "decisions"]
        if len(self._unwritten) < MOST_UNWRITTEN and self._death is None:
            self._unwritten.append(batch)
        else:
            self._has_lost_rows = True
