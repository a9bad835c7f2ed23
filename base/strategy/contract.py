"""What a strategy is, and what it is given. A strategy decides what to enter; stops are not its business.

Every ``interval_s`` the runner calls ``collect``, ``compute`` and ``execute`` in this order, then
``update_subscriptions`` if the strategy has it, on the strategy's own thread. What they raise is
logged and the next round comes; protection never waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from base.feed.freshness import Freshness
from base.model import Market, Outcome, Quote, Side
from base.risk.ports import PositionView


class Strategy(Protocol):
    """What ``strategy.class`` names. It is made once, without arguments."""

    def collect(self, ctx: Context) -> None:
        """Gather what the round needs."""

    def compute(self, ctx: Context) -> None:
        """Decide; no orders yet."""

    def execute(self, ctx: Context) -> None:
        """Act on it through ``ctx.orders``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A price and how far it can be trusted. ``age_s`` counts from when it was last proven to stand."""

    quote: Quote
    age_s: float
    freshness: Freshness


class Prices(Protocol):
    """The shared price cache, read-only. No call goes to the exchange."""

    def quote(self, ticker: str, side: Side | str = Side.YES) -> Seen | None:
        """The newest price of ``ticker`` from ``side``; ``None``: none yet. Look at its age."""

    def wait_for(self, ticker: str, side: Side | str = Side.YES, *, timeout_s: float) -> Seen | None:
        """Wait for the first proven price; ``None``: none came within ``timeout_s`` seconds, or we end."""


class Markets(Protocol):
    """What the exchange lists. Every call is a REST read; it raises ``MonitorError``."""

    def markets(self, tickers: Collection[str]) -> Mapping[str, Market]:
        """The markets that exist among ``tickers``."""

    def open_markets(self, series: str) -> Collection[Market]:
        """The open markets of a series."""

    def balance(self, subaccount: int | None = None) -> Decimal:
        """Cash in dollars; ``None``: of the sub-account that is guarded. Waits if asked twice a second."""


class Orders(Protocol):
    """The guarded way to trade: halt, entry latch, per-order checks and rate budget hold every order.

    Where no ``subaccount`` is named it is the guarded one: the key's own, if it is locked to one, else
    the primary account, or the first of ``exchange.subaccounts`` where that is not guarded.
    """

    def buy(
        self,
        ticker: str,
        side: Side | str,
        count: Decimal,
        price: Decimal,
        *,
        rests: bool = False,
        subaccount: int | None = None,
    ) -> Outcome:
        """Buy ``count`` of ``side`` at ``price`` dollars or better; ``rests``: what does not fill stays."""

    def sell(
        self,
        ticker: str,
        side: Side | str,
        count: Decimal,
        price: Decimal,
        *,
        rests: bool = False,
        subaccount: int | None = None,
    ) -> Outcome:
        """Sell what is held of ``side``, at most ``count``, at ``price`` dollars or better."""

    def cancel(self, order_id: str, ticker: str, *, subaccount: int | None = None) -> Outcome:
        """Cancel a resting order. Never held back."""


class Watching(Protocol):
    """Asks the feed for the prices of markets that are not held. Every method returns at once."""

    def watch(self, ticker: str) -> None:
        """Subscribe ``ticker``; its price is in ``ctx.prices`` soon after."""

    def unwatch(self, ticker: str) -> None:
        """Let go of ``ticker``, even if a series brought it; a held market stays subscribed."""

    def follow_series(self, series: str) -> None:
        """Subscribe the markets of ``series`` from now on, as they come and go."""

    def unfollow_series(self, series: str) -> None:
        """Let go of ``series`` and its markets."""

    def series_markets(self, series: str) -> tuple[Market, ...]:
        """The open markets of a followed series, the one that closes first in front."""


class Holdings(Protocol):
    """What the monitor guards."""

    def positions(self) -> tuple[PositionView, ...]:
        """Every position as the monitor sees it now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything a strategy may touch."""

    environment: str  # simulated | demo | production | custom
    prices: Prices
    markets: Markets
    orders: Orders
    watching: Watching
    holdings: Holdings

    @property
    def positions(self) -> tuple[PositionView, ...]:
        """Every position as the monitor sees it now."""
        return self.holdings.positions()

    def watch(self, ticker: str) -> None:
        """Subscribe ``ticker``; its price is in ``ctx.prices`` soon after."""
        self.watching.watch(ticker)

    def unwatch(self, ticker: str) -> None:
        """Let go of ``ticker``, even if a series brought it; a held market stays subscribed."""
        self.watching.unwatch(ticker)

    def follow_series(self, series: str) -> None:
        """Subscribe the markets of ``series``, such as KXBTC15M, as they come and go. Twice is once."""
        self.watching.follow_series(series)

    def unfollow_series(self, series: str) -> None:
        """Let go of ``series`` and its markets."""
        self.watching.unfollow_series(series)

    def series_markets(self, series: str) -> tuple[Market, ...]:
        """The open markets of a followed series, the one that closes first in front. No request is made."""
        return self.watching.series_markets(series)
