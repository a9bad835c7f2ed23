"""The latest quote of every market, and how far it can be trusted. Shared by all threads.

Two threads put: the websocket manager (``put``, ``heard``, the facts) and the price refresher
(``put_rest``). Everyone else reads. One lock, ``_lock``, guards the maps below; it is held for
assignments and copies only, never across I/O, a callback or a log call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from base.clock import Clock
from base.feed.freshness import UNHEARD, ConnectionFacts, Freshness, Lag, MarketFacts, judge
from base.feed.watch import MarketWatch, Sighting
from base.model import Quote, Side, Source

Woken = Callable[[], None]


class _Entry:
    """What is kept of one market; guarded by the cache's lock."""

    __slots__ = ("alive_s", "facts", "quote", "rest", "watches")

    def __init__(self) -> None:
        self.quote: Quote | None = None
        self.rest: Quote | None = None
        self.facts: MarketFacts | None = None
        self.alive_s: float | None = None  # newer than facts.alive_s: it moves with every frame
        self.watches: tuple[tuple[Watch, MarketWatch], ...] = ()


class PriceCache:
    """Newest evidence wins; readers get immutable quotes seen from the side they name."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._lock = threading.Lock()  # the price-cache lock
        # Guarded by _lock. Heard, lag and life move with every frame: plain fields, made into
        # facts only for readers.
        self._entries: dict[str, _Entry] = {}
        self._epoch = 0
        self._is_connected = False
        self._heard_s: float | None = None
        self._lag: Lag | None = None
        self._book_heard_s = float("-inf")  # newest in-sequence frame of the order-book subscription
        self._held = 0
        self._quoted = 0

    # --- written by the websocket manager ----------------------------------------------------

    def set_connection(self, facts: ConnectionFacts) -> None:
        """Take over what is known of the connection.

        A new epoch, or a lost link, ends every history: nobody saw what happened in between.
        """
        with self._lock:
            is_break = facts.epoch != self._epoch or (self._is_connected and not facts.is_connected)
            self._epoch, self._is_connected = facts.epoch, facts.is_connected
            self._heard_s, self._lag = facts.heard_s, facts.lag
            if is_break:
                self._book_heard_s = float("-inf")
                for ticker, entry in self._entries.items():
                    self._restart_watches(ticker, entry)
            to_wake = {watch for entry in self._entries.values() for watch, _ in entry.watches}
        for watch in to_wake:
            watch.wake()

    def heard(self, at_s: float, lag: Lag | None = None, *, in_book_sequence: bool = False) -> None:
        """Note that a frame came in on the current connection at ``at_s``."""
        with self._lock:
            self._note_heard(at_s, lag, in_book_sequence)

    def put(self, quote: Quote, lag: Lag | None = None, facts: MarketFacts | None = None) -> None:
        """Store a quote from the WebSocket, seen from YES, and wake its readers.

        A quote of an older connection is dropped: it may not overwrite anything. ``facts`` are
        taken over in the same step, so that no reader sees the trust without the quote it is for.
        """
        with self._lock:
            if quote.epoch != self._epoch:
                return
            at_s = quote.received_s
            self._note_heard(at_s, lag, quote.source is Source.BOOK)
            entry = self._entries.get(quote.ticker)
            if entry is None:
                entry = self._entries[quote.ticker] = _Entry()
            if facts is not None:
                self._take_facts(quote.ticker, entry, facts)
            entry.alive_s = at_s
            to_wake = self._store(entry, quote)
        for watch in to_wake:
            watch.wake()

    def alive(
        self, ticker: str, at_s: float, lag: Lag | None = None, *, in_book_sequence: bool = False
    ) -> None:
        """Note a message of ``ticker`` that changed no quote, or a probe that equalled the local book."""
        with self._lock:
            self._note_heard(at_s, lag, in_book_sequence)
            if (entry := self._entries.get(ticker)) is not None:
                entry.alive_s = at_s

    def set_facts(self, ticker: str, facts: MarketFacts) -> None:
        """Take over what is known of the market's subscription; leaving trust forgets its history."""
        with self._lock:
            entry = self._entries.get(ticker)
            if entry is None:
                entry = self._entries[ticker] = _Entry()
            self._take_facts(ticker, entry, facts)
            watches = entry.watches
        for watch, _ in watches:
            watch.wake()

    def facts(self, ticker: str) -> MarketFacts | None:
        """What is known of the market's subscription."""
        with self._lock:
            entry = self._entries.get(ticker)
            return None if entry is None else self._facts_of(entry)

    def drop(self, ticker: str) -> None:
        """Forget a market that is no longer subscribed; who still follows it starts from nothing."""
        with self._lock:
            entry = self._entries.pop(ticker, None)
            if entry is None:
                return
            self._held -= int(entry.facts is not None and entry.facts.is_held)
            self._quoted -= int(entry.quote is not None)
            if entry.watches:
                left = self._entries[ticker] = _Entry()
                left.watches = entry.watches
                self._restart_watches(ticker, left)

    # --- written by the price refresher ------------------------------------------------------

    def put_rest(self, quote: Quote) -> None:
        """Store a book read by REST. It replaces only what is not proven; else it is there to compare."""
        now_s = self._clock.boot_s()
        with self._lock:
            entry = self._entries.get(quote.ticker)
            if entry is None:
                entry = self._entries[quote.ticker] = _Entry()
            if entry.rest is not None and entry.rest.received_s > quote.received_s:
                return
            entry.rest = quote
            standing = entry.quote
            is_newer = standing is None or standing.received_s <= quote.received_s
            if is_newer and not self._judge(entry, now_s).is_proven:
                self._store(entry, quote)
            watches = entry.watches
            for watch, _ in watches:
                # Even a book that only confirms is news: a suspicious exit waits for it.
                watch.changed.add(quote.ticker)
        for watch, _ in watches:
            watch.wake()

    # --- readers ------------------------------------------------------------------------------

    def quote(self, ticker: str, side: Side = Side.YES) -> Quote | None:
        """The newest quote of ``ticker`` from ``side``, however old; ``None``: none known."""
        with self._lock:
            entry = self._entries.get(ticker)
            found = None if entry is None else entry.quote
        return None if found is None else found.seen_from(side)

    def rest_quote(self, ticker: str) -> Quote | None:
        """The newest book read by REST, from YES; ``None``: none was."""
        with self._lock:
            entry = self._entries.get(ticker)
            return None if entry is None else entry.rest

    def tickers(self) -> list[str]:
        """The markets that somebody subscribed or follows."""
        with self._lock:
            return [t for t, entry in self._entries.items() if entry.facts is not None or entry.watches]

    def freshness(self, ticker: str) -> Freshness:
        """The five proofs of ``ticker`` now."""
        now_s = self._clock.boot_s()
        with self._lock:
            entry = self._entries.get(ticker)
            return UNHEARD if entry is None else self._judge(entry, now_s)

    def age_s(self, ticker: str) -> float | None:
        """Seconds since the standing quote was last proven to stand; ``None``: no quote."""
        now_s = self._clock.boot_s()
        with self._lock:
            entry = self._entries.get(ticker)
            if entry is None or entry.quote is None:
                return None
            return max(0.0, now_s - self._confirmed_s(entry, entry.quote))

    def connection(self) -> ConnectionFacts:
        """What is known of the connection."""
        with self._lock:
            return self._connection()

    def watch(self, woken: Woken) -> Watch:
        """Give a reader its own watch.

        ``woken`` is called outside the lock when a market it follows changes; while changes wait
        to be taken it isn't called again for further quotes. So the reader clears its own signal
        *before* ``take_changed``.
        """
        return Watch(self, woken)

    def __len__(self) -> int:
        with self._lock:
            return self._quoted

    # --- with _lock held ----------------------------------------------------------------------

    def _note_heard(self, at_s: float, lag: Lag | None, in_book_sequence: bool) -> None:
        self._heard_s = at_s
        if lag is not None:
            self._lag = lag
        if in_book_sequence:
            self._book_heard_s = at_s

    def _store(self, entry: _Entry, quote: Quote) -> list[Watch] | tuple[()]:
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

    def _take_facts(self, ticker: str, entry: _Entry, facts: MarketFacts) -> None:
        before, entry.facts, entry.alive_s = entry.facts, facts, facts.alive_s
        self._held += int(facts.is_held) - int(before is not None and before.is_held)
        was_trusted = before is not None and before.in_sequence and before.epoch == facts.epoch
        if before is not None and not was_trusted:
            self._restart_watches(ticker, entry)

    def _facts_of(self, entry: _Entry) -> MarketFacts | None:
        facts = entry.facts
        if facts is None or facts.alive_s == entry.alive_s:
            return facts
        return replace(facts, alive_s=entry.alive_s)

    def _connection(self) -> ConnectionFacts:
        return ConnectionFacts(
            epoch=self._epoch, is_connected=self._is_connected, heard_s=self._heard_s, lag=self._lag
        )

    def _judge(self, entry: _Entry, now_s: float) -> Freshness:
        return judge(self._connection(), self._facts_of(entry), self._held, now_s)

    def _confirmed_s(self, entry: _Entry, quote: Quote) -> float:
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

    def _restart_watches(self, ticker: str, entry: _Entry) -> None:
        if not entry.watches:
            return
        now_s = self._clock.boot_s()
        for watch, market in entry.watches:
            market.restart(now_s)
            watch.changed.add(ticker)


