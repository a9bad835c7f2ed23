"""Seeded liquidity: a ladder of bids and asks around a price that a script moves.

The maker's orders go through the real engine like everybody else's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from base.simulator.engine.market import Market, Status
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Side
from base.simulator.scenarios.stage import MAKER, Stage

LEVELS = 18
SIZE = (40, 260)  # contracts at one level, drawn anew when a level is filled up
HAIR = Decimal("0.000001")


@dataclass(slots=True)
class Ladder:
    """One market's maker. ``bid`` is its best bid; ``spread`` in dollars, at least one step.

    ``size`` bounds the contracts at one level, ``ask_size`` those of asks where they differ.
    """

    ticker: str
    bid: Decimal
    spread: Decimal = Decimal("0.02")
    size: tuple[int, int] = SIZE
    ask_size: tuple[int, int] | None = None
    levels: int = LEVELS
    _shown: dict[Side, dict[Decimal, Decimal]] = field(default_factory=lambda: {Side.BID: {}, Side.ASK: {}})

    def move_to(self, stage: Stage, bid: Decimal) -> None:
        """Put the best bid at ``bid``. The side in the way leaves first, so nothing crosses."""
        falls = bid < self.bid
        self.bid = bid
        for side in (Side.BID, Side.ASK) if falls else (Side.ASK, Side.BID):
            self._fill(stage, side)

    def refresh(self, stage: Stage) -> None:
        """Change the size at the top and at one level near it, and refill what was taken."""
        side = stage.random.choice((Side.BID, Side.ASK))
        prices = self._prices(stage, side)[:6]
        if prices:
            for price in dict.fromkeys((prices[0], stage.random.choice(prices))):
                self._shown[side][price] = self._draw(stage, side, self._shown[side].get(price))
        for each in (Side.BID, Side.ASK):
            self._fill(stage, each)

    def _draw(self, stage: Stage, side: Side, old: Decimal | None = None) -> Decimal:
        bounds = self.ask_size if side is Side.ASK and self.ask_size else self.size
        fresh = Decimal(stage.random.randint(*bounds))
        return fresh + 1 if fresh == old else fresh

    def _market(self, stage: Stage) -> Market:
        return stage.exchange.state.market(self.ticker)

    def _prices(self, stage: Stage, side: Side) -> list[Decimal]:
        """Return the ladder's prices, best first, all on the market's grid."""
        grid = self._market(stage).grid
        price = self.bid if side is Side.BID else self.bid + self.spread
        prices: list[Decimal] = []
        while len(prices) < self.levels and grid.lowest <= price <= grid.highest:
            prices.append(price)
            if side is Side.ASK:
                price += grid.step_at(price + HAIR)
            else:
                price -= grid.step_at(price - HAIR)
        return prices

    def _fill(self, stage: Stage, side: Side) -> None:
        """Show the wanted levels, then take the stale ones away, the farthest first.

        In this order the best price moves in one update, however far it moves.
        """
        if self._market(stage).status is not Status.ACTIVE:
            return
        wanted, shown = self._prices(stage, side), self._shown[side]
        for price in wanted:
            if price not in shown:
                shown[price] = self._draw(stage, side)
            self._set(stage, side, price, shown[price])
        stale = sorted((p for p in shown if p not in wanted), reverse=side is Side.ASK)
        for price in stale:
            del shown[price]
            self._set(stage, side, price, ZERO)

    def _set(self, stage: Stage, side: Side, price: Decimal, count: Decimal) -> None:
        stage.exchange.set_level(self.ticker, side, price, count, stage.now_ms(), maker=MAKER)
