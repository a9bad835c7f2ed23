"""Strategies that behave badly, named by tests in ``strategy.class``."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path

from base.model import Side
from base.risk.stop_loss import StopLossMonitor
from base.strategy.contract import Context


class Failing:
    """Raises in every round."""

    def collect(self, ctx: Context) -> None:
        """Gather nothing."""

    def compute(self, ctx: Context) -> None:
        """Fail."""
        raise RuntimeError("the strategy has a mistake in it")

    def execute(self, ctx: Context) -> None:
        """Never reached."""


class Hanging:
    """Its first round never ends."""

    def collect(self, ctx: Context) -> None:
        """Wait for ever."""
        threading.Event().wait()

    def compute(self, ctx: Context) -> None:
        """Never reached."""

    def execute(self, ctx: Context) -> None:
        """Never reached."""


class BuysOnce:
    """Notes what it sees in its first round, and buys ten contracts of another market."""

    # Of the newest one made, for the test that named the class:
    first_seen: tuple[str, ...] | None = None
    cash: Decimal | None = None
    rounds = 0

    def __init__(self) -> None:
        type(self).first_seen, type(self).rounds = None, 0

    def collect(self, ctx: Context) -> None:
        """Look."""
        if self.rounds == 0:
            type(self).first_seen = tuple(position.key.ticker for position in ctx.positions)
            type(self).cash = ctx.markets.balance()
            ctx.watch("KXTEST-26DEC31-B")

    def compute(self, ctx: Context) -> None:
        """Wait for a price."""
        self._seen = ctx.prices.wait_for("KXTEST-26DEC31-B", timeout_s=5.0)

    def execute(self, ctx: Context) -> None:
        """Buy once."""
        is_first = self.rounds == 0
        type(self).rounds += 1
        if is_first and self._seen is not None and self._seen.quote.ask is not None:
            ctx.orders.buy("KXTEST-26DEC31-B", Side.YES, Decimal(10), self._seen.quote.ask)


class Careless:
    """Names markets that cannot be, and sells more than is held."""

    # Of the newest one made, for the test that named the class:
    raised: tuple[str, ...] = ()
    rounds = 0

    def __init__(self) -> None:
        type(self).raised, type(self).rounds = (), 0

    def collect(self, ctx: Context) -> None:
        """Ask for what is no market."""
        for name in (5, None, "", ["KXTEST-26DEC31-A"], b"KX", "\ud800", "X" * 201, "A,B", "A B"):
            for ask in (ctx.watch, ctx.follow_series, ctx.markets.open_markets):
                try:
                    ask(name)  # type: ignore[arg-type]
                except ValueError as e:
                    type(self).raised += (str(e),)

    def compute(self, ctx: Context) -> None:
        """Nothing to compute."""

    def execute(self, ctx: Context) -> None:
        """Sell five times what is held, once it is seen."""
        if self.rounds == 0 and any(p.key.ticker == "KXTEST-26DEC31-B" for p in ctx.positions):
            ctx.orders.sell("KXTEST-26DEC31-B", "no", Decimal(50), Decimal("0.01"))
            type(self).rounds += 1


class BreaksTheMonitor:
    """Raises in every round; once a file named break-it lies there, lets the stop-loss monitor raise."""

    def collect(self, ctx: Context) -> None:
        """Break what is to be broken."""
        if Path("break-it").exists():
            Path("break-it").unlink()
            StopLossMonitor._round = _broken  # type: ignore[method-assign]

    def compute(self, ctx: Context) -> None:
        """Fail."""
        raise RuntimeError("the strategy has a mistake in it")

    def execute(self, ctx: Context) -> None:
        """Never reached."""


def _broken(monitor: StopLossMonitor) -> None:
    raise RuntimeError("the monitor was broken on purpose")
