"""What is handed to the journal thread together, and what the disk says to it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

from base.risk.messages import Row

# What the disk says: the rows are right and may be written later. Anything else is said of a row.
_OF_THE_DISK = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB,
})  # fmt: skip
# After these the file is not written to any more: a sync that failed may have lost what it seemed to hold.
_FATAL = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
NO_ROOM = sqlite3.OperationalError("its disk is full")
NO_ROOM.sqlite_errorcode = sqlite3.SQLITE_FULL


class Batch:
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


def is_of_the_disk(error: Exception) -> bool:
    """Whether the rows are right and the disk is not."""
    return _code(error) in _OF_THE_DISK


def is_fatal(error: Exception) -> bool:
    """Whether the file is not to be written to any more. Shared memory alone holds nothing to be lost."""
    return _code(error) in _FATAL and "_SHM" not in getattr(error, "sqlite_errorname", "")
