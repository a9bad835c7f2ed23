"""No memory of this process on any disk, and nothing from outside that steers a terminal."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import resource
import sys

from base.ui.screen import plain

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Let no crash write the private key to disk, nor another process of the user read it out of memory.

    For this process; the limit holds for those it starts, too.
    """
    with contextlib.suppress(OSError, ValueError):  # a limit that may not be set is one that is lower
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # The limit does not bind a core_pattern that pipes to a program; this does.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def plain_lines(text: str) -> str:
    """Text of several lines without control characters: what outsiders named steers no terminal."""
    return "\n".join(plain(line) for line in text.split("\n"))


class OneLine(logging.Formatter):
    """One record, one line, whatever an exchange answered; only a traceback has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Write out the control characters of the message."""
        record.message = plain(record.message)
        return super().formatMessage(record)
