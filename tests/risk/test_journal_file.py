"""The journal's file: chained, private, migrated, and put aside when it is damaged."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from base.errors import ConfigError
from base.model import Key, Side
from base.risk.exit_lifecycle import State
from base.risk.journal_chain import broken_link, broken_link_of
from base.risk.journal_file import JournalFile
from base.risk.journal_place import file_system_of
from base.risk.journal_tables import SCHEMA_VERSION
from base.risk.messages import Row
from tests.risk.journals import opened, read, recovered, rows_of, rows_of_an_exit, tamper, write
from tests.risk.world import D, armed

VERSION_1 = Path(__file__).with_name("journal_v1.sql")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal stands, in a folder that does not exist yet."""
    return tmp_path / "run" / "journal.sqlite"


def put_aside(path: Path) -> list[Path]:
    """The damaged journals that were kept."""
    return [
        kept for kept in path.parent.glob(f"{path.name}.corrupt-*") if kept.name[-4:] not in ("-wal", "-shm")
    ]


# --- rows -------------------------------------------------------------------------------------------


def test_inputs_are_kept_with_money_as_text(path: Path) -> None:
    """What was known when the exit began stands beside it."""
    write(path, rows_of_an_exit())
    ((evidence,),) = read(path, "SELECT evidence FROM intents")
    assert json.loads(evidence)["bid"] == "0.40"
    ((inputs,),) = read(path, "SELECT inputs FROM transitions WHERE to_state = ?", State.IN_FLIGHT.value)
    assert json.loads(inputs) == {"count": "10", "reason": "STOP", "price": "0.3900", "is_new_id": True} | {
        "count": "10"
    }


def test_the_file_is_private(path: Path) -> None:
    """Mode 0600 in a folder of mode 0700, whatever stood there before."""
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o644)
    with opened(path) as file:
        file.write(rows_of_an_exit())
        modes = {kept.name: stat.S_IMODE(kept.stat().st_mode) for kept in path.parent.iterdir()}
    assert modes == {"journal.sqlite": 0o600, "journal.sqlite-wal": 0o600, "journal.sqlite-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_round_is_written_whole_or_not_at_all(path: Path) -> None:
    """One row that is refused takes the others of its transaction with it, and the chain goes on."""
    rows = rows_of_an_exit()
    with opened(path) as file:
        file.write(rows)
        with pytest.raises(sqlite3.IntegrityError):
            file.write([*rows_of(armed()), next(row for row in rows if row.table == "attempts")])
        file.write(rows_of(armed()))
        assert broken_link(file._connection) is None
    assert len(read(path, "SELECT 1 FROM transitions")) == 4


@pytest.mark.parametrize(
    "text", ["half a character \ud800", "nul \0 inside", "Zürich ☃"], ids=["surrogate", "nul", "plain"]
)
def test_whatever_the_exchange_says_can_be_written(path: Path, text: str) -> None:
    """Words from outside must not cost the rows beside them, nor the chain."""
    row = next(row for row in rows_of_an_exit() if row.table == "transitions")
    with opened(path) as file:
        file.write([Row(table=row.table, values={**row.values, "ticker": text, "inputs": {"why": text}})])
    assert broken_link_of(path) is None


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE intents SET quantity = '9'", id="edited"),
        pytest.param("UPDATE intents SET last_floor = '0.01'", id="an absent value filled in"),
        pytest.param("DELETE FROM transitions WHERE event = 'trigger'", id="taken out"),
        pytest.param("UPDATE attempts SET chain = 'x'", id="another digest"),
        pytest.param("DELETE FROM decisions", id="the oldest rows taken out"),
    ],
)
def test_a_row_that_was_changed_breaks_the_chain(path: Path, statement: str) -> None:
    """Nobody edits what happened; it is noticed at the next start, and the file is kept."""
    write(path, rows_of_an_exit())
    assert broken_link_of(path) is None
    tamper(path, statement)
    assert broken_link_of(path) is not None
    found = recovered(path)
    assert (found.armed, found.intents) == ({}, ())
    assert [kept.name for kept in put_aside(path)] == [found.kept_aside]


def test_a_start_checks_the_newest_rows_only(path: Path) -> None:
    """However old the journal is, the check takes no longer; all of it is checked on demand."""
    write(path, rows_of_an_exit())
    tamper(path, "UPDATE transitions SET inputs = '{}' WHERE seq = (SELECT min(seq) FROM transitions)")
    with JournalFile(path.with_name("other"))._connection as other:
        assert broken_link(other) is None
    with sqlite3.connect(path) as connection:
        assert broken_link(connection, newest=3) is None
        assert broken_link(connection, newest=None) is not None


# --- versions ---------------------------------------------------------------------------------------


