"""The emergency file: whole rounds or none, whatever is torn, hangs or is taken away."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.risk import emergency
from base.risk.emergency import EmergencyFile, Kept, emergency_path

CELLS = st.one_of(st.none(), st.integers(-(2**53), 2**53), st.text(max_size=30))
ROUNDS = st.lists(
    st.lists(st.builds(Kept, st.sampled_from(["intents", "attempts"]), st.dictionaries(st.text(max_size=5), CELLS))),
    min_size=1, max_size=5,
)  # fmt: skip
ROW = Kept("attempts", {"client_order_id": "sl-1", "count": "10.00"})


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """A loaded machine is no medium that hangs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emergency, "WAIT_S", 20)
        yield


@pytest.fixture
def file(tmp_path: Path) -> Iterator[EmergencyFile]:
    """An open file."""
    file = EmergencyFile(tmp_path / "emergency")
    assert file.open() == []
    yield file
    file.close()


def left_in(path: Path) -> list[list[Kept]]:
    """What the next start would find, the process that has it killed."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    file = EmergencyFile(copy)
    try:
        return file.open()
    finally:
        file.close()


@settings(deadline=None, max_examples=60)
@given(rounds=ROUNDS, cut=st.integers(0, 400), junk=st.binary(max_size=40))
def test_a_torn_write_loses_its_own_round_only(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[Kept]], cut: int, junk: bytes
) -> None:
    """Power fails in the middle of a write: what was whole before is whole after."""
    path = tmp_path_factory.mktemp("torn") / "emergency"
    file = EmergencyFile(path, size=1 << 16)
    file.open()
    ends = []
    for rows in rounds:
        assert file.write(rows)
        ends.append(file._end)
    torn = max(0, ends[-1] - cut)
    os.pwrite(file._file, junk + bytes(cut), torn)
    file.close()
    found = left_in(path)
    whole = sum(end <= torn for end in ends)
    assert found[:whole] == rounds[:whole]
    assert found == rounds[: len(found)]


def test_a_round_that_is_not_what_was_written_is_left_out(file: EmergencyFile) -> None:
    """One digit is enough."""
    assert file.write([ROW])
    text = file.path.read_bytes()
    file.path.write_bytes(text.replace(b"10.00", b"70.00"))
    assert left_in(file.path) == []


def test_what_was_emptied_never_comes_back(file: EmergencyFile) -> None:
    """A shorter round written over a longer one does not bring up its rest."""
    assert file.write([ROW] * 3)
    assert file.write([ROW])
    file.empty()
    assert left_in(file.path) == []
    assert file.write([ROW] * 3)
    assert left_in(file.path) == [[ROW] * 3]


def test_a_full_file_says_so(tmp_path: Path) -> None:
    """Its size is fixed; what does not fit is not kept."""
    file = EmergencyFile(tmp_path / "emergency", size=200)
    file.open()
    assert file.write([ROW])
    assert not file.write([ROW] * 3)
    file.close()
    assert left_in(tmp_path / "emergency") == [[ROW]]


def test_a_medium_that_hangs_holds_up_no_order(file: EmergencyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write is given up after a quarter of a second, and nobody waits for it twice."""
    is_free, write = threading.Event(), os.pwrite

    def hanging(*of: int) -> int:
        is_free.wait(20)
        return write(*of)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "pwrite", hanging)
    monkeypatch.setattr(emergency, "WAIT_S", 0.05)
    assert not file.write([ROW])
    monkeypatch.setattr(emergency, "WAIT_S", 3600)
    assert not file.write([ROW])
    is_free.set()
    assert file._writer is not None
    file._writer.join(20)
    assert left_in(file.path) == [[ROW]]


def test_a_file_that_was_taken_away_is_made_anew(file: EmergencyFile) -> None:
    """Shared memory is cleaned up when its user logs out: what is written then must be found all the same."""
    file.path.unlink()
    assert file.write([ROW])
    assert left_in(file.path) == [[ROW]]


def test_a_file_of_another_user_or_a_link_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared memory is everybody's folder."""
    (tmp_path / "theirs").touch()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match="symbolic links"):
        EmergencyFile(tmp_path / "link").open()
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "theirs").stat().st_uid + 1)
    with pytest.raises(PermissionError, match="belongs to user"):
        EmergencyFile(tmp_path / "theirs").open()


def test_each_journal_has_its_own(tmp_path: Path) -> None:
    """Two accounts, or paper and live, never meet in one file; the same journal always finds its own."""
    live, paper = tmp_path / "a" / "journal.sqlite", tmp_path / "a" / "paper.sqlite"
    paths = {emergency_path(live, None), emergency_path(paper, None), emergency_path(live, str(tmp_path))}
    assert len(paths) == 3
    assert emergency_path(tmp_path / "a" / ".." / "a" / "journal.sqlite", None) == emergency_path(live, None)
    assert emergency_path(live, str(tmp_path)).parent == tmp_path


def test_the_file_is_private(file: EmergencyFile) -> None:
    """Mode 0600, also if it stood there with another."""
    file.close()
    file.path.chmod(0o644)
    file.open()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_what_killed_processes_left_empty_is_cleared_away(tmp_path: Path) -> None:
    """Shared memory is memory. What holds rows, or is in use, stays."""
    killed, holding, used = (
        EmergencyFile(emergency_path(tmp_path / name, str(tmp_path)))
        for name in ("killed", "holding", "used")
    )
    for file in (killed, holding, used):
        file.open()
    assert holding.write([ROW])
    killed.close()
    holding.close()
    new = EmergencyFile(emergency_path(tmp_path / "new", str(tmp_path)))
    new.open()
    assert [file.path.exists() for file in (killed, holding, used, new)] == [False, True, True, True]
    with pytest.raises(BlockingIOError):
        EmergencyFile(used.path).open()
    for file in (used, new):
        file.close()
