"""This machine's clock against the exchange's."""

from __future__ import annotations

import logging

import pytest

from base.risk.own_clock import OwnClock
from tests.risk.world import armed


@pytest.mark.parametrize(
    ("off_ms", "error_ms", "rings", "is_logged"),
    [
        pytest.param(0, 50, False, False, id="right"),
        pytest.param(1_500, 1_250, False, False, id="within what Date leaves open"),
        pytest.param(-2_500, 1_250, False, True, id="slightly behind"),
        pytest.param(6_000, 1_250, False, True, id="not surely bad"),
        pytest.param(3_600_000, 1_250, True, True, id="an hour fast"),
        pytest.param(-7_000, 50, True, True, id="behind"),
    ],
)
def test_a_clock_that_is_off(
    off_ms: int, error_ms: int, rings: bool, is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once in the log beyond a second, an alarm beyond five, and over when it is right."""
    world, clock, now_ms = armed(), OwnClock(), 1_795_000_000_000
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            clock.judge(world.guards, now_ms + off_ms, (now_ms, error_ms), world.moment())
    assert ("clock_wrong" in world.guards.alarms) is rings
    assert len(caplog.records) == int(is_logged)
    clock.judge(world.guards, now_ms, None, world.moment())
    assert "clock_wrong" not in world.guards.alarms
