"""When to ask for a snapshot only to see that the book still stands. Pure.

A quiet market and a dead feed look alike; a snapshot that equals the local book tells them
apart. See: stops-and-exits.md §3.6.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from base.feed.freshness import PROBES_PER_S, life_window_s
from base.kalshi.market_feed import MarketFeed

ANSWER_S = 1.0
"""A probe without an answer for this long is sent again."""


class Probes:
    """Picks the markets to probe: asked for first, then the longest silent; bounded per second."""

    def __init__(self) -> None:
        self._sent_s: deque[float] = deque(maxlen=PROBES_PER_S)
        self._asked: dict[str, None] = {}  # in order

    def ask(self, ticker: str) -> None:
        """Probe ``ticker`` as soon as the bound allows."""
        self._asked[ticker] = None

    def due(self, markets: dict[str, MarketFeed], held: int, now_s: float) -> list[MarketFeed]:
        """Return the markets to probe now and count them as probed."""
        room = PROBES_PER_S - sum(1 for at_s in self._sent_s if now_s - at_s < 1.0)
        if room <= 0:
            return []
        chosen: list[MarketFeed] = []
        for ticker in list(self._asked):
            if len(chosen) >= room:
                break
            del self._asked[ticker]
            market = markets.get(ticker)
            if market is not None and market.is_trusted:
                chosen.append(market)
        silent = _silent(markets.values(), held, now_s)
        silent = [market for market in silent if market not in chosen]
        chosen += silent[: room - len(chosen)]
        for market in chosen:
            market.probed_s = now_s
            self._sent_s.append(now_s)
        return chosen


def _silent(markets: Iterable[MarketFeed], held: int, now_s: float) -> list[MarketFeed]:
    # Half of the window leaves time for an answer to be lost once; where many fall silent together,
    # the round must begin early enough to reach the last of them in time.
    window_s = life_window_s(held)
    patience_s = min(window_s / 2, window_s - held / PROBES_PER_S - ANSWER_S / 2)
    before_s = now_s - max(0.0, patience_s)
    found = [
        market
        for market in markets
        if market.is_trusted
        and (market.alive_s is None or market.alive_s <= before_s)
        and now_s - market.probed_s >= ANSWER_S
    ]
    found.sort(key=lambda market: market.alive_s or 0.0)
    return found
