"""Entries stay within the user's limits; sales and exits are never held by them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from base.strategy.entry_limits import EntryBudget, EntryLimits

D = Decimal


@pytest.mark.parametrize(
    ("limits", "count", "held", "expected"),
    [
        pytest.param(EntryLimits(), "1000", "0", None, id="no limits"),
        pytest.param(EntryLimits(max_contracts_per_order=D(10)), "10", "0", None, id="at the order limit"),
        pytest.param(
            EntryLimits(max_contracts_per_order=D(10)), "10.01", "0", "max_contracts_per_order", id="over it"
        ),
        pytest.param(EntryLimits(max_dollars_per_order=D(5)), "10", "0", None, id="at the dollar limit"),
        pytest.param(
            EntryLimits(max_dollars_per_order=D(5)), "11", "0", "max_dollars_per_order", id="dollars"
        ),
        pytest.param(EntryLimits(max_contracts_per_market=D(20)), "10", "10", None, id="at the market limit"),
        pytest.param(
            EntryLimits(max_contracts_per_market=D(20)), "10", "11", "max_contracts_per_market", id="market"
        ),
    ],
)
def test_size_limits(limits: EntryLimits, count: str, held: str, expected: str | None) -> None:
    """Each limit includes its own value."""
    assert EntryBudget(limits).refuses(D(count), D("0.50"), D(held), 0.0) == expected


def test_orders_per_minute_free_themselves() -> None:
    """The third order within a minute waits; after the minute it may go."""
    budget = EntryBudget(EntryLimits(max_orders_per_minute=2))
    for at_s in (0.0, 10.0):
        assert budget.refuses(D(1), D("0.5"), D(0), at_s) is None
        budget.sent(at_s)
    assert budget.refuses(D(1), D("0.5"), D(0), 59.9) == "max_orders_per_minute"
    assert budget.refuses(D(1), D("0.5"), D(0), 60.0) is None
