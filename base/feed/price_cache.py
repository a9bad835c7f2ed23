"""The latest quote of every market, and how far it can be trusted. Shared by all threads.

Two threads put: the websocket manager (``put``, ``heard``, the facts) and the price refresher
(``put_rest``). Everyone else reads. One lock, ``_lock``, guards the maps below; it is held for
assignments and copies only, never across I/O, a callback or a log call.
"""

from __future__ import annotations

from base.feed.freshness import UNHEARD, ConnectionFacts, Freshness, Lag, MarketFacts
from base.feed.price_entries import Entry, PriceEntries
from base.feed.price_watch import Watch, Woken
from base.model import Quote, Side, Source


class PriceCache(PriceEntries):
    """Newest evidence wins; readers get immutable quotes seen from the side they name."""

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

    def distrust(self) -> None:
        """Nothing known so far proves anything: this process stood still, and nobody saw what happened.

        Each proof comes back with what is received from now on; what was touched before is forgotten.
        """
        with self._lock:
            self._heard_s, self._lag, self._book_heard_s = None, None, float("-inf")
            for ticker, entry in self._entries.items():
                entry.alive_s = None
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
                entry = self._entries[quote.ticker] = Entry()
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
                entry = self._entries[ticker] = Entry()
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
                left = self._entries[ticker] = Entry()
                left.watches = entry.watches
                self._restart_watches(ticker, left)

    # --- written by the price refresher ------------------------------------------------------

    def put_rest(self, quote: Quote) -> None:
        """Store a book read by REST. It replaces only what is not proven; else it is there to compare."""
        now_s = self._clock.boot_s()
        with self._lock:
            entry = self._entries.get(quote.ticker)
            if entry is None:
                entry = self._entries[quote.ticker] = Entry()
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
