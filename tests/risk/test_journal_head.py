"""The newest row, kept apart: a journal that was put back from a backup is noticed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from base.model import Side
from base.risk.emergency import EmergencyFile
from base.risk.exit_lifecycle import State
from base.risk.journal import Journal
from base.risk.journal_head import Head, JournalHead
from tests.risk.journals import rows_of
from tests.risk.world import KEY, armed


def a_run(folder: Path, *, is_killed: bool = True, backup: Path | None = None) -> Journal:
    """A run of an exit that sends one order; ``backup`` has the journal of before it."""
    journal = Journal(folder / "journal.sqlite", EmergencyFile(folder / "emergency"))
    journal.open()
    world = armed()
    assert journal.append(rows_of(world))
    if backup is not None:
        shutil.copytree(folder, backup)
    world.bid("0.40")
    assert journal.append(rows_of(world)[len(rows_of(armed())) :])
    head = journal.head
    assert head is not None
    left = head.path.read_bytes()
    journal.stop(5)
    if is_killed:
        head.path.write_bytes(left)
    return journal


def started(folder: Path) -> Journal:
    """The next start."""
    journal = Journal(folder / "journal.sqlite", EmergencyFile(folder / "emergency"))
    journal.open()
    journal.stop(5)
    return journal


def put_back(backup: Path, folder: Path) -> None:
    """A person restores the journal; what lies in memory is not in a backup."""
    for path in folder.glob("journal.sqlite*"):
        path.unlink()
    for path in backup.glob("journal.sqlite*"):
        shutil.copy(path, folder)


def test_after_a_kill_the_journal_is_the_newest(tmp_path: Path) -> None:
    """Its open exit goes on."""
    a_run(tmp_path)
    journal = started(tmp_path)
    assert [intent.state for intent in journal.recovered().intents] == [State.IN_FLIGHT]
    assert not journal.recovered().is_old
    assert "is older" not in "".join(journal.warnings)


def test_an_older_journal_is_noticed_and_knows_no_exit(tmp_path: Path) -> None:
    """Holdings stay armed; exits may have gone on since, so none is gone on with."""
    folder, backup = tmp_path / "run", tmp_path / "backup"
    a_run(folder, backup=backup)
    put_back(backup, folder)
    journal = started(folder)
    found = journal.recovered()
    assert (found.is_old, found.armed, found.intents) == (True, {KEY: Side.YES}, ())
    assert "is older than what was written last" in journal.warnings[0]


def test_another_journal_is_noticed(tmp_path: Path) -> None:
    """As long, but not the one that had that row."""
    a_run(tmp_path)
    journal = Journal(tmp_path / "journal.sqlite", EmergencyFile(tmp_path / "emergency"))
    assert journal.head is not None
    journal.head.open()
    journal.head.write(Head(1, "f" * 64))
    journal.head.close()
    assert started(tmp_path).recovered().is_old


def test_a_deleted_journal_is_noticed_after_a_kill(tmp_path: Path) -> None:
    """What it knew is not known."""
    a_run(tmp_path)
    for path in tmp_path.glob("journal.sqlite*"):
        path.unlink()
    assert started(tmp_path).recovered().is_old


def test_a_clean_end_leaves_nothing(tmp_path: Path) -> None:
    """It is there for kills, and for what lags behind them."""
    journal = a_run(tmp_path, is_killed=False)
    assert journal.head is not None
    assert not journal.head.path.exists()


@pytest.mark.parametrize("content", [b"", b"what\n", b"12\n", b"x y\n", b"\xff\xfe 1\n"])
def test_what_cannot_be_read_says_nothing(tmp_path: Path, content: bytes) -> None:
    """A torn or foreign file makes no journal old."""
    head = JournalHead(tmp_path / "emergency")
    head.path.write_bytes(content)
    assert head.open() is None
    head.write(Head(7, "a" * 64))
    head.close()
    assert JournalHead(tmp_path / "emergency").open() == (7, "a" * 64)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Shared memory belongs to everybody."""
    head = JournalHead(tmp_path / "emergency")
    head.path.symlink_to(tmp_path / "elsewhere")
    assert head.open() is None
    head.write(Head(7, "a" * 64))
    assert not (tmp_path / "elsewhere").exists()


def test_a_head_of_long_ago_is_cleared_away(tmp_path: Path) -> None:
    """Every read shows by now what was done then."""
    names = [f"kalshi-stop-loss-{os.geteuid()}-{name}.head" for name in ("old", "new")]
    old, new = (tmp_path / name for name in names)
    for path in (old, new):
        path.write_bytes(b"1 a\n")
    os.utime(old, (0, 0))
    EmergencyFile(tmp_path / "emergency").open()
    assert (old.exists(), new.exists()) == (False, True)
