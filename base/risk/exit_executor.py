"""Sends exits. Its own threads and its own client, so that nothing else can delay one.

An order is sent once; what became of it goes back to the monitor, which decides. Largest loss first.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from base.clock import Clock
from base.model import Accepted, Departure, NotSent, Outcome, Unanswered
from base.risk.decide import FIRE_WITHIN_S
from base.risk.messages import Answered, Message, Send, Sweep, Swept
from base.risk.ports import OrderPort

Submit = Callable[[Message], None]
_Queued = tuple[Send, threading.Event]
_log = logging.getLogger(__name__)


class ExitExecutor:
    """A few threads that take the most urgent order from one queue."""

    def __init__(self, orders: OrderPort, clock: Clock, threads: int = 4):
        self._orders = orders
        self._clock = clock
        self._queue: queue.PriorityQueue[tuple[Decimal, int, _Queued | None]] = queue.PriorityQueue()
        self._number = itertools.count()
        self._submit: Submit | None = None
        self._threads = [
            threading.Thread(target=self._run, name=f"exit-executor-{n + 1}", daemon=True)
            for n in range(threads)
        ]
        self._sweepers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="order-sweep")

    def start(self, submit: Submit) -> None:
        """Start the threads; answers go to ``submit``."""
        self._submit = submit
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> list[str]:
        """Let orders in flight finish; return the names of threads that would not end in time."""
        deadline_s = self._clock.boot_s() + timeout_s
        for _ in self._threads:
            self._queue.put((Decimal("Infinity"), next(self._number), None))
        self._sweepers.shutdown(wait=False, cancel_futures=True)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline_s - self._clock.boot_s()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        """The threads, for whoever watches over them."""
        return tuple(self._threads)

    def send(self, order: Send, clearance: threading.Event) -> None:
        """Queue ``order``; the largest loss goes first. Nothing of it leaves before ``clearance`` is set."""
        self._queue.put((-order.loss, next(self._number), (order, clearance)))

    def sweep(self, work: Sweep) -> None:
        """Cancel resting orders in parallel; the last answer reports all of them to the monitor."""
        order_ids = tuple(dict.fromkeys(work.order_ids))
        results: dict[str, bool] = {}
        lock = threading.Lock()  # the sweep-result lock

        def cancel(order_id: str) -> None:
            is_gone = self._cancel(work, order_id)
            with lock:
                results[order_id] = is_gone
                is_last = len(results) == len(order_ids)
            if is_last:
                cancelled = tuple(order for order, gone in results.items() if gone)
                failed = tuple(order for order, gone in results.items() if not gone)
                self._tell(Swept(key=work.key, cancelled=cancelled, failed=failed))

        for order_id in order_ids:
            try:
                self._sweepers.submit(cancel, order_id)
            except RuntimeError:  # we are ending: nothing more is cancelled
                return

    def _cancel(self, work: Sweep, order_id: str) -> bool:
        try:
            outcome = self._orders.cancel(order_id, work.key.ticker, work.exchange_index, work.key.subaccount)
        except Exception:
            # The port promises not to raise; if it does, a cancel that may have failed blocks no exit.
            _log.exception("a cancel failed unforeseen")
            return False
        return isinstance(outcome, Accepted)

    def _run(self) -> None:
        while (queued := self._queue.get()[2]) is not None:
            item, clearance = queued
            outcome = self._place(item, clearance)
            self._tell(
                Answered(
                    key=item.key,
                    intent_id=item.intent_id,
                    attempt=item.attempt,
                    outcome=outcome,
                    answered_s=self._clock.boot_s(),
                )
            )

    def _place(self, item: Send, clearance: threading.Event) -> Outcome:
        """Send once. Evidence that has grown old while it queued sends nothing: decide anew."""
        client_id = item.order.client_order_id
        leave_by_s = item.evidence_s + FIRE_WITHIN_S
        if self._clock.boot_s() > leave_by_s:
            return NotSent(client_order_id=client_id, why="evidence_too_old")
        try:
            return self._orders.place_exit(item.order, Departure(leave_by_s, clearance.wait))
        except Exception as e:
            # The port promises not to raise. If it does, bytes may have left: only evidence can tell.
            return Unanswered(client_order_id=client_id, why=f"failed_{type(e).__name__}")

    def _tell(self, message: Message) -> None:
        if self._submit is not None:
            self._submit(message)
