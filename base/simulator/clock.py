"""The exchange's clock. Real by default; tests put a hand-driven one in its place."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol


class Clock(Protocol):
    """Where the exchange reads the time."""

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        ...


class SystemClock:
    """The machine's UTC clock."""

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that stands still until told."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        return self._now_ms

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        self._now_ms += round(seconds * 1000)


class OffsetClock:
    """Another clock, shifted: an exchange whose time differs from the client's."""

    def __init__(self, base: Clock, offset_s: float) -> None:
        self._base = base
        self._offset_ms = round(offset_s * 1000)

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        return self._base.now_ms() + self._offset_ms


def rfc3339(ms: int) -> str:
    """Write Unix milliseconds as the exchange does, e.g. ``2026-11-20T14:00:01.123Z``."""
    seconds, rest = divmod(ms, 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def http_date(ms: int) -> str:
    """Write a ``Date`` header."""
    return format_datetime(datetime.fromtimestamp(ms // 1000, UTC), usegmt=True)
