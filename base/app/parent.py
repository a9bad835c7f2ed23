"""The parent of ``run``: owns the embedded exchange, starts the child that guards, and another if it dies.

It does nothing else and has no threads, so that little can befall it. A child is a fork: it needs neither
the disk nor this version's files to be started again, and what it says of itself stands in shared memory.
See docs/liveness.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from base.app.bare_output import flush, put, take_standard_descriptors, tell
from base.app.board import Board
from base.app.cli import DONE, NOT_SO, WRONG
from base.app.config import Config
from base.app.embedded import EmbeddedExchange, Reached
from base.app.service_manager import ServiceManager
from base.app.waited_signals import FORWARDED, Signals
from base.clock import Clock, SystemClock
from base.errors import ConfigError
from base.risk.views import Tally
from base.units import price_text

LOOK_S = 0.25
LATE_S = 1.0
"""A look that comes so much too late, seconds: we were stopped ourselves, and the child with us perhaps."""
SILENT_S = 10.0
"""A child that says nothing for so long is killed. Seconds."""
LAST_LOOK_S = 0.3
"""What such a child is given to write down where its threads stand. Seconds."""
STOP_S = 5.0
OVERDUE_S = 3.0
"""So long after a child should have ended by itself, by ``--for``, it is told to. Seconds."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 4.0
LOOP_S, LOOP_DEATHS = 60.0, 3
"""So many deaths within so many seconds: from then on it only protects."""
_SHOW_CURSOR = b"\x1b[?25h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What a child knows from its birth."""

    board: Board
    parent: int  # process id
    config: Config
    exchange: Reached | None  # the embedded one, if that is what the settings want
    end_s: float | None  # boot clock; None: no end was asked for
    deaths: int  # of children before it
    is_safe: bool  # whether it only protects

    @property
    def is_orphan(self) -> bool:
        """Whether the parent is gone."""
        return os.getppid() != self.parent


