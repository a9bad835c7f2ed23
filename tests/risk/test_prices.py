"""Ladders, valuation, pace: the arithmetic an exit stands on."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.model import Quote, Side, Source
from base.risk.ladder import floor_of, rungs
from base.risk.limits import Pace
from base.risk.valuation import executable, exit_profit, taker_fee, walk
from base.units import PriceGrid
from tests.risk.test_units import CENT, GRIDS, PRICES

D = Decimal


def book(*bids: tuple[str, str]) -> Quote:
    """A quote whose visible bids are these, best first."""
    levels = tuple((D(price), D(count)) for price, count in bids)
    bid, size = levels[0] if levels else (None, None)
    return Quote(
        ticker="T", side=Side.YES, bid=bid, ask=None, bid_size=size, ask_size=None, bids=levels, asks=(),
        source=Source.BOOK, exchange_ms=None, received_s=0.0, epoch=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("quote", "left", "floor", "last", "expected"),
    [
        pytest.param(
            book(("0.40", "10")), "10", "0.30", None, ["0.39", "0.30"], id="top covers: a step under it"
        ),
        pytest.param(
            book(("0.40", "4"), ("0.38", "6")),
            "10",
            "0.30",
            None,
            ["0.37", "0.30"],
            id="walks to what covers",
        ),
        pytest.param(book(("0.40", "4")), "10", "0.30", None, ["0.30"], id="not covered: the floor"),
        pytest.param(book(("0.31", "10")), "10", "0.30", None, ["0.30"], id="equal rungs are one"),
        pytest.param(book(("0.29", "10")), "10", "0.30", None, [], id="no bid inside the floor"),
        pytest.param(book(), "10", "0.30", None, [], id="no bid"),
        pytest.param(
            book(("0.25", "10")), "10", "0.30", "0.20", ["0.30", "0.20"], id="chases to the last floor"
        ),
        pytest.param(book(("0.40", "10")), "10", "0.305", None, ["0.39", "0.31"], id="snaps up at the floor"),
        pytest.param(
            replace(book(("0.40", "10")), bids=()), "10", "0.30", None, ["0.39", "0.30"], id="top only"
        ),
    ],
)
def test_rungs(quote: Quote, left: str, floor: str, last: str | None, expected: list[str]) -> None:
    """The prices of the ladder, best first, never under the floor."""
    prices = rungs(quote, D(left), D(floor), None if last is None else D(last), CENT)
    assert list(prices) == [D(price) for price in expected]


@given(
    grid=GRIDS, level=PRICES, slip=PRICES, left=st.integers(1, 500),
    bids=st.lists(st.tuples(st.integers(1, 9999), st.integers(1, 300)), max_size=8),
)  # fmt: skip
def test_no_rung_lies_under_the_floor_or_off_the_grid(
    grid: PriceGrid, level: Decimal, slip: Decimal, left: int, bids: list[tuple[int, int]]
) -> None:
    """Whatever the book looks like."""
    floor = floor_of(level, slip, grid)
    levels = sorted({D(price) / 10_000: D(count) for price, count in bids}.items(), reverse=True)
    prices = rungs(book(*((str(p), str(c)) for p, c in levels)), D(left), floor, None, grid)
    assert all(grid.contains(price) for price in prices)
    assert all(price >= min(floor, grid.highest) for price in prices)
    assert list(prices) == sorted(set(prices), reverse=True)


def test_fees_and_value() -> None:
    """The documented example: 100 at 0.40 pay 1.68; an exit is worth what the bids pay, net of it."""
    assert taker_fee(D(100), D("0.40")) == D("1.68")
    assert executable(((D("0.40"), D(100)),), D(100)) == D("0.3832")
    assert walk(((D("0.40"), D(99)),), D(100)) is None
    assert exit_profit(D("0.60"), D("0.40"), D(10), D("0.17")) == D("-2.17")
    assert exit_profit(None, D("0.40"), D(10), D(0)) is None


def test_pace_frees_itself() -> None:
    """Six new ids, twelve requests in any sixty seconds; then it waits, never latches."""
    pace = Pace()
    for n in range(6):
        assert pace.free_at_s(float(n), is_new_id=True) == n
        pace.sent(float(n), is_new_id=True)
    assert pace.free_at_s(10.0, is_new_id=True) == 63.0
    assert pace.free_at_s(10.0, is_new_id=False) == 10.0
    for n in range(6):
        pace.sent(10.0 + n, is_new_id=False)
    assert pace.free_at_s(20.0, is_new_id=False) == 63.0
    assert pace.free_at_s(64.0, is_new_id=True) == 64.0
