"""What a service manager such as systemd is told: ready, alive, ending. Without one, nothing.

See: sd_notify(3), freedesktop.org, read 2026-11-28.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """The socket named in ``NOTIFY_SOCKET``; a path, or ``@`` and an abstract name."""

    def __init__(self, environ: Mapping[str, str] = os.environ):
        name = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._is_watching = bool(environ.get("WATCHDOG_USEC"))
        self._said: set[str] = set()

    def ready(self) -> None:
        """Positions are being guarded. Said once."""
        self._once("READY=1")

    def alive(self) -> None:
        """All is as it should be; said as often as wanted, for ``WatchdogSec=``."""
        if self._is_watching:
            self._say("WATCHDOG=1")

    def ending(self) -> None:
        """We end because we were told to. Said once."""
        self._once("STOPPING=1")

    def _once(self, word: str) -> None:
        if word not in self._said:
            self._said.add(word)
            self._say(word)

    def _say(self, word: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.setblocking(False)  # its manager may hang as well
            end.sendto(word.encode(), self._address)
