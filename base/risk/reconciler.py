"""Makes our picture agree with the exchange's reports: positions, orders, fills, market status.

The report wins. A read that failed or is incomplete is told as failed and changes nothing.
Reads run in a few threads of their own; the same read is never under way twice. Markets and resting
orders are asked for one by one and read together: a start with a thousand positions asks for all at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from base.clock import Clock
from base.errors import MonitorError
from base.feed.heartbeat import STUCK_S, Heartbeat
from base.feed.worker import Crashed
from base.model import Key, OrderReport
from base.risk.messages import (
    MarketsSeen,
    Message,
    ReadFailed,
    ReadMarket,
    ReadOrders,
    ReadPositions,
    ReadRequest,
    ReadResting,
    RestingSeen,
    ShardsSeen,
)
from base.risk.ports import AccountPort

EXITING_EVERY_S = 5.0
QUIET_EVERY_S = 30.0
TICK_S = 0.1
MARKETS_A_CALL = 100
"""``GET /markets?tickers=`` takes as many."""
TOGETHER_FROM = 10
"""From this many markets on, one listing of a sub-account's resting orders replaces one for each market."""
RESTING_AGAIN_S = 5.0
_log = logging.getLogger(__name__)


class Reconciler(threading.Thread):
    """Reads on request and on a schedule: every 5 s while an exit is open, else every 30 s."""

    def __init__(
        self,
        account: AccountPort,
        clock: Clock,
        *,
        subaccounts: Collection[int],
        submit: Callable[[Message], None],
        crashed: Crashed | None = None,
    ):
        super().__init__(name="reconciler", daemon=True)
        self._account = account
        self._clock = clock
        self.subaccounts = tuple(subaccounts)  # may be replaced before the start
        self._submit = submit
        self.heart = Heartbeat(self.name)
        self._crashed = crashed
        self._urgent = ThreadPoolExecutor(max_workers=3, thread_name_prefix="report-urgent")
        self._routine = ThreadPoolExecutor(max_workers=2, thread_name_prefix="report-routine")
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # the read-schedule lock
        # Guarded by _lock:
        self._under_way: set[object] = set()
        self._again: set[object] = set()
        self._later: list[tuple[float, ReadRequest]] = []
        self._failing: dict[str, str] = {}  # why, by what is read
        self._asked_markets: dict[str, None] = {}  # in the order of asking
        self._asked_resting: dict[int, set[Key]] = {}  # by sub-account
        # Replaced whole by the monitor thread, read by this one:
        self.held: frozenset[str] = frozenset()
        self.exits_open = 0

    def request(self, what: ReadRequest) -> None:
        """Read soon. One already under way is followed by another: its answer may be too old."""
        with self._lock:
            if isinstance(what, ReadResting) and what.at_s > self._clock.boot_s():
                self._later.append((what.at_s, what))
                return
        self._begin(what)

    def run_once(self) -> None:
        """Read positions, exchange status and held markets now, on the caller's thread. For the start."""
        self._read_shards()
        for subaccount in self.subaccounts:
            self._read(ReadPositions(subaccount))

    def run(self) -> None:
        """Keep the schedule until stopped."""
        next_s = self._clock.boot_s() + QUIET_EVERY_S
        last_s = self._clock.boot_s()
        while not self._stopping.wait(TICK_S):
            now_s = self._clock.boot_s()
            self.heart.due_s = now_s + STUCK_S
            with self._lock:
                due = [what for at_s, what in self._later if at_s <= now_s]
                self._later = [(at_s, what) for at_s, what in self._later if at_s > now_s]
            for what in due:
                self._begin(what)
            period_s = EXITING_EVERY_S if self.exits_open else QUIET_EVERY_S
            if now_s >= min(next_s, last_s + period_s):
                last_s, next_s = now_s, now_s + period_s
                self._sweep()

    def stop(self, timeout_s: float) -> None:
        """End; reads under way are abandoned: they change nothing."""
        self._stopping.set()
        for pool in (self._urgent, self._routine):
            pool.shutdown(wait=False, cancel_futures=True)
        if self.ident is not None:
            self.join(timeout_s)

    def _sweep(self) -> None:
        for subaccount in self.subaccounts:
            self._begin(ReadPositions(subaccount))
        self._pool_do(self._routine, "status", self._read_shards)
        if held := tuple(sorted(self.held)):
            self._pool_do(self._routine, "markets", lambda: self._read_markets(held))

    def _begin(self, what: ReadRequest) -> None:
        match what:
            case ReadMarket(ticker):
                with self._lock:
                    self._asked_markets.pop(ticker, None)  # asked again is asked last
                    self._asked_markets[ticker] = None
                self._pool_do(self._routine, "asked markets", self._read_asked_markets)
            case ReadResting(key, _):
                with self._lock:
                    self._asked_resting.setdefault(key.subaccount, set()).add(key)
                name = ("resting", key.subaccount)
                self._pool_do(self._routine, name, lambda: self._read_asked_resting(key.subaccount))
            case _:
                # What an exit waits for has threads of its own: routine reads never stand before it.
                self._pool_do(self._urgent, what, lambda: self._read(what))

    def _pool_do(self, pool: ThreadPoolExecutor, name: object, work: Callable[[], None]) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            if name in self._under_way:
                self._again.add(name)
                return
            self._under_way.add(name)

        def run() -> None:
            try:
                work()
            except MemoryError as e:
                if self._crashed is not None:  # nobody looks into a pool's futures
                    self._crashed(self.name, e)
            finally:
                with self._lock:
                    self._under_way.discard(name)
                    is_wanted_again = name in self._again
                    self._again.discard(name)
                if is_wanted_again:
                    self._pool_do(pool, name, work)

        try:
            pool.submit(run)
        except RuntimeError:  # shut down meanwhile
            with self._lock:
                self._under_way.discard(name)

    def _read_asked_markets(self) -> None:
        """Read the markets asked for, many a call, and after each call the exchange's status once."""
        while tickers := self._take_asked_markets():
            self._read_markets(tickers)
            self._pool_do(self._routine, "status", self._read_shards)

    def _take_asked_markets(self) -> tuple[str, ...]:
        """The newest questions first: an exit that waits for its grid doesn't wait for a start's markets."""
        with self._lock:
            if self._stopping.is_set():
                return ()
            count = min(MARKETS_A_CALL, len(self._asked_markets))
            return tuple(self._asked_markets.popitem()[0] for _ in range(count))

    def _read_markets(self, tickers: tuple[str, ...]) -> None:
        self._told("ReadMarket", lambda: self._submit(MarketsSeen(markets=self._account.markets(tickers))))

    def _read_asked_resting(self, subaccount: int) -> None:
        with self._lock:
            keys = sorted(self._asked_resting.pop(subaccount, ()))
        if len(keys) >= TOGETHER_FROM:
            self._tell_resting(keys, None, subaccount)
            return
        for key in keys:
            self._tell_resting([key], key.ticker, subaccount)

    def _tell_resting(self, keys: list[Key], ticker: str | None, subaccount: int) -> None:
        """List our resting orders, in all markets if ``ticker`` is None, and tell them key by key."""

        def read() -> None:
            by_ticker: dict[str, list[OrderReport]] = {key.ticker: [] for key in keys}
            for order in self._account.resting_orders(ticker, subaccount):
                by_ticker.setdefault(order.ticker, []).append(order)
            for key in keys:
                self._submit(RestingSeen(key=key, orders=tuple(by_ticker[key.ticker])))

        if not self._told("ReadResting", read):
            again_s = self._clock.boot_s() + RESTING_AGAIN_S
            with self._lock:
                self._later += [
                    (again_s, ReadResting(key, again_s)) for key in keys if key.ticker in self.held
                ]

    def _read_shards(self) -> None:
        self._told("exchange_status", lambda: self._submit(ShardsSeen(shards=self._account.shards())))

    def _read(self, what: ReadPositions | ReadOrders) -> None:
        self._told(type(what).__name__, lambda: self._submit(self._answer(what)))

    def _told(self, what: str, read: Callable[[], None]) -> bool:
        """Read; whatever goes wrong is told, for nobody looks into a pool's futures.

        Returns:
            Whether it went well.
        """
        try:
            read()
            self._works(what)
            return True
        except MonitorError as e:
            self._failed(what, e)
        except MemoryError:
            raise
        except Exception as e:
            _log.exception("a read failed unforeseen")
            self._failed(what, e)
        return False

    def _answer(self, what: ReadPositions | ReadOrders) -> Message:
        match what:
            case ReadPositions(subaccount):
                return self._account.positions(subaccount)
            case ReadOrders(key, since_ms):
                return self._account.orders_and_fills(key.ticker, key.subaccount, since_ms)

    def _works(self, what: str) -> None:
        with self._lock:
            was_failing = self._failing.pop(what, None) is not None
        if was_failing:
            _log.info("read_works_again what=%s", what)

    def _failed(self, what: str, error: Exception) -> None:
        why = str(error)
        with self._lock:
            is_news, self._failing[what] = self._failing.get(what) != why, why
        if is_news:  # once, not with every try
            _log.warning("read_failed what=%s why=%s", what, why)
        self._submit(ReadFailed(what=what, why=str(error)))
