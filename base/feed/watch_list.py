"""Who wants which markets: one is subscribed while anybody does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection


class WatchList:
    """Shared by whoever wants prices; the feed hears of the first who wants a market and of the last.

    Args:
        begin: Subscribes one ticker. It is called with the lock held, or two threads could pass
            each other and leave the feed with the opposite of what is wanted: it must return at once.
        end: Unsubscribes one ticker; the same holds.
    """

    def __init__(self, begin: Callable[[str], None], end: Callable[[str], None]):
        self._begin, self._end = begin, end
        self._lock = threading.Lock()  # the watch list
        # Guarded by _lock:
        self._wanted: dict[str, frozenset[str]] = {}
        self._left_out: frozenset[str] = frozenset()
        # Replaced whole with _lock held, read by anybody:
        self._tickers: frozenset[str] = frozenset()

    @property
    def tickers(self) -> frozenset[str]:
        """What is wanted now, all together."""
        return self._tickers

    def want(self, who: str, tickers: Collection[str]) -> None:
        """``who`` wants exactly these from now on."""
        with self._lock:
            if self._wanted.get(who, frozenset()) != frozenset(tickers):
                self._set(who, frozenset(tickers))

    def add(self, who: str, tickers: Collection[str]) -> None:
        """``who`` wants these as well, even if they were left out before."""
        with self._lock:
            self._left_out -= frozenset(tickers)
            self._set(who, self._wanted.get(who, frozenset()).union(tickers))

    def leave_out(self, who: str, tickers: Collection[str]) -> None:
        """``who`` doesn't want these any more, and nobody else gets them until they are added again."""
        with self._lock:
            self._left_out = self._left_out.union(tickers)
            self._set(who, self._wanted.get(who, frozenset()).difference(tickers))

    def _set(self, who: str, tickers: frozenset[str]) -> None:
        """With ``_lock`` held."""
        if tickers:
            self._wanted[who] = tickers
        else:
            self._wanted.pop(who, None)
        wanted = frozenset().union(*self._wanted.values())
        self._left_out &= wanted  # what nobody wants needs no exception: the markets of a series pass
        before, self._tickers = self._tickers, wanted - self._left_out
        for ticker in sorted(self._tickers - before):
            self._begin(ticker)
        for ticker in sorted(before - self._tickers):
            self._end(ticker)
