"""The only reader of prices by REST: for what is not proven, for all readers together.

Proven markets cost nothing, however many there are, but for one audit call a minute that
compares the feed with REST in rotation.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from base.clock import Clock
from base.errors import MonitorError, RequestRefused
from base.feed.backoff import Backoff
from base.feed.heartbeat import STUCK_S, Heartbeat
from base.feed.price_audit import PriceAudit
from base.feed.price_cache import PriceCache
from base.feed.worker import Crashed, Worker
from base.model import Quote

log = logging.getLogger(__name__)

BATCH = 100
TICK_S = 0.1
HELD_EVERY_S = 2.0
"""A held market that is not proven is read this often, so that its price is never older than 5 s."""
UNPROVEN_FOR_S = 0.3
"""A proof that is back within this time was only late: nothing is read for it."""
CALLS_PER_S = 10.0
"""Half of the smallest tier's read budget: 200 tokens a second at 10 a call."""
READ_S = 3.0
"""What a reader may take for one call, all told. Seconds."""
SPOILED = frozenset({400, 404, 414})
"""Refusals of a whole call that one of its markets may be the reason of."""
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 5.0


class BookReader(Protocol):
    """Reads order books by REST, at most 100 markets a call."""

    def read_books(self, tickers: Collection[str]) -> list[Quote]:
        """Quotes seen from YES, received at the start of the request.

        Raises:
            MonitorError: If the exchange can't be asked, or refuses.
        """


