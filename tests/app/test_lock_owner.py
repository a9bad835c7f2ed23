"""One sender: a second process refuses, and a lock whose process was killed is taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from base.app.account_folder import AccountFolder
from base.app.lock_owner import LockOwner, owner_in
from base.app.starting import Interrupted, claim_in_turn
from base.app.stderr import drain
from base.clock import SystemClock
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


@contextmanager
def claimed(folder: AccountFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns the folder until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(folder.path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "claimed\n"
        yield owner


def test_a_second_process_refuses_and_a_killed_one_leaves_nothing_behind(tmp_path: Path) -> None:
    """The first one is named; once it is killed the lock is free, whatever still stands in it."""
    folder = AccountFolder(tmp_path / "account")
    with claimed(folder) as first:
        with pytest.raises(ConfigError, match=f"process {first.pid}"):
            folder.claim()
        first.send_signal(signal.SIGKILL)
        first.wait()
    with (folder.path / "lock").open() as left:
        assert owner_in(left.fileno()) == LockOwner(first.pid, LockOwner.this_process().boot_id)
    folder.claim()
    folder.release()


def test_a_restarted_process_waits_until_the_account_is_free(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another may have taken it over to flatten. It waits so long and no longer, and not when it is to end."""
    folder, clock, stopping = AccountFolder(tmp_path / "account"), SystemClock(), threading.Event()
    with claimed(folder) as first:
        with pytest.raises(ConfigError, match=f"process {first.pid}"):
            claim_in_turn(folder, 0.3, clock, stopping)
        stopping.set()
        with pytest.raises(Interrupted):
            claim_in_turn(folder, 30, clock, stopping)
        stopping.clear()
        timer = threading.Timer(0.5, first.kill)
        timer.start()
        claim_in_turn(folder, 30, clock, stopping)
        timer.join()
    drain()
    assert (
        f"already guards this account (process {first.pid}): it is waited for, 30 s long"
        in capfd.readouterr().err
    )
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
