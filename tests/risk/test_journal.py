"""The journal thread: who sends waits for the disk, at most a quarter of a second; nobody else does."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from base.errors import ConfigError
from base.model import Key, Side
from base.risk import emergency
from base.risk import journal as journal_thread
from base.risk.emergency import EmergencyFile, as_kept
from base.risk.journal import MOST_QUEUED, Journal
from base.risk.journal_file import JournalFile
from base.risk.messages import Row
from tests.risk.journals import opened, read, rows_of, rows_of_an_exit, write
from tests.risk.world import TICKER, armed
from tests.support import eventually

STARTED_S = 20.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine is no disk that hangs."""
    monkeypatch.setattr(journal_thread, "WAIT_S", STARTED_S)
    monkeypatch.setattr(emergency, "WAIT_S", STARTED_S)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal in an own folder."""
    journal = Journal(tmp_path / "run" / "journal.sqlite", EmergencyFile(tmp_path / "emergency"))
    journal.open()
    yield journal
    journal.stop(5)


class Disk:
    """Stands before every write: lets it through, holds it up, or fails it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._write = JournalFile.write
        self.is_free = threading.Event()
        self.is_free.set()
        self.error: Exception | None = None
        self.asked = 0
        monkeypatch.setattr(JournalFile, "write", lambda file, rows: self.write(file, list(rows)))

    def write(self, file: JournalFile, rows: list[Row]) -> None:
        """What the journal thread calls."""
        self.asked += 1
        self.is_free.wait(STARTED_S)
        if self.error is not None:
            raise self.error
        self._write(file, rows)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """The disk under every journal of this test."""
    disk = Disk(monkeypatch)
    yield disk
    disk.is_free.set()


def of_sqlite(code: int, name: str) -> sqlite3.OperationalError:
    """An error as SQLite raises it."""
    error = sqlite3.OperationalError(name)
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


