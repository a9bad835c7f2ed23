"""Runs other people's code on a thread of its own, so that the feed never waits for it (ADR 8)."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from base.feed.worker import Crashed, Worker

log = logging.getLogger(__name__)

LONGEST_QUEUE = 10_000
"""Public frames kept for handlers that don't keep up; then the oldest go, and are counted."""
PERIOD_S = 1.0
Call = Callable[[], None]


class CallbackThread:
    """Calls back from three lines: reports first, then public frames and newest prices in turns.

    Reports are never dropped. Public frames wait in a bounded queue. Of prices only the newest of
    each market waits, in the place of the older one. What a call raises is counted and logged.
    """

    def __init__(self, crashed: Crashed):
        self._worker = Worker("price callbacks", self.run_once, PERIOD_S, crashed)
        # Appended by the feed's thread, taken by this one:
        self._reports: deque[Call] = deque()
        self._frames: deque[Call] = deque(maxlen=LONGEST_QUEUE)
        self._lock = threading.Lock()  # the prices that wait
        self._newest: OrderedDict[Hashable, Call] = OrderedDict()  # guarded by _lock
        # Owned by this thread:
        self._is_frames_turn = True
        self._said: dict[str, int] = {}  # errors by kind
        # Counts, each written by one thread:
        self.errors = 0
        self.dropped = 0
        self.merged = 0

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End after the call under way; ``False``: it was still busy after ``timeout_s`` seconds."""
        return self._worker.stop(timeout_s)

    def report(self, call: Call) -> None:
        """Make this call in its turn, whatever else waits."""
        self._reports.append(call)
        self._worker.wake()

    def frame(self, call: Call) -> None:
        """Make this call in its turn, unless it is the oldest of too many."""
        if len(self._frames) == LONGEST_QUEUE:
            self.dropped += 1
        self._frames.append(call)
        self._worker.wake()

    def newest(self, key: Hashable, call: Call) -> None:
        """Make this call instead of the one of ``key`` that still waits."""
        with self._lock:
            if key in self._newest:
                self.merged += 1
            self._newest[key] = call
        self._worker.wake()

    # --- the thread -----------------------------------------------------------------------------

    def run_once(self) -> None:
        """Make every call that waits; a new report is always next."""
        while not self._worker.is_stopping and (call := self._next()) is not None:
            try:
                call()
            except Exception as e:  # theirs, and the prices must go on
                self.errors += 1
                self._say(type(e).__name__)

    def _say(self, kind: str) -> None:
        """Log the 1st, 2nd, 4th, 8th … of a kind: one that fails on every price would fill the disk."""
        count = self._said[kind] = self._said.get(kind, 0) + 1
        if count & (count - 1) == 0:
            log.exception("a price callback failed kind=%s count=%d", kind, count)

    def _next(self) -> Call | None:
        if self._reports:
            return self._reports.popleft()
        # In turns: a handler that can't keep up with the frames must not keep the prices waiting.
        self._is_frames_turn = not self._is_frames_turn
        if self._frames and (self._is_frames_turn or not self._newest):
            return self._frames.popleft()  # a full queue loses its oldest to a new one: it isn't empty now
        with self._lock:
            if self._newest:
                return self._newest.popitem(last=False)[1]
        return self._frames.popleft() if self._frames else None
