"""A file that says that the process which guards an account is alive: ``<boot_s> <boot_id> <pid>``, one line.

Other processes read it: a line older than three seconds is of a process that hangs or is gone. ``boot_s``
is the boot clock, seconds, 0 after a clean end; ``boot_id`` is ``-`` where the system has none (macOS).
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
        """End, and say that nobody guards from now on. ``False``: the disk hangs.

        The file stays: the next start may find the disk full.
        """
        is_ended = self._worker.stop(timeout_s)
        if is_ended and self._file is not None:
            self._put(0.0)
            os.close(self._file)
            self._file = None
        return is_ended

    def write(self) -> None:
        """Write once. A full disk is counted, not suffered: the line there only grows old."""
        if not self._is_alive():
            return
        self._put(self._clock.boot_s())

    def _put(self, boot_s: float) -> None:
        # Always of one length: written in place it needs no room, and has no end of an older line.
        line = f"{boot_s:014.3f} {self._who.boot_id or '-'} {self._who.pid:07d}\n"
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._file, line.encode(), 0)
        except OSError as e:
            self.failures += 1
            if self.failures == 1:
                _log.error("heartbeat_not_written why=%s", ascii(str(e)))


def _crashed(name: str, error: BaseException) -> None:
    _log.error("the thread %s crashed", name, exc_info=error)
