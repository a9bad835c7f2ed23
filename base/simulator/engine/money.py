"""Dollars and contracts: from the wire's strings to Decimal and back. Never a float."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache

ZERO = Decimal("0.00")
ONE = Decimal("1.00")
COUNT_STEP = Decimal("0.01")  # contracts
FEE_STEP = Decimal("0.000001")  # dollars
BALANCE_STEP = Decimal("0.0001")  # dollars; precision of a direct member's balance

_PRICE = re.compile(r"\d{1,4}(\.\d{1,6})?")
_COUNT = re.compile(r"\d{1,12}(\.\d{1,2})?")


def read_price(wire: object) -> Decimal | None:
    """Return dollars, or None unless ``wire`` is a plain decimal string."""
    if not isinstance(wire, str) or not _PRICE.fullmatch(wire):
        return None
    return Decimal(wire)


def read_count(wire: object) -> Decimal | None:
    """Return contracts (step 0.01), or None unless ``wire`` is such a string."""
    if not isinstance(wire, str) or not _COUNT.fullmatch(wire):
        return None
    return Decimal(wire).quantize(COUNT_STEP)


@lru_cache(maxsize=65536)
def dollars(value: Decimal) -> str:
    """Write a price: four places, more only when the value has more."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -4 and value % BALANCE_STEP:
        return f"{value:.6f}"
    return f"{value:.4f}"


def dollars6(value: Decimal) -> str:
    """Write a cost or a fee: six places."""
    return f"{value:.6f}"


@lru_cache(maxsize=65536)
def contracts(value: Decimal) -> str:
    """Write a count: two places."""
    return f"{value:.2f}"


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Round towards minus infinity onto ``step`` (a power of ten)."""
    return value.quantize(step, rounding=ROUND_FLOOR)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Round towards plus infinity onto ``step`` (a power of ten)."""
    return value.quantize(step, rounding=ROUND_CEILING)
