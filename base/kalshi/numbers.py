"""Prices and counts of the hot path, read once and remembered. Pure.

A price has at most ten thousand spellings and sizes repeat, so most numbers are found in a
table; only a spelling never seen is parsed and checked. The tables are bounded: what does not
fit is parsed each time.
"""

from __future__ import annotations

from decimal import Decimal

from base.errors import WireError
from base.units import ONE, ZERO, parse_count, parse_decimal, parse_price

_MOST_PRICES = 20_000
_MOST_COUNTS = 50_000

_prices: dict[str, Decimal | None] = {}  # None: a placeholder of an empty side
_sizes: dict[str, Decimal | None] = {}
_changes: dict[str, Decimal] = {}


def top_price(wire: str | None) -> Decimal | None:
    """Read a best price; ``None`` for the placeholders of an empty side: 0, 1, ``""`` and null.

    Raises:
        WireError: If it is anything else than a number string from 0 to 1.
    """
    if wire is None or wire == "":
        return None
    try:
        return _prices[wire]
    except KeyError:
        value = parse_price(wire, "price")
        found = value if ZERO < value < ONE else None
        if len(_prices) < _MOST_PRICES:
            _prices[wire] = found
        return found


def top_size(wire: str) -> Decimal | None:
    """Read the contracts at a best price; ``None`` for zero.

    Raises:
        WireError: If it isn't a number string of at least 0.
    """
    try:
        return _sizes[wire]
    except KeyError:
        value = parse_count(wire, "size")
        found = value if value > ZERO else None
        if len(_sizes) < _MOST_COUNTS:
            _sizes[wire] = found
        return found


def level_price(wire: str) -> Decimal:
    """Read the price of a level or a trade: strictly between 0 and 1.

    Raises:
        WireError: If it isn't.
    """
    price = top_price(wire)
    if price is None:
        raise WireError("price", wire)
    return price


def level_count(wire: str) -> Decimal:
    """Read a number of contracts, 0 included.

    Raises:
        WireError: If it isn't a number string of at least 0.
    """
    count = top_size(wire)
    return ZERO if count is None else count


def signed_change(wire: str) -> Decimal:
    """Read a signed change of contracts.

    Raises:
        WireError: If it isn't a number string.
    """
    try:
        return _changes[wire]
    except KeyError:
        value = parse_decimal(wire, "delta_fp")
        if len(_changes) < _MOST_COUNTS:
            _changes[wire] = value
        return value
