"""Comparing the feed with REST, a little at a time: a feed can be alive, in sequence and wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from base.feed.price_cache import PriceCache
from base.model import Quote

EVERY_S = 60.0
BATCH = 100
TICK = Decimal("0.01")
"""Prices that differ by no more than this agree: the two were not taken at the same instant."""
DIFFERS_S = 2.0


class PriceAudit:
    """Owned by the refresher's thread. A disagreement counts once it has stood for two seconds."""

    def __init__(self, cache: PriceCache, on_disagreement: Callable[[str], None]):
        self._cache = cache
        self._on_disagreement = on_disagreement
        self._next_s: float | None = None
        self._last = ""  # last ticker audited: the next round goes on behind it
        self._suspects: dict[str, Quote] = {}  # REST quote that the feed contradicted
        self.disagreements = 0

    def is_due(self, now_s: float) -> bool:
        """Whether it is time to ask which markets are proven."""
        if self._next_s is None:
            self._next_s = now_s + EVERY_S
        return now_s >= self._next_s

    def due(self, proven: list[str], now_s: float) -> list[str]:
        """Return the proven markets to read now, in rotation; mostly none."""
        if not self.is_due(now_s) or not proven:
            return []
        self._next_s = now_s + EVERY_S
        behind = [ticker for ticker in proven if ticker > self._last]
        chosen = (behind + [ticker for ticker in proven if ticker <= self._last])[:BATCH]
        self._last = chosen[-1]
        return chosen

    def compare(self, quotes: Iterable[Quote]) -> None:
        """Note where REST and a proven feed differ."""
        for rest in quotes:
            feed = self._cache.quote(rest.ticker)
            if feed is None or feed is rest or not self._cache.freshness(rest.ticker).is_proven:
                continue
            if is_same_price(feed, rest):
                self._suspects.pop(rest.ticker, None)
            elif feed.received_s <= rest.received_s:
                # The feed has not moved since the read began: nothing explains the difference.
                self._suspects.setdefault(rest.ticker, rest)

    def judge(self, now_s: float) -> None:
        """Report what has contradicted REST for too long without moving."""
        for ticker, rest in list(self._suspects.items()):
            feed = self._cache.quote(ticker)
            if feed is None or feed.received_s > rest.received_s or is_same_price(feed, rest):
                del self._suspects[ticker]
            elif now_s - rest.received_s > DIFFERS_S:
                del self._suspects[ticker]
                self.disagreements += 1
                self._on_disagreement(ticker)


def is_same_price(one: Quote, other: Quote) -> bool:
    """Whether bid and ask agree within a tick; an empty side agrees only with an empty one."""
    return _agree(one.bid, other.bid) and _agree(one.ask, other.ask)


def _agree(one: Decimal | None, other: Decimal | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= TICK
