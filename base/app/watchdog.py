"""The watchdog: looks whether every critical thread lives and moves, and whether it itself ran in time.

A monitor one of whose threads is dead or stuck guards nothing and does not know it, so the process ends:
the next start recovers. A watchdog that ran late was not alone in that: the process was stopped, or the
machine slept. Then nobody was stuck, and nothing that was known before is evidence.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from base.clock import Clock
from base.errors import MonitorError
from base.feed.heartbeat import STUCK_S, Heartbeat

LOOK_S = 0.25
LATE_S = 1.0
"""A look that comes so much too late, seconds, says that the whole process stood still."""
Died = Callable[[str, BaseException | None], None]
_log = logging.getLogger(__name__)


class Stuck(MonitorError):
    """A thread lives and does not move."""


@dataclass(slots=True)
class _Watched:
    heart: Heartbeat
    is_alive: Callable[[], bool]
    forgiven_s: float = 0.0  # how much later than ``due_seen_s`` is still in time
    due_seen_s: float = 0.0


class Watchdog(threading.Thread):
    """Looks until stopped. Which threads there are is told before their first fault can be.

    Args:
        clock: Time.
        ended: Told who died (no error) or is stuck (``Stuck``); does not come back, or says it once.
        stood_still: Told after the process did not run; evidence is to be distrusted.
        looked: Called at every look: the process lives.
    """

    def __init__(
        self,
        clock: Clock,
        ended: Died,
        stood_still: Callable[[], None] = lambda: None,
        looked: Callable[[], None] = lambda: None,
    ):
        super().__init__(name="watchdog", daemon=True)
        self._clock, self._ended = clock, ended
        self._stood_still, self._looked = stood_still, looked
        self._told_to_end = threading.Event()
        self._watched: tuple[_Watched, ...] = ()  # replaced whole
        self._is_judging = True
        self.looked_s = clock.boot_s()  # the newest look

    def watch(self, heart: Heartbeat, is_alive: Callable[[], bool]) -> None:
        """Watch over a thread that has been started."""
        self._watched = (*self._watched, _Watched(heart, is_alive))

    def judge_no_more(self) -> None:
        """Threads end because they are told to, from now on. The process itself goes on to be shown alive."""
        self._is_judging = False

    def is_in_time(self) -> bool:
        """Whether the newest look is not old: what this process says of itself holds."""
        return self._clock.boot_s() - self.looked_s < LATE_S

    def stop(self, timeout_s: float) -> bool:
        """End; ``False``: it was still busy after ``timeout_s`` seconds."""
        self._told_to_end.set()
        if self.ident is not None and threading.current_thread() is not self:
            self.join(timeout_s)
        return not self.is_alive()

    def run(self) -> None:
        """Look, until told to end."""
        while not self._told_to_end.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """Look once."""
        now_s = self._clock.boot_s()
        late_s = now_s - self.looked_s - LOOK_S
        self.looked_s = now_s
        self._looked()
        if late_s > LATE_S:
            self._forgive(late_s, now_s)
        if self._is_judging and (found := self._first_fault(now_s)) is not None:
            self._is_judging = False
            self._ended(*found)

    def _forgive(self, late_s: float, now_s: float) -> None:
        """Nobody ran meanwhile, so nobody was late: what they promised holds from now on."""
        _log.warning("stood_still seconds=%.1f", late_s)
        for watched in self._watched:
            watched.due_seen_s = watched.heart.due_s
            watched.forgiven_s = max(late_s, now_s + STUCK_S - watched.due_seen_s)
        self._stood_still()

    def _first_fault(self, now_s: float) -> tuple[str, BaseException | None] | None:
        for watched in self._watched:
            if not watched.is_alive():
                return watched.heart.name, None
            due_s = watched.heart.due_s
            if due_s == watched.due_seen_s:
                due_s += watched.forgiven_s
            if now_s > due_s:
                return watched.heart.name, Stuck(f"stuck for {now_s - due_s + STUCK_S:.1f} s")
        return None
