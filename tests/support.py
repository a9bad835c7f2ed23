"""What tests of several folders share: waiting without sleeping, a clock that is told the time, a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], timeout_s: float = 5.0, every_s: float = 0.01) -> None:
    """Wait until ``condition()`` is true; fail if it is not so within ``timeout_s`` seconds."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not so within {timeout_s:g} s")
        pause.wait(every_s)


class FakeClock:
    """Both clocks of ``base.clock.Clock``; they move only when told."""

    def __init__(self, boot_s: float = 1_000.0, utc_ms: int = 1_795_000_000_000):
        self._lock = threading.Lock()
        self._boot_s = boot_s
        self._utc_ms = utc_ms

    def boot_s(self) -> float:
        """Seconds since boot."""
        with self._lock:
            return self._boot_s

    def utc_ms(self) -> int:
        """Unix milliseconds."""
        with self._lock:
            return self._utc_ms

    def advance(self, seconds: float) -> None:
        """Let both clocks move on."""
        with self._lock:
            self._boot_s += seconds
            self._utc_ms += round(seconds * 1000)


class PausedTerminal:
    """In the place of ``sys.stderr``: whoever writes waits until it goes on."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.texts: list[str] = []

    def write(self, text: str) -> int:
        self.goes_on.wait(30)
        self.texts.append(text)
        return len(text)

    def flush(self) -> None:
        """Nothing waits here."""
