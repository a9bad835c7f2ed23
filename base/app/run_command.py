"""``run``: the app until its time is over, somebody ends it, or one of its critical threads dies."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from base.app.cli import DONE, NOT_SO, Common, LogLevel
from base.app.config import Config, load_config
from base.app.config_watch import ConfigFile
from base.app.hardening import OneLine, forbid_core_dumps
from base.app.loop import TradingApp
from base.app.starting import Interrupted
from base.app.stderr import CurrentStderr, drain
from base.clock import SystemClock
from base.units import price_text

WATCH_S = 0.25
UI_STOP_S = 1.0
HARD_EXIT_S = 4.8
LAST_WORDS_S = 1.0
"""How long a terminal is given to take them, on a machine that is busy. Seconds."""
ABANDONED_S = 0.3
"""What reads under way are given once everything has ended: they change nothing any more. Seconds."""
# One of these that dies ends the process; any other that fails is logged and leaves the stops alone.
CRITICAL_THREADS = (
    "websocket manager",
    "stop-loss",
    "exit-executor",
    "reconciler",
    "journal",
    "price refresher",
)
_log = logging.getLogger(__name__)


class UserInterface(Protocol):
    """A screen on a thread of its own."""

    def start(self) -> None:
        """Start drawing."""

    def stop(self, timeout_s: float) -> bool:
        """Draw once more and end."""


class Ending:
    """Why and when the program ends. Signals, the time given, or a dead thread."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.failure: str | None = None

    def watch_signals(self) -> None:
        """Ctrl-C and SIGTERM end the program cleanly; the second one at once."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self.requested.is_set():
            os._exit(128 + number)
        self.requested.set()

    def thread_died(self, thread: str, error: BaseException | None) -> None:
        """A critical thread died: nothing is guarded any more, so the program ends."""
        self.fail(f"the thread {thread} died" + (f" ({error!r})" if error is not None else ""))

    def fail(self, why: str) -> None:
        """End the program; the first reason is the one that is told."""
        self.failure = self.failure or why
        self.requested.set()

    def watch_threads(self) -> None:
        """A thread that fails without a word of its own is noticed all the same."""
        threading.excepthook = self._thread_failed

    def _thread_failed(self, failed: threading.ExceptHookArgs) -> None:
        name = failed.thread.name if failed.thread is not None else "?"
        _log.error("thread_failed name=%s", name, exc_info=failed.exc_value)
        if name.startswith(CRITICAL_THREADS):
            self.thread_died(name, failed.exc_value)


def run_monitor(common: Common, *, seconds: float | None, has_ui: bool) -> int:
    """Run; return the exit status.

    Raises:
        ConfigError: Wrong settings, credentials or files.
        MonitorError: The exchange cannot be reached.
    """
    forbid_core_dumps()
    try:
        return _run(common, seconds, has_ui)
    finally:
        drain()


def _run(common: Common, seconds: float | None, has_ui: bool) -> int:
    began_s = SystemClock().boot_s()
    config = load_config(common.config, common.overrides)
    _log_to_stderr(common.log_level)
    _say_what_to_know(config)
    ending = Ending()
    ending.watch_signals()
    ending.watch_threads()
    source = ConfigFile(common.config, common.overrides)
    app = TradingApp(config, died=ending.thread_died, source=source)
    signal.signal(signal.SIGHUP, lambda number, frame: app.reload_settings())
    app.stopping = ending.requested
    try:
        with _ends_after(ending, seconds):
            app.start()
    except Interrupted as e:
        _tell(f"{e}: nothing was guarded")
        return DONE if seconds is None else NOT_SO
    _guard(app, ending, None if seconds is None else began_s + seconds, has_ui)
    return _finish(app, ending, seconds)


@contextmanager
def _ends_after(ending: Ending, seconds: float | None) -> Iterator[None]:
    """Let a start that takes longer than ``--for`` allows be given up in time."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, ending.requested.set)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _guard(app: TradingApp, ending: Ending, end_s: float | None, has_ui: bool) -> None:
    """Show what happens until ``end_s`` (boot clock), or until something ends it."""
    screen = _started_screen(app) if has_ui else None
    clock = SystemClock()
    while not ending.requested.wait(WATCH_S):
        if end_s is not None and clock.boot_s() >= end_s:
            break
        if missing := app.missing_part():
            ending.fail(missing)
    if screen is not None:
        screen.stop(UI_STOP_S)


def _finish(app: TradingApp, ending: Ending, seconds: float | None) -> int:
    status = NOT_SO if ending.failure else DONE
    _end_anyway(status, HARD_EXIT_S)
    unprotected = app.open_positions()
    app.stop()
    view = app.view()
    if ending.failure:
        _tell(f"{ending.failure}: the program ends.")
    if unprotected:
        _tell(f"{unprotected} positions are now UNPROTECTED")
    if seconds is not None:
        summary = {
            "triggered": view.triggered,
            "filled": view.filled,
            "closed": view.closed,
            "profit": price_text(view.profit),
            "alarms": view.alarms_raised,
        }
        print(json.dumps({"summary": summary}), flush=True)
    drain(LAST_WORDS_S)
    _end_anyway(status, ABANDONED_S)
    return status


def _end_anyway(status: int, after_s: float) -> None:
    """Whatever still hangs then, a thread or a read, ends with the process."""

    def leave() -> None:
        drain()
        os._exit(status)

    timer = threading.Timer(after_s, leave)
    timer.daemon = True
    timer.start()


def _started_screen(app: TradingApp) -> UserInterface | None:
    """A screen, if there is something to draw on. That there is none is no reason to end the guard."""
    if sys.stdout is None:  # it was closed before we began, as in `>&-`
        return None
    try:
        screen = _user_interface(app)
        screen.start()
    except Exception:
        _log.exception("no_screen")
        return None
    return screen


def _user_interface(app: TradingApp) -> UserInterface:
    if sys.stdout.isatty():
        from base.ui.terminal import TerminalScreen

        return TerminalScreen(app.look)
    from base.ui.lines import PlainLines

    return PlainLines(app.look, SystemClock())


def _log_to_stderr(level: LogLevel) -> None:
    handler = logging.StreamHandler(CurrentStderr())
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().handlers = [handler]
    logging.getLogger().setLevel(level.value.upper())


def _say_what_to_know(config: Config) -> None:
    """What a person must know before relying on it."""
    if not config.is_live:
        _tell(
            "execution: paper. Orders fill on paper against the live book; none is sent. "
            "To send them: execution: live"
        )
    if config.exchange.environment == "production" and config.is_live:
        _tell("PRODUCTION, LIVE: exits trade real money.")


def _tell(sentence: str) -> None:
    CurrentStderr().write(sentence + "\n")
