"""The end of a process that must not go on: where each thread stood, and out.

Nothing may hold it up: no lock, no disk, no terminal, no memory that is not there.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TextIO

from base.app.stderr import CurrentStderr, drain

CRASHED = 3
"""Exit status of a process that ended itself: it could start (else 1), and no setting is wrong (else 2)."""
LONGEST_S = 1.0
"""What all of this may take. Seconds."""
FILE_S = 0.3
STACKS = "stacks.log"
MOST_BYTES = 1_000_000
"""A larger file of earlier ends is begun anew."""


class LastWords:
    """Ends the process. ``logs``: the folder whose file keeps the stacks, besides stderr."""

    def __init__(self, logs: Path | None = None):
        self._file: TextIO | None = None if logs is None else _open(logs / STACKS)
        if self._file is not None:
            # For a parent whose child neither moves nor answers: Python need not run for it.
            faulthandler.register(signal.SIGUSR1, self._file)

    def end_process(self, thread: str, error: BaseException | None) -> None:
        """A critical thread died, or is stuck: without it nothing is guarded. Does not return."""
        what = "died" if error is None else f"died ({error!r})"
        said = f"The thread {thread} {what}: this process ends, nothing is guarded now.\n"
        _in_the_background(lambda: _leave_after(LONGEST_S), wait_s=0.0)
        try:
            said += stacks()
            CurrentStderr().write(said)
            if (file := self._file) is not None:
                _in_the_background(lambda: _append(file, said), wait_s=FILE_S)
            drain()
        finally:
            os._exit(CRASHED)


def end_process(thread: str, error: BaseException | None) -> None:
    """End this process at once, with the stacks on stderr."""
    LastWords().end_process(thread, error)


def stacks() -> str:
    """Where every thread of this process stands, the innermost call last. No file is read for it."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    text = ""
    for ident, newest in sys._current_frames().items():
        frame: FrameType | None = newest
        lines: list[str] = []
        while frame is not None:
            code = frame.f_code
            lines.append(f"  {code.co_filename}:{frame.f_lineno} in {code.co_qualname}\n")
            frame = frame.f_back
        text += f"Thread {names.get(ident, ident)}:\n{''.join(reversed(lines))}"
    return text


def _open(path: Path) -> TextIO | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_large = path.exists() and path.stat().st_size > MOST_BYTES
        return path.open("w" if is_large else "a", encoding="utf-8")
    except OSError:
        return None  # stderr has to do


def _append(file: TextIO, text: str) -> None:
    file.write(text)
    file.flush()


def _leave_after(seconds: float) -> None:
    threading.Event().wait(seconds)
    os._exit(CRASHED)


def _in_the_background(work: Callable[[], None], wait_s: float) -> None:
    """Do it on a thread that may hang; without memory for one, not at all."""
    try:
        thread = threading.Thread(target=work, name="last words", daemon=True)
        thread.start()
        thread.join(wait_s)
    except (RuntimeError, MemoryError):
        return
