"""The journal's file: SQLite in WAL mode with full sync. No thread, no queue.

Whoever opens it owns its only connection, which also checkpoints: the defect of SQLite before 3.51.3
that may lose rows when a WAL is reset takes two connections that write or checkpoint. No secrets in it.
See stops-and-exits.md, section 6.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from base.clock import Clock, SystemClock, utc_text
from base.errors import ConfigError
from base.risk import journal_place
from base.risk.emergency import Kept
from base.risk.journal_chain import Chain, broken_link, lacks
from base.risk.journal_head import Head
from base.risk.journal_memory import recovered_from
from base.risk.journal_tables import INSERT, SCHEMA_VERSION, SELECT, STEPS
from base.risk.messages import Row
from base.risk.recovered import Recovered

OPEN_BUSY_S = 5.0
"""How long another process, such as a backup, may hold up the start."""
BUSY_S = 0.1
"""How long it may hold up a write."""
CHECKED_BYTES = 1_000_000_000
"""A larger file is not read through at the start: only the chain of its newest rows is checked."""
# What says that the file is not what we wrote. SQLITE_ERROR is one of them, for our statements are right.
_DAMAGE = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNREADABLE = frozenset({
    sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_DATA,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
})  # fmt: skip
# How a row that an emergency file kept is recognised in the journal.
_IDENTITY = {
    "intents": ("SELECT 1 FROM intents WHERE intent_id = ?", ("intent_id",)),
    "attempts": ("SELECT 1 FROM attempts WHERE client_order_id = ?", ("client_order_id",)),
    # Where later ones of its holding are there, its own was lost among them: last it would say what is over.
    "transitions": (
        "SELECT 1 FROM transitions WHERE subaccount = ? AND ticker = ? AND (at_ms > ?"
        " OR (at_ms = ? AND now_s = ? AND event = ? AND intent_id IS ?))",
        ("subaccount", "ticker", "at_ms", "at_ms", "now_s", "event", "intent_id"),
    ),
}
_log = logging.getLogger(__name__)


class Damaged(Exception):
    """The file is there and is not a whole journal; the text says what is wrong."""

    kept_aside: Path | None = None


class JournalFile:
    """An open journal. Only the thread that opened it may use it.

    ``in_memory``: a copy of what stands in the file, which needs no room on its disk; nothing of it is kept.

    Raises:
        ConfigError: No journal can be kept there, or a newer version of this program wrote it.
        sqlite3.Error: It cannot be opened just now.
    """

    def __init__(self, path: Path, clock: Clock | None = None, *, in_memory: bool = False):
        self.path, self.is_copy = path, in_memory
        self.damage = ""  # what was wrong with the file that was put aside
        self.kept_aside: Path | None = None
        self._connection = _copied(path) if in_memory else self._opened(path, clock)
        self._chain = Chain(self._connection)

    def _opened(self, path: Path, clock: Clock | None) -> sqlite3.Connection:
        journal_place.make_ready(path)
        utc_ms = (clock or SystemClock()).utc_ms()
        try:
            return _connect(path, utc_ms)
        except Damaged as e:
            self.damage, self.kept_aside = str(e), e.kept_aside
            journal_place.make_ready(path)
            return _connect(path, utc_ms + 1)

    def write(self, rows: Iterable[Row]) -> None:
        """Make ``rows`` durable in one transaction, all of them or none.

        Raises:
            sqlite3.Error: The disk, or the table, does not take them.
            Exception: A value that cannot be written.
        """
        try:
            # Before the transaction: a value that cannot be written must not cost a lock.
            linked = [(row.table, self._chain.link(row)) for row in rows]
            self._connection.execute("BEGIN IMMEDIATE")
            for table, cells in linked:
                self._connection.execute(INSERT[table], cells)
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            self._chain.roll_back()
            raise
        self._chain.commit()

    @property
    def head(self) -> Head:
        """The newest row."""
        return self._chain.head

    def lacks(self, head: Head) -> bool:
        """Whether this is not the journal that had ``head`` but an older or another one."""
        return lacks(self._connection, head)

    def recovered(self) -> Recovered:
        """What a restart must know, as it stands in the file now."""
        aside = None if self.kept_aside is None else self.kept_aside.name
        return replace(recovered_from(self._connection), kept_aside=aside)

    def carry_over(self, rounds: Sequence[Sequence[Kept]]) -> int:
        """Write the rows of an emergency file that are lacking; return how many. Twice does no harm."""
        columns = {table: self._columns(table) for table in SELECT}
        written = 0
        for kept in [row for rows in rounds for row in rows]:
            if self._has(kept):
                continue
            names = columns[kept.table]
            row = Row(table=kept.table, values={name: kept.values.get(name) for name in names})
            try:
                self.write([row])
                written += 1
            except sqlite3.IntegrityError as e:  # what it refers to was lost with a damaged journal
                _log.error("emergency_row_left_out table=%s why=%s", row.table, ascii(str(e)))
        return written

    def close(self) -> None:
        """Close it; what stands in the WAL goes over into the file."""
        self._connection.close()

    def _columns(self, table: str) -> list[str]:
        found = self._connection.execute(SELECT[table], (0,))
        return [name for name, *_ in found.description][2:]

    def _has(self, kept: Kept) -> bool:
        identity = _IDENTITY.get(kept.table)
        if identity is None:
            return True  # a table that no emergency row is written for
        query, names = identity
        wanted = [kept.values.get(name) for name in names]
        return self._connection.execute(query, wanted).fetchone() is not None


# --- opening ------------------------------------------------------------------------------------------


def _connect(path: Path, utc_ms: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=OPEN_BUSY_S, isolation_level=None)
    try:
        with _telling_damage():
            _prepare(connection, path)
    except BaseException as e:
        if isinstance(e, Damaged):  # while it is open: closing folds the WAL in, and takes it away
            e.kept_aside = _put_aside(path, utc_ms)
        connection.close()
        raise
    return connection


def _copied(path: Path) -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:", isolation_level=None)
    if path.exists():
        with _telling_damage():
            try:
                _copy(path, memory, is_alone=True)
            except _Busy:
                _copy(path, memory, is_alone=False)  # whoever reads it has made that index
    _migrate(memory, _known_version(memory))
    return memory


class _Busy(sqlite3.OperationalError):
    """Somebody else has the file open."""


def _copy(path: Path, memory: sqlite3.Connection, *, is_alone: bool) -> None:
    def not_for_ever(status: int, remaining: int, total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):  # the library would try again without end
            raise _Busy("database is locked")

    timeout_s = 0.0 if is_alone else OPEN_BUSY_S
    with closing(sqlite3.connect(path, timeout=timeout_s, isolation_level=None)) as source:
        if is_alone:
            # Else the index of the WAL is a file that others share, and a full disk has no room for it.
            source.execute("PRAGMA locking_mode = EXCLUSIVE")
        source.backup(memory, progress=not_for_ever)


def _known_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise ConfigError("", f"it was written by a newer version of this program (schema {version})")
    return version


def is_full(error: Exception) -> bool:
    """Whether there is no room on the disk: it holds what it held, and may have room again."""
    code = getattr(error, "sqlite_errorcode", 0)
    is_said = code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE
    return is_said or getattr(error.__cause__ or error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = _known_version(connection)
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise ConfigError("", "its file system shares no memory: set paths.data to a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    if version > 0 and path.stat().st_size <= CHECKED_BYTES:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise Damaged(said.replace("\n", " "))
    _migrate(connection, version)
    connection.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Take the steps that are lacking, all or none; a file whose chain is broken stays as it was."""
    connection.execute("BEGIN IMMEDIATE")
    if version < SCHEMA_VERSION:
        for statement in "".join(STEPS[version:]).split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    if (broken := broken_link(connection)) is not None:
        raise Damaged(broken)
    connection.execute("COMMIT")


@contextmanager
def _telling_damage() -> Iterator[None]:
    """Tell a file that is damaged from one that cannot be opened just now."""
    try:
        yield
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", 0)
        if code & 0xFF in _DAMAGE or code in _UNREADABLE:
            raise Damaged(str(e)) from e
        raise


def _put_aside(path: Path, utc_ms: int) -> Path:
    """Rename the file with what belongs to it, its WAL first: no new file may ever find that beside it."""
    stamp = utc_text(utc_ms).replace("-", "").replace(":", "")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{aside}{suffix}")
    _log.error("journal_damaged kept=%s", aside)
    return aside
