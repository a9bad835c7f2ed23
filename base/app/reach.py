"""The way to whoever guards an account: the process that does, or this one in its place.

A process that hangs is verified (the machine's boot, the number, and that it holds the lock), killed, and
followed: the same recovery as at every start, without a strategy. A restarted one waits for the lock.
See stops-and-exits.md, section 7, and docs/commands.md.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from base.app.account_folder import AccountFolder, InUse
from base.app.beats import newest_beat
from base.app.config import Config
from base.app.control import NotRunning, Silent, ask
from base.app.desk import IN_FLIGHT_S, MONITOR_S, SILENT
from base.app.lock_owner import LockOwner
from base.clock import Clock, SystemClock
from base.errors import ConfigError, MonitorError

if TYPE_CHECKING:
    from base.app.loop import TradingApp

ALIVE_S = 3.0
"""A process whose heartbeat is older hangs. Seconds."""
PATIENCE_S = 10.0
"""One that lives, or has just been started, is given so long to answer. Seconds."""
GIVEN_UP_S = 45.0
FREED_S = 5.0
"""The kernel frees the lock of a killed process within this. Seconds."""
PAUSE_S = 0.3
MOST_DOUBTS = 5
LONGEST_S = {"cancel": IN_FLIGHT_S + 1.0}
EXCHANGE_ENDED = "the embedded exchange ended with its monitor: start `python run.py run`"
LIVE, PAPER = "live", "paper"
Tell = Callable[[str], None]


class Reach:
    """Asks whoever guards. A context manager: what this process took over it lets go at the end.

    Args:
        config: The settings, of the same file as the process that guards.
        folder: The account's.
        tell: Is told what a person should know while they wait.
        clock: Time.
        refused: Why most of the settings were not read. Then nobody's place is taken, nor anybody killed.
    """

    def __init__(
        self, config: Config, folder: AccountFolder, tell: Tell, clock: Clock | None = None, *,
        refused: ConfigError | None = None,
    ):  # fmt: skip
        self._config, self._folder, self._tell, self._refused = config, folder, tell, refused
        self.clock = clock or SystemClock()
        self._pause = threading.Event()
        self._app: TradingApp | None = None
        self._doubts = 0
        self._dead: str | None = None  # a critical thread of ours died

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._app is None:
            return
        held = self._app.open_positions()
        self._app.stop()
        if held:
            self._tell(f"{held} positions are left to the next `python run.py`, unguarded until it runs")

    @property
    def has_taken_over(self) -> bool:
        """Whether this process guards in the place of another."""
        return self._app is not None

    def execution(self) -> str:
        """``live`` or ``paper``, as whoever guards has it; where nobody says, as the settings have it.

        The process may have been started with other settings than this command, by ``--set``.
        """
        if self._app is None:
            with contextlib.suppress(MonitorError):
                return str(ask(self._folder, "status", timeout_s=ALIVE_S / 2)["execution"])
        return LIVE if self._config.is_live else PAPER

    def ask(self, command: str, arguments: Mapping[str, object]) -> Any:
        """Have ``command`` answered by the process that guards, or take over from it and answer here.

        Raises:
            ConfigError: Nobody answers, and with refused settings nothing can be guarded.
            MonitorError: It says no; or nobody answers and the place cannot be taken.
        """
        began_s = self.clock.boot_s()
        while self._app is None:
            if self._claims():
                self._take_over()
                break
            owner = self._folder.owner()
            is_hopeful = self._is_alive_or_young(owner)
            try:
                result = ask(self._folder, command, arguments, timeout_s=_within_s(command, is_hopeful))
                if not is_silent(result):
                    return result
                why = "its monitor does not answer"
            except NotRunning as e:
                why = str(e) if isinstance(e, Silent) else "it holds the lock and takes no commands"
            waited_s = self.clock.boot_s() - began_s
            if waited_s > GIVEN_UP_S:
                raise NotRunning(f"a process guards this account, {why}, and its place cannot be taken")
            if owner is not None and not (self._is_alive_or_young(owner) and waited_s < PATIENCE_S):
                self._end(owner, why)
                if not owner.holds(self._folder.lock):
                    continue  # its place is free now: before its parent's next child has it
            self.pause(PAUSE_S)
        return self._answer_here(command, arguments)

    def pause(self, seconds: float) -> None:
        """Wait."""
        self._pause.wait(seconds)

    # --- the process that guards --------------------------------------------------------------------

    def _is_alive_or_young(self, owner: LockOwner | None) -> bool:
        """Whether its heartbeat is fresh, or it took the lock so lately that its heart has yet to begin."""
        if owner is None:
            return True  # it is just writing its name
        beat = newest_beat(self._folder.heartbeat)
        if beat is not None and beat.owner == owner and owner.is_of_this_boot:
            if beat.boot_s == 0.0:
                return True  # it is ending, and frees the lock within seconds
            return self.clock.boot_s() - beat.boot_s < ALIVE_S
        try:
            taken_s = self._folder.lock.stat().st_mtime
        except OSError:
            return False
        return self.clock.utc_ms() / 1000 - taken_s < PATIENCE_S

    def _claims(self) -> bool:
        try:
            self._folder.claim()
        except InUse:
            return False
        return True

    def _end(self, owner: LockOwner, why: str) -> None:
        """Kill the process that hangs, if it can be proven to be the one that holds the lock."""
        if self._folder.owner() != owner or not owner.exists:
            return  # it ended meanwhile, or another one followed it: things are looked at anew
        self._need_all_settings()
        said = f"process {owner.pid} hangs ({why})"
        try:
            is_proven = owner.kill_if_it_holds(self._folder.lock)
        except PermissionError:
            raise MonitorError(f"{said} and belongs to another user") from None
        if not is_proven:
            self._doubts += 1  # killed by another shell, it may be dead and named there still
            if self._doubts < MOST_DOUBTS:
                return
            raise MonitorError(
                f"{said}, and cannot be proven to hold {self._folder.lock}: it is not killed. End the "
                "process that guards this account yourself and try again"
            )
        self._tell(f"{said}: it is killed, and this command guards in its place")
        deadline_s = self.clock.boot_s() + FREED_S
        while owner.holds(self._folder.lock) and self.clock.boot_s() < deadline_s:
            self.pause(PAUSE_S / 10)

    # --- this process in its place --------------------------------------------------------------------

    def _take_over(self) -> None:
        """Recover as every start does; the lock is ours."""
        try:
            self._need_all_settings()
        except ConfigError:
            self._folder.release()
            raise
        from base.app.credentials import access_to  # most commands never come here, and must answer at once
        from base.app.embedded import is_listening, reached_in
        from base.app.loop import TradingApp

        reached = None
        if self._config.is_simulated:
            reached = reached_in(self._folder.exchange)
            if reached is None or not is_listening(reached):
                self._folder.release()
                raise NotRunning("process not running" if reached is None else EXCHANGE_ENDED)
        access = access_to(self._config, os.environ, reached)
        account = access, self._folder
        app = TradingApp(self._config, died=self._died, account=account, clock=self.clock)
        try:
            app.start()
        except BaseException:
            self._folder.release()
            raise
        self._app = app

    def _need_all_settings(self) -> None:
        """With the stops of nobody, nothing is guarded: a process that hangs is better than none."""
        if self._refused is not None:
            what = (
                f"{self._refused.what}. Nobody answers, and before that is mended nothing can be guarded here"
            )
            raise ConfigError(self._refused.where, what)

    def _died(self, thread: str, error: BaseException | None) -> None:
        self._dead = f"the thread {thread} died ({error!r}): nothing more is done here"

    def _answer_here(self, command: str, arguments: Mapping[str, object]) -> Any:
        if self._dead is not None:
            raise MonitorError(self._dead)
        assert self._app is not None
        try:
            return self._app.answers[command](arguments)
        except ValueError as e:
            raise MonitorError(str(e)) from None


def _within_s(command: str, is_hopeful: bool) -> float:
    """A process that lives is given the time that its monitor may take, another one less."""
    return LONGEST_S.get(command, MONITOR_S + 1.0) if is_hopeful else ALIVE_S / 2


def is_silent(result: object) -> bool:
    """Whether the process answered for a monitor that did not."""
    return isinstance(result, list) and any(
        isinstance(one, dict) and one.get("word") == SILENT for one in result
    )
