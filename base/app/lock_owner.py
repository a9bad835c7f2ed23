"""Who owns an account's lock: the process, and the boot of the machine it runs in.

The kernel frees the lock with its process, so a lock is never stale. What is written in it may be: a
number that another process has today means nobody, if the machine was started again since.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from base.clock import SystemClock

_LOCKS = Path("/proc/locks")
_SECOND = 2.0  # what ps rounds, and the file system
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOST_BYTES = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LockOwner:
    """The process that took the lock. ``boot_id`` is empty where the system has none to tell (macOS)."""

    pid: int
    boot_id: str

    @classmethod
    def this_process(cls) -> LockOwner:
        """The caller."""
        return cls(os.getpid(), _boot_id())

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the number can still be that process: the machine was not started again."""
        return self.boot_id == _boot_id()

    @property
    def exists(self) -> bool:
        """Whether a process has that number now."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # another user's
        return True

    def write(self, lock: int) -> None:
        """Write into the lock's file; who reads it is told whole lines only."""
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{self.pid} {self.boot_id}\n".encode(), 0)
            os.fsync(lock)
        except OSError as e:  # a full disk: the lock holds all the same
            _log.warning("lock_owner_not_written why=%s", ascii(str(e)))

    def kill_if_it_holds(self, path: Path) -> bool:
        """End the process at once if ``holds`` is so; ``False``: it is not proven, and nothing was done.

        Raises:
            PermissionError: It belongs to another user.
        """
        try:
            # Once it is open, another process that gets the number is not meant by it.
            process = os.pidfd_open(self.pid) if sys.platform == "linux" else None
        except ProcessLookupError:
            return False
        try:
            if not self.holds(path):
                return False
            if sys.platform == "linux" and process is not None:
                signal.pidfd_send_signal(process, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
            return True
        except ProcessLookupError:
            return True  # it ended by itself
        finally:
            if process is not None:
                os.close(process)

    def holds(self, path: Path) -> bool:
        """Whether the process of that number holds the lock at ``path`` now, and so is the one that took it.

        By the kernel's table of locks; where there is none (macOS), by its age: a process that was started
        after the lock was written has the number of one that ended.
        """
        if not self.is_of_this_boot:
            return False
        try:
            inode, taken_s = path.stat().st_ino, path.stat().st_mtime
            if _LOCKS.exists():
                return any(_is_of(line.split(), self.pid, inode) for line in _LOCKS.read_text().splitlines())
            age_s = _age_s(self.pid)
        except (OSError, ValueError, subprocess.SubprocessError):
            return False
        return SystemClock().utc_ms() / 1000 - age_s <= taken_s + _SECOND


def owner_in(lock: int) -> LockOwner | None:
    """Who wrote last into the lock's file; ``None``: nobody, or nothing that can be read."""
    words = os.pread(lock, _MOST_BYTES, 0).decode(errors="replace").split()
    if not words or not words[0].isascii() or not words[0].isdigit():
        return None
    return LockOwner(int(words[0]), words[1] if len(words) > 1 else "")


def _is_of(words: list[str], pid: int, inode: int) -> bool:
    """One line of the kernel's table, ``1: FLOCK ADVISORY WRITE 4711 fd:01:1234 0 EOF``. See: man proc(5)."""
    return len(words) > 5 and words[1] == "FLOCK" and words[4] == str(pid) and words[5].endswith(f":{inode}")


def _age_s(pid: int) -> float:
    """Seconds since the process was started: ``[[days-]hours:]minutes:seconds``. See: man ps(1)."""
    asked = ["/bin/ps", "-o", "etime=", "-p", str(pid)]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    days, _, rest = said.rpartition("-")
    age_s = 0
    for part in rest.split(":"):
        age_s = age_s * 60 + int(part)
    return float(age_s + 86_400 * int(days or 0))


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
