"""Journals for tests: what a world left in its outbox, in a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from base.risk.journal_file import JournalFile
from base.risk.messages import Row
from base.risk.recovered import Recovered
from tests.risk.world import World, armed


def rows_of(world: World) -> list[Row]:
    """Everything the world journalled."""
    return [effect for effect in world.effects if isinstance(effect, Row)]


def rows_of_an_exit() -> list[Row]:
    """From adopted to in flight."""
    return rows_of(armed().bid("0.40"))


def write(path: Path, rows: list[Row]) -> None:
    """A journal of these rows, closed again."""
    with opened(path) as file:
        file.write(rows)


def recovered(path: Path) -> Recovered:
    """What the next start knows."""
    with opened(path) as file:
        return file.recovered()


@contextmanager
def opened(path: Path) -> Iterator[JournalFile]:
    """The file, open."""
    file = JournalFile(path)
    try:
        yield file
    finally:
        file.close()


def read(path: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Ask another connection."""
    with closing(sqlite3.connect(path)) as reader:
        return reader.execute(query, values).fetchall()


def tamper(path: Path, statement: str, *values: Any) -> None:
    """Change the file behind the journal's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute(statement, values)
