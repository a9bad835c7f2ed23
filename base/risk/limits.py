"""How often one market's exit may try. Pure: given ``now_s``. It waits, it never latches."""

from __future__ import annotations

from collections import deque

WINDOW_S = 63.0
"""A minute, and what a request may take to leave after it was handed over: the minute counts what left."""
MAX_NEW_IDS = 6
MAX_REQUESTS = 12
TAKE_PROFIT_SHARE = 2
"""A take profit that keeps missing has one of so many: the stop after it must not wait."""


class Pace:
    """At most 6 new order ids and 12 requests leave for one market in any 60 s."""

    def __init__(self) -> None:
        self._ids: deque[float] = deque(maxlen=MAX_NEW_IDS)
        self._requests: deque[float] = deque(maxlen=MAX_REQUESTS)

    def sent(self, now_s: float, *, is_new_id: bool) -> None:
        """Note a request that leaves. Sent again, the newest id counts from now: it may never have left."""
        self._requests.append(now_s)
        if not is_new_id and self._ids:
            self._ids.pop()
        self._ids.append(now_s)

    def not_sent(self) -> None:
        """The newest request did not leave after all: it does not count."""
        if self._requests:
            self._requests.pop()

    def is_idle(self, now_s: float) -> bool:
        """Whether nothing of it counts any more."""
        return all(at_s + WINDOW_S <= now_s for at_s in (*self._requests, *self._ids))

    def free_at_s(self, now_s: float, *, is_new_id: bool, share: int = 1) -> float:
        """The earliest time at which another request may leave: ``now_s`` if at once.

        ``share``: only one of so many may be used.
        """
        waits = [now_s]
        if len(self._requests) >= (most := MAX_REQUESTS // share):
            waits.append(self._requests[-most] + WINDOW_S)
        if is_new_id and len(self._ids) >= (most := MAX_NEW_IDS // share):
            waits.append(self._ids[-most] + WINDOW_S)
        return max(waits)
