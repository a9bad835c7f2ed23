"""One sender: a second process refuses, and a lock whose process was killed is taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from base.app.account_folder import AccountFolder
from base.app.lock_owner import LockOwner, owner_in
from base.errors import ConfigError
from tests.reference import ROOT

CLAIM = """
import sys, time
from pathlib import Path
from base.app.account_folder import AccountFolder
AccountFolder(Path(sys.argv[1])).claim()
print("claimed", flush=True)
time.sleep(60)
"""


def test_a_second_process_refuses_and_a_killed_one_leaves_nothing_behind(tmp_path: Path) -> None:
    """The first one is named; once it is killed the lock is free, whatever still stands in it."""
    folder = AccountFolder(tmp_path / "account")
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(folder.path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "claimed\n"
        with pytest.raises(ConfigError, match=f"process {first.pid}"):
            folder.claim()
        first.send_signal(signal.SIGKILL)
        first.wait()
    with (folder.path / "lock").open() as left:
        assert owner_in(left.fileno()) == LockOwner(first.pid, LockOwner.this_process().boot_id)
    folder.claim()
    folder.release()


@pytest.mark.parametrize(
    ("text", "pid", "is_of_this_boot"),
    [
        pytest.param("4711 another-boot\n", 4711, False, id="of another boot"),
        pytest.param("4711\n", 4711, False, id="of a version that wrote the process only"),
        pytest.param("", None, None, id="nobody yet"),
        pytest.param("\0\0", None, None, id="torn"),
    ],
)
@pytest.mark.skipif(not LockOwner.this_process().boot_id, reason="needs a system that names its boot: Linux")
def test_what_stands_in_a_lock(
    tmp_path: Path, text: str, pid: int | None, is_of_this_boot: bool | None
) -> None:
    """A process number of another boot is nobody's."""
    path = tmp_path / "lock"
    path.write_text(text)
    lock = os.open(path, os.O_RDWR)
    owner = owner_in(lock)
    assert (owner.pid, owner.is_of_this_boot) == (pid, is_of_this_boot) if owner else pid is None
    LockOwner.this_process().write(lock)
    assert owner_in(lock) == LockOwner.this_process()
    os.close(lock)
