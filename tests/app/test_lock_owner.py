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
from base.app.lock_owner import LockOwner, _age_s, owner_in
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


@pytest.fixture(params=["the kernel's table", "ps"])
def proof(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How it is proven who holds a lock."""
    table = Path("/proc/locks")
    if request.param == "ps":
        monkeypatch.setattr("base.app.lock_owner._LOCKS", Path("/nowhere"))
    elif not table.exists():
        pytest.skip("needs the kernel's table of locks: Linux")
    return str(request.param)


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="needs ps")
def test_process_that_holds_the_lock_is_ended(tmp_path: Path, proof: str) -> None:
    """It is the one that took the lock: proven, then killed; afterwards it is proven no more."""
    folder = AccountFolder(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()
        owner = folder.owner()
        assert owner == LockOwner(first.pid, LockOwner.this_process().boot_id)
        assert owner.holds(folder.lock), proof
        assert owner.kill_if_it_holds(folder.lock)
        assert first.wait(5) == -signal.SIGKILL
    assert not owner.holds(folder.lock)
    assert not owner.kill_if_it_holds(folder.lock)
    assert not owner.exists


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="needs ps")
def test_number_that_another_process_has_today_is_not_killed(tmp_path: Path, proof: str) -> None:
    """A lock names a process that ended; its number was given to one that has nothing to do with us."""
    folder = AccountFolder(tmp_path)
    folder.claim()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        owner = LockOwner(stranger.pid, LockOwner.this_process().boot_id)
        folder.lock.write_text(f"{owner.pid} {owner.boot_id}\n")
        os.utime(folder.lock, (1_000_000_000, 1_000_000_000))
        assert folder.owner() == owner
        assert not owner.kill_if_it_holds(folder.lock), proof
        assert stranger.poll() is None
        assert not LockOwner(stranger.pid, "another-boot").kill_if_it_holds(folder.lock)
        assert stranger.poll() is None
        stranger.kill()
    folder.release()


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("00:07", 7), ("12:34", 754), ("01:00:00", 3600), ("2-00:00:01", 172_801)],
)
def test_age_of_a_process(monkeypatch: pytest.MonkeyPatch, said: str, seconds: int) -> None:
    """As ps writes it on Linux and macOS."""
    answer = subprocess.CompletedProcess([], 0, stdout=f"   {said}\n")
    monkeypatch.setattr(subprocess, "run", lambda *words, **more: answer)
    assert _age_s(1) == seconds
