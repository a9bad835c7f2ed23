"""Builds the parts of the app and plugs the exchange in. Nothing is started here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from base.app.account_folder import AccountFolder
from base.app.config import Config
from base.app.credentials import Access
from base.app.key_watch import KeyWatch
from base.app.stderr import CurrentStderr
from base.clock import Clock
from base.errors import MonitorError, RequestRefused
from base.feed.clock_offset import ClockOffset
from base.feed.heartbeat import Heartbeat
from base.feed.refresher import BookReader, PriceRefresher
from base.kalshi.messages import Subscribed
from base.kalshi.rate_budget import RateBudget
from base.kalshi.rest_client import KalshiRest
from base.kalshi.websocket_client import WebSocketManager
from base.kalshi.websocket_price_cache import WebSocketPriceCache
from base.model import PRIMARY, Quote, Refused
from base.risk.emergency import EmergencyFile, emergency_path
from base.risk.event_log import EventLog
from base.risk.exit_executor import ExitExecutor
from base.risk.hold_log import HoldLog
from base.risk.journal import Journal
from base.risk.messages import Answered, Linked, Message, ReadFailed
from base.risk.paper import PaperExchange
from base.risk.ports import OrderPort
from base.risk.reconciler import Reconciler
from base.risk.stop_loss import Counted, StopLossMonitor
from base.strategy.gateway import EntryPort

LOG_NAME = "stop_loss.log"
REQUEST_S = 3.0
"""What one REST call may take, all told. Seconds."""
DOUBTFUL = frozenset({401, 403})
"""Refusals that may mean that our key is no longer good."""
Crashed = Callable[[str, BaseException], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """REST clients of one account. They share one budget; exits have connections and tokens of their own."""

    account: KalshiRest
    exits: KalshiRest
    strategy: KalshiRest
    prices: KalshiRest

    def close(self) -> None:
        """Close their connections."""
        for client in (self.account, self.exits, self.strategy, self.prices):
            client.close()


class _Inbox:
    """The monitor's door, known to others before the monitor is built."""

    def __init__(self) -> None:
        self.monitor: StopLossMonitor | None = None
        self.key_watch: KeyWatch | None = None

    def submit(self, message: Message) -> None:
        if self.monitor is not None:  # nothing is started before it is
            self.monitor.submit(message)
        if isinstance(message, ReadFailed) or (
            isinstance(message, Answered)
            and isinstance(message.outcome, Refused)
            and message.outcome.status in DOUBTFUL
        ):
            self._doubt()

    def refused(self, error: RequestRefused) -> None:
        """A read was refused, maybe because our key is."""
        if error.status in DOUBTFUL:
            self._doubt()

    def _doubt(self) -> None:
        if self.key_watch is not None:
            self.key_watch.doubt()


class _Reachable:
    """Reads books; tells when the exchange answers again, for the feed need not wait then, and refusals."""

    def __init__(
        self, reader: BookReader, answers_again: Callable[[], None], refused: Callable[[RequestRefused], None]
    ):
        self._reader = reader
        self._answers_again, self._refused = answers_again, refused
        self._is_failing = False  # owned by the price refresher's thread

    def read_books(self, tickers: Collection[str]) -> list[Quote]:
        try:
            quotes = self._reader.read_books(tickers)
        except MonitorError as e:
            self._is_failing = True
            if isinstance(e, RequestRefused):
                self._refused(e)
            raise
        if self._is_failing:
            self._is_failing = False
            self._answers_again()
        return quotes


