"""Which markets other threads want followed. ``_lock`` (wants) guards the two sets."""

from __future__ import annotations

import threading


class Wanted:
    """Sets, not events: saying it twice is saying it once, and only the newest state counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._watched: set[str] = set()
        self._has_changed = True

    def hold(self, ticker: str, *, is_held: bool) -> bool:
        """Note that ``ticker`` is held or not; say whether that is news."""
        return self._change(self._held, ticker, is_held)

    def watch(self, ticker: str, *, is_watched: bool) -> bool:
        """Note that ``ticker`` is watched or not; say whether that is news."""
        return self._change(self._watched, ticker, is_watched)

    @property
    def held(self) -> frozenset[str]:
        """The tickers held now."""
        with self._lock:
            return frozenset(self._held)

    def take(self) -> tuple[frozenset[str], frozenset[str]] | None:
        """Return ``(held, watched)`` if they changed since the last call."""
        if not self._has_changed:
            return None
        with self._lock:
            self._has_changed = False
            return frozenset(self._held), frozenset(self._watched)

    def _change(self, tickers: set[str], ticker: str, is_in: bool) -> bool:
        if not ticker:
            raise ValueError("a ticker has letters")
        with self._lock:
            if (ticker in tickers) == is_in:
                return False
            if is_in:
                tickers.add(ticker)
            else:
                tickers.remove(ticker)
            self._has_changed = True
            return True
