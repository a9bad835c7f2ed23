"""The end: what was started last ends first, and all of it shares one deadline."""

from __future__ import annotations

import logging
from collections.abc import Callable

from base.clock import Clock

STOP_S = 4.0
"""Everything has ended after this, seconds; five are promised."""
LEAST_S = 0.1
_log = logging.getLogger(__name__)

Stop = Callable[[float], object]
"""Ends one part within so many seconds. ``False``, or the names of what would not end, is a complaint."""


class Stops:
    """A pile of what must be ended."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._pile: list[tuple[str, Stop, float]] = []

    def add(self, name: str, stop: Stop, longest_s: float = STOP_S) -> None:
        """Remember a part that was, or is about to be, started.

        ``longest_s``: what it may take of the shared time; a strategy that hangs leaves the rest to others.
        """
        self._pile.append((name, stop, longest_s))

    def run(self, timeout_s: float) -> list[str]:
        """End everything, newest first; return the names of what would not end. Once only."""
        deadline_s = self._clock.boot_s() + timeout_s
        late: list[str] = []
        while self._pile:
            name, stop, longest_s = self._pile.pop()
            left_s = max(LEAST_S, deadline_s - self._clock.boot_s())
            try:
                answer = stop(min(left_s, longest_s))
            except Exception:  # one part that cannot end must not keep the others from ending
                _log.exception("%s failed while it ended", name)
                answer = False
            if answer is False:
                late.append(name)
            elif isinstance(answer, list):
                late.extend(answer)
        return late
