"""The demonstration: holds a third position on the embedded exchange and leaves it to the monitor."""

from __future__ import annotations

from decimal import Decimal

from base.model import Accepted, Side
from base.strategy.contract import Context

COUNT = Decimal(10)
HALF = Decimal("0.5")
CASH_SHARE = Decimal("0.5")
"""It spends at most this part of the cash."""
PRICE_WITHIN_S = 5.0
TRIES = 3


class Demo:
    """Buys ten contracts of a third open market once; afterwards it only watches.

    It refuses every environment but the embedded exchange: it has no reason to trade.
    """

    def __init__(self) -> None:
        self._candidates: list[str] = []
        self._chosen: str | None = None
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
            market.ticker
            for name in sorted(series)
            for market in ctx.markets.open_markets(name)
            if market.ticker not in held
        ]
        for ticker in self._candidates:
            ctx.watch(ticker)

    def compute(self, ctx: Context) -> None:
        """Choose the most open question: the proven ask nearest to half a dollar that the cash pays for."""
        self._chosen = None
        if self._is_done or not self._candidates:
            return
        cash = ctx.markets.balance() * CASH_SHARE
        asks = {ticker: ask for ticker in self._candidates if (ask := self._ask(ctx, ticker)) is not None}
        affordable = [ticker for ticker, ask in asks.items() if ask * COUNT <= cash]
        self._chosen = min(affordable, key=lambda ticker: abs(asks[ticker] - HALF), default=None)

    def execute(self, ctx: Context) -> None:
        """Buy it at the ask; a price that moved away is tried again, a few times."""
        if self._chosen is None:
            return
        for _ in range(TRIES):
            if (ask := self._ask(ctx, self._chosen)) is None:
                return
            outcome = ctx.orders.buy(self._chosen, Side.YES, COUNT, ask)
            if not isinstance(outcome, Accepted):
                return  # refused, or nobody knows: not sent again
            if outcome.filled > 0:
                self._is_done = True
                return

    def _ask(self, ctx: Context, ticker: str) -> Decimal | None:
        """The proven ask now; ``None``: empty, or no price came."""
        seen = ctx.prices.wait_for(ticker, timeout_s=PRICE_WITHIN_S)
        return None if seen is None else seen.quote.ask
