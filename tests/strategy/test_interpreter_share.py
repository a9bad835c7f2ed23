"""A strategy that only computes shares the interpreter with the guard in small turns."""

from __future__ import annotations

import sys
from typing import cast

import pytest

from base.strategy.contract import Context
from base.strategy.demo import Demo
from base.strategy.runner import SWITCH_S, StrategyRunner


def test_starting_a_strategy_shortens_the_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the start of a strategy on, no thread keeps the interpreter for longer than ``SWITCH_S``."""
    before_s = sys.getswitchinterval()
    monkeypatch.setattr(StrategyRunner, "_round", lambda runner: None)
    runner = StrategyRunner(Demo(), cast(Context, None), interval_s=60.0)
    try:
        runner.start()
        assert sys.getswitchinterval() <= SWITCH_S * 1.05  # Python keeps it in microseconds
        assert runner.stop(1.0)
    finally:
        sys.setswitchinterval(before_s)
