"""Who owns an account's lock: the process, and the boot of the machine it runs in.

The kernel frees the lock with its process, so a lock is never stale. What is written in it may be: a
number that another process has today means nobody, if the machine was started again since.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

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

    def write(self, lock: int) -> None:
        """Write into the lock's file; who reads it is told whole lines only."""
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{self.pid} {self.boot_id}\n".encode(), 0)
            os.fsync(lock)
        except OSError as e:  # a full disk: the lock holds all the same
            _log.warning("lock_owner_not_written why=%s", ascii(str(e)))


def owner_in(lock: int) -> LockOwner | None:
    """Who wrote last into the lock's file; ``None``: nobody, or nothing that can be read."""
    words = os.pread(lock, _MOST_BYTES, 0).decode(errors="replace").split()
    if not words or not words[0].isascii() or not words[0].isdigit():
        return None
    return LockOwner(int(words[0]), words[1] if len(words) > 1 else "")


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