class Parent:
    """Call ``run`` once, on the main thread of a process without others.

    Args:
        read_settings: Reads the settings; raises ``ConfigError``.
        seconds: ``--for``; ``None``: until somebody ends it.
        clock: Time.
    """

    def __init__(
        self, read_settings: Callable[[], Config], seconds: float | None, clock: Clock | None = None
    ):
        self._read_settings, self._seconds = read_settings, seconds
        self._clock = clock or SystemClock()
        began_s = self._clock.boot_s()
        self._end_s = None if seconds is None else began_s + seconds
        self._manager = ServiceManager()
        self._exchange: EmbeddedExchange | None = None
        self._reached: Reached | None = None
        self._board, self._pid = Board(), 0
        self._past = Tally()  # of children that ended
        self._held = 0  # positions the last child that guarded knew of
        self._deaths = 0
        self._died_s: list[float] = []  # the newest deaths, boot clock
        self._has_guarded = self._is_safe = False
        self._ends_by_s: float | None = None  # somebody, or something, ends us: the child's deadline
        self._status = DONE  # ours, when that is over

    def run(self) -> Child | int:
        """Return what a child must know, in each child; in the parent, at the end, the exit status.

        A child's signals are blocked: it installs its own handlers, then lets them come.

        Raises:
            ConfigError: Wrong settings, or the embedded exchange cannot be started.
        """
        take_standard_descriptors()
        config = self._read_settings()
        with Signals() as signals:
            try:
                if config.is_simulated:
                    self._start_exchange(config)
                while (outcome := self._one_child(config, signals)) is None:
                    config = self._settings_now(config)
            except BaseException:
                self._stop_exchange()
                raise
        if isinstance(outcome, Child):
            return outcome
        self._stop_exchange()
        if self._seconds is not None and self._has_guarded:
            print(json.dumps({"summary": _summary(self._past)}), flush=True)
        return outcome

    def _start_exchange(self, config: Config) -> None:
        data, logs = Path(config.paths.data), Path(config.paths.logs)
        self._exchange = EmbeddedExchange(config.simulator, data, logs)
        self._reached = self._exchange.start_account(config.paths.emergency)

    def _stop_exchange(self) -> None:
        if self._exchange is not None:
            self._exchange.stop()

    def _settings_now(self, before: Config) -> Config:
        """What a new child begins with: as while it runs, only the stops may have changed.

        A file that was spoiled meanwhile leaves nobody unguarded.
        """
        try:
            return before.model_copy(update={"stops": self._read_settings().stops})
        except ConfigError as e:
            tell(f"{e}\nThe settings read before stay in force.")
            return before

    # --- one child --------------------------------------------------------------------------------

    def _one_child(self, config: Config, signals: Signals) -> Child | int | None:
        """Start one and watch it to its end; ``None``: it is to be followed by another."""
        self._board = board = Board()
        parent, deaths = os.getpid(), self._deaths
        flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        try:
            self._pid = os.fork()
        except OSError as e:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
            return self._mourn(f"no process can be started: {e.strerror}", signals)
        if self._pid == 0:
            return Child(
                board=board, parent=parent, config=config, exchange=self._reached, end_s=self._end_s,
                deaths=deaths, is_safe=self._is_safe,
            )  # fmt: skip
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        code = self._watch(signals)
        if board.is_guarding:
            self._has_guarded, self._held = True, board.held
        self._past += board.counts
        if code == WRONG:
            self._say_unprotected()
        if self._ends_by_s is not None or code in (DONE, WRONG):
            return code if self._status == DONE and code in (NOT_SO, WRONG) else self._status
        if not self._has_guarded and code == NOT_SO:
            return code  # it said why it cannot start; a person must act, or whoever started us
        how = f"exit status {code}" if code > 0 else signal.Signals(-code).name
        return self._mourn(f"The monitor died ({how})", signals)

    def _watch(self, signals: Signals) -> int:
        """Wait for the child's end; return its exit code, or minus the signal that killed it."""
        looked_s = heard_s = self._clock.boot_s()
        beat_s = 0.0
        while True:
            self._take(signals.wait(LOOK_S))
            now_s = self._clock.boot_s()
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if self._board.beat_s != beat_s or now_s - looked_s > LOOK_S + LATE_S:
                beat_s, heard_s = self._board.beat_s, now_s
            looked_s = now_s
            self._look(now_s, heard_s)

    def _look(self, now_s: float, heard_s: float) -> None:
        if self._board.is_guarding:
            self._manager.ready()
        self._manager.alive()
        is_overdue = self._end_s is not None and now_s > self._end_s + STOP_S + OVERDUE_S
        if is_overdue and self._ends_by_s is None:
            self._end(now_s)
        if self._ends_by_s is not None and now_s > self._ends_by_s:
            self._kill()
        elif now_s - heard_s > SILENT_S:
            _tell_below(f"The monitor has been silent for {SILENT_S:g} s: it is killed.")
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGUSR1)  # last_words.py: where its threads stand
            select.select([], [], [], LAST_LOOK_S)
            self._kill()
        if self._exchange is not None and not self._exchange.is_running and self._ends_by_s is None:
            tell("the embedded exchange ended: the program ends.")
            self._status = NOT_SO
            self._end(now_s)

    def _take(self, numbers: bytes) -> None:
        """Signals: the first that ends us is passed on, the second ends the child at once."""
        for number in numbers:
            if number == signal.SIGHUP:
                self._pass_on(signal.SIGHUP)
            elif number in (signal.SIGINT, signal.SIGTERM) and self._ends_by_s is None:
                self._end(self._clock.boot_s())
            elif number in (signal.SIGINT, signal.SIGTERM):
                self._status = 128 + number
                self._kill()

    def _end(self, now_s: float) -> None:
        self._manager.ending()
        self._ends_by_s = now_s + STOP_S
        self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: int) -> None:
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def _kill(self) -> None:
        """The child could not say it itself any more."""
        if self._pid and self._ends_by_s is not None:
            self._ends_by_s = float("inf")  # once
            self._say_unprotected()
        self._pass_on(signal.SIGKILL)

    def _say_unprotected(self) -> None:
        held = self._board.held if self._board.is_guarding else self._held
        if held:
            _tell_below(f"{held} positions are now UNPROTECTED")

    # --- between two ------------------------------------------------------------------------------

    def _mourn(self, what: str, signals: Signals) -> int | None:
        """Say that it died and wait a moment; a number: we end instead."""
        self._pid = 0
        now_s = self._clock.boot_s()
        self._deaths += 1
        self._died_s = [died_s for died_s in [*self._died_s, now_s] if now_s - died_s < LOOP_S]
        recent = len(self._died_s)
        self._is_safe |= recent >= LOOP_DEATHS
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (recent - 1))
        put(1, _SHOW_CURSOR if os.isatty(1) else b"")  # its screen had no time to
        _tell_below(
            f"{what}. It is started again in {pause_s:g} s; "
            f"until then {self._held} positions are UNPROTECTED."
        )
        until_s = now_s + pause_s
        while self._ends_by_s is None and (left_s := until_s - self._clock.boot_s()) > 0:
            if self._end_s is not None and self._clock.boot_s() >= self._end_s:
                return DONE
            self._take(signals.wait(min(LOOK_S, left_s)))
            self._manager.alive()
        if self._ends_by_s is None:
            return None
        self._say_unprotected()
        return self._status


def _tell_below(sentence: str) -> None:
    """Say what befell a child whose screen, at a terminal, left the cursor behind its last row."""
    put(2, b"\n" if os.isatty(2) else b"")
    tell(sentence)


def _summary(counts: Tally) -> dict[str, object]:
    return {
        "triggered": counts.triggered,
        "filled": counts.filled,
        "closed": counts.closed,
        "profit": price_text(counts.profit),
        "alarms": counts.alarms,
    }
