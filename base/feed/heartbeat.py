"""A critical thread's sign of life: by when it will show itself again. Pure.

The thread stores a time, the watchdog reads it; nothing else happens, so a beat costs one assignment.
"""

from __future__ import annotations

STUCK_S = 3.0
"""How long a critical thread may show nothing, beyond the waits that it declared. Seconds."""
IDLE = float("inf")
"""It waits for work, or for a disk that others do not wait for: that has no end and is no fault."""


class Heartbeat:
    """``due_s`` is written by the thread, on the boot clock; before its first beat nothing is expected.

    A declared wait is part of it: ``due_s = now_s + longest_wait_s + STUCK_S``.
    """

    __slots__ = ("due_s", "name")

    def __init__(self, name: str):
        self.name = name
        self.due_s = IDLE
