"""The screen of a log file or a pipe: a plain line per change, and the whole picture now and then."""

from __future__ import annotations

import sys
import threading
from typing import TextIO

from base.clock import Clock, utc_text
from base.risk.ports import PositionView
from base.ui.screen import Look, Screen, plain, position_text, summary_text

SUMMARY_EVERY_S = 10.0


class PlainLines:
    """Prints until stopped, on a thread of its own."""

    def __init__(self, look: Look, clock: Clock, period_s: float = 1.0, out: TextIO | None = None):
        self._look = look
        self._clock = clock
        self._period_s = period_s
        self._out = sys.stdout if out is None else out
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._print, name="ui", daemon=True)
        # Owned by the thread: what was printed last, to print changes only.
        self._states: dict[str, str] = {}
        self._logged: str | None = None

    def start(self) -> None:
        """Start printing."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Print what changed and end; ``False``: it was still busy after ``timeout_s`` seconds."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _print(self) -> None:
        summary_due_s = 0.0
        while True:
            is_last = self._stopping.wait(self._period_s)
            screen = self._look()
            for line in self._changes(screen):
                self._say(line)
            if is_last:
                return
            if self._clock.boot_s() >= summary_due_s:
                self._say(f"{utc_text(self._clock.utc_ms())} {summary_text(screen)}")
                summary_due_s = self._clock.boot_s() + SUMMARY_EVERY_S

    def _changes(self, screen: Screen) -> list[str]:
        """Lines of the log and positions in another state than when this was last called."""
        fresh = _after(screen.log, self._logged)
        self._logged = screen.log[-1] if screen.log else self._logged
        lines = [plain(line) for line in fresh]
        states = {_name(position): position.state for position in screen.view.positions}
        lines += [
            f"{utc_text(self._clock.utc_ms())} {position_text(position)}"
            for position in screen.view.positions
            if self._states.get(_name(position)) != position.state
        ]
        self._states = states
        return lines

    def _say(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except (OSError, ValueError):
            self._stopping.set()  # nobody reads any more; the guard goes on without a screen


def _name(position: PositionView) -> str:
    return f"{position.key.subaccount}/{position.key.ticker}"


def _after(log: tuple[str, ...], last: str | None) -> tuple[str, ...]:
    """The lines that came after ``last``; all of them where it is no longer there."""
    if last is not None:
        for at in range(len(log) - 1, -1, -1):
            if log[at] == last:
                return log[at + 1 :]
    return log
