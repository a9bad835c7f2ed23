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
from base.feed.freshness import ConnectionFacts, Freshness, Lag, MarketFacts, judge
from base.feed.watch import MarketWatch, Sighting
from base.model import Quote, Side, Source

Woken = Callable[[], None]


class PriceCache:
    """Newest evidence wins; readers get immutable quotes seen from the side they name."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._lock = threading.Lock()  # the price-cache lock
        # Guarded by _lock, all keyed by ticker:
        self._quotes: dict[str, Quote] = {}
        self._rest: dict[str, Quote] = {}
        self._facts: dict[str, MarketFacts] = {}
        self._watches: dict[str, tuple[Watch, ...]] = {}
        self._connection = ConnectionFacts(epoch=0, is_connected=False, heard_s=None, lag=None)
        self._book_heard_s = float("-inf")  # newest in-sequence frame of the order-book subscription
        self._held = 0

    # --- written by the websocket manager ----------------------------------------------------

    def set_connection(self, facts: ConnectionFacts) -> None:
        """Take over what is known of the connection.

        A new epoch, or a lost link, ends every history: nobody saw what happened in between.
        """
        with self._lock:
            before, self._connection = self._connection, facts
            if facts.epoch != before.epoch or (before.is_connected and not facts.is_connected):
                self._book_heard_s = float("-inf")
                for ticker in self._watches:
                    self._restart_watches(ticker)
            to_wake = {watch for watches in self._watches.values() for watch in watches}
        for watch in to_wake:
            watch.wake()

    def heard(self, at_s: float, lag: Lag | None = None, *, in_book_sequence: bool = False) -> None:
        """Note that a frame came in on the current connection at ``at_s``."""
        with self._lock:
            self._note_heard(at_s, lag, in_book_sequence)

    def put(self, quote: Quote, lag: Lag | None = None) -> None:
        """Store a quote from the WebSocket, seen from YES, and wake its readers.

        A quote of an older connection is dropped: it may not overwrite anything.
        """
        with self._lock:
            if quote.epoch != self._connection.epoch:
                return
            self._note_heard(quote.received_s, lag, quote.source is Source.BOOK)
            facts = self._facts.get(quote.ticker)
            if facts is not None:
                self._facts[quote.ticker] = replace(facts, alive_s=quote.received_s)
            to_wake = self._store(quote)
        for watch in to_wake:
            watch.wake()

    def alive(self, ticker: str, at_s: float) -> None:
        """Note a message of ``ticker`` that changed no quote, or a probe that equalled the local book."""
        with self._lock:
            if (facts := self._facts.get(ticker)) is not None:
                self._facts[ticker] = replace(facts, alive_s=at_s)

    def set_facts(self, ticker: str, facts: MarketFacts) -> None:
        """Take over what is known of the market's subscription; leaving trust forgets its history."""
        with self._lock:
            before = self._facts.get(ticker)
            self._facts[ticker] = facts
            self._held += int(facts.is_held) - int(before is not None and before.is_held)
            trusted_before = before is not None and before.in_sequence and before.epoch == facts.epoch
            if before is not None and not trusted_before:
                self._restart_watches(ticker)
        self._wake_readers(ticker)

    def facts(self, ticker: str) -> MarketFacts | None:
        """What is known of the market's subscription."""
        with self._lock:
            return self._facts.get(ticker)

    def drop(self, ticker: str) -> None:
        """Forget a market that is no longer subscribed."""
        with self._lock:
            self._quotes.pop(ticker, None)
            self._rest.pop(ticker, None)
            facts = self._facts.pop(ticker, None)
            self._held -= int(facts is not None and facts.is_held)

    # --- written by the price refresher ------------------------------------------------------

    def put_rest(self, quote: Quote) -> None:
        """Store a book read by REST. It replaces only what is not proven; else it is there to compare."""
        now_s = self._clock.boot_s()
        with self._lock:
            before = self._rest.get(quote.ticker)
            if before is not None and before.received_s > quote.received_s:
                return
            self._rest[quote.ticker] = quote
            standing = self._quotes.get(quote.ticker)
            is_newer = standing is None or standing.received_s <= quote.received_s
            if is_newer and not self._judge(quote.ticker, now_s).is_proven:
                self._store(quote)
        self._wake_readers(quote.ticker)

    # --- readers ------------------------------------------------------------------------------

    def quote(self, ticker: str, side: Side = Side.YES) -> Quote | None:
        """The newest quote of ``ticker`` from ``side``, however old; ``None``: none known."""
        with self._lock:
            found = self._quotes.get(ticker)
        return None if found is None else found.seen_from(side)

    def freshness(self, ticker: str) -> Freshness:
        """The five proofs of ``ticker`` now."""
        now_s = self._clock.boot_s()
        with self._lock:
            return self._judge(ticker, now_s)

    def age_s(self, ticker: str) -> float | None:
        """Seconds since the standing quote was last proven to stand; ``None``: no quote."""
        now_s = self._clock.boot_s()
        with self._lock:
            found = self._quotes.get(ticker)
            return None if found is None else max(0.0, now_s - self._confirmed_s(found))

    def connection(self) -> ConnectionFacts:
        """What is known of the connection."""
        with self._lock:
            return self._connection

    def watch(self, woken: Woken) -> Watch:
        """Give a reader its own watch; ``woken`` is called, outside the lock, when a market it follows changes."""
        return Watch(self, woken)

    def __len__(self) -> int:
        with self._lock:
            return len(self._quotes)

    # --- with _lock held ----------------------------------------------------------------------

    def _note_heard(self, at_s: float, lag: Lag | None, in_book_sequence: bool) -> None:
        facts = self._connection
        self._connection = ConnectionFacts(
            epoch=facts.epoch,
            is_connected=facts.is_connected,
            heard_s=at_s,
            lag=facts.lag if lag is None else lag,
        )
        if in_book_sequence:
            self._book_heard_s = at_s

    def _store(self, quote: Quote) -> tuple[Watch, ...]:
        self._quotes[quote.ticker] = quote
        watches = self._watches.get(quote.ticker, ())
        for watch in watches:
            watch.markets[quote.ticker].see(quote)
            watch.changed.add(quote.ticker)
        return watches

    def _judge(self, ticker: str, now_s: float) -> Freshness:
        return judge(self._connection, self._facts.get(ticker), self._held, now_s)

    def _confirmed_s(self, quote: Quote) -> float:
        """Newest moment at which ``quote`` is known to have stood.

        The order-book counter is shared by all markets of the subscription: any in-sequence frame
        of it proves that no change of this book was missed. A ticker has only its own message.
        """
        facts = self._facts.get(quote.ticker)
        if quote.source is Source.REST or facts is None or quote.epoch != self._connection.epoch:
            return quote.received_s
        alive_s = facts.alive_s if facts.alive_s is not None else quote.received_s
        if quote.source is Source.BOOK and facts.in_sequence:
            return max(quote.received_s, alive_s, self._book_heard_s)
        return max(quote.received_s, alive_s)

    def _restart_watches(self, ticker: str) -> None:
        now_s = self._clock.boot_s()
        for watch in self._watches.get(ticker, ()):
            watch.markets[ticker].restart(now_s)
            watch.changed.add(ticker)

    def _wake_readers(self, ticker: str) -> None:
        with self._lock:
            watches = self._watches.get(ticker, ())
        for watch in watches:
            watch.wake()


