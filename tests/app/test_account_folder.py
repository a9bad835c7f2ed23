"""The folders of accounts: never mixed, found again, and old runs on the embedded exchange removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from base.app.account_folder import (
    AccountFolder,
    InUse,
    current_folder,
    drop_old_runs,
    folder_of,
    note_current,
)
from base.risk.emergency import emergency_path


def test_environments_and_keys_have_folders_of_their_own(tmp_path: Path) -> None:
    """The same key in another environment is another account."""
    paths = {folder_of(tmp_path, env, key).path for env in ("demo", "production") for key in ("a1", "b2")}
    assert len(paths) == 4


def test_newest_run_is_found_from_another_shell(tmp_path: Path) -> None:
    """``status`` finds the account of the newest run on the embedded exchange."""
    assert current_folder(tmp_path) is None
    for name in ("simulated-000000000001", "simulated-000000000002"):
        note_current(tmp_path, AccountFolder(tmp_path / name))
    found = current_folder(tmp_path)
    assert found is not None
    assert found.path == tmp_path / "simulated-000000000002"


@pytest.mark.parametrize("said", ["", "../../etc", "simulated-../x", "demo-1", "\xff"])
def test_pointer_with_rubbish_points_nowhere(tmp_path: Path, said: str) -> None:
    """A damaged pointer file leads to no folder."""
    (tmp_path / "simulated-current").write_text(said, encoding="latin-1")
    assert current_folder(tmp_path) is None


def test_old_runs_go_and_others_stay(tmp_path: Path) -> None:
    """The newest runs stay, and so does what is in use or belongs to a real account."""
    runs = [tmp_path / f"simulated-00000000000{n}" for n in range(8)]
    for age, run in enumerate(runs):
        run.mkdir()
        os.utime(run, (age, age))
    (tmp_path / "demo-000000000000").mkdir()
    in_use = AccountFolder(runs[0])
    in_use.claim()
    os.utime(runs[0], (0, 0))
    kept, gone = (
        emergency_path(AccountFolder(run).journal, str(tmp_path / "x")) for run in (runs[0], runs[1])
    )
    kept.parent.mkdir()
    kept.touch()
    gone.touch()
    drop_old_runs(tmp_path, str(tmp_path / "x"), keep=5)
    assert (kept.exists(), gone.exists()) == (True, False)
    kept.unlink()
    kept.parent.rmdir()
    left = {path.name for path in tmp_path.iterdir()}
    in_use.release()
    assert left == {run.name for run in (runs[0], *runs[3:])} | {"demo-000000000000"}


@pytest.mark.parametrize("environment", ["demo", "production"])
def test_an_account_is_guarded_once_a_machine(tmp_path: Path, environment: str) -> None:
    """From two folders it would be sold twice: the second is refused, and told which is the first."""
    key = f"test{os.getpid():08x}"
    first = folder_of(tmp_path / "one", environment, key, is_live=True)
    second = folder_of(tmp_path / "two", environment, key, is_live=True)
    first.claim()
    try:
        with pytest.raises(InUse, match=f"already, from {first.path}"):
            second.claim()
        with pytest.raises(InUse, match="process"):
            folder_of(tmp_path / "one", environment, key, is_live=True).claim()
        paper = folder_of(tmp_path / "two", environment, key)
        paper.claim()  # sends nothing: it may look on; and the refused one left its folder free
        paper.release()
    finally:
        first.release()
    second.claim()
    second.release()
    assert second._machine_lock is not None
    second._machine_lock.unlink()


def test_exchanges_of_ones_own_are_not_the_machines(tmp_path: Path) -> None:
    """Embedded ones, and tests of another: the same key there is not the same account."""
    folders = [folder_of(tmp_path / name, "custom", "a1", is_live=True) for name in ("one", "two")]
    for folder in folders:
        folder.claim()
    assert all(folder.is_owned for folder in folders)
    for folder in folders:
        folder.release()


def test_commands_mean_the_run_that_lives(tmp_path: Path) -> None:
    """A second one came and went: the pointer names it, the first still guards."""
    first, second = (AccountFolder(tmp_path / f"simulated-{n:012x}") for n in (1, 2))
    first.claim()
    second.claim()
    note_current(tmp_path, second)
    found = current_folder(tmp_path)
    assert found is not None
    assert found.path == second.path
    second.release()
    found = current_folder(tmp_path)
    assert found is not None
    assert found.path == first.path
    first.release()
    found = current_folder(tmp_path)
    assert found is not None
    assert found.path == second.path
