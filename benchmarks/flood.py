"""Flood: 10,000 messages a second for a minute on the whole program, while its stops are touched one by one.

How old a price is when the cache has it, how long an order takes meanwhile, and what grows. The feed comes
from a sender of its own, everything else from the embedded exchange; positions, journal and screen are real.
"""

from __future__ import annotations

import os
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

from base.app.loop import TradingApp
from benchmarks.exchange_process import ExchangeProcess
from benchmarks.guarded_app import guarded_app, wait_armed
from benchmarks.measuring import NS_PER_MS, is_quick, report, spread
from benchmarks.paced_feed import MARKS, SLICE_S, PacedFeed, Sent
from benchmarks.strategies import WATCHED

FRAMES_PER_S, SECONDS, HELD = 10_000, 60.0, 50
TOUCH_EVERY_S = 1.0
SETTLED_S = 5.2
"""Prices of the first five seconds after a subscription are confirmed by REST: that is another figure."""
WARM_S = 15.0
"""Memory is looked at from here on: by then the pools and caches have their size."""
LOOK_S = 0.05
MIB = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")


class Marks:
    """When the cache had each mark, told by the contracts that the marked market shows."""

    def __init__(self, app: TradingApp, ticker: str, most: int):
        self._cache = app._parts.cache  # type: ignore[union-attr]
        self._ticker = ticker
        self._had_ns = array("q", bytes(8 * most))  # 0: not yet. Its size is fixed, for memory is measured
        self._next = 0  # the mark that is due, or the one that was seen last
        self._watch = self._cache.watch(self._see)
        self._watch.follow(ticker)

    def _see(self) -> None:
        """Called by the feed's thread as soon as the cache has the price."""
        now_ns, quote = time.monotonic_ns(), self._cache.quote(self._ticker)
        if quote is not None and quote.bid_size is not None and quote.bid_size <= MARKS:
            self._next += (int(quote.bid_size) - 1 - self._next) % MARKS
            if self._next < len(self._had_ns):
                self._had_ns[self._next] = now_ns
        if hasattr(self, "_watch"):
            self._watch.take_changed()

    def ages_ms(self, sent: Sent) -> list[float]:
        """How old each mark was, from when it was due."""
        pairs = zip(self._had_ns, sent.marks_ns, strict=False)
        return [(had_ns - due_ns) / NS_PER_MS for had_ns, due_ns in pairs if had_ns]


class Growth(threading.Thread):
    """Looks at queues and memory until told to stop."""

    def __init__(self, app: TradingApp, warm_s: float):
        super().__init__(name="growth", daemon=True)
        self._warm_s, parts = warm_s, app._parts
        assert parts is not None
        self._waiting: dict[str, Callable[[], int]] = {
            "monitor": parts.monitor._inbox.qsize,
            "journal": parts.journal._queue.qsize,
            "exits": parts.executor._queue.qsize,
        }
        self.longest = dict.fromkeys(self._waiting, 0)
        self._memory: list[int] = []  # bytes, since it is warm
        self._enough = threading.Event()

    def run(self) -> None:
        """Look until ``stop``."""
        warm_s = time.monotonic() + self._warm_s
        while not self._enough.wait(LOOK_S):
            for name, how_many in self._waiting.items():
                self.longest[name] = max(self.longest[name], how_many())
            if time.monotonic() >= warm_s:
                self._memory.append(_memory())

    def grown_mib(self) -> dict[str, float]:
        """What memory grew by in each half of the time: what has a bound grows less and less."""
        first, middle, last = (self._memory[at] for at in (0, len(self._memory) // 2, -1))
        return {
            "first_half": round((middle - first) / MIB, 1),
            "second_half": round((last - middle) / MIB, 1),
        }

    def stop(self) -> None:
        """Look no more."""
        self._enough.set()
        self.join()


def main() -> None:
    """Measure and print."""
    quick = is_quick()
    rate, seconds, count = (2_000, 3.0, 5) if quick else (FRAMES_PER_S, SECONDS, HELD)
    standing = [f"KXHELD-26DEC31-{n:03}" for n in range(count)]
    touched = [f"KXTOUCHED-26DEC31-{n:03}" for n in range(int(seconds / TOUCH_EVERY_S) - 1)]
    with ExchangeProcess() as exchange:
        exchange.do("list_markets", WATCHED)
        exchange.do("list_markets", [*standing, *touched], "10")
        feed = PacedFeed([*standing, *touched], WATCHED)
        try:
            url = f"exchange.websocket_url={feed.url}"
            with guarded_app(exchange.address, "strategy.class=benchmarks.strategies:Watching", url) as app:
                wait_armed(app, [*standing, *touched])
                time.sleep(0.0 if quick else SETTLED_S)
                _measure(app, exchange, feed, touched, rate, seconds, len(standing))
        finally:
            feed.close()


def _measure(
    app: TradingApp,
    exchange: ExchangeProcess,
    feed: PacedFeed,
    touched: Sequence[str],
    rate: int,
    seconds: float,
    standing: int,
) -> None:
    marks, growth = Marks(app, WATCHED[0], int(2 * seconds / SLICE_S)), Growth(app, min(WARM_S, seconds / 3))
    feed.begin(rate)
    growth.start()
    began_s = time.monotonic()
    orders_ms = []
    for number, ticker in enumerate(touched, start=1):
        time.sleep(max(0.0, began_s + number * TOUCH_EVERY_S - time.monotonic()))
        touched_ns = feed.touch(ticker)
        orders_ms.append((exchange.do("order_ns", ticker) - touched_ns) / NS_PER_MS)
    time.sleep(max(0.0, began_s + seconds - time.monotonic()))
    sent = feed.end()
    growth.stop()
    time.sleep(1.0)
    stats = app._parts.feed.get_stats()  # type: ignore[union-attr]
    ages_ms = marks.ages_ms(sent)
    report(
        "flood",
        frames_per_s=round(sent.frames / sent.seconds),
        seconds=round(sent.seconds, 1),
        positions_held_at_least=standing,
        age_in_cache=spread(ages_ms),
        marks_merged=len(sent.marks_ns) - len(ages_ms),
        sender_behind_most_s=round(sent.most_behind_s, 3),
        touch_to_order=spread(orders_ms),
        longest_queues=growth.longest,
        memory_growth_mib=growth.grown_mib(),
        gaps=stats["gaps"],
        resyncs=stats["resyncs"],
        connects=stats["connects"],
    )


def _memory() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


if __name__ == "__main__":
    main()
