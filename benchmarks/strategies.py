"""Strategies that make work for the benchmarks. They are run like any user's."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

from base.model import Accepted, Side
from base.strategy.contract import Context

WATCHED = tuple(f"KXWATCHED-26DEC31-{n:02}" for n in range(50))
TRADED = "KXTRADED-26DEC31-A"
TURN_S = 1.0


class Idle:
    """Does nothing."""

    def collect(self, ctx: Context) -> None:
        """Nothing."""

    def compute(self, ctx: Context) -> None:
        """Nothing."""

    def execute(self, ctx: Context) -> None:
        """Nothing."""


class Watching(Idle):
    """Watches the prices of fifty markets."""

    def collect(self, ctx: Context) -> None:
        """Ask for them; twice is once."""
        for ticker in WATCHED:
            ctx.watch(ticker)


class Burning(Watching):
    """Keeps one core busy in pure Python, and sends orders as fast as the budget lets it."""

    enough = threading.Event()
    orders = 0  # sent since the program began

    def __init__(self) -> None:
        self.enough.clear()
        threading.Thread(target=self._count, name="burner", daemon=True).start()

    def execute(self, ctx: Context) -> None:
        """Ask for one contract at a price that nobody sells at, again and again."""
        until_s = time.monotonic() + TURN_S
        while time.monotonic() < until_s and not self.enough.is_set():
            outcome = ctx.orders.buy(TRADED, Side.YES, Decimal(1), Decimal("0.01"))
            Burning.orders += isinstance(outcome, Accepted)

    def _count(self) -> None:
        count = 0
        while not self.enough.is_set():
            count += sum(range(50))
