"""The journal: every decision and order is durable here before anything leaves. SQLite, WAL, FULL sync.

One thread owns the file and its only connection, which also checkpoints. Callers wait at most
250 ms. Rows form a hash chain, so an edited or truncated journal is noticed. No secrets in it.
See stops-and-exits.md, section 6.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

from base.errors import ConfigError
from base.model import Key, Side
from base.risk.exit_lifecycle import ENDS, State
from base.risk.messages import Row

SCHEMA_VERSION = 1
WAIT_S = 0.25
"""How long a caller waits for its rows to be durable."""
BUSY_S = 0.1
"""How long a reader of the file, such as a backup, may hold up a write."""
MOST_UNWRITTEN = 10_000
_log = logging.getLogger(__name__)
_SEQUENCED = "seq INTEGER PRIMARY KEY, chain TEXT NOT NULL"
_SCHEMA = f"""
CREATE TABLE intents ({_SEQUENCED},
    intent_id TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL, subaccount INTEGER NOT NULL,
    ticker TEXT NOT NULL, side TEXT NOT NULL CHECK (side IN ('yes', 'no')), reason TEXT NOT NULL,
    quantity TEXT NOT NULL, level TEXT NOT NULL, floor TEXT NOT NULL, entry TEXT, rule TEXT,
    evidence TEXT NOT NULL) STRICT;
CREATE TABLE attempts ({_SEQUENCED},
    client_order_id TEXT NOT NULL UNIQUE, intent_id TEXT NOT NULL REFERENCES intents (intent_id),
    number INTEGER NOT NULL, at_ms INTEGER NOT NULL, exchange_index INTEGER NOT NULL,
    count TEXT NOT NULL, price TEXT NOT NULL, UNIQUE (intent_id, number)) STRICT;
CREATE TABLE outcomes ({_SEQUENCED},
    client_order_id TEXT NOT NULL REFERENCES attempts (client_order_id), at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL, order_id TEXT, filled TEXT, why TEXT NOT NULL) STRICT;
CREATE TABLE transitions ({_SEQUENCED},
    at_ms INTEGER NOT NULL, now_s REAL NOT NULL, subaccount INTEGER NOT NULL, ticker TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('yes', 'no')), intent_id TEXT, attempt INTEGER,
    from_state TEXT NOT NULL, event TEXT NOT NULL, to_state TEXT NOT NULL, inputs TEXT NOT NULL) STRICT;
