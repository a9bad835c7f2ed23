"""One reader's view of the price cache."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from base.feed.price_entries import Entry, PriceEntries
from base.feed.watch import MarketWatch, Sighting
from base.model import Side

Woken = Callable[[], None]


class Watch:
    """One reader's view: which of its markets changed, and what it missed in between."""

    def __init__(self, cache: PriceEntries, woken: Woken):
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
                entry = cache._entries[ticker] = Entry()
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
