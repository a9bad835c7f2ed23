"""What the price cache keeps, and what is done to it while its lock is held."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from base.clock import Clock
from base.feed.freshness import ConnectionFacts, Freshness, Lag, MarketFacts, judge
from base.feed.watch import MarketWatch
from base.model import Quote, Source

if TYPE_CHECKING:
    from base.feed.price_watch import Watch


class Entry:
    """What is kept of one market; guarded by the cache's lock."""

    __slots__ = ("alive_s", "facts", "quote", "rest", "watches")

    def __init__(self) -> None:
        self.quote: Quote | None = None
        self.rest: Quote | None = None
        self.facts: MarketFacts | None = None
        self.alive_s: float | None = None  # newer than facts.alive_s: it moves with every frame
        self.watches: tuple[tuple[Watch, MarketWatch], ...] = ()


class PriceEntries:
    """The state behind the cache. Callers of the methods below hold ``_lock``."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._lock = threading.Lock()  # the price-cache lock
        # Guarded by _lock. Heard, lag and life move with every frame: plain fields, made into
        # facts only for readers.
        self._entries: dict[str, Entry] = {}
        self._epoch = 0
        self._is_connected = False
        self._heard_s: float | None = None
        self._lag: Lag | None = None
        self._book_heard_s = float("-inf")  # newest in-sequence frame of the order-book subscription
        self._held = 0
        self._quoted = 0

    def _note_heard(self, at_s: float, lag: Lag | None, in_book_sequence: bool) -> None:
        self._heard_s = at_s
        if lag is not None:
            self._lag = lag
        if in_book_sequence:
            self._book_heard_s = at_s

    def _store(self, entry: Entry, quote: Quote) -> list[Watch] | tuple[()]:
        if entry.quote is None:
            self._quoted += 1
        entry.quote = quote
        if not entry.watches:
            return ()
        to_wake = []
        for watch, market in entry.watches:
            market.see(quote)
            if not watch.is_woken:  # else it has not yet looked
                watch.is_woken = True
                to_wake.append(watch)
            watch.changed.add(quote.ticker)
        return to_wake

    def _take_facts(self, ticker: str, entry: Entry, facts: MarketFacts) -> None:
        before, entry.facts, entry.alive_s = entry.facts, facts, facts.alive_s
        self._held += int(facts.is_held) - int(before is not None and before.is_held)
        was_trusted = before is not None and before.in_sequence and before.epoch == facts.epoch
        if before is not None and not was_trusted:
            self._restart_watches(ticker, entry)

    def _facts_of(self, entry: Entry) -> MarketFacts | None:
        facts = entry.facts
        if facts is not None and facts.alive_s != entry.alive_s:
            facts = entry.facts = replace(facts, alive_s=entry.alive_s)
        return facts

    def _connection(self) -> ConnectionFacts:
        return ConnectionFacts(
            epoch=self._epoch, is_connected=self._is_connected, heard_s=self._heard_s, lag=self._lag
        )

    def _judge(self, entry: Entry, now_s: float) -> Freshness:
        return judge(self._connection(), self._facts_of(entry), self._held, now_s)

    def _confirmed_s(self, entry: Entry, quote: Quote) -> float:
        """Newest moment at which ``quote`` is known to have stood.

        The order-book counter is shared by all markets of the subscription: any in-sequence frame
        of it proves that no change of this book was missed. A ticker has only its own message.
        """
        facts = entry.facts
        if quote.source is Source.REST or facts is None or quote.epoch != self._epoch:
            return quote.received_s
        alive_s = entry.alive_s if entry.alive_s is not None else quote.received_s
        if quote.source is Source.BOOK and facts.in_sequence:
            return max(quote.received_s, alive_s, self._book_heard_s)
        return max(quote.received_s, alive_s)

    def _restart_watches(self, ticker: str, entry: Entry) -> None:
        if not entry.watches:
            return
        now_s = self._clock.boot_s()
        for watch, market in entry.watches:
            market.restart(now_s)
            watch.changed.add(ticker)