CREATE INDEX transitions_by_key ON transitions (subaccount, ticker, seq);
"""
# Whole statements, so that no name is ever put together at run time.
_INSERT = {
    "intents": "INSERT INTO intents VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    "attempts": "INSERT INTO attempts VALUES (?,?,?,?,?,?,?,?,?)",
    "outcomes": "INSERT INTO outcomes VALUES (?,?,?,?,?,?,?,?)",
    "transitions": "INSERT INTO transitions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
}
_LAST_STATES = """
SELECT subaccount, ticker, side, to_state FROM transitions
WHERE seq IN (SELECT max(seq) FROM transitions GROUP BY subaccount, ticker)
"""


class Journal(threading.Thread):
    """The journal thread. ``append`` may be called from any thread; the file belongs to this one."""

    def __init__(self, path: Path):
        super().__init__(name="journal", daemon=True)
        self.path = path
        self.failures = 0
        self._queue: queue.SimpleQueue[tuple[Sequence[Row], _Ticket] | None] = queue.SimpleQueue()
        self._opened = threading.Event()
        self._open_error: Exception | None = None
        self._armed: dict[Key, Side] = {}
        # Owned by this thread: rows that the disk refused, oldest first.
        self._unwritten: list[Sequence[Row]] = []
        self._is_disk = False

    def open(self, timeout_s: float = 10.0) -> None:
        """Start the thread and open the file.

        Raises:
            ConfigError: The file cannot be opened, is damaged, or a newer version wrote it.
        """
        self.start()
        if not self._opened.wait(timeout_s):
            raise ConfigError("paths.data", f"the journal {self.path} did not open within {timeout_s:g} s")
        if self._open_error is not None:
            raise ConfigError("paths.data", f"the journal {self.path} cannot be used: {self._open_error}")

    def armed_before(self) -> dict[Key, Side]:
        """Holdings that the journal showed ARMED or in an open intent when it was opened."""
        return dict(self._armed)

    def append(self, rows: Sequence[Row]) -> bool:
        """Write ``rows`` and wait until they are durable; ``False``: not within 250 ms."""
        ticket = _Ticket()
        self._queue.put((rows, ticket))
        return ticket.done.wait(WAIT_S) and ticket.is_durable

    def stop(self, timeout_s: float) -> None:
        """Write what is queued, close the file and end."""
        self._queue.put(None)
        self.join(timeout_s)

    def run(self) -> None:
        """Own the connection: write what comes, a transaction for all that waits."""
        try:
            connection = self._connect()
        except (sqlite3.Error, OSError, ConfigError) as e:
            self._open_error = e
            self._opened.set()
            return
        self._opened.set()
        try:
            self._serve(connection)
        finally:
            connection.close()

    def _serve(self, connection: sqlite3.Connection) -> None:
        chain = _Chain(connection)
        while (item := self._queue.get()) is not None:
            batch = [item]
            is_last = False
            while not self._queue.empty():
                if (more := self._queue.get()) is None:
                    is_last = True
                    break
                batch.append(more)
            self._write_all(connection, chain, batch)
            if is_last:
                return

    def _write_all(
        self, connection: sqlite3.Connection, chain: _Chain, batch: list[tuple[Sequence[Row], _Ticket]]
    ) -> None:
        """Write what could not be written before, then ``batch``; one bad row does not spoil the others."""
        waiting = [row for rows in self._unwritten for row in rows]
        if self._write(connection, chain, [*waiting, *(row for rows, _ in batch for row in rows)]):
            self._unwritten.clear()
            for _, ticket in batch:
                ticket.settle(is_durable=True)
            return
        for rows, ticket in batch:
            ticket.settle(is_durable=not self._unwritten and self._write(connection, chain, rows))
            if not ticket.is_durable and self._is_disk and len(self._unwritten) < MOST_UNWRITTEN:
                self._unwritten.append(rows)  # the disk may come back: later rows refer to these

    def _write(self, connection: sqlite3.Connection, chain: _Chain, rows: Sequence[Row]) -> bool:
        try:
            with connection:
                for row in rows:
                    seq, digest, cells = chain.link(row)
                    connection.execute(_INSERT[row.table], (seq, digest, *cells))
        except Exception as e:
            # Whatever is wrong with a row or the disk, this thread must live to write the next.
            chain.roll_back()
            self.failures += 1
            self._is_disk = isinstance(e, sqlite3.OperationalError)
            _log.error("journal_failed why=%s", ascii(str(e)))
            return False
        chain.commit()
        return True

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self.path, timeout=BUSY_S)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise ConfigError("", f"it was written by a newer version of this program (schema {version})")
        if version == 0:
            with connection:
                connection.executescript(_SCHEMA)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._armed = _last_armed(connection.execute(_LAST_STATES))
        return connection


class _Ticket:
    """A caller's wait for its rows."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.is_durable = False

    def settle(self, *, is_durable: bool) -> None:
        """Tell the caller."""
        self.is_durable = is_durable
        self.done.set()


class _Chain:
    """Sequence numbers and the hash chain over all tables: sha256(previous digest, row)."""

    def __init__(self, connection: sqlite3.Connection):
        self._seq, self._digest = 0, ""
        for table in _INSERT:
            row = connection.execute(
                f"SELECT seq, chain FROM {table} ORDER BY seq DESC LIMIT 1"  # nosec B608 - our own table names
            ).fetchone()
            if row is not None and row[0] > self._seq:
                self._seq, self._digest = row
        self._committed = (self._seq, self._digest)

    def link(self, row: Row) -> tuple[int, str, list[object]]:
        """Return the sequence number, digest and cells of the next row."""
        cells = [_cell(value) for value in row.values.values()]
        self._seq += 1
        self._digest = digest_of(self._digest, row.table, self._seq, cells)
        return self._seq, self._digest, cells

    def commit(self) -> None:
        """The rows linked so far are durable."""
        self._committed = (self._seq, self._digest)

    def roll_back(self) -> None:
        """The rows since the last commit were not written."""
        self._seq, self._digest = self._committed


def digest_of(previous: str, table: str, seq: int, cells: Iterable[object]) -> str:
    """The chain's digest of one row: anybody may check it."""
    text = json.dumps([previous, table, seq, list(cells)], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _cell(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(_plain(value), separators=(",", ":"))


def _plain(value: object) -> object:
    """Turn what a row carries into JSON, money as strings."""
    if isinstance(value, Decimal):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _last_armed(rows: Iterable[tuple[int, str, str, str]]) -> dict[Key, Side]:
    guarded = set(State) - ENDS - {State.UNPROTECTED}
    return {
        Key(subaccount, ticker): Side(side)
        for subaccount, ticker, side, state in rows
        if State(state) in guarded or State(state) is State.WITHDRAWN
    }
