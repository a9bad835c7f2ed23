"""Standard error that nobody has to wait for: a thread of its own writes.

A terminal that is paused (Ctrl-S), or a pipe that nobody reads, lets a writer wait for ever. The stops
must not be the ones that wait, so whoever speaks only leaves the text here.
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections import deque

from base.app.hardening import plain_lines

MOST_WAITING = 5_000
"""Texts kept while nobody reads; then the oldest go, and their number is told."""
SAID_S = 0.2
"""How long an end waits for a terminal to take what was said. Seconds."""


class _Pen:
    """What waits to be written, and the thread that writes it. The first text starts it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the pen: what waits, and which thread writes
        self._woken = threading.Event()
        # Guarded by _lock:
        self._waiting: deque[str] = deque()
        self._left_out = 0
        self._is_ending = False
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> None:
        """Leave ``text`` to be written in its turn."""
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self._left_out += 1
            self._waiting.append(text)
            if self._thread is None:
                self._is_ending = False
                self._thread = threading.Thread(target=self._run, name="stderr", daemon=True)
                self._thread.start()
        self._woken.set()

    def drain(self, timeout_s: float) -> bool:
        """Let the thread end once all is written; ``False``: not within ``timeout_s`` seconds."""
        with self._lock:
            thread, self._is_ending = self._thread, True
        self._woken.set()
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        while True:
            self._woken.wait()
            self._woken.clear()
            while (text := self._next()) is not None:
                with contextlib.suppress(Exception):  # closed, or its reader is gone: there is nobody to tell
                    sys.stderr.write(text)
                    sys.stderr.flush()
            if self._thread is not threading.current_thread():
                return

    def _next(self) -> str | None:
        with self._lock:
            if self._left_out:
                count, self._left_out = self._left_out, 0
                return f"{count} lines are left out here: nobody read them in time\n"
            if self._waiting:
                return self._waiting.popleft()
            if self._is_ending:
                self._thread = None
            return None


_pen = _Pen()


class CurrentStderr(io.TextIOBase):
    """Passes on to ``sys.stderr`` as it is then: a screen puts its own stream there while it draws."""

    def write(self, text: str) -> int:
        """Write ``text`` soon, its control characters written out. Returns at once, always."""
        _pen.write(plain_lines(text))
        return len(text)

    def flush(self) -> None:
        """Nothing: whoever cannot go on before it is written asks ``drain``."""


def drain(timeout_s: float = SAID_S) -> bool:
    """Wait until everything is written; ``False``: it was not within ``timeout_s`` seconds."""
    return _pen.drain(timeout_s)
