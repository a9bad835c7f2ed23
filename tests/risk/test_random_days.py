"""Whatever happens in whatever order, an exit keeps its promises."""

from __future__ import annotations

import pytest

from tests.risk.random_days import violation_of

pytestmark = pytest.mark.wide

STEPS = 120


@pytest.mark.parametrize("first", range(0, 151, 50))
def test_no_day_breaks_a_promise(first: int) -> None:
    """One order at a time, journalled, inside its floor, on fresh evidence, never more than was held.

    And once the faults end: the monitor knows what is held, and nothing stays open without reason.
    """
    days = [violation_of(seed, STEPS) for seed in range(first, min(first + 50, 151))]
    assert [violation for violation, _ in days if violation is not None] == []
