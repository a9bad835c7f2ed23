"""The monitor's shells when the disk, a read or the exchange's client misbehaves."""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection, Mapping
from decimal import Decimal

import pytest

from base.model import (
    Accepted,
    Departure,
    ExitOrder,
    Key,
    Market,
    OrderReport,
    OrdersRead,
    Outcome,
    PositionsRead,
    ShardStatus,
    Unanswered,
)
from base.risk.exit_executor import ExitExecutor
from base.risk.messages import (
    MarketsSeen,
    Message,
    ReadFailed,
    ReadOrders,
    ReadPositions,
    ReadResting,
    RestingSeen,
    ShardsSeen,
    Sweep,
    Swept,
)
from base.risk.reconciler import Reconciler
from tests.risk.world import KEY, TICKER
from tests.support import FakeClock

pytestmark = pytest.mark.wide

D = Decimal
REPORTED_S = 5.0


# --- the reconciler ---------------------------------------------------------------------------------


class Account:
    """An account whose routine reads may hang until told, and whose positions may be unreadable."""

    def __init__(self, *, is_hanging: bool = False, error: Exception | None = None):
        self.is_free = threading.Event()
        if not is_hanging:
            self.is_free.set()
        self._error = error

    def positions(self, subaccount: int) -> PositionsRead:
        """Nothing is held, or the error."""
        if self._error is not None:
            raise self._error
        return PositionsRead(subaccount=subaccount, positions=(), as_of_ms=1, started_s=0.0)

    def orders_and_fills(self, ticker: str, subaccount: int, min_ts_ms: int) -> OrdersRead:
        """No order, no fill."""
        return OrdersRead(
            ticker=ticker, subaccount=subaccount, orders=(), fills=(), as_of_ms=1, started_s=0.0
        )

    def resting_orders(self, ticker: str | None, subaccount: int) -> tuple[OrderReport, ...]:
        """None, after a while."""
        self.is_free.wait(REPORTED_S)
        return ()

    def markets(self, tickers: Collection[str]) -> Mapping[str, Market]:
        """None of them exists, after a while."""
        self.is_free.wait(REPORTED_S)
        return {}

    def shards(self) -> tuple[ShardStatus, ...]:
        """No engine, after a while."""
        self.is_free.wait(REPORTED_S)
        return ()


@pytest.fixture
def told() -> queue.SimpleQueue[Message]:
    """What the monitor was told."""
    return queue.SimpleQueue()


def test_what_an_exit_waits_for_is_read_though_routine_reads_hang(
    told: queue.SimpleQueue[Message],
) -> None:
    """Markets, exchange status and resting orders of a hundred holdings stand before no lost answer."""
    account, clock = Account(is_hanging=True), FakeClock()
    reconciler = Reconciler(account, clock, subaccounts=(0,), submit=told.put)
    reconciler.held = frozenset(f"KXTEST-{n}" for n in range(100))
    reconciler.start()
    try:
        for ticker in sorted(reconciler.held):
            reconciler.request(ReadResting(Key(0, ticker), 0.0))
        clock.advance(60)
        assert isinstance(told.get(timeout=REPORTED_S), PositionsRead)  # the schedule began its reads
        reconciler.request(ReadOrders(KEY, 0))
        assert isinstance(told.get(timeout=REPORTED_S), OrdersRead)
        account.is_free.set()
        seen = {type(told.get(timeout=REPORTED_S)) for _ in range(102)}
        assert seen == {RestingSeen, MarketsSeen, ShardsSeen}
    finally:
        account.is_free.set()
        reconciler.stop(5)


def test_a_read_that_fails_unforeseen_is_told_as_failed(told: queue.SimpleQueue[Message]) -> None:
    """Nobody looks into a pool's futures: every error becomes a message."""
    reconciler = Reconciler(Account(error=KeyError("x")), FakeClock(), subaccounts=(0,), submit=told.put)
    try:
        reconciler.request(ReadPositions(0))
        message = told.get(timeout=REPORTED_S)
    finally:
        reconciler.stop(5)
    assert isinstance(message, ReadFailed)
    assert message.what == "ReadPositions"


# --- the executor -----------------------------------------------------------------------------------


class Client:
    """Cancels what it is asked to, except one order, where it breaks its promise not to raise."""

    def place_exit(self, order: ExitOrder, departure: Departure) -> Outcome:
        """No test here sends an exit."""
        return Unanswered(client_order_id=order.client_order_id, why="timeout")

    def cancel(self, order_id: str, ticker: str, exchange_index: int, subaccount: int) -> Outcome:
        """Cancel it."""
        if order_id == "broken":
            raise ValueError(order_id)
        return Accepted(
            client_order_id="", order_id=order_id, filled=D(0), remaining=D(0), average_price=None,
            average_fee=None, ts_ms=None,
        )  # fmt: skip


def sweep(*order_ids: str) -> Sweep:
    """Cancel these."""
    return Sweep(key=Key(0, TICKER), exchange_index=0, order_ids=order_ids)


@pytest.mark.parametrize(
    ("order_ids", "cancelled", "failed"),
    [
        pytest.param(("broken", "good"), ("good",), ("broken",), id="a cancel that raises"),
        pytest.param(("good", "good"), ("good",), (), id="an order named twice"),
    ],
)
def test_a_sweep_reports_once_whatever_became_of_its_orders(
    told: queue.SimpleQueue[Message],
    order_ids: tuple[str, ...],
    cancelled: tuple[str, ...],
    failed: tuple[str, ...],
) -> None:
    """The exit that waits for the sweep is told, though a cancel failed or was asked for twice."""
    executor = ExitExecutor(Client(), FakeClock())
    executor.start(told.put)
    try:
        executor.sweep(sweep(*order_ids))
        message = told.get(timeout=REPORTED_S)
    finally:
        executor.stop(5)
    assert message == Swept(key=Key(0, TICKER), cancelled=cancelled, failed=failed)
    assert told.empty()


def test_a_sweep_after_the_end_is_dropped(told: queue.SimpleQueue[Message]) -> None:
    """The monitor's last round may still ask for one: nothing is cancelled and nothing crashes."""
    executor = ExitExecutor(Client(), FakeClock())
    executor.start(told.put)
    executor.stop(5)
    executor.sweep(sweep("good"))
    assert told.empty()
