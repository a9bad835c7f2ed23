"""Strategies that behave badly, named by tests in ``strategy.class``."""

from __future__ import annotations

import threading

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
