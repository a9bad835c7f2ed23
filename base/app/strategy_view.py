"""What a strategy sees and what holds its orders, over the running parts of the app."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Protocol

from base.clock import Clock
from base.feed.clock_offset import ClockOffset
from base.feed.price_cache import PriceCache
from base.feed.watch_list import WatchList
from base.kalshi.series_follower import Lister, SeriesFollower
from base.model import Key, Market, Side
from base.risk.ports import MonitorView, PositionView
from base.strategy.contract import Seen
from base.units import ZERO, typed_name

POLL_S = 0.05
STRATEGY = "strategy"


class Subscriber(Protocol):
    """The feed, as far as a strategy may ask of it."""

    def watch_only(self, ticker: str) -> None:
        """Subscribe a market that is not held."""

    def unwatch(self, ticker: str) -> None:
        """Unsubscribe it, unless it is held."""


class CachedPrices:
    """The shared price cache, read-only."""

    def __init__(self, cache: PriceCache, clock: Clock, stopping: threading.Event):
        self._cache = cache
        self._clock = clock
        self._stopping = stopping

    def quote(self, ticker: str, side: Side | str = Side.YES) -> Seen | None:
        """The newest price of ``ticker`` from ``side``, however old."""
        quote, age_s = self._cache.quote(ticker, Side(side)), self._cache.age_s(ticker)
        if quote is None or age_s is None:
            return None
        return Seen(quote=quote, age_s=age_s, freshness=self._cache.freshness(ticker))

    def wait_for(self, ticker: str, side: Side | str = Side.YES, *, timeout_s: float) -> Seen | None:
        """The first proven price within ``timeout_s`` seconds; ``None``: none came, or the app ends."""
        deadline_s = self._clock.boot_s() + timeout_s
        while self._clock.boot_s() < deadline_s:
            seen = self.quote(ticker, side)
            if seen is not None and seen.freshness.is_proven:
                return seen
            if self._stopping.wait(POLL_S):
                break
        return None


class AccountReads(Protocol):
    """The exchange's client, as far as a strategy may read through it."""

    def markets(self, tickers: Collection[str]) -> Mapping[str, Market]:
        """The markets that exist among ``tickers``."""

    def open_markets(self, series: str) -> Collection[Market]:
        """The open markets of a series."""

    def balance(self, subaccount: int) -> Decimal:
        """Cash in dollars."""


class AccountMarkets:
    """What the exchange lists, and the cash of the sub-account meant where none is named."""

    def __init__(self, client: AccountReads, subaccount: int):
        self._client = client
        self._subaccount = subaccount

    def markets(self, tickers: Collection[str]) -> Mapping[str, Market]:
        """The markets that exist among ``tickers``."""
        return self._client.markets(tickers)

    def open_markets(self, series: str) -> Collection[Market]:
        """The open markets of a series."""
        return self._client.open_markets(series)

    def balance(self, subaccount: int | None = None) -> Decimal:
        """Cash in dollars."""
        return self._client.balance(self._subaccount if subaccount is None else subaccount)


class WatchedMarkets:
    """Subscribes what a strategy asks for, by name or by series. Its thread follows the series."""

    def __init__(self, feed: Subscriber, lister: Lister, clock: Clock, offset: ClockOffset):
        self._list = WatchList(feed.watch_only, feed.unwatch)
        self._follower = SeriesFollower(lister, self._list.want, clock, offset)

    def start(self) -> None:
        """Start the thread. Its death costs a strategy its markets, not a position its stop."""
        self._follower.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; ``False``: it was still busy after ``timeout_s`` seconds."""
        return self._follower.stop(timeout_s)

    def watch(self, ticker: str) -> None:
        """Subscribe ``ticker``; asking twice changes nothing. Raises: ValueError, it is no ticker."""
        self._list.add(STRATEGY, [typed_name(ticker)])

    def unwatch(self, ticker: str) -> None:
        """Let go of ``ticker``, even if a series brought it; a held market stays subscribed."""
        self._list.leave_out(STRATEGY, [typed_name(ticker)])

    def follow_series(self, series: str) -> None:
        """Subscribe the markets of ``series`` as they come and go."""
        self._follower.follow(series)

    def unfollow_series(self, series: str) -> None:
        """Let go of ``series`` and its markets."""
        self._follower.unfollow(series)

    def series_markets(self, series: str) -> tuple[Market, ...]:
        """The open markets of a followed series, the one that closes first in front."""
        return self._follower.open_markets(series)


class MonitoredHoldings:
    """The positions the monitor guards."""

    def __init__(self, view: Callable[[], MonitorView]):
        self._view = view

    def positions(self) -> tuple[PositionView, ...]:
        """Every position as the monitor sees it now."""
        return self._view().positions


def held_by(view: Callable[[], MonitorView]) -> Callable[[Key], Decimal]:
    """How many contracts of a market the monitor guards now, positive YES."""

    def held(key: Key) -> Decimal:
        here = [position for position in view().positions if position.key == key]
        return sum((p.count if p.side is Side.YES else -p.count for p in here), ZERO)

    return held


class EntryGuards:
    """What holds an order back: the halt switch, an exit's latch, or that nobody would guard it."""

    def __init__(
        self,
        is_halted: Callable[[], bool],
        is_latched: Callable[[Key], bool],
        subaccounts: Callable[[], Collection[int]],
    ):
        self._is_halted = is_halted
        self._is_latched = is_latched
        self._subaccounts = subaccounts  # those that are guarded

    def holds(self, key: Key) -> str | None:
        """Why no order may go out for ``key`` now; ``None``: it may."""
        if key.subaccount not in self._subaccounts():
            return "not_guarded"
        if self._is_halted():
            return "halted"
        return "latched" if self._is_latched(key) else None