class PriceRefresher:
    """A thread that reads what is asked for at once, and what is not proven at its own pace.

    Args:
        cache: Where quotes go; its followed and subscribed markets are the ones looked after.
        reader: Reads books.
        clock: Time.
        stale_after_s: How old a market that is not held and not proven may grow, seconds.
        held: The tickers held now.
        on_disagreement: Told a market whose feed and REST contradict each other.
        on_crashed: Told when the thread dies.
    """

    def __init__(
        self,
        cache: PriceCache,
        reader: BookReader,
        clock: Clock,
        *,
        stale_after_s: float,
        held: Callable[[], Collection[str]],
        on_disagreement: Callable[[str], None] | None = None,
        on_crashed: Crashed | None = None,
    ):
        self._cache, self._reader, self._clock = cache, reader, clock
        self.stale_after_s = stale_after_s  # replaced by whoever changes the settings, read by the thread
        self._held = held
        self._audit = PriceAudit(cache, on_disagreement or (lambda ticker: None))
        self._worker = Worker("price refresher", self.run_once, TICK_S, on_crashed or _log_crash)
        self.heart = Heartbeat(self._worker.name)
        self._lock = threading.Lock()  # requests
        self._asked: dict[str, None] = {}  # guarded by _lock, in order; taken whole before a read begins
        # Owned by the thread:
        self._read_s: dict[str, float] = {}  # when each market was last read
        self._unproven_s: dict[str, float] = {}  # since when it has not been proven
        self._spoilers: set[str] = set()  # markets whose last read was refused: each is read alone
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        self._not_before_s = float("-inf")
        self._next_call_s = float("-inf")
        # Written by the thread, read by anybody:
        self.last_success_s: float | None = None
        self.failing_since_s: float | None = None
        self.calls = 0
        self.failures = 0
        self.last_error = ""

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End the thread; ``False``: it was still busy after ``timeout_s`` seconds."""
        return self._worker.stop(timeout_s)

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._worker.is_alive()

    def request(self, ticker: str) -> None:
        """Read the book of ``ticker`` once, now; returns at once.

        Requests of one market are merged while they wait. One made while a read of that market is
        under way begins another after it: the answer under way may be older than the request.
        """
        with self._lock:
            self._asked[ticker] = None
        self._worker.wake()

    # --- the thread -----------------------------------------------------------------------------

    def run_once(self) -> None:
        """Do one round: what was asked for, then what is due, then the audit."""
        now_s = self._clock.boot_s()
        self.heart.due_s = now_s + STUCK_S
        held = set(self._held())
        due = self._due(held, now_s)
        if now_s < self._not_before_s:
            return  # requests wait in _asked until REST is tried again
        asked = self._take_asked()
        wanted = list(dict.fromkeys([*asked, *due]))
        calls = self._in_calls(wanted)
        for n, tickers in enumerate(calls):
            if not self._read(tickers):
                left = {ticker for later in calls[n:] for ticker in later}
                self._ask_again([ticker for ticker in asked if ticker in left])
                return
        if (
            not wanted
            and self._audit.is_due(now_s)
            and (tickers := self._audit.due(self._proven(held), now_s))
        ):
            self._read(tickers)
        self._audit.judge(self._clock.boot_s())

    def _in_calls(self, wanted: list[str]) -> list[list[str]]:
        """As many markets a call as it takes, and what spoils a call by itself, last."""
        good = [ticker for ticker in wanted if ticker not in self._spoilers]
        alone = [[ticker] for ticker in wanted if ticker in self._spoilers]
        return [good[at : at + BATCH] for at in range(0, len(good), BATCH)] + alone

    def _take_asked(self) -> list[str]:
        with self._lock:
            asked, self._asked = self._asked, {}
        return list(asked)

    def _ask_again(self, tickers: list[str]) -> None:
        with self._lock:
            self._asked = dict.fromkeys([*tickers, *self._asked])

    def _due(self, held: set[str], now_s: float) -> list[str]:
        """The markets that have not been proven for a moment and whose last read is too old."""
        known = set(self._cache.tickers()) | held
        for ticker in set(self._read_s) - known:
            del self._read_s[ticker]
        self._spoilers &= known
        due = []
        for ticker in known:
            if self._cache.freshness(ticker).is_proven:
                self._unproven_s.pop(ticker, None)
                continue
            since_s = self._unproven_s.setdefault(ticker, now_s)
            every_s = HELD_EVERY_S if ticker in held else self.stale_after_s
            is_lasting = now_s - since_s >= UNPROVEN_FOR_S
            if is_lasting and now_s - self._read_s.get(ticker, float("-inf")) >= every_s:
                due.append(ticker)
        for ticker in set(self._unproven_s) - known:
            del self._unproven_s[ticker]
        return sorted(due, key=lambda t: (t not in held, self._read_s.get(t, float("-inf"))))

    def _proven(self, held: Iterable[str]) -> list[str]:
        return sorted(ticker for ticker in held if self._cache.freshness(ticker).is_proven)

    def _read(self, tickers: list[str]) -> bool:
        self._keep_pace()
        if self._worker.is_stopping:
            return False
        started_s = self._clock.boot_s()
        self.heart.due_s = started_s + READ_S + STUCK_S
        self.calls += 1
        try:
            quotes = self._reader.read_books(tickers)
        except MonitorError as e:
            if isinstance(e, RequestRefused) and e.status in SPOILED:
                return self._refused(e, tickers)
            self._failed(e, tickers)
            return False
        self._spoilers.difference_update(tickers)
        for ticker in tickers:
            self._read_s[ticker] = started_s
        for quote in quotes:
            self._cache.put_rest(quote)
        self._audit.compare(quotes)
        self.last_success_s = self._clock.boot_s()
        self.failing_since_s = None
        self._backoff.reset()
        return True

    def _refused(self, error: RequestRefused, tickers: list[str]) -> bool:
        """One market may spoil the call for all: find out which, so that it alone goes without a price."""
        if len(tickers) > 1:
            half = len(tickers) // 2
            return self._read(tickers[:half]) and self._read(tickers[half:])
        (ticker,) = tickers
        self._read_s[ticker] = self._clock.boot_s()
        self.last_error = str(error)
        if ticker not in self._spoilers:
            self._spoilers.add(ticker)
            log.warning("price refused ticker=%s reason=%s", ascii(ticker), ascii(str(error)))
        return True

    def _failed(self, error: MonitorError, tickers: list[str]) -> None:
        now_s = self._clock.boot_s()
        if self.failing_since_s is None:
            self.failing_since_s = now_s
            log.warning("price reads fail reason=%s", ascii(str(error)))
        self.failures += 1
        self.last_error = str(error)
        jitter = random.random()
        self._not_before_s = now_s + FIRST_RETRY_S / 2 + self._backoff.next_delay_s(jitter)
        self._not_before_s = min(self._not_before_s, now_s + LONGEST_RETRY_S)

    def _keep_pace(self) -> None:
        now_s = self._clock.boot_s()
        if now_s < self._next_call_s:
            self._worker.pause(self._next_call_s - now_s)
        self._next_call_s = max(now_s, self._next_call_s) + 1.0 / CALLS_PER_S


def _log_crash(name: str, error: BaseException) -> None:
    log.critical("thread died name=%s", ascii(name), exc_info=error)
