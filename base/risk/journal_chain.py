"""The chain over all rows of the journal: sha256(previous digest, row), so that an edit is noticed."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from base.risk.journal_head import Head
from base.risk.journal_tables import SELECT, Cell, cell, digest_of
from base.risk.messages import Row

NEWEST = 20_000
"""Rows whose chain is checked at each start; the whole file is checked by ``broken_link_of``."""
_ALL = 2**63 - 1
_LINKS = """
SELECT seq, chain FROM intents WHERE seq <= ?1 UNION ALL SELECT seq, chain FROM attempts WHERE seq <= ?1
UNION ALL SELECT seq, chain FROM outcomes WHERE seq <= ?1
UNION ALL SELECT seq, chain FROM transitions WHERE seq <= ?1
UNION ALL SELECT seq, chain FROM decisions WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1
"""


class Chain:
    """Sequence number and digest of the newest row, and what follows."""

    def __init__(self, connection: sqlite3.Connection):
        self._seq, self._digest = _newest(connection)
        self._committed = (self._seq, self._digest)

    @property
    def head(self) -> Head:
        """The newest row that is durable."""
        return Head(*self._committed)

    def link(self, row: Row) -> tuple[Cell, ...]:
        """Return sequence number, digest and cells of the next row."""
        cells = [cell(value) for value in row.values.values()]
        self._seq += 1
        self._digest = digest_of(self._digest, row.table, self._seq, cells)
        return self._seq, self._digest, *cells

    def commit(self) -> None:
        """The rows linked so far are durable."""
        self._committed = (self._seq, self._digest)

    def roll_back(self) -> None:
        """The rows since the last commit were not written."""
        self._seq, self._digest = self._committed


def lacks(connection: sqlite3.Connection, head: Head) -> bool:
    """Whether the journal is not one that had this row: an older one, or another."""
    return head.seq > 0 and _link_until(connection, head.seq) != head


def broken_link(connection: sqlite3.Connection, newest: int | None = NEWEST) -> str | None:
    """Say where the chain of the newest rows breaks; ``None``: it holds. ``newest=None`` checks all rows."""
    last, _ = _newest(connection)
    first = 1 if newest is None else max(1, last - newest + 1)
    expected, digest = first, _digest_before(connection, first)
    if digest is None:
        return f"row {first - 1} is missing"
    for seq, table, claimed, cells in _rows(connection, first):
        if seq != expected:
            return f"row {expected} is missing"
        if digest_of(digest, table, seq, cells) != claimed:
            return f"row {seq} is not what was written"
        expected, digest = seq + 1, claimed
    return None


def broken_link_of(path: Path) -> str | None:
    """Check the chain of a whole file, which nothing has to own meanwhile; ``None``: it holds."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        return broken_link(connection, newest=None)


def _newest(connection: sqlite3.Connection) -> tuple[int, str]:
    return _link_until(connection, _ALL) or (0, "")


def _digest_before(connection: sqlite3.Connection, seq: int) -> str | None:
    if seq == 1:
        return ""
    link = _link_until(connection, seq - 1)
    return link[1] if link is not None and link[0] == seq - 1 else None


def _link_until(connection: sqlite3.Connection, seq: int) -> tuple[int, str] | None:
    """Number and digest of the newest row up to ``seq``."""
    link: tuple[int, str] | None = connection.execute(_LINKS, (seq,)).fetchone()
    return link


def _rows(connection: sqlite3.Connection, first: int) -> Iterator[tuple[int, str, str, tuple[Cell, ...]]]:
    """All rows from ``first`` on in the order of their numbers, a row at a time."""
    return heapq.merge(*(_rows_of(connection, table, first) for table in SELECT))


def _rows_of(
    connection: sqlite3.Connection, table: str, first: int
) -> Iterator[tuple[int, str, str, tuple[Cell, ...]]]:
    for seq, chain, *cells in connection.execute(SELECT[table], (first,)):
        yield seq, table, chain, tuple(cells)