class Parts:
    """Everything that runs, built and plugged together, not yet started.

    Raises:
        ConfigError: The log cannot be written.
    """

    def __init__(
        self,
        config: Config,
        access: Access,
        folder: AccountFolder,
        clock: Clock,
        crashed: Crashed,
        counted: Counted | None = None,
    ):
        self._config, self._access, self._clock, self._crashed = config, access, clock, crashed
        self._counted = counted
        self._settings = config.stops.as_settings()
        self._budget, self._offset, self._inbox = RateBudget(clock), ClockOffset(), _Inbox()
        log = Path(config.paths.logs) / LOG_NAME
        mark = {} if config.is_live else {"execution": "paper"}
        self.events = EventLog(log, clock, echo=cast(TextIO, CurrentStderr()), mark=mark)
        self.journal = self._journal(folder)
        self.holds = HoldLog(folder.holds if config.is_live else folder.paper_holds)
        self.clients = self._clients()
        self.cache = WebSocketPriceCache(clock)
        # Live: the exchange's own clients. On paper: the same account, with orders that are not sent.
        self.paper = None if config.is_live else self._paper(folder)
        self.orders: OrderPort = self.paper or self.clients.exits
        self.entries: EntryPort = self.paper or self.clients.strategy
        self.feed = self._feed()
        self.refresher = self._refresher()
        self.executor = ExitExecutor(self.orders, clock, crashed=crashed)
        self.reconciler = Reconciler(
            self.paper or self.clients.account,
            clock,
            subaccounts=config.exchange.subaccounts,
            submit=self._inbox.submit,
            crashed=crashed,
        )
        self.monitor = self._inbox.monitor = self._monitor()
        self.submit = self._inbox.submit

    def watch_key(self) -> KeyWatch:
        """Build the watch over the key, once it is known which sub-accounts are guarded."""
        watch = self._inbox.key_watch = KeyWatch(
            self.clients.account,
            self._clock,
            must_trade=self._config.is_live,
            guarded=self.reconciler.subaccounts,
            held=lambda: [p.key.ticker for p in self.monitor.view().positions if p.count > 0],
            submit=self._inbox.submit,
        )
        return watch

    @property
    def critical(self) -> tuple[tuple[Heartbeat, Callable[[], bool]], ...]:
        """The threads without which nothing is guarded: each one's heartbeat, and whether it lives."""
        executors = zip(self.executor.hearts, self.executor.threads, strict=True)
        return (
            (self.feed.heart, self.feed.is_alive),
            (self.refresher.heart, self.refresher.is_alive),
            (self.journal.heart, self.journal.is_alive),
            (self.monitor.heart, self.monitor.is_alive),
            *((heart, thread.is_alive) for heart, thread in executors),
            (self.reconciler.heart, self.reconciler.is_alive),
        )

    @property
    def own_subaccount(self) -> int:
        """The one meant where none is named: the primary one if it is guarded, else the first that is.

        Known once the start has asked what the key may do.
        """
        guarded = self.reconciler.subaccounts
        return PRIMARY if PRIMARY in guarded else guarded[0]

    @property
    def exchange_time(self) -> ClockOffset:
        """The exchange's clock against ours, as REST answers measured it."""
        return self._offset

    def _clients(self) -> Clients:
        def client(*, for_exits: bool = False) -> KalshiRest:
            return KalshiRest(
                self._access.endpoints.rest_url,
                self._access.signer,
                self._budget,
                self._clock,
                self._offset,
                for_exits=for_exits,
                timeout_s=REQUEST_S,
            )

        return Clients(account=client(), exits=client(for_exits=True), strategy=client(), prices=client())

    def _journal(self, folder: AccountFolder) -> Journal:
        path = folder.journal_of(is_live=self._config.is_live)
        emergency = EmergencyFile(emergency_path(path, self._config.paths.emergency))
        return Journal(path, emergency, self._clock)

    def _paper(self, folder: AccountFolder) -> PaperExchange:
        return PaperExchange(
            self.clients.account,
            self.cache,
            self._clock,
            self._offset,
            folder.paper_trades,
            self._inbox.submit,
        )

    def _feed(self) -> WebSocketManager:
        submit = self._inbox.submit
        feed = WebSocketManager(
            self._access.endpoints.websocket_url,
            self._access.signer,
            self.cache,
            self._clock,
            self._offset,
            on_account_event=submit if self.paper is None else self.paper.on_account_event,
            on_connected=lambda epoch: submit(Linked(is_up=True)),
            on_disconnected=lambda why: submit(Linked(is_up=False)),
            on_crashed=self._crashed,
        )

        def acknowledged(frame: Subscribed) -> None:
            # What was traded before this moment was not pushed: the reports must say it now.
            if frame.channel in ("fill", "market_positions"):
                submit(Linked(is_up=True))

        feed.register_handler("subscribed", acknowledged)
        return feed

    def _refresher(self) -> PriceRefresher:
        return PriceRefresher(
            self.cache,
            _Reachable(self.clients.prices, self.feed.reset_backoff, self._inbox.refused),
            self._clock,
            stale_after_s=self._settings.stale_after_s,
            held=self.feed.held,
            on_disagreement=self.feed.distrust,
            on_crashed=self._crashed,
        )

    def _monitor(self) -> StopLossMonitor:
        return StopLossMonitor(
            self._settings,
            cache=self.cache,
            feed=self.feed,
            refresher=self.refresher,
            executor=self.executor,
            reconciler=self.reconciler,
            journal=self.journal,
            holds=self.holds,
            events=self.events,
            clock=self._clock,
            exchange_time=self._offset,
            account=self._access.signer.account_hash,
            is_live=self._config.is_live,
            subaccounts=self._config.exchange.subaccounts,
            crashed=self._crashed,
            counted=self._counted,
        )
