"""Grids, ladders, valuation, pace: the arithmetic an exit stands on."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import WireError
from base.model import Quote, Side, Source
from base.risk.ladder import floor_of, rungs
from base.risk.limits import Pace
from base.risk.valuation import executable, exit_profit, taker_fee, walk
from base.units import PriceGrid, parse_count, parse_decimal, parse_price

D = Decimal
CENT = PriceGrid.of([("0", "1", "0.01")])
TAPERED = PriceGrid.of([("0", "0.1", "0.001"), ("0.1", "0.9", "0.01"), ("0.9", "1", "0.001")])
COMBO = PriceGrid.of([("0", "0.01", "0.0001"), ("0.01", "0.99", "0.001"), ("0.99", "1", "0.0001")])
GRIDS = st.sampled_from([CENT, TAPERED, COMBO])
PRICES = st.integers(min_value=0, max_value=10_000).map(lambda n: D(n) / 10_000)


def book(*bids: tuple[str, str]) -> Quote:
    """A quote whose visible bids are these, best first."""
    levels = tuple((D(price), D(count)) for price, count in bids)
    bid, size = levels[0] if levels else (None, None)
    return Quote(
        ticker="T", side=Side.YES, bid=bid, ask=None, bid_size=size, ask_size=None, bids=levels, asks=(),
        source=Source.BOOK, exchange_ms=None, received_s=0.0, epoch=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    "wire",
    ["", " 0.5", "0.5 ", "NaN", "Infinity", "-Infinity", "1e-2", "1_0", "٠.٥", "0x1", ".5", "5.", "+1", None, 0.5, 1,
     True, [], "0.1234567", "1" * 13],
)  # fmt: skip
def test_a_number_that_is_not_one_is_refused(wire: object) -> None:
    """Doubt stops at the border."""
    with pytest.raises(WireError):
        parse_decimal(wire, "price")


def test_prices_and_counts_have_a_range() -> None:
    """Cents are not dollars, and nobody holds less than nothing in a book."""
    assert parse_price("0.5600", "p") == D("0.56")
    for wire in ("56", "1.0001", "-0.01"):
        with pytest.raises(WireError):
            parse_price(wire, "p")
    with pytest.raises(WireError):
        parse_count("-1.00", "c")


@pytest.mark.parametrize(
    ("grid", "lowest", "highest"),
    [(CENT, "0.01", "0.99"), (TAPERED, "0.001", "0.999"), (COMBO, "0.0001", "0.9999")],
)
def test_ends_of_a_grid(grid: PriceGrid, lowest: str, highest: str) -> None:
    """Prices lie strictly between 0 and 1."""
    assert (grid.lowest, grid.highest) == (D(lowest), D(highest))


@given(grid=GRIDS, price=PRICES)
def test_snapping_lands_on_the_grid_on_the_asked_side(grid: PriceGrid, price: Decimal) -> None:
    """Down never raises a price inside the range, up never lowers it, and both are valid order prices."""
    down, up = grid.snap_down(price), grid.snap_up(price)
    assert grid.contains(down)
    assert grid.contains(up)
    if grid.lowest <= price <= grid.highest:
        assert down <= price <= up
    if grid.contains(price):
        assert down == price == up


@given(grid=GRIDS, price=PRICES)
def test_a_mirrored_grid_is_the_same_grid_from_the_other_side(grid: PriceGrid, price: Decimal) -> None:
    """NO is never a special case."""
    mirrored = grid.mirrored()
    assert mirrored.contains(1 - price) == grid.contains(price)
    assert mirrored.snap_down(1 - price) == 1 - grid.snap_up(price)
    assert mirrored.mirrored() == grid


@given(grid=GRIDS, price=PRICES)
def test_one_step_below_is_the_next_price_down(grid: PriceGrid, price: Decimal) -> None:
    """Nothing of the grid lies between a price and its step below."""
    below = grid.step_below(price)
    assert grid.contains(below)
    if price > grid.lowest:
        assert below < price
        assert grid.snap_up(below + D("0.00005")) >= min(price, grid.highest)


def test_malformed_grids_are_refused() -> None:
    """Bands that overlap, run backwards or do not step."""
    for bands in (
        [],
        [("0", "1", "0")],
        [("0.5", "0.1", "0.01")],
        [("0", "0.6", "0.01"), ("0.5", "1", "0.01")],
    ):
        with pytest.raises(WireError):
            PriceGrid.of(bands)


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
    assert pace.free_at_s(61.0, is_new_id=True) == 61.0
