"""The demonstration: holds three positions on the embedded exchange and leaves them to the monitor."""

from __future__ import annotations

from decimal import Decimal

from base.model import Accepted, Market, Side
from base.strategy.contract import Context

COUNT = Decimal(10)
PRICE_WITHIN_S = 5.0
CASH_SHARE = Decimal("0.5")
"""It spends at most this part of the cash."""


class Demo:
    """Buys ten contracts of a third open market once; afterwards it only watches.

    It refuses every environment but the embedded exchange: it has no reason to trade.
    """

    def __init__(self) -> None:
        self._candidates: list[Market] = []
        self._chosen: tuple[str, Decimal] | None = None
        self._is_done = False

    def collect(self, ctx: Context) -> None:
        """Find open markets beside those held, and ask for their prices."""
        if ctx.environment != "simulated":
            raise RuntimeError("the demo strategy trades on the embedded exchange only")
        if self._is_done:
            return
        held = {position.key.ticker for position in ctx.positions}
        series = {ticker.partition("-")[0] for ticker in held}
        self._candidates = [
            market for name in sorted(series) for market in ctx.markets.open_markets(name)
            if market.ticker not in held
        ]  # fmt: skip
        for market in self._candidates:
            ctx.watch(market.ticker)

    def compute(self, ctx: Context) -> None:
        """Choose the first market with a proven ask that the cash pays for."""
        self._chosen = None
        if self._is_done or not self._candidates:
            return
        cash = ctx.markets.balance() * CASH_SHARE
        for market in self._candidates:
            seen = ctx.prices.wait_for(market.ticker, timeout_s=PRICE_WITHIN_S)
            if seen is None or seen.quote.ask is None:
                continue
            if seen.quote.ask * COUNT <= cash:
                self._chosen = market.ticker, seen.quote.ask
                return

    def execute(self, ctx: Context) -> None:
        """Buy it, once."""
        if self._chosen is None:
            return
        ticker, ask = self._chosen
        outcome = ctx.orders.buy(ticker, Side.YES, COUNT, ask)
        self._is_done = isinstance(outcome, Accepted) and outcome.filled > 0