class Watch:
    """One reader's view: which of its markets changed, and what it missed in between."""

    def __init__(self, cache: PriceCache, woken: Woken):
        self._cache = cache
        self.wake = woken
        # Both guarded by the cache's lock:
        self.markets: dict[str, MarketWatch] = {}
        self.changed: set[str] = set()

    def follow(self, ticker: str) -> None:
        """Begin to watch ``ticker``; a quote already known is its first. Following twice changes nothing."""
        now_s = self._cache._clock.boot_s()
        with self._cache._lock:
            if ticker in self.markets:
                return
            market = self.markets[ticker] = MarketWatch(now_s)
            if (standing := self._cache._quotes.get(ticker)) is not None:
                market.see(standing)
            self.changed.add(ticker)
            self._cache._watches[ticker] = (*self._cache._watches.get(ticker, ()), self)

    def unfollow(self, ticker: str) -> None:
        """Stop watching ``ticker``."""
        with self._cache._lock:
            if self.markets.pop(ticker, None) is None:
                return
            left = tuple(w for w in self._cache._watches.get(ticker, ()) if w is not self)
            if left:
                self._cache._watches[ticker] = left
            else:
                self._cache._watches.pop(ticker, None)
            self.changed.discard(ticker)

    def take_changed(self) -> set[str]:
        """Return the tickers that changed since the last call."""
        with self._cache._lock:
            changed, self.changed = self.changed, set()
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
            return market.look(
                side,
                trigger=trigger,
                target=target,
                dwell_s=dwell_s,
                least_updates=least_updates,
                now_s=now_s,
                confirmed_s=cache._confirmed_s(market.newest),
                freshness=cache._judge(ticker, now_s),
                rest=cache._rest.get(ticker),
                keep=keep,
            )
