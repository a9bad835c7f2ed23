"""The clock seam: the only place where the program asks what time it is.

Ages are measured on the boot-time clock, because the monotonic clock of Linux stands
still while a laptop sleeps and would call yesterday's price fresh. UTC is for signing
and showing, never for ages.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Protocol

# macOS: CLOCK_MONOTONIC there is the continuous clock (it counts sleep), unlike
# Python's time.monotonic(), which uses mach_absolute_time.
# See: man clock_gettime(3) of macOS; man clock_gettime(2) of Linux.
_BOOT_CLOCK = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


class Clock(Protocol):
    """What every shell is given instead of the ``time`` module."""

    def boot_s(self) -> float:
        """Seconds since boot, suspend included. For ages and deadlines."""

    def utc_ms(self) -> int:
        """Unix milliseconds by this machine's clock. For signing and showing."""


class SystemClock:
    """The real clocks of this machine."""

    def boot_s(self) -> float:
        """Seconds since boot, suspend included."""
        return time.clock_gettime(_BOOT_CLOCK)

    def utc_ms(self) -> int:
        """Unix milliseconds by this machine's clock."""
        return time.time_ns() // 1_000_000


def boot_ms(clock: Clock) -> int:
    """Milliseconds since boot: what another clock is measured against, for nobody sets it."""
    return round(clock.boot_s() * 1000)


def utc_text(unix_ms: int) -> str:
    """Show a Unix time in milliseconds as ``2026-11-20T14:03:07.123Z``."""
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"
