"""The file that tells other processes that this one is alive."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from base.app.heartbeat_file import HeartbeatFile
from base.app.lock_owner import LockOwner
from tests.reference import ROOT
from tests.support import FakeClock, eventually

ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from base.app.heartbeat_file import HeartbeatFile
from base.clock import SystemClock
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
file = HeartbeatFile(Path(sys.argv[1]), SystemClock())
file.write()
print(file.failures)
"""


def test_line_says_when_in_which_boot_and_who(tmp_path: Path) -> None:
    """Seconds of the boot clock, the boot's id and the process, and always of one length."""
    clock, path = FakeClock(boot_s=999.5), tmp_path / "heartbeat"
    file = HeartbeatFile(path, clock)
    lengths = set()
    for expected_s in (999.5, 1000.5, 10_000.5):
        clock.advance(expected_s - clock.boot_s())
        file.write()
        boot_s, boot_id, pid = path.read_text().split()
        assert (float(boot_s), int(pid)) == (expected_s, os.getpid())
        assert boot_id == (LockOwner.this_process().boot_id or "-")
        lengths.add(len(path.read_text()))
    assert len(lengths) == 1
    assert path.stat().st_mode & 0o077 == 0


def test_a_process_that_is_not_well_does_not_say_that_it_is(tmp_path: Path) -> None:
    """The last line then grows old, which is what others look at."""
    clock, path = FakeClock(boot_s=100.0), tmp_path / "heartbeat"
    is_well = [True]
    file = HeartbeatFile(path, clock, lambda: is_well[0])
    file.write()
    is_well[0] = False
    clock.advance(5)
    file.write()
    assert float(path.read_text().split()[0]) == 100.0


def test_it_goes_with_the_process_that_ends(tmp_path: Path) -> None:
    """After a clean end there is none."""
    path = tmp_path / "heartbeat"
    file = HeartbeatFile(path, FakeClock())
    file.start()
    eventually(path.exists)
    assert file.stop(1.0)
    assert not path.exists()


def test_full_disk_is_counted(tmp_path: Path) -> None:
    """It costs the line, not the process."""
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path / "heartbeat")],
        cwd=ROOT, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.stdout == "1\n", done.stderr