FULL = of_sqlite(sqlite3.SQLITE_FULL, "SQLITE_FULL")
SYNC_FAILED = of_sqlite(sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC")


def other_rows() -> list[Row]:
    """Rows of another holding, that no order waits for."""
    return [row for row in rows_of(armed()) if row.table == "transitions"]


# --- the file -----------------------------------------------------------------------------------------


def test_rows_are_readable_by_another_process_at_once(journal: Journal) -> None:
    """When append says True the rows are in the file."""
    assert journal.append(rows_of_an_exit())
    assert read(journal.path, "SELECT count, price FROM attempts") == [("10", "0.3900")]
    assert read(journal.path, "PRAGMA journal_mode") == [("wal",)]


def test_the_same_attempt_is_never_written_twice(journal: Journal) -> None:
    """A repeated client order id is refused by the file itself; the caller is told, the rest goes on."""
    written = rows_of_an_exit()
    assert journal.append(written)
    assert not journal.append([row for row in written if row.table == "attempts"])
    assert journal.append(other_rows())


def test_what_was_armed_is_known_after_a_restart(journal: Journal) -> None:
    """ARMED, or an exit that was open, before the restart."""
    assert journal.append(rows_of_an_exit())
    journal.stop(5)
    again = Journal(journal.path)
    again.open()
    try:
        assert again.recovered().armed == {Key(0, TICKER): Side.YES}
    finally:
        again.stop(5)


def test_a_journal_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    """The start fails with the setting and the sentence."""
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(
        ConfigError, match=r"paths\.data: the journal .* cannot be used: it was written by a newer"
    ):
        Journal(path).open()


def test_a_damaged_journal_is_told_to_the_person(tmp_path: Path) -> None:
    """It starts all the same: what is held is read from the exchange."""
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database" * 100)
    journal = Journal(path)
    journal.open()
    try:
        (warning,) = journal.warnings
        kept = journal.recovered().kept_aside
        assert kept is not None
        assert kept in warning
        assert (tmp_path / kept).read_bytes().startswith(b"not a database")
    finally:
        journal.stop(5)


# --- waiting ------------------------------------------------------------------------------------------


def test_rows_that_no_order_waits_for_are_only_handed_over(journal: Journal, disk: Disk) -> None:
    """A slow disk holds up no price."""
    disk.is_free.clear()
    assert journal.append(other_rows(), wait=False)
    eventually(lambda: disk.asked == 1)
    assert read(journal.path, "SELECT count(*) FROM transitions") == [(0,)]
    disk.is_free.set()
    assert journal.append(rows_of_an_exit())
    assert read(journal.path, "SELECT count(*) FROM transitions") == [(4,)]


def test_nobody_waits_twice_for_a_disk_that_hangs(
    journal: Journal, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first order waits a quarter of a second; until the disk answers the others do not."""
    disk.is_free.clear()
    monkeypatch.setattr(journal_thread, "WAIT_S", 0.05)
    assert not journal.append(rows_of_an_exit())
    monkeypatch.setattr(journal_thread, "WAIT_S", 3600)  # who waited now would never come back
    assert not journal.append(other_rows())
    assert not journal.check()
    assert disk.asked == 1
    disk.is_free.set()
    eventually(journal.check)
    assert journal.append([])
    assert read(journal.path, "SELECT count(*) FROM transitions") == [(4,)]


def test_what_a_full_disk_refused_is_written_once_there_is_room(journal: Journal, disk: Disk) -> None:
    """By itself, oldest first: nothing has to happen for it."""
    disk.error = FULL
    assert not journal.append(rows_of_an_exit())
    assert not journal.append(other_rows(), wait=False)
    eventually(lambda: disk.asked == 2)
    disk.error = None
    eventually(journal.check)
    assert read(journal.path, "SELECT count(*) FROM attempts") == [(1,)]
    assert read(journal.path, "SELECT count(*) FROM transitions") == [(4,)]


def test_a_backup_that_locks_the_file_costs_no_row(journal: Journal) -> None:
    """The write fails at once, and is made up for when the lock is gone."""
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as backup:
        backup.execute("BEGIN IMMEDIATE")
        assert not journal.append(rows_of_an_exit())
        eventually(lambda: journal.failures > 0)
        backup.execute("COMMIT")
        eventually(lambda: journal.append([]))
    assert read(journal.path, "SELECT count(*) FROM attempts") == [(1,)]


def test_a_failure_that_nobody_waited_for_is_told_once(journal: Journal, disk: Disk) -> None:
    """The next look at the journal says so, though later rows were written."""
    disk.error = ValueError("a row that is not right")
    disk.is_free.clear()
    assert journal.append(rows_of_an_exit(), wait=False)
    disk.is_free.set()
    eventually(lambda: journal.failures > 0)
    disk.error = None
    assert not journal.check()
    assert journal.check()


def test_after_a_failed_sync_the_file_is_not_written_to_any_more(journal: Journal, disk: Disk) -> None:
    """What the disk seemed to hold may be lost: until a restart the emergency file keeps the orders."""
    disk.error = SYNC_FAILED
    assert not journal.append(rows_of_an_exit())
    disk.error, disk.asked = None, 0
    assert not journal.append(other_rows())
    assert not journal.check()
    assert disk.asked == 0


def test_a_value_that_cannot_be_written_spoils_only_its_own_round(journal: Journal) -> None:
    """The caller is told, the thread lives, and the next rows are durable."""
    transition = other_rows()[0]
    bad = Row(table="transitions", values={**transition.values, "inputs": {"odd": object()}})
    assert not journal.append([bad])
    assert journal.append(rows_of_an_exit())
    assert journal.is_alive()


def test_a_disk_that_hangs_for_ever_costs_no_memory(journal: Journal, disk: Disk) -> None:
    """What waits is bounded."""
    disk.is_free.clear()
    row = other_rows()
    while journal.append(row, wait=False):
        assert journal._queue.qsize() <= MOST_QUEUED
    assert journal._queue.qsize() == MOST_QUEUED


# --- the emergency file -------------------------------------------------------------------------------


def test_the_emergency_file_is_private_and_has_its_size_from_the_start(
    tmp_path: Path, journal: Journal
) -> None:
    """A full file system cannot take away what is there already. A clean end takes it away."""
    found = (tmp_path / "emergency").stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_blocks * 512 >= found.st_size == 1 << 20
    journal.append(rows_of_an_exit())
    journal.stop(5)
    assert not (tmp_path / "emergency").exists()


def test_rows_of_an_order_outlive_a_dead_journal(tmp_path: Path, journal: Journal, disk: Disk) -> None:
    """Killed while the disk was full: the next start knows the order, once, however often it is killed."""
    rows = rows_of_an_exit()
    kept = [row for row in rows if row.table != "decisions"]
    assert journal.append(other_rows())
    disk.error = FULL
    assert not journal.append(rows)
    assert journal.keep(kept)
    assert journal.keep(kept)  # a resend keeps them again
    disk.error = None
    copy = tmp_path / "copy"
    for _ in range(3):  # killed after carrying over, before emptying
        copy.write_bytes((tmp_path / "emergency").read_bytes())
        again = Journal(tmp_path / "again.sqlite", EmergencyFile(copy))
        again.open()
        assert not again.emergency.is_used  # type: ignore[union-attr]
        (intent,) = again.recovered().intents
        assert [attempt.is_unresolved for attempt in intent.attempts] == [True]
        again.stop(5)
    assert read(tmp_path / "again.sqlite", "SELECT count(*) FROM transitions") == [(3,)]


def test_an_exit_that_is_over_does_not_come_back(tmp_path: Path) -> None:
    """Its sending was kept and its row lost, but later rows of the holding were written: they hold."""
    world = armed().bid("0.40").quiet(0.1, 0.1).answer("10")
    world.tell(world.fill("10", "0"))
    rows = rows_of(world)
    (sending,) = [row for row in rows if row.values.get("event") == "send"]
    write(tmp_path / "journal.sqlite", [row for row in rows if row is not sending])
    with opened(tmp_path / "journal.sqlite") as file:
        assert file.carry_over([[as_kept(sending)]]) == 0
        assert file.recovered().armed == {}


def test_rows_that_the_journal_has_by_now_are_forgotten(tmp_path: Path, journal: Journal, disk: Disk) -> None:
    """It healed while the program ran: the next durable order empties the emergency file."""
    rows = rows_of_an_exit()
    disk.error = FULL
    assert not journal.append(rows)
    assert journal.keep([row for row in rows if row.table == "attempts"])
    disk.error = None
    eventually(lambda: journal.append([]))
    assert (tmp_path / "emergency").read_bytes().count(0) == 1 << 20


def test_rows_without_what_they_refer_to_are_left_out(tmp_path: Path) -> None:
    """The journal was damaged meanwhile: an attempt without its intent stops no start."""
    file = EmergencyFile(tmp_path / "emergency")
    file.open()
    assert file.write([as_kept(row) for row in rows_of_an_exit() if row.table == "attempts"])
    file.close()
    journal = Journal(tmp_path / "journal.sqlite", EmergencyFile(tmp_path / "emergency"))
    journal.open()
    assert journal.recovered().intents == ()
    journal.stop(5)


def test_an_emergency_file_that_cannot_be_had_is_told_and_stops_nothing(tmp_path: Path) -> None:
    """The person is told what is lacking."""
    (tmp_path / "no folder").touch()
    journal = Journal(tmp_path / "journal.sqlite", EmergencyFile(tmp_path / "no folder" / "emergency"))
    journal.open()
    assert not journal.keep(rows_of_an_exit())
    journal.stop(5)
    (warning,) = journal.warnings
    assert "paths.emergency" in warning


def test_an_emergency_file_beside_the_journal_is_told(tmp_path: Path) -> None:
    """What befalls one disk befalls both files."""
    write(tmp_path / "journal.sqlite", rows_of_an_exit())
    journal = Journal(tmp_path / "journal.sqlite", EmergencyFile(tmp_path / "emergency"))
    journal.open()
    journal.stop(5)
    (warning,) = journal.warnings
    assert "on the disk of the journal" in warning