def test_a_journal_of_version_1_is_taken_over(path: Path) -> None:
    """Its rows stay as they were, chain included, and say what was armed and what was on its way."""
    path.parent.mkdir()
    with sqlite3.connect(path) as old:
        old.executescript(VERSION_1.read_text())
    before = read(path, "SELECT seq, chain, inputs FROM transitions")
    found = recovered(path)
    assert read(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert read(path, "SELECT seq, chain, inputs FROM transitions") == before
    assert broken_link_of(path) is None
    exiting, standing, back = (Key(0, f"KXOLD-26DEC31-{name}") for name in ("EXITING", "ARMED", "BACK"))
    assert found.armed == {exiting: Side.YES, standing: Side.YES, back: Side.YES}
    (intent,) = found.intents
    assert (intent.key, intent.state, intent.last_floor) == (exiting, State.UNKNOWN, None)
    assert [attempt.is_unresolved for attempt in intent.attempts] == [False, True]
    assert [outcome.filled for attempt in intent.attempts for outcome in attempt.outcomes] == [D(4), None]
    assert [is_new for _, is_new in found.sends[back]] == [True, True, True]
    with opened(path) as file:
        file.write(rows_of_an_exit())  # goes on in the new tables
    assert broken_link_of(path) is None


def test_a_migration_that_fails_leaves_the_old_version(path: Path) -> None:
    """All steps or none: the next start finds what the last one found."""
    path.parent.mkdir()
    with sqlite3.connect(path) as old:
        old.executescript(VERSION_1.read_text())
        old.execute("CREATE TABLE decisions (what TEXT)")
    assert recovered(path).kept_aside is not None
    (kept,) = put_aside(path)
    assert read(kept, "PRAGMA user_version") == [(1,)]
    assert "last_floor" not in [name for _, name, *_ in read(kept, "PRAGMA table_info(intents)")]


def test_a_newer_journal_is_refused_and_left_alone(path: Path) -> None:
    """An older program does not touch what a newer one wrote."""
    write(path, rows_of_an_exit())
    tamper(path, "PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="newer version"):
        JournalFile(path)
    assert put_aside(path) == []


# --- damage -----------------------------------------------------------------------------------------


def nonsense(path: Path) -> None:
    """Not a database at all."""
    path.write_bytes(b"not a database" * 1000)


def cut_short(path: Path) -> None:
    """The end of the file is lost."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4096 - 100)


def flipped_bytes(path: Path) -> None:
    """A page in the middle holds something else."""
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xa5" * 4096)


def a_broken_index(path: Path) -> None:
    """What finds rows is broken, though every row is there."""
    ((page,),) = read(path, "SELECT rootpage FROM sqlite_master WHERE name = 'decisions_by_key'")
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)


def no_tables(path: Path) -> None:
    """Some table is not there."""
    tamper(path, "DROP TABLE outcomes")


@pytest.mark.parametrize("damage", [nonsense, cut_short, flipped_bytes, a_broken_index, no_tables])
def test_a_damaged_journal_is_kept_and_a_new_one_begun(path: Path, damage: Callable[[Path], None]) -> None:
    """Nothing is armed from memory; the exchange's reports say what is held."""
    write(path, rows_of_an_exit())
    damage(path)
    broken = path.read_bytes()
    with opened(path) as file:
        found = file.recovered()
        assert (found.armed, found.intents, found.newest_ms) == ({}, (), None)
        assert file.damage
        file.write(rows_of_an_exit())
    (kept,) = put_aside(path)
    assert kept.read_bytes() == broken
    assert recovered(path).kept_aside is None  # said once


def test_a_wal_goes_with_the_file_it_belongs_to(path: Path) -> None:
    """Killed with rows in the WAL: those of the damaged journal never get into the new one."""
    write(path, rows_of_an_exit())
    copy = Path(f"{path}.copy")
    with opened(path) as file:
        file.write([row for row in rows_of(armed()) if row.table == "transitions"])
        for suffix in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    copy.write_bytes(bytes(copy.stat().st_size))
    with opened(copy) as file:
        assert (file.recovered().armed, file.damage) == ({}, "file is not a database")
        (kept,) = put_aside(copy)
        assert Path(f"{kept}-wal").stat().st_size > 0


# --- the place --------------------------------------------------------------------------------------


def test_a_disk_that_may_only_be_read_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sentence that names the file and what to set."""

    def read_only(*of: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(ConfigError, match=r"journal\.sqlite: Read-only file system; set paths\.data"):
        JournalFile(path)


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two users on one journal would lock each other out."""
    write(path, rows_of_an_exit())
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="belongs to user"):
        JournalFile(path)


MOUNTS = r"""
22 1 253:0 / / rw,relatime - ext4 /dev/vda rw
40 22 0:36 / /home rw,relatime shared:1 - nfs4 server:/home rw,vers=4.2
41 40 0:37 / /home/me/fast\040disk rw - xfs /dev/vdb rw
42 22 0:38 / /mnt rw - ext4 /dev/vdc rw
43 22 0:39 / /mnt rw - fuse.sshfs me@there: rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/data", "ext4"),
        ("/home/me/data", "nfs4"),
        ("/home/me/fast disk/data", "xfs"),
        ("/homer", "ext4"),
        ("/mnt/data", "fuse.sshfs"),
    ],
)
def test_the_kind_of_disk_is_that_of_the_nearest_mount(folder: str, kind: str) -> None:
    """Longest mount point first; of two on one point the newer."""
    assert file_system_of(Path(folder), MOUNTS) == kind


def test_a_journal_on_a_network_disk_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There its lock and its sync cannot be relied on."""
    monkeypatch.setattr("base.risk.journal_place.file_system_of", lambda folder, mounts: "nfs4")
    with pytest.raises(ConfigError, match="network \\(nfs4\\)"):
        JournalFile(path)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("is_read", [False, True], ids=["alone", "while somebody reads it"])
def test_what_a_full_disk_holds_is_known(tmp_path: Path, is_read: bool) -> None:
    """A reader that has the file open, as ``explain`` may, keeps no start waiting."""
    path = tmp_path / "journal.sqlite"
    write(path, rows_of_an_exit())
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        if is_read:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM intents").fetchone() == (1,)
        copy = JournalFile(path, in_memory=True)
        found = copy.recovered()
        copy.close()
    assert len(found.intents) + len(found.closed_ms) == 1