class Watch:
    """One reader's view: which of its markets changed, and what it missed in between."""

    def __init__(self, cache: PriceCache, woken: Woken):
        self._cache = cache
        self.wake = woken
        # Both guarded by the cache's lock:
        self.markets: dict[str, MarketWatch] = {}
        self.changed: set[str] = set()
        self.is_woken = False  # since the last take: no further quote wakes it again

    def follow(self, ticker: str) -> None:
        """Begin to watch ``ticker``; a quote already known is its first. Following twice changes nothing."""
        cache = self._cache
        now_s = cache._clock.boot_s()
        with cache._lock:
            if ticker in self.markets:
                return
            market = self.markets[ticker] = MarketWatch(now_s)
            entry = cache._entries.get(ticker)
            if entry is None:
                entry = cache._entries[ticker] = _Entry()
            if entry.quote is not None:
                market.see(entry.quote)
            self.changed.add(ticker)
            self.is_woken = True
            entry.watches = (*entry.watches, (self, market))
        self.wake()

    def unfollow(self, ticker: str) -> None:
        """Stop watching ``ticker``."""
        cache = self._cache
        with cache._lock:
            if self.markets.pop(ticker, None) is None:
                return
            entry = cache._entries[ticker]
            entry.watches = tuple(pair for pair in entry.watches if pair[0] is not self)
            if not entry.watches and entry.facts is None and entry.quote is None and entry.rest is None:
                del cache._entries[ticker]
            self.changed.discard(ticker)

    def take_changed(self) -> set[str]:
        """Return the tickers that changed since the last call."""
        with self._cache._lock:
            changed, self.changed = self.changed, set()
            self.is_woken = False
        return changed

    def look(
        self,
        ticker: str,
        side: Side,
        *,
        trigger: Decimal | None,
        target: Decimal | None,
        dwell_s: float = 0.0,
        least_updates: int = 1,
        keep: bool = False,
    ) -> Sighting | None:
        """Take what was seen of ``ticker`` since the last look; ``None``: nothing known, or not followed.

        With ``keep`` the extremes stay for the next look.
        """
        cache = self._cache
        now_s = cache._clock.boot_s()
        with cache._lock:
            market = self.markets.get(ticker)
            if market is None or market.newest is None:
                return None
            entry = cache._entries[ticker]
            return market.look(
                side,
                trigger=trigger,
                target=target,
                dwell_s=dwell_s,
                least_updates=least_updates,
                now_s=now_s,
                confirmed_s=cache._confirmed_s(entry, market.newest),
                freshness=cache._judge(entry, now_s),
                rest=entry.rest,
                keep=keep,
            )
