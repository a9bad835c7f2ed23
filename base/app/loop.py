"""The app: builds the parts, starts their threads in the one order there is, and ends them.

Starting is recovering: journal → limits and clock → exchange status → positions → feed → proof of data
→ arm → strategy; the screen comes last. See docs/strategy.md for embedding.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from base.app.account_folder import AccountFolder, folder_of
from base.app.alerting import Alerting
from base.app.config import Config, load_config
from base.app.config_watch import ConfigFile, ConfigWatch
from base.app.control import Answer, ControlServer
from base.app.credentials import Access, access_to
from base.app.desk import Desk
from base.app.embedded import EmbeddedExchange
from base.app.heartbeat_file import HeartbeatFile
from base.app.last_words import end_process
from base.app.parent import Child
from base.app.positions import Positions
from base.app.starting import claim_in_turn, recover
from base.app.status_report import status_report
from base.app.stderr import drain
from base.app.stopping import STOP_S, Stops
from base.app.strategy_view import (
    AccountMarkets,
    CachedPrices,
    EntryGuards,
    MonitoredHoldings,
    WatchedMarkets,
    held_by,
)
from base.app.watchdog import Died, Watchdog
from base.app.wiring import Parts
from base.clock import Clock, SystemClock
from base.feed.heartbeat import IDLE, Heartbeat
from base.risk.messages import AlarmChanged, Line, SettingsChanged
from base.risk.ports import MonitorView
from base.strategy.contract import Context, Strategy
from base.strategy.gateway import GuardedGateway
from base.strategy.loading import load_strategy
from base.strategy.runner import StrategyRunner
from base.ui.screen import Screen

DEMO_STRATEGY = "base.strategy.demo:Demo"
LOG_LINES = 50
UNCRITICAL_STOP_S = 0.5
START_S = 300.0
"""A start that takes longer is stuck. Seconds."""
LOCK_PATIENCE_S = 120.0
"""How long a restarted process waits for whoever took the account over: longer than a flatten takes."""
_log = logging.getLogger(__name__)


class TradingApp:
    """The monitor with everything it needs. A context manager: threads start on entering.

    Args:
        config: The settings.
        died: Told the name of a critical thread that died or is stuck, and why; ends the process by default.
        clock: The clocks of this machine.
        environ: Environment variables, for credentials.
        source: The file the settings came from; it is read again when it changes.
        child: What its parent process told it, if it has one: ``run`` does.
        account: The account, if this process has taken it over from another: its folder is claimed, and no
            strategy runs.
    """

    positions: Positions
    answers: Mapping[str, Answer]  # of the control socket, by command

    def __init__(
        self,
        config: Config,
        *,
        died: Died = end_process,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        source: ConfigFile | None = None,
        child: Child | None = None,
        account: tuple[Access, AccountFolder] | None = None,
    ):
        self.config = config
        self._died, self._source, self._child, self._account = died, source, child, account
        self._clock = clock or SystemClock()
        self._environ = os.environ if environ is None else environ
        self.stopping = threading.Event()
        self._stops = Stops(self._clock)
        self._watchdog = Watchdog(self._clock, self._died, self._stood_still, self._show_alive)
        self._parts: Parts | None = None
        self._folder: AccountFolder | None = None
        self._config_watch: ConfigWatch | None = None

    @classmethod
    def from_config(cls, path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read config.yaml, with ``a.b=value`` overrides on top.

        Raises:
            ConfigError: Every mistake in it.
        """
        source = ConfigFile(Path(path), tuple(overrides))
        return cls(load_config(source.path, overrides), source=source)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- start and end -------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything; positions are being guarded when it returns. What was started ends on failure.

        Raises:
            ConfigError: A person must act; the sentence says what.
            MonitorError: The exchange cannot be reached.
        """
        strategy = self._load_strategy()
        alerting = Alerting(self.config, self._clock)
        starting = Heartbeat("start")
        starting.due_s = self._clock.boot_s() + START_S
        try:
            self._watchdog.watch(starting, lambda: True)
            self._stops.add("watchdog", self._watchdog.stop)
            self._watchdog.start()
            access, folder = self._open_account()
            counted = None if self._child is None else self._child.board.count
            parts = Parts(self.config, access, folder, self._clock, self._died, counted)
            self._stops.add("event log", parts.events.close)
            self._stops.add("connections", lambda _: parts.clients.close())
            self._parts, self._folder = parts, folder
            alerting.start(parts, self._stops, self.open_positions)
            recover(parts, self.config, access, self._clock, self._stops, self.stopping)
            for heart, is_alive in parts.critical:
                self._watchdog.watch(heart, is_alive)
            self._tell_parent()
            self.positions = Positions(
                parts.monitor, lambda: parts.reconciler.subaccounts, parts.own_subaccount
            )
            if strategy is not None:
                self._start_strategy(strategy, parts, folder)
            self._start_control(parts, folder)
            self._watch_config(parts)
            alerting.start_heartbeat(parts, self._stops, self.missing_part)
            starting.due_s = IDLE
        except BaseException:
            self.stop()
            raise

    def stop(self, timeout_s: float = STOP_S) -> list[str]:
        """End everything within ``timeout_s`` seconds; return the names of what would not end."""
        self.stopping.set()
        self._watchdog.judge_no_more()
        late = self._stops.run(timeout_s)
        if late:
            _log.warning("did not end in time: %s", ", ".join(late))
        drain()
        return late

    def _open_account(self) -> tuple[Access, AccountFolder]:
        """Find who we are, take the folder of that account, and say there that we live."""
        access, folder = self._account or self._claim_account()
        heartbeat = HeartbeatFile(folder.heartbeat, self._clock, self._watchdog.is_in_time)
        self._stops.add("heartbeat file", heartbeat.stop, longest_s=UNCRITICAL_STOP_S)
        heartbeat.start()
        return access, folder

    def _claim_account(self) -> tuple[Access, AccountFolder]:
        data, logs = Path(self.config.paths.data), Path(self.config.paths.logs)
        child = self._child
        reached = None if child is None else child.exchange
        if self.config.is_simulated and child is None:
            embedded = EmbeddedExchange(self.config.simulator, data, logs)
            self._stops.add("embedded exchange", lambda _: embedded.stop())
            reached = embedded.start_account(self.config.paths.emergency)
            self._watchdog.watch(Heartbeat("embedded exchange"), lambda: embedded.is_running)
        access = access_to(self.config, self._environ, reached)
        hash_ = access.signer.account_hash
        folder = folder_of(data, access.environment, hash_, is_live=self.config.is_live)
        patience_s = LOCK_PATIENCE_S if child is not None and child.deaths else 0.0
        claim_in_turn(folder, patience_s, self._clock, self.stopping)
        self._stops.add("lock", lambda _: folder.release())
        return access, folder

    def _load_strategy(self) -> Strategy | None:
        """Make the strategy before anything is started: a mistake in it must not end a running guard."""
        if self._account is not None or (self._child is not None and self._child.is_safe):
            return None
        name = self.config.strategy.class_name or (DEMO_STRATEGY if self.config.is_simulated else None)
        return None if name is None else load_strategy(name)

    def _start_strategy(self, strategy: Strategy, parts: Parts, folder: AccountFolder) -> None:
        watching = WatchedMarkets(parts.feed, parts.clients.strategy, self._clock, parts.exchange_time)
        self._stops.add("series follower", watching.stop, longest_s=UNCRITICAL_STOP_S)
        watching.start()
        context = self._context(parts, folder, watching)
        interval_s, ring = self.config.strategy.interval_s, parts.monitor.submit
        runner = StrategyRunner(strategy, context, interval_s, ring, self._clock)
        self._stops.add("strategy", runner.stop, longest_s=UNCRITICAL_STOP_S)
        runner.start()

    def _context(self, parts: Parts, folder: AccountFolder, watching: WatchedMarkets) -> Context:
        monitor, client = parts.monitor, parts.clients.strategy
        guards = EntryGuards(
            lambda: folder.is_halted, monitor.is_latched, lambda: parts.reconciler.subaccounts
        )
        markets = AccountMarkets(client, parts.own_subaccount)
        return Context(
            environment=self.config.exchange.environment,
            prices=CachedPrices(parts.cache, self._clock, self.stopping),
            markets=markets,
            orders=GuardedGateway(
                parts.entries,
                markets,
                guards,
                self.positions.opened,
                self._clock,
                self.config.strategy.as_limits(),
                held_by(monitor.view),
                parts.own_subaccount,
            ),
            watching=watching,
            holdings=MonitoredHoldings(monitor.view),
        )

    def _start_control(self, parts: Parts, folder: AccountFolder) -> None:
        desk = Desk(parts.monitor.submit, self.view, parts.own_subaccount, self._clock)
        self.answers = {
            "status": lambda _: status_report(self.look()),
            "positions": lambda _: status_report(self.look())["positions"],
            "halt": lambda _: self.halt(),
            "resume": lambda _: self.resume(),
            **desk.answers,
        }
        server = ControlServer(folder, self.answers)
        self._stops.add("control", server.stop, longest_s=UNCRITICAL_STOP_S)
        server.start()

    def _watch_config(self, parts: Parts) -> None:
        if self._source is not None:
            watch = ConfigWatch(self._source, self.config, self._take_settings, parts.monitor.submit)
            self._config_watch = watch
            self._stops.add("config watch", watch.stop, longest_s=UNCRITICAL_STOP_S)
            watch.start()

    # --- while it runs --------------------------------------------------------------------------

    def ring(self, reason: str, *, is_on: bool = True, details: str = "-") -> None:
        """Let an alarm ring that belongs to no position, or end it."""
        if self._parts is not None:
            self._parts.monitor.submit(AlarmChanged(reason=reason, is_on=is_on, details=details))

    def _tell_parent(self) -> None:
        """Guarding has begun; what befell those before is no secret either."""
        if (child := self._child) is None:
            return
        child.board.guards_now()
        if child.is_safe:
            self.ring("crash_loop", details=f"{child.deaths}_deaths")
        elif child.deaths:
            self.ring("restarted", details=f"{child.deaths}_deaths")

    def _show_alive(self) -> None:
        if self._child is not None:
            self._child.board.beat(self._clock.boot_s(), self.open_positions())

    def _stood_still(self) -> None:
        if self._parts is not None:
            self._parts.feed.stood_still()

    def view(self) -> MonitorView:
        """What the monitor knows now; empty before the start."""
        return MonitorView() if self._parts is None else self._parts.monitor.view()

    def look(self) -> Screen:
        """Everything a screen shows."""
        parts = self._parts
        return Screen(
            environment=self.config.exchange.environment,
            execution="live" if self.config.is_live else "paper",
            is_connected=parts is not None and parts.cache.connection().is_connected,
            is_halted=self._folder is not None and self._folder.is_halted,
            view=self.view(),
            log=() if parts is None else tuple(parts.events.recent(LOG_LINES)),
        )

    def halt(self) -> dict[str, Any]:
        """Stop entries; exits go on. Holds until ``resume``, restarts included."""
        return self._switch(is_halted=True)

    def resume(self) -> dict[str, Any]:
        """Allow entries again."""
        return self._switch(is_halted=False)

    def reload_settings(self) -> None:
        """Read config.yaml again now. Safe to call from a signal handler."""
        if self._config_watch is not None:
            self._config_watch.tell()

    def _take_settings(self, config: Config) -> None:
        """Take over settings whose ``stops`` changed. Called on the config watch's thread."""
        if self._parts is not None:
            self.config = config
            self._parts.refresher.stale_after_s = config.stops.stale_after_s
            self._parts.monitor.submit(SettingsChanged(settings=config.stops.as_settings()))

    def _switch(self, *, is_halted: bool) -> dict[str, Any]:
        if self._folder is None or self._parts is None:
            raise ValueError("the app is not started")
        self._folder.set_halted(is_halted)
        event = "HALTED" if is_halted else "RESUMED"
        self._parts.events.write(Line(event=event, key=None, side=None, fields={}))
        return {"halted": is_halted}

    def missing_part(self) -> str | None:
        """What should run and does not, in words; ``None``: nothing is missing."""
        if self._parts is None or self.stopping.is_set():
            return None
        dead = [heart.name for heart, is_alive in self._parts.critical if not is_alive()]
        return f"the thread {dead[0]} died" if dead else None

    def open_positions(self) -> int:
        """How many positions are held, as the monitor knows it."""
        return sum(position.count > Decimal(0) for position in self.view().positions)
