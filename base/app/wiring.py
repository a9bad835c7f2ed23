"""Builds the parts of the app and plugs the exchange in. Nothing is started here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from base.app.account_folder import AccountFolder
from base.app.config import Config
from base.app.credentials import Access
from base.app.stderr import CurrentStderr
from base.clock import Clock
from base.errors import MonitorError
from base.feed.clock_offset import ClockOffset
from base.feed.refresher import BookReader, PriceRefresher
from base.kalshi.rate_budget import RateBudget
from base.kalshi.rest_client import KalshiRest
from base.kalshi.websocket_client import WebSocketManager
from base.kalshi.websocket_price_cache import WebSocketPriceCache
from base.model import Quote
from base.risk.event_log import EventLog
from base.risk.exit_executor import ExitExecutor
from base.risk.journal import Journal
from base.risk.messages import Linked, Message
from base.risk.reconciler import Reconciler
from base.risk.stop_loss import StopLossMonitor

LOG_NAME = "stop_loss.log"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that runs, built and not yet started."""

    clients: Clients
    budget: RateBudget
    offset: ClockOffset
    cache: WebSocketPriceCache
    feed: WebSocketManager
    refresher: PriceRefresher
    executor: ExitExecutor
    reconciler: Reconciler
    monitor: StopLossMonitor
    journal: Journal
    events: EventLog


class _Inbox:
    """The monitor's door, known to others before the monitor is built."""

    def __init__(self) -> None:
        self.monitor: StopLossMonitor | None = None

    def submit(self, message: Message) -> None:
        if self.monitor is not None:  # nothing is started before it is
            self.monitor.submit(message)


class _Reachable:
    """Reads books, and tells when the exchange answers again after failures: the feed need not wait then."""

    def __init__(self, reader: BookReader, answers_again: Callable[[], None]):
        self._reader = reader
        self._answers_again = answers_again
        self._is_failing = False  # owned by the price refresher's thread

    def read_books(self, tickers: Collection[str]) -> list[Quote]:
        try:
            quotes = self._reader.read_books(tickers)
        except MonitorError:
            self._is_failing = True
            raise
        if self._is_failing:
            self._is_failing = False
            self._answers_again()
        return quotes


def build(config: Config, access: Access, folder: AccountFolder, clock: Clock, crashed: Crashed) -> Parts:
    """Build every part.

    Raises:
        ConfigError: The log cannot be written.
    """
    budget, offset, inbox = RateBudget(clock), ClockOffset(), _Inbox()
    clients = _clients(access, budget, clock, offset)
    events = EventLog(Path(config.paths.logs) / LOG_NAME, clock, echo=cast(TextIO, CurrentStderr()))
    journal = Journal(folder.journal)
    cache = WebSocketPriceCache(clock)
    feed = _feed(access, cache, clock, offset, inbox, crashed)
    settings = config.stops.as_settings()
    refresher = PriceRefresher(
        cache,
        _Reachable(clients.prices, feed.reset_backoff),
        clock,
        stale_after_s=settings.stale_after_s,
        held=feed.held,
        on_disagreement=feed.distrust,
        on_crashed=crashed,
    )
    executor = ExitExecutor(clients.exits, clock)
    reconciler = Reconciler(
        clients.account, clock, subaccounts=config.exchange.subaccounts, submit=inbox.submit
    )
    monitor = StopLossMonitor(
        settings,
        cache=cache,
        feed=feed,
        refresher=refresher,
        executor=executor,
        reconciler=reconciler,
        journal=journal,
        events=events,
        clock=clock,
        exchange_time=offset,
        account=access.signer.account_hash,
        is_live=config.is_live,
        subaccounts=config.exchange.subaccounts,
        crashed=crashed,
    )
    inbox.monitor = monitor
    return Parts(
        clients=clients,
        budget=budget,
        offset=offset,
        cache=cache,
        feed=feed,
        refresher=refresher,
        executor=executor,
        reconciler=reconciler,
        monitor=monitor,
        journal=journal,
        events=events,
    )


def _clients(access: Access, budget: RateBudget, clock: Clock, offset: ClockOffset) -> Clients:
    def client(for_exits: bool) -> KalshiRest:
        return KalshiRest(
            access.endpoints.rest_url,
            access.signer,
            budget,
            clock,
            offset,
            for_exits=for_exits,
            timeout_s=3.0,
        )

    return Clients(account=client(False), exits=client(True), strategy=client(False), prices=client(False))


def _feed(
    access: Access,
    cache: WebSocketPriceCache,
    clock: Clock,
    offset: ClockOffset,
    inbox: _Inbox,
    crashed: Crashed,
) -> WebSocketManager:
    return WebSocketManager(
        access.endpoints.websocket_url,
        access.signer,
        cache,
        clock,
        offset,
        on_account_event=inbox.submit,
        on_connected=lambda epoch: inbox.submit(Linked(is_up=True)),
        on_disconnected=lambda why: inbox.submit(Linked(is_up=False)),
        on_crashed=crashed,
    )
