"""A strategy that trades whatever market of a series is open."""

from __future__ import annotations

from decimal import Decimal

from base.model import Accepted, Market, Side
from base.strategy.contract import Context

SERIES = "KXROLL"
BESIDE = "KXTEST-26DEC31-B"


class BuysEachMarket:
    """Buys one contract of every market of the series, in the four steps of a round."""

    newest: BuysEachMarket | None = None

    def __init__(self) -> None:
        BuysEachMarket.newest = self
        self.open: tuple[Market, ...] = ()
        self.asks: dict[str, Decimal] = {}
        self.bought: list[str] = []
        self.updates = 0

    def collect(self, ctx: Context) -> None:
        ctx.follow_series(SERIES)
        self.open = ctx.series_markets(SERIES)

    def compute(self, ctx: Context) -> None:
        self.asks = {}
        for market in self.open:
            seen = ctx.prices.quote(market.ticker, Side.YES)
            if market.ticker not in self.bought and seen is not None and seen.quote.ask is not None:
                self.asks[market.ticker] = seen.quote.ask

    def execute(self, ctx: Context) -> None:
        for ticker, ask in self.asks.items():
            if isinstance(ctx.orders.buy(ticker, Side.YES, Decimal(1), ask), Accepted):
                self.bought.append(ticker)

    def update_subscriptions(self, ctx: Context) -> None:
        self.updates += 1
        ctx.watch(BESIDE)
        if len(self.bought) == 2:
            ctx.unwatch(BESIDE)
