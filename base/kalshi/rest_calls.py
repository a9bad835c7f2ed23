"""Calls within the account's budget: one for a write, as many as the deadline allows for a read."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from base.clock import Clock
from base.errors import MonitorError, OutcomeUnknown, TransportError
from base.feed.backoff import Backoff
from base.feed.clock_offset import ClockOffset
from base.kalshi.auth import Signer
from base.kalshi.rate_budget import Kind, RateBudget
from base.kalshi.rest_errors import refusal_of
from base.kalshi.rest_messages import read
from base.kalshi.rest_transport import Answer, Query, RestTransport
from base.model import AT_ONCE, Departure

FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 2.0
T = TypeVar("T")


class _NoBudget(TransportError):
    """No tokens before the deadline: nothing was sent."""


class RestCalls:
    """The budget, the deadline and the retries around the transport."""

    def __init__(
        self,
        rest_url: str,
        signer: Signer,
        budget: RateBudget,
        clock: Clock,
        offset: ClockOffset,
        *,
        for_exits: bool,
        timeout_s: float,
        on_recovered: Callable[[], None] | None,
    ):
        self._transport = RestTransport(rest_url, signer, clock, offset)
        self._budget = budget
        self._clock = clock
        self._for_exits = for_exits
        self._timeout_s = timeout_s
        self._on_recovered = on_recovered
        self._has_failed = False
        self.refused_rows = 0
        """Rows of lists that could not be read, since the start."""

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def note_exchange_ms(self, answer: Answer, exchange_ms: int) -> None:
        """An answer says when it was made."""
        self._transport.note_exchange_ms(answer, exchange_ms)

    def once(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: bytes | None = None,
        *,
        kind: Kind,
        shard: int = 0,
        cost: float | None = None,
        deadline_s: float | None = None,
        departure: Departure = AT_ONCE,
    ) -> Answer:
        """Send one request and return the answer, whatever its status; see ``RestTransport.call``.

        Raises:
            TransportError: Nothing was sent: no connection, or no budget in time.
            OutcomeUnknown: Bytes left and no whole answer came.
        """
        if deadline_s is None:
            deadline_s = self._clock.boot_s() + self._timeout_s
        cost = self._budget.cost(method, path) if cost is None else cost
        if not self._budget.take(kind, cost, shard, self._for_exits, min(deadline_s, departure.leave_by_s)):
            raise _NoBudget("the account's request budget is used up")
        try:
            answer = self._transport.call(method, path, deadline_s, query, body, departure)
        except MonitorError:
            self._has_failed = True
            raise
        if answer.status == 429:
            self._budget.refused(kind, shard)
        self._note_success(answer)
        return answer

    def get(
        self,
        path: str,
        shape: type[T],
        query: Query | None = None,
        *,
        cost: float | None = None,
        also: tuple[int, ...] = (),
        kind: Kind = Kind.READ,
    ) -> T:
        """Read ``path`` as ``shape``; ``also`` are error statuses that may carry the same body.

        Raises:
            RequestRefused, TransportError, OutcomeUnknown, WireError: As ``answer`` and ``read``.
        """
        answer = self.answer(path, query, cost=cost, also=also, kind=kind)
        if answer.status in also:
            try:
                return read(answer.body, shape)
            except MonitorError:
                raise self.error_of(answer) from None
        return read(answer.body, shape)

    def answer(
        self,
        path: str,
        query: Query | None = None,
        *,
        cost: float | None = None,
        also: tuple[int, ...] = (),
        kind: Kind = Kind.READ,
    ) -> Answer:
        """Read ``path``, trying again while time is left.

        Raises:
            RequestRefused: The exchange said no; asking again would not change that.
            TransportError, OutcomeUnknown: It could not be reached in time.
        """
        deadline_s = self._clock.boot_s() + self._timeout_s
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        failure: MonitorError | None = None
        while True:
            try:
                found = self.once("GET", path, query, kind=kind, cost=cost, deadline_s=deadline_s)
                if found.status == 200 or found.status in also:
                    return found
                raise self.error_of(found)
            except _NoBudget as e:
                raise failure or e from None  # that it may not be repeated in time is not what went wrong
            except (TransportError, OutcomeUnknown) as e:
                failure = e
                delay_s = backoff.next_delay_s(random.random()) + 0.05
                if self._clock.boot_s() + delay_s >= deadline_s:
                    raise
            threading.Event().wait(delay_s)

    def error_of(self, answer: Answer) -> MonitorError:
        """Return the error that an answer without the wanted body stands for."""
        if answer.status == 429:
            return TransportError("the exchange's rate limit (429)")
        if 400 <= answer.status < 500:
            return refusal_of(answer.status, answer.body)
        return OutcomeUnknown(f"HTTP {answer.status}")

    def _note_success(self, answer: Answer) -> None:
        if answer.status >= 500:
            self._has_failed = True
        elif self._has_failed and answer.status < 400:
            self._has_failed = False
            if self._on_recovered is not None:
                self._on_recovered()
