"""The emergency file: where an order's rows are durable when the journal's disk is full, slow or dead.

It lies on another file system than the journal, has its full size from the start, and every write is
through to the medium when it returns. The next start carries what it holds over into the journal.
Owned by the thread that opens the journal until that is open, then by the one that sends orders.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import stat
import tempfile
import threading
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from base.clock import SystemClock
from base.risk.journal_head import SUFFIX
from base.risk.journal_tables import Cell, cell
from base.risk.messages import Row

SIZE = 1 << 20
"""Bytes: some 300 orders."""
WAIT_S = 0.25
HEAD_KEPT_S = 86_400.0
"""A journal's head that nobody has written to for so long speaks of orders that every read shows."""
# No link is followed there, and a file that is not ours is refused.
MEMORY = Path("/dev/shm")  # nosec B108
_NAME = "kalshi-stop-loss"
_HEAD = len(b"00000000 00000000 ")
_log = logging.getLogger(__name__)


class Kept(msgspec.Struct):
    """One row as it was kept."""

    table: str
    values: dict[str, Cell]


_DECODER = msgspec.json.Decoder(list[Kept])
_encode = msgspec.json.Encoder().encode


def emergency_path(journal: Path, folder: str | None) -> Path:
    """Where the emergency file of ``journal`` lies: one for each user and journal; ``None``: in memory."""
    memory = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
    parent = memory if folder is None else Path(folder)
    name = hashlib.sha256(os.fsencode(journal.resolve())).hexdigest()[:16]
    return parent / f"{_NAME}-{os.geteuid()}-{name}"


class EmergencyFile:
    """Rounds of rows, appended until the journal has them.

    A round is one line: length and checksum of its JSON, eight hexadecimal digits each, and the JSON.
    """

    def __init__(self, path: Path, size: int = SIZE):
        self.path = path
        self._size = size
        self._file: int | None = None
        self._end = 0  # of what was written
        self._writer: threading.Thread | None = None

    def open(self) -> list[list[Kept]]:
        """Make the file ready and return what an earlier run left in it.

        Raises:
            OSError: It cannot be made, or it is not ours.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DSYNC
        self._file = os.open(self.path, flags, 0o600)
        try:
            return self._take_over(self._file)
        except BaseException:
            self.close()
            raise

    def _take_over(self, file: int) -> list[list[Kept]]:
        found = os.fstat(file)
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
            raise PermissionError(f"it belongs to user {found.st_uid}")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _clear_away(self.path.parent)
        os.fchmod(file, 0o600)
        _allocate(file, max(self._size, found.st_size))
        self._size = max(self._size, found.st_size)
        rounds, self._end = _rounds_in(os.pread(file, self._size, 0))
        return rounds

    def lies_beside(self, journal: Path) -> bool:
        """Whether the journal lies on the same file system: what befalls one befalls the other."""
        return self.path.parent.stat().st_dev == journal.parent.stat().st_dev

    @property
    def is_used(self) -> bool:
        """Whether rows stand in it."""
        return self._end > 0

    def write(self, rows: Sequence[Kept]) -> bool:
        """Keep the rows of one round; ``False``: that could not be done within ``WAIT_S`` seconds."""
        if self._writer is not None and self._writer.is_alive():
            return False  # its medium hangs
        text = _encode(rows)
        line = b"%08x %08x %b\n" % (len(text), zlib.crc32(text), text)
        before = self._end
        # A thread of its own: an order must not wait for a medium that may hang as the journal's did.
        self._writer = threading.Thread(target=self._append, args=(line,), name="emergency", daemon=True)
        try:
            self._writer.start()
        except RuntimeError:  # no more threads
            self._writer = None
            self._append(line)
        else:
            self._writer.join(WAIT_S)
        return self._end > before

    def _append(self, line: bytes) -> None:
        try:
            self._come_back()
            if self._file is None or self._end + len(line) > self._size:
                raise OSError(errno.ENOSPC, "it is full")
            if os.pwrite(self._file, line, self._end) == len(line):
                self._end += len(line)
        except OSError as e:
            _log.error("emergency_failed why=%s", ascii(str(e)))

    def _come_back(self) -> None:
        """Somebody may clean up shared memory: then a new file, for the old one has no name any more."""
        if self._file is not None and os.fstat(self._file).st_nlink == 0:
            self.close()
            self.open()

    def empty(self) -> None:
        """Forget what it holds: the journal has it. With zeros, so that nothing old is ever read again."""
        if self._writer is not None and self._writer.is_alive():
            return
        if self._file is not None and self._end:
            os.pwrite(self._file, bytes(self._end), 0)
            self._end = 0

    def remove(self) -> None:
        """Close it and take it away: it holds nothing."""
        if self._file is not None:
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close it and leave it for the next start."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _clear_away(folder: Path) -> None:
    """Remove what killed processes left empty: it holds memory, and nobody will miss it."""
    for other in folder.glob(f"{_NAME}-{os.geteuid()}-*"):
        with suppress(OSError):  # in use, for it is locked, or gone meanwhile
            if other.suffix == SUFFIX:
                if SystemClock().utc_ms() / 1000 - other.stat().st_mtime > HEAD_KEPT_S:
                    other.unlink()
                continue
            file = os.open(other, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.pread(file, 1, 0) in (b"", b"\0"):
                    other.unlink()
            finally:
                os.close(file)


def as_kept(row: Row) -> Kept:
    """A row as it is kept: by name, whatever columns later versions of the tables will have."""
    return Kept(row.table, {name: cell(value) for name, value in row.values.items()})


def _rounds_in(data: bytes) -> tuple[list[list[Kept]], int]:
    """Read whole rounds until the first that is not; also say where they end."""
    rounds: list[list[Kept]] = []
    at = 0
    while True:
        try:
            length, checksum = int(data[at : at + 8], 16), int(data[at + 9 : at + 17], 16)
            text = data[at + _HEAD : at + _HEAD + length]
            if len(text) != length or zlib.crc32(text) != checksum:
                return rounds, at
            rounds.append(_DECODER.decode(text))
        except (ValueError, msgspec.DecodeError):
            return rounds, at
        at += _HEAD + length + 1


def _allocate(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    missing = size - os.fstat(file).st_size  # macOS: zeros that are written have their place, too
    if missing > 0:
        os.pwrite(file, bytes(missing), size - missing)
