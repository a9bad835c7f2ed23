"""Nobody waits for standard error: a terminal that is paused holds up no stop."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from base.app import stderr
from base.app.stderr import CurrentStderr, drain
from tests.support import PausedTerminal, eventually


@contextmanager
def paused_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[PausedTerminal]:
    """Standard error is paused; what others said before is out."""
    assert drain(10)
    paused = PausedTerminal()
    monkeypatch.setattr(sys, "stderr", paused)
    try:
        yield paused
    finally:
        paused.goes_on.set()
        assert drain(10)


def test_a_paused_terminal_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever speaks goes on at once; all of it stands there, in order, when the terminal goes on."""
    spoken = threading.Event()

    def speaks() -> None:
        for n in range(100):
            CurrentStderr().write(f"{n}\n")
        logging.StreamHandler(CurrentStderr()).handle(logging.makeLogRecord({"msg": "a log line"}))
        spoken.set()

    with paused_terminal(monkeypatch) as terminal:
        threading.Thread(target=speaks, daemon=True).start()
        assert spoken.wait(10)
        assert not drain(0.01)
    assert terminal.texts == [*(f"{n}\n" for n in range(100)), "a log line\n"]


def test_what_nobody_reads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest is kept, and how much is missing is told."""
    monkeypatch.setattr(stderr, "MOST_WAITING", 10)
    with paused_terminal(monkeypatch) as terminal:
        CurrentStderr().write("under way\n")
        eventually(lambda: not stderr._pen._waiting)
        for n in range(25):
            CurrentStderr().write(f"{n}\n")
    assert terminal.texts[:3] == [
        "under way\n",
        "15 lines are left out here: nobody read them in time\n",
        "15\n",
    ]
    assert terminal.texts[-1] == "24\n"


def test_a_reader_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is dropped; the next one is tried again."""
    texts: list[str] = []

    class Gone:
        def write(self, text: str) -> int:
            if text == "lost\n":
                raise BrokenPipeError
            texts.append(text)
            return len(text)

        def flush(self) -> None:
            """Nothing waits here."""

    drain(5)
    monkeypatch.setattr(sys, "stderr", Gone())
    CurrentStderr().write("lost\n")
    CurrentStderr().write("said\n")
    assert drain(10)
    assert texts == ["said\n"]
