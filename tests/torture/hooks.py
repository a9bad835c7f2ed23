"""The points at which a program is killed, and how it is made to die there. Nothing of this is in the program.

A hook wraps a function of the program, in its own process, so that it dies right before or right after it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from base.app.desk import Desk
from base.kalshi.deadline_sockets import _DeadlineSocket
from base.kalshi.feed_session import FeedSession
from base.kalshi.messages import Subscribed
from base.kalshi.rest_client import ORDERS, KalshiRest
from base.kalshi.rest_transport import RestTransport
from base.risk import endings, selling
from base.risk.exit_executor import ExitExecutor
from base.risk.journal import Journal
from base.risk.journal_file import JournalFile
from base.risk.messages import Answered, Row, Swept
from base.risk.reconciler import Reconciler
from base.risk.stop_loss import StopLossMonitor

Die = Callable[[], None]
Install = Callable[[Die], None]
Test = Callable[..., bool]


@dataclass(frozen=True, slots=True)
class Hook:
    """One point. ``while_``: what the program does then, which is what a round must bring about."""

    name: str
    while_: str  # exiting | cancelling | withdrawing | recovering
    install: Install


def _before(owner: Any, name: str, test: Test = lambda *a, **k: True) -> Install:
    """Die when ``owner.name`` is called with arguments for which ``test`` holds."""

    def install(die: Die) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def dying(*args: Any, **kwargs: Any) -> Any:
            if test(*args, **kwargs):
                die()
            return original(*args, **kwargs)

        setattr(owner, name, dying)

    return install


def _after(owner: Any, name: str, test: Test = lambda *a, **k: True) -> Install:
    """Die when ``owner.name`` has returned ``result`` and ``test(result, …)`` holds."""

    def install(die: Die) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def dying(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if test(result, *args, **kwargs):
                die()
            return result

        setattr(owner, name, dying)

    return install


def _holds(rows: list[Row], table: str, cells: dict[str, str]) -> bool:
    return any(
        row.table == table and all(row.values[name] == value for name, value in cells.items()) for row in rows
    )


def _journalled(table: str, **cells: str) -> Install:
    """Die once a row like this is durable."""
    return _after(JournalFile, "write", lambda result, file, rows: _holds(rows, table, cells))


def _half_written(table: str) -> Install:
    """Die between the rows of a transaction and its end."""

    def install(die: Die) -> None:
        original = JournalFile.write

        def dying(file: JournalFile, rows: list[Row]) -> None:
            if _holds(rows, table, {}):
                file._connection.set_trace_callback(lambda sql: die() if sql.startswith("COMMIT") else None)
            original(file, rows)

        JournalFile.write = dying  # type: ignore[method-assign, assignment]

    return install


def _order_sent(*, whole: bool) -> Install:
    """Die once an order has left: ``whole``, or its head without its body, which the library sends by itself."""
    head, of_thread = f"POST /trade-api/v2{ORDERS}".encode(), threading.local()

    def has_left(result: object, sock: object, data: bytes, *args: Any) -> bool:
        was_head = getattr(of_thread, "was_head", False)
        of_thread.was_head = bytes(data).startswith(head)
        return was_head if whole else bool(of_thread.was_head)

    return _after(_DeadlineSocket, "sendall", has_left)


def _is_cancel_sent(result: object, sock: object, data: bytes, *args: Any) -> bool:
    return bytes(data).startswith(b"DELETE ") and _is_sweeping()


def _is_order(result: object, transport: object, method: str, path: str, *args: Any, **kwargs: Any) -> bool:
    return method == "POST" and path == ORDERS


def _is_sweeping() -> bool:
    """Whether this thread cancels resting orders: the key's scope is proven by cancelling one that never was."""
    return threading.current_thread().name.startswith("order-sweep")


def _is_cancel(result: object, transport: object, method: str, path: str, *args: Any, **kwargs: Any) -> bool:
    return method == "DELETE" and _is_sweeping()


def _is_book(result: object, session: object, frame: object, *args: Any) -> bool:
    return isinstance(frame, Subscribed) and frame.channel == "orderbook_delta"


EXECUTED = "executed"
"""Sold, the answer held back: the exchange sees that, so it is not the program that kills itself here."""
_EXITING = {
    "trigger seen": _before(selling, "begin"),
    "intent half written": _half_written("intents"),
    "attempt journalled": _journalled("attempts"),
    "handed over": _after(ExitExecutor, "send"),
    "head sent": _order_sent(whole=False),
    "bytes sent": _order_sent(whole=True),
    EXECUTED: lambda die: None,
    "answer received": _after(RestTransport, "call", _is_order),
    "answer told": _after(ExitExecutor, "_tell", lambda result, self, message: isinstance(message, Answered)),
    "answer journalled": _journalled("outcomes"),
    "confirmed": _before(endings, "close"),
    "closed": _journalled("transitions", to_state="CLOSED"),
}
# Own resting orders go first.
_CANCELLING = {
    "intent journalled": _journalled("intents"),
    "cancel asked": _before(ExitExecutor, "sweep"),
    "cancel sent": _after(_DeadlineSocket, "sendall", _is_cancel_sent),
    "cancel answered": _after(RestTransport, "call", _is_cancel),
    "cancel told": _after(ExitExecutor, "_tell", lambda result, self, message: isinstance(message, Swept)),
}
_WITHDRAWING = {
    "a person's cancel heard": _before(endings, "cancel"),
    "a person's cancel journalled": _journalled("transitions", to_state="CANCELLED"),
    "a person's cancel answered": _after(Desk, "cancel"),
}
_RECOVERING = {
    "journal opened": _after(Journal, "open"),
    "positions read": _after(Reconciler, "run_once"),
    "orders read": _after(KalshiRest, "orders_and_fills"),
    "attempt settled": _journalled("transitions", from_state="UNKNOWN"),
    "subscribed": _after(FeedSession, "_on_reply", _is_book),
    "first proof": _after(StopLossMonitor, "_look", lambda looked, *args: looked[1].is_proven),
    "armed": _journalled("transitions", to_state="ARMED"),
}
HOOKS = {
    name: Hook(name, while_, install)
    for while_, table in (
        ("exiting", _EXITING),
        ("cancelling", _CANCELLING),
        ("withdrawing", _WITHDRAWING),
        ("recovering", _RECOVERING),
    )
    for name, install in table.items()
}
