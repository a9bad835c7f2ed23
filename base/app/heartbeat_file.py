"""A file that says that the process which guards an account is alive: ``<boot_s> <boot_id> <pid>``, one line.

Other processes read it: a newest line older than three seconds is of a process that hangs. ``boot_s`` is
the boot clock, seconds; ``boot_id`` is ``-`` where the system has none to tell (macOS).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from base.app.lock_owner import LockOwner
from base.clock import Clock
from base.feed.worker import Worker

EVERY_S = 1.0
_log = logging.getLogger(__name__)


class HeartbeatFile:
    """Writes the file every second, on a thread of its own: a disk that hangs holds up nobody else.

    Args:
        path: The file, in a folder that this process has claimed.
        clock: Time.
        is_alive: Whether the process is well enough to say so.
    """

    def __init__(self, path: Path, clock: Clock, is_alive: Callable[[], bool] = lambda: True):
        self._path, self._clock, self._is_alive = path, clock, is_alive
        self._who = LockOwner.this_process()
        self._file: int | None = None
        self._worker = Worker("heartbeat file", self.write, EVERY_S, _crashed)
        self.failures = 0

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def stop(self, timeout_s: float) -> bool:
        """End, and take the file away: nobody guards from now on. ``False``: the disk hangs."""
        is_ended = self._worker.stop(timeout_s)
        if is_ended and self._file is not None:
            os.close(self._file)
            self._file = None
            self._path.unlink(missing_ok=True)
        return is_ended

    def write(self) -> None:
        """Write once. A full disk is counted, not suffered: the line there only grows old."""
        if not self._is_alive():
            return
        # Always as long as before: it is written in place, and no reader finds the end of an older line.
        line = f"{self._clock.boot_s():014.3f} {self._who.boot_id or '-'} {self._who.pid}\n"
        try:
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o600)
            os.pwrite(self._file, line.encode(), 0)
        except OSError as e:
            self.failures += 1
            if self.failures == 1:
                _log.error("heartbeat_not_written why=%s", ascii(str(e)))


def _crashed(name: str, error: BaseException) -> None:
    _log.error("the thread %s crashed", name, exc_info=error)
