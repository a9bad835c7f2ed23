"""Numbers of the hot path are remembered, within bounds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from base.kalshi import numbers
from base.kalshi.numbers import level_count, signed_change, top_price, top_size

D = Decimal


def test_what_does_not_fit_the_tables_is_read_each_time(monkeypatch: pytest.MonkeyPatch):
    """A flood of new spellings costs time, never memory, and gives the same numbers."""
    tables = (numbers._prices, numbers._sizes, numbers._changes)
    monkeypatch.setattr(numbers, "_MOST_PRICES", len(tables[0]))
    monkeypatch.setattr(numbers, "_MOST_COUNTS", 0)
    before = [len(table) for table in tables]
    for _ in range(2):
        assert top_price("0.123457") == D("0.123457")
        assert (top_size("98765.43"), level_count("0.000000")) == (D("98765.43"), D(0))
        assert signed_change("-98765.43") == D("-98765.43")
    assert [len(table) for table in tables] == before
