"""What must hold on a disk that is really full. Run by test_full_disk.py on a small file system of its own."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from base.app.lock_owner import LockOwner
from base.risk.emergency import EmergencyFile, as_kept
from base.risk.journal import Journal
from base.risk.journal_chain import broken_link_of
from base.risk.messages import Row
from tests.integration.rig import D, Rig
from tests.risk.journals import opened, read, rows_of_an_exit
from tests.support import eventually


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte is free."""
    filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    for size in (65536, 4096, 1):
        with contextlib.suppress(OSError):
            while True:
                os.write(filler, bytes(size))
    os.close(filler)
    assert os.statvfs(disk).f_bavail == 0
    yield
    (disk / "filler").unlink()


def start_on_a_full_disk(disk: Path, elsewhere: Path) -> None:
    """The journal's start knows what stands in both files, takes rows, and has them all once there is room."""
    rows = rows_of_an_exit()
    at = next(n for n, row in enumerate(rows) if row.table == "attempts")
    path = disk / "run" / "journal.sqlite"
    with opened(path) as file:
        file.write(rows[:at])
    killed = EmergencyFile(elsewhere / "emergency")
    killed.open()
    assert killed.write([as_kept(row) for row in rows[at:]])
    killed.close()
    with filled(disk):
        journal = Journal(path, EmergencyFile(elsewhere / "emergency"))
        journal.open()
        assert "its disk is full" in journal.warnings[0]
        (intent,) = journal.recovered().intents
        assert [attempt.is_unresolved for attempt in intent.attempts] == [True]
        assert not journal.check()
        later = [_intent(rows, "later")]
        assert not journal.append(later)
        assert journal.keep(later)
    eventually(journal.check)
    assert read(path, "SELECT intent_id FROM intents WHERE intent_id = 'later'")
    assert len(read(path, "SELECT * FROM attempts")) == 1
    assert journal.append([_intent(rows, "last")])
    journal.stop(5)
    assert broken_link_of(path) is None
    assert not (elsewhere / "emergency").exists()


def _intent(rows: list[Row], intent_id: str) -> Row:
    found = next(row for row in rows if row.table == "intents")
    return Row(table="intents", values={**found.values, "intent_id": intent_id})


def app_on_a_full_disk(disk: Path, elsewhere: Path) -> None:
    """Journal and log without a free byte: the app starts, the stop fires, the exit goes, the alarm rings."""
    with Rig(disk, f"paths.emergency={elsewhere}") as rig:
        rig.hold()
        rig.start()
        rig.armed()
        rig.app.stop()
        with filled(disk):
            rig.start()
            rig.armed()
            rig.slide("0.52", "0.40")
            rig.closed(15)
            assert rig.held == D(0)
            eventually(lambda: "journal_failed" in rig.view.alarms)
            assert "emergency_failed" not in rig.view.alarms
            heartbeat = next((disk / "data").rglob("heartbeat"))
            assert float(heartbeat.read_text().split()[0]) > 0.0
            assert rig.deaths == []
        eventually(lambda: "journal_failed" not in rig.view.alarms)
        assert rig.journal_rows("attempts") == len(rig.orders)
        rig.app.stop()
        assert broken_link_of(rig.journal) is None


def lock_on_a_full_disk(disk: Path, elsewhere: Path) -> None:
    """Its owner cannot be written: it holds all the same."""
    with filled(disk):
        lock = os.open(disk / "lock", os.O_RDWR | os.O_CREAT)
        LockOwner.this_process().write(lock)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        globals()[sys.argv[1]](Path(sys.argv[2]), Path(other))
