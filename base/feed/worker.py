"""A thread that stops when told and never dies quietly."""

from __future__ import annotations

import threading
from collections.abc import Callable

Tick = Callable[[], None]
Crashed = Callable[[str, BaseException], None]


class Worker(threading.Thread):
    """Call ``tick`` every ``period_s`` seconds, or at once after ``wake``; report a crash.

    Args:
        name: Name of the thread, for people.
        tick: One round of work. What it raises ends the thread.
        period_s: Longest pause between two rounds, seconds.
        crashed: Told the name and the error when ``tick`` raised.
    """

    def __init__(self, name: str, tick: Tick, period_s: float, crashed: Crashed):
        super().__init__(name=name, daemon=True)
        self._tick, self._period_s, self._crashed = tick, period_s, crashed
        self._stopping = threading.Event()
        self._woken = threading.Event()

    def wake(self) -> None:
        """Begin the next round now; several calls during one round begin one more."""
        self._woken.set()

    def run(self) -> None:
        """Work until told to stop."""
        try:
            while not self._stopping.is_set():
                self._tick()
                self._woken.wait(self._period_s)  # an Event: sleep() can't be stopped
                self._woken.clear()
        except Exception as e:
            self._crashed(self.name, e)  # a thread that died quietly guards nothing

    def pause(self, seconds: float) -> None:
        """Wait within a tick; ``stop`` ends the wait."""
        self._stopping.wait(seconds)

    @property
    def is_stopping(self) -> bool:
        """Whether ``stop`` was called: a long tick may leave early."""
        return self._stopping.is_set()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Ask the thread to end and wait; ``False``: it was still busy after ``timeout_s`` seconds."""
        self._stopping.set()
        self._woken.set()
        if self.ident is not None and threading.current_thread() is not self:
            self.join(timeout_s)
        return not self.is_alive()
