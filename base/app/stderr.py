"""Standard error as it is now: the terminal screen puts its own stream in its place while it draws."""

from __future__ import annotations

import io
import sys


class CurrentStderr(io.TextIOBase):
    """Passes on to ``sys.stderr``; a line written past the screen would tear it."""

    def write(self, text: str) -> int:
        """Write ``text``."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Flush."""
        sys.stderr.flush()
