"""The journal is durable before anything leaves, private, chained, and refuses what it cannot read."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from base.errors import ConfigError
from base.model import Key, Side
from base.risk.exit_lifecycle import State
from base.risk.journal import Journal, digest_of
from base.risk.messages import Row
from tests.risk.world import TICKER, armed


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal in an own folder."""
    journal = Journal(tmp_path / "run" / "journal.sqlite3")
    journal.open()
    yield journal
    journal.stop(5)


def rows() -> list[Row]:
    """Every row of an exit from armed to in flight."""
    return [effect for effect in armed().bid("0.40").effects if isinstance(effect, Row)]


def test_rows_are_readable_by_another_process_at_once(journal: Journal) -> None:
    """When append says True the rows are in the file."""
    assert journal.append(rows())
    with sqlite3.connect(journal.path) as reader:
        assert reader.execute("SELECT count(*) FROM intents").fetchone() == (1,)
        count, price = reader.execute("SELECT count, price FROM attempts").fetchone()
        assert (Decimal(count), Decimal(price)) == (Decimal(10), Decimal("0.39"))
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_file_is_private(journal: Journal) -> None:
    """Mode 0600 in a folder of mode 0700."""
    assert stat.S_IMODE(os.stat(journal.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(journal.path.parent).st_mode) == 0o700


def test_rows_form_a_chain(journal: Journal) -> None:
    """An edited row no longer fits the next one's digest."""
    assert journal.append(rows())
    with sqlite3.connect(journal.path) as reader:
        chained = []
        for table in ("intents", "attempts", "outcomes", "transitions"):
            for row in reader.execute(f"SELECT * FROM {table}"):
                chained.append((row[0], table, row[1], list(row[2:])))
    digest = ""
    for seq, table, claimed, cells in sorted(chained):
        digest = digest_of(digest, table, seq, cells)
        assert digest == claimed


def test_the_same_attempt_is_never_written_twice(journal: Journal) -> None:
    """A repeated client order id is refused by the file itself; the caller is told."""
    written = rows()
    assert journal.append(written)
    assert not journal.append([row for row in written if row.table == "attempts"])
    assert journal.append([row for row in written if row.table == "transitions"])


def test_what_was_armed_is_known_after_a_restart(journal: Journal) -> None:
    """ARMED, or an exit that was open, before the restart."""
    journal.append(rows())
    journal.stop(5)
    again = Journal(journal.path)
    again.open()
    try:
        assert again.armed_before() == {Key(0, TICKER): Side.YES}
    finally:
        again.stop(5)


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    """An older program does not touch what a newer one wrote."""
    path = tmp_path / "journal.sqlite3"
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="newer version"):
        Journal(path).open()


def test_a_file_that_is_no_journal_is_refused_and_kept(tmp_path: Path) -> None:
    """A damaged file says so and is not overwritten."""
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigError, match="cannot be used"):
        Journal(path).open()
    assert path.read_bytes().startswith(b"not a database")


def test_inputs_of_a_transition_are_kept(journal: Journal) -> None:
    """What was known when the state changed stands beside the change, money as strings."""
    journal.append(rows())
    with sqlite3.connect(journal.path) as reader:
        (inputs,) = reader.execute(
            "SELECT inputs FROM transitions WHERE to_state = ?", (State.TRIGGERED.value,)
        ).fetchone()
    assert json.loads(inputs)["evidence"]["bid"] == "0.40"
