"""The feed side of the program alone: websocket manager, price cache and stop-loss monitor, all real.

There is no REST here: an account that stands still answers in its place, and takes no orders.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa

from base.clock import SystemClock, boot_ms
from base.feed.clock_offset import ClockOffset
from base.kalshi.auth import Signer
from base.kalshi.websocket_client import WebSocketManager
from base.kalshi.websocket_price_cache import WebSocketPriceCache
from base.model import (
    Departure,
    ExitOrder,
    Market,
    MarketStatus,
    NotSent,
    OrderReport,
    OrdersRead,
    Outcome,
    Position,
    PositionsRead,
    ShardStatus,
    Side,
)
from base.risk.event_log import EventLog
from base.risk.exit_executor import ExitExecutor
from base.risk.journal import Journal
from base.risk.messages import Message
from base.risk.reconciler import Reconciler
from base.risk.rules import Rule, StopSettings
from base.risk.stop_loss import StopLossMonitor
from base.units import PriceGrid
from benchmarks.exchange_process import STOP
from benchmarks.measuring import NotReached, until

_GRID = PriceGrid.of([("0.0000", "1.0000", "0.0100")])
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class StillAccount:
    """Holds ten contracts in every market for ever. Serves every port of the risk layer that asks."""

    def __init__(self, tickers: Sequence[str], clock: SystemClock):
        self._tickers, self._clock = tickers, clock

    def positions(self, subaccount: int) -> PositionsRead:
        """All of them."""
        held = tuple(
            Position(ticker=ticker, side=Side.YES, count=Decimal(10), entry=Decimal("0.60"))
            for ticker in self._tickers
        )
        now_s, now_ms = self._clock.boot_s(), self._clock.utc_ms()
        return PositionsRead(subaccount=subaccount, positions=held, as_of_ms=now_ms, started_s=now_s)

    def markets(self, tickers: Collection[str]) -> Mapping[str, Market]:
        """All are open."""
        return {
            ticker: Market(
                ticker=ticker,
                status=MarketStatus.ACTIVE,
                open_ms=None,
                close_ms=None,
                grid=_GRID,
                exchange_index=0,
            )
            for ticker in tickers
        }

    def shards(self) -> tuple[ShardStatus, ...]:
        """One, and it trades."""
        return (ShardStatus(exchange_index=0, exchange_active=True, trading_active=True),)

    def orders_and_fills(self, ticker: str, subaccount: int, min_ts_ms: int) -> OrdersRead:
        """None."""
        return OrdersRead(
            ticker=ticker,
            subaccount=subaccount,
            orders=(),
            fills=(),
            as_of_ms=None,
            started_s=self._clock.boot_s(),
        )

    def resting_orders(self, ticker: str | None, subaccount: int) -> tuple[OrderReport, ...]:
        """None."""
        return ()

    def place_exit(self, order: ExitOrder, departure: Departure) -> Outcome:
        """Nothing is sold here."""
        return NotSent(client_order_id=order.client_order_id, why="benchmark")

    def cancel(self, order_id: str, ticker: str, exchange_index: int, subaccount: int) -> Outcome:
        """Nothing rests here."""
        return NotSent(client_order_id="", why="benchmark")

    def request(self, ticker: str) -> None:
        """Read no book: the feed has to prove itself."""


class GuardedFeed:
    """A stop on every market of one feed. A context manager: threads run inside it."""

    def __init__(self, url: str, tickers: Sequence[str], folder: Path):
        clock, offset = SystemClock(), ClockOffset()
        local_ms, now_ms = boot_ms(clock), clock.utc_ms()
        offset.note(local_ms, local_ms, now_ms, now_ms)
        self._tickers, account = tickers, StillAccount(tickers, clock)
        signer = Signer("benchmark", _KEY)
        self._cache = WebSocketPriceCache(clock)
        self.manager = WebSocketManager(
            url, signer, self._cache, clock, offset, on_account_event=self._submit
        )
        self._journal = Journal(folder / "journal.sqlite")
        self._nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - closed on leaving
        self._executor = ExitExecutor(account, clock)
        self._reconciler = Reconciler(account, clock, subaccounts=(0,), submit=self._submit)
        self._events = EventLog(folder / "stop_loss.log", clock, echo=self._nowhere)
        self.monitor = StopLossMonitor(
            StopSettings(default=Rule(name="default", stop=Decimal(STOP))),
            cache=self._cache,
            feed=self.manager,
            refresher=account,
            executor=self._executor,
            reconciler=self._reconciler,
            journal=self._journal,
            events=self._events,
            clock=clock,
            exchange_time=offset,
            account=signer.account_hash,
            is_live=True,
        )

    def _submit(self, message: Message) -> None:
        self.monitor.submit(message)

    def __enter__(self) -> Self:
        self._journal.open()
        self._reconciler.run_once()
        self.manager.start()
        self.monitor.start()
        self._executor.start(self._submit)
        self._reconciler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reconciler.stop(2.0)
        self._executor.stop(2.0)
        self.monitor.stop(2.0)
        self.manager.stop()
        self._journal.stop(2.0)
        self._events.close()
        self._nowhere.close()

    @property
    def armed(self) -> int:
        """How many stops are armed on proven prices."""
        views = self.monitor.view().positions
        return sum(view.state == "ARMED" and view.freshness.is_proven for view in views)

    def wait_armed(self) -> None:
        """Wait until every stop is armed."""
        until(lambda: self.armed == len(self._tickers), 20.0)

    def check(self, frames: int) -> None:
        """See that the flood really went through.

        Raises:
            NotReached: A frame was lost or refused, or a price is not proven after it.
        """
        stats = self.manager.get_stats()
        if int(str(stats["decoded"])) < frames or stats["gaps"] or stats["resyncs"]:
            raise NotReached(f"frames were lost: {stats}")
        self.wait_armed()
