"""Numbers and names from outside, how they are written, and the prices a market accepts."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import WireError
from base.units import (
    COUNT_STEP,
    MOST_CONTRACTS,
    ONE,
    ZERO,
    PriceGrid,
    complement,
    count_text,
    parse_count,
    parse_decimal,
    parse_price,
    price_text,
    typed_name,
)

D = Decimal
CENT = PriceGrid.of([("0", "1", "0.01")])
TAPERED = PriceGrid.of([("0", "0.1", "0.001"), ("0.1", "0.9", "0.01"), ("0.9", "1", "0.001")])
COMBO = PriceGrid.of([("0", "0.01", "0.0001"), ("0.01", "0.99", "0.001"), ("0.99", "1", "0.0001")])
PARTED = PriceGrid.of([("0.60", "0.90", "0.10"), ("0.10", "0.40", "0.10")])
"""Two bands that do not touch, and touch neither 0 nor 1."""
SHIFTED = PriceGrid.of([("0.003", "0.993", "0.01")])
GRIDS = st.sampled_from([CENT, TAPERED, COMBO])
PRICES = st.integers(min_value=0, max_value=10_000).map(lambda n: D(n) / 10_000)


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


@pytest.mark.parametrize("wire", ["0", "1", "-0", "0.000001", "-12.50", "999999999999", "000000000001.5"])
def test_a_number_is_read_digit_by_digit(wire: str) -> None:
    """Nothing is rounded, and what was written stays what it is."""
    assert parse_decimal(wire, "x") == D(wire)


@pytest.mark.parametrize("wire", ["0", "0.0000", "1.0000", "0.5600"])
def test_the_ends_of_the_price_range_are_prices(wire: str) -> None:
    """Empty sides are written so; zero contracts are a count."""
    assert parse_price(wire, "p") == D(wire)
    assert parse_count(wire, "c") == D(wire)


def test_what_is_refused_is_named() -> None:
    """The error says which field it was, and what stood there."""
    with pytest.raises(WireError, match="yes_bid cannot be '56'"):
        parse_price("56", "yes_bid")
    with pytest.raises(WireError, match="count cannot be '-1'"):
        parse_count("-1", "count")
    with pytest.raises(WireError, match=r"fee cannot be 0\.5"):
        parse_decimal(0.5, "fee")


def test_units_of_what_is_traded() -> None:
    """Contracts come in hundredths; more than twelve digits of them nobody writes or holds."""
    assert (D(0), D(1), D("0.01")) == (ZERO, ONE, COUNT_STEP)
    assert parse_count("9" * 12, "c") < MOST_CONTRACTS == D("1000000000000")


def test_how_prices_and_counts_are_written() -> None:
    """Four decimals and two, as the exchange and our logs do; the other side of a price is a dollar less it."""
    assert (price_text(D("0.56")), count_text(D(25))) == ("0.5600", "25.00")
    assert (complement(D("0.56")), complement(D(0)), complement(None)) == (D("0.44"), D(1), None)


@pytest.mark.parametrize("name", ["KXBTC15M", "KXBTC-26NOV20-T55.5", "a" * 200, "!", "~", "x/y+z-"])
def test_a_name_that_may_be_one(name: str) -> None:
    """Printable, without space and comma."""
    assert typed_name(name) == name


@pytest.mark.parametrize(
    "typed", ["", "a" * 201, "KX A", "KXA,KXB", "KXÄ", "KXA\n", None, 7, b"KXA", ["KXA"]]
)
def test_a_name_that_cannot_be_one_is_refused(typed: object) -> None:
    """It would spoil the whole request it stands in; the error shows it, however long it is."""
    with pytest.raises(ValueError, match="is no name of a market or series") as said:
        typed_name(typed)
    assert len(str(said.value)) < 130


# --- grids, price by price ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grid", "price", "down", "up", "below"),
    [
        pytest.param(CENT, "0.42", "0.42", "0.42", "0.41", id="on the grid"),
        pytest.param(CENT, "0.425", "0.42", "0.43", "0.42", id="between two steps"),
        pytest.param(CENT, "0.01", "0.01", "0.01", "0.01", id="the lowest"),
        pytest.param(CENT, "0.02", "0.02", "0.02", "0.01", id="the second"),
        pytest.param(CENT, "0", "0.01", "0.01", "0.01", id="zero"),
        pytest.param(CENT, "0.995", "0.99", "0.99", "0.99", id="above the highest"),
        pytest.param(CENT, "1", "0.99", "0.99", "0.99", id="a dollar"),
        pytest.param(TAPERED, "0.1", "0.1", "0.1", "0.099", id="where a fine band ends"),
        pytest.param(TAPERED, "0.105", "0.10", "0.11", "0.1", id="in the coarse band"),
        pytest.param(TAPERED, "0.9", "0.9", "0.9", "0.89", id="where a fine band begins"),
        pytest.param(TAPERED, "0.9005", "0.900", "0.901", "0.9", id="in the upper band"),
        pytest.param(TAPERED, "0.0005", "0.001", "0.001", "0.001", id="under the lowest of a fine band"),
        pytest.param(PARTED, "0.50", "0.40", "0.60", "0.40", id="between two bands"),
        pytest.param(PARTED, "0.60", "0.60", "0.60", "0.40", id="the upper band's first"),
        pytest.param(PARTED, "0.40", "0.40", "0.40", "0.30", id="the lower band's last"),
        pytest.param(SHIFTED, "0.42", "0.413", "0.423", "0.413", id="steps count from the band's start"),
        pytest.param(PARTED, "0.05", "0.10", "0.10", "0.10", id="under all bands"),
        pytest.param(PARTED, "0.95", "0.90", "0.90", "0.90", id="above all bands"),
        pytest.param(PARTED, "0.35", "0.30", "0.40", "0.30", id="in the lower band"),
    ],
)
def test_steps_of_a_grid(grid: PriceGrid, price: str, down: str, up: str, below: str) -> None:
    """The nearest price at or below, at or above, and one step under; the ends are never left."""
    assert (grid.snap_down(D(price)), grid.snap_up(D(price))) == (D(down), D(up))
    assert grid.step_below(D(price)) == D(below)


@pytest.mark.parametrize(
    ("grid", "price", "is_on"),
    [
        (CENT, "0.42", True), (CENT, "0.425", False), (CENT, "0.01", True), (CENT, "0", False), (CENT, "0.99", True),
        (CENT, "1", False), (TAPERED, "0.099", True), (TAPERED, "0.105", False), (TAPERED, "0.9", True),
        (PARTED, "0.50", False), (PARTED, "0.40", True), (PARTED, "0.60", True), (PARTED, "0.65", False),
        (PARTED, "0.10", True), (PARTED, "0.90", True), (SHIFTED, "0.013", True), (SHIFTED, "0.01", False),
    ],
)  # fmt: skip
def test_which_prices_an_order_may_carry(grid: PriceGrid, price: str, is_on: bool) -> None:
    """On a step of a band, both ends of it included, and never zero or a dollar."""
    assert grid.contains(D(price)) is is_on


def test_bands_that_meet_or_lie_apart_make_a_grid() -> None:
    """In any order; only an overlap, a band without length and a step of nothing do not."""
    assert [band.start for band in PARTED.ranges] == [D("0.10"), D("0.60")]
    assert (PARTED.lowest, PARTED.highest) == (D("0.10"), D("0.90"))
    for bands in ([("0.5", "0.5", "0.01")], [("0", "1", "-0.01")], [("0", "1", "0.01"), ("0", "1", "0.01")]):
        with pytest.raises(WireError, match="price_ranges"):
            PriceGrid.of(bands)


@pytest.mark.parametrize("fact", [CENT, CENT.ranges[0]])
def test_a_grid_cannot_be_changed(fact: Any) -> None:
    """A market's grid is shared by everybody who trades it; another one comes with another market."""
    name = fields(fact)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(fact, name, getattr(fact, name))
    assert not hasattr(fact, "__dict__")
