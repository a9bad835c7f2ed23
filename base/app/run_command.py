"""``run``: the app until its time is over or somebody ends it; a dead critical thread ends it at once."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Protocol

from base.app.cli import DONE, NOT_SO, Common, LogLevel
from base.app.config import Config, load_config
from base.app.config_watch import ConfigFile
from base.app.hardening import OneLine, forbid_core_dumps
from base.app.last_words import LastWords
from base.app.loop import TradingApp
from base.app.parent import Child, Parent
from base.app.standard_streams import settle_output
from base.app.starting import Interrupted
from base.app.stderr import CurrentStderr, drain
from base.app.waited_signals import FORWARDED
from base.app.watchdog import Died
from base.clock import SystemClock

WATCH_S = 0.25
RESTARTED_S = 60.0
"""How long the alarm rings after a restart. Seconds."""
UI_STOP_S = 1.0
HARD_EXIT_S = 4.8
LAST_WORDS_S = 1.0
"""How long a terminal is given to take them, on a machine that is busy. Seconds."""
ABANDONED_S = 0.3
"""What reads under way are given once everything has ended: they change nothing any more. Seconds."""
# One of these that dies ends the process; another that fails is logged and leaves the stops alone.
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
    """Whether the program shall end: signals, or the time given."""

    def __init__(self) -> None:
        self.requested = threading.Event()

    def watch_signals(self, child: Child) -> None:
        """Ctrl-C and SIGTERM end the program cleanly, the second one at once.

        One typed at a terminal comes to the whole group, and from the parent again: it counts them.
        """

        def signalled(number: int, frame: FrameType | None) -> None:
            if self.requested.is_set() and child.is_orphan:
                os._exit(128 + number)
            self.requested.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signalled)


def watch_threads(died: Died) -> None:
    """A thread that fails without a word of its own is noticed all the same.

    Without memory nothing is certain any more, whoever ran out of it.
    """

    def failed(thread: threading.ExceptHookArgs) -> None:
        name = thread.thread.name if thread.thread is not None else "?"
        if name.startswith(CRITICAL_THREADS) or isinstance(thread.exc_value, MemoryError):
            died(name, thread.exc_value)
        _log.error("thread_failed name=%s", name, exc_info=thread.exc_value)

    threading.excepthook = failed


def run_monitor(common: Common, *, seconds: float | None, has_ui: bool) -> int:
    """Run; return the exit status, in the parent and in each of its children.

    Raises:
        ConfigError: Wrong settings, credentials or files.
        MonitorError: The exchange cannot be reached.
    """
    forbid_core_dumps()
    born = Parent(lambda: load_config(common.config, common.overrides), seconds).run()
    if not isinstance(born, Child):
        return born
    try:
        return _guard_as(born, common, has_ui=has_ui and not born.is_safe)
    finally:
        drain()
        settle_output()  # a full one is no reason to end otherwise than well: it guarded all the same


def _guard_as(child: Child, common: Common, has_ui: bool) -> int:
    config = child.config
    _log_to_stderr(common.log_level)
    if not child.deaths:
        _say_what_to_know(config)
    if child.is_safe:
        _tell("It died too often: from now on it only protects; strategy and screen are off. Start it anew.")
    ending = Ending()
    ending.watch_signals(child)
    words = LastWords(Path(config.paths.logs))
    watch_threads(words.end_process)
    source = ConfigFile(common.config, common.overrides)
    app = TradingApp(config, died=words.end_process, source=source, child=child)
    signal.signal(signal.SIGHUP, lambda number, frame: app.reload_settings())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    app.stopping = ending.requested
    try:
        with _ends_at(ending, child.end_s):
            app.start()
    except Interrupted as e:
        _tell(f"{e}: nothing was guarded")
        return DONE if child.end_s is None else NOT_SO
    _guard(app, ending, child, has_ui)
    return _finish(app)


@contextmanager
def _ends_at(ending: Ending, end_s: float | None) -> Iterator[None]:
    """Let a start that takes longer than ``--for`` allows be given up in time."""
    if end_s is None:
        yield
        return
    timer = threading.Timer(max(0.0, end_s - SystemClock().boot_s()), ending.requested.set)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _guard(app: TradingApp, ending: Ending, child: Child, has_ui: bool) -> None:
    """Show what happens until the time is over, or until something ends it."""
    screen = _started_screen(app) if has_ui else None
    clock = SystemClock()
    quiet_s = clock.boot_s() + RESTARTED_S if child.deaths else float("inf")
    has_parent = True
    while not ending.requested.wait(WATCH_S):
        now_s = clock.boot_s()
        if child.end_s is not None and now_s >= child.end_s:
            break
        if now_s >= quiet_s:
            quiet_s = float("inf")
            app.ring("restarted", is_on=False)
        if has_parent and child.is_orphan:
            has_parent = False
            _lost_parent(app, ending, child)
    if screen is not None:
        screen.stop(UI_STOP_S)


def _lost_parent(app: TradingApp, ending: Ending, child: Child) -> None:
    """Guarding alone is better than not guarding. The embedded exchange ends with its parent, though."""
    if child.exchange is not None:
        _tell("The parent process is gone, and the embedded exchange with it: the program ends.")
        ending.requested.set()
        return
    _tell("The parent process is gone: positions are guarded, but nothing starts this process again.")
    app.ring("no_parent")


def _finish(app: TradingApp) -> int:
    _end_anyway(DONE, HARD_EXIT_S)
    unprotected = app.open_positions()
    app.stop()
    if unprotected:
        _tell(f"{unprotected} positions are now UNPROTECTED")
    drain(LAST_WORDS_S)
    _end_anyway(DONE, ABANDONED_S)
    return DONE


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
