"""Signals as something that can be waited for together with a time, without a thread."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from types import TracebackType
from typing import Self

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a parent passes on to its child."""


class Signals:
    """Signals as bytes that can be waited for: what has come since is never missed."""

    _NUMBERS = (*FORWARDED, signal.SIGCHLD)

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._before = {number: signal.signal(number, _noted) for number in self._NUMBERS}
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def wait(self, timeout_s: float) -> bytes:
        """Return the numbers of what has come, at the latest after ``timeout_s`` seconds."""
        select.select([self._read], [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            return os.read(self._read, 4096)
        return b""


def _noted(number: int, frame: object) -> None:
    """Its number stands in the pipe."""
