"""Money, counts and price grids: Decimal from wire string to wire string.

Dollars are per contract unless a name says otherwise. Contracts come in steps of 0.01.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from base.errors import WireError

ZERO = Decimal(0)
ONE = Decimal(1)
COUNT_STEP = Decimal("0.01")
MOST_CONTRACTS = Decimal(10) ** 12
# A number as the exchange writes it. Decimal() alone would also take " 1", "1e-2", "NaN",
# "1_000" and digits of other scripts. Six decimals and twelve digits bound what we compute with.
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)
_NAME = re.compile(r"[!-+\--~]{1,200}")
"""Printable, without space and comma, which separates names in a request. 200: openapi.yaml 3.34.0."""


def parse_decimal(wire: object, field: str) -> Decimal:
    """Read a signed fixed-point string, e.g. ``"-12.50"``.

    Raises:
        WireError: If ``wire`` isn't a string holding a plain finite number.
    """
    # A float has already lost digits that we would decide on: refuse it here.
    if not isinstance(wire, str) or _NUMBER.fullmatch(wire) is None:
        raise WireError(field, wire)
    return Decimal(wire)


def parse_price(wire: object, field: str) -> Decimal:
    """Read dollars per contract, e.g. ``"0.5600"``; 0 and 1 included (empty sides are written so).

    Raises:
        WireError: If it isn't a number string from 0 to 1. ``"56"`` is cents: refused.
    """
    value = parse_decimal(wire, field)
    if not ZERO <= value <= ONE:
        raise WireError(field, wire)
    return value


def parse_count(wire: object, field: str) -> Decimal:
    """Read a number of contracts, 0 or more, e.g. ``"10.00"``.

    Raises:
        WireError: If it isn't a number string of at least 0.
    """
    value = parse_decimal(wire, field)
    if value < ZERO:
        raise WireError(field, wire)
    return value


def typed_name(typed: object) -> str:
    """Return the name of a market or series that somebody wrote in a program, if there could be such a one.

    One name that is none spoils the whole request it stands in, and prices of other markets with it.

    Raises:
        ValueError: It is no text, empty, too long, or has characters that no name has.
    """
    if isinstance(typed, str) and _NAME.fullmatch(typed) is not None:
        return typed
    raise ValueError(f"{typed!a:.60} is no name of a market or series, such as KXBTC15M")


def complement(price: Decimal | None) -> Decimal | None:
    """Return the same price seen from the other side, ``1 − price``; an absent price stays absent."""
    return None if price is None else ONE - price


def price_text(price: Decimal) -> str:
    """Write dollars with four decimals, e.g. ``0.5600``, as the exchange and our logs do."""
    return f"{price:.4f}"


def count_text(count: Decimal) -> str:
    """Write contracts with two decimals, e.g. ``25.00``."""
    return f"{count:.2f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRange:
    """One band of a price grid: prices ``start, start + step, … end``. Dollars."""

    start: Decimal
    end: Decimal
    step: Decimal


@dataclass(frozen=True, slots=True)
class PriceGrid:
    """The prices a market accepts, strictly between 0 and 1, bands in ascending order.

    The label of the structure says nothing; ``price_ranges`` is the only truth.
    See: docs.kalshi.com/getting_started/fixed_point_migration, read 2026-08-20.
    """

    ranges: tuple[PriceRange, ...]

    def __post_init__(self) -> None:
        if not self.ranges or any(r.step <= ZERO or r.end <= r.start for r in self.ranges):
            raise WireError("price_ranges", self.ranges)
        for lower, upper in zip(self.ranges, self.ranges[1:], strict=False):
            if upper.start < lower.end:
                raise WireError("price_ranges", self.ranges)

    @classmethod
    def of(cls, bands: Iterable[tuple[str, str, str]]) -> PriceGrid:
        """Build a grid from ``(start, end, step)`` strings in dollars."""
        ranges = [PriceRange(start=Decimal(a), end=Decimal(b), step=Decimal(c)) for a, b, c in bands]
        return cls(tuple(sorted(ranges, key=lambda band: band.start)))

    @property
    def lowest(self) -> Decimal:
        """The lowest price an order may carry: the first step above 0."""
        first = self.ranges[0]
        return first.start if first.start > ZERO else first.start + first.step

    @property
    def highest(self) -> Decimal:
        """The highest price an order may carry: the last step below 1."""
        last = self.ranges[-1]
        return last.end if last.end < ONE else last.end - last.step

    def contains(self, price: Decimal) -> bool:
        """Say whether an order may carry ``price``."""
        return self.lowest <= price <= self.highest and any(
            band.start <= price <= band.end and (price - band.start) % band.step == ZERO
            for band in self.ranges
        )

    def snap_down(self, price: Decimal) -> Decimal:
        """Return the nearest grid price at or below ``price``, never under ``lowest``."""
        return self._snap(price, ROUND_FLOOR)

    def snap_up(self, price: Decimal) -> Decimal:
        """Return the nearest grid price at or above ``price``, never over ``highest``."""
        return self._snap(price, ROUND_CEILING)

    def step_below(self, price: Decimal) -> Decimal:
        """Return the grid price one step under ``price``, never under ``lowest``."""
        for band in reversed(self.ranges):
            if band.start < price:
                steps = ((min(price, band.end) - band.start) / band.step).to_integral_value(ROUND_CEILING)
                below = band.start + (steps - 1) * band.step if price <= band.end else band.end
                return max(below, self.lowest)
        return self.lowest

    def mirrored(self) -> PriceGrid:
        """Return the same grid seen from the other side: price p becomes 1 − p."""
        return PriceGrid(
            tuple(
                PriceRange(start=ONE - band.end, end=ONE - band.start, step=band.step)
                for band in reversed(self.ranges)
            )
        )

    def _snap(self, price: Decimal, rounding: str) -> Decimal:
        if price <= self.lowest:
            return self.lowest
        if price >= self.highest:
            return self.highest
        for band in self.ranges:
            if band.start <= price <= band.end:
                steps = ((price - band.start) / band.step).to_integral_value(rounding)
                return max(self.lowest, min(band.start + steps * band.step, band.end, self.highest))
        # Between two bands that do not touch: the edges are the nearest prices.
        if rounding == ROUND_FLOOR:
            return max(band.end for band in self.ranges if band.end < price)
        return min(band.start for band in self.ranges if band.start > price)
