"""Numbers of the settings: exact, finite and in range, or a sentence that says what to write.

They come from ``yaml_text``, so a number is an ``int`` or a ``Decimal`` and never a float.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)
_FINEST_STEP = Decimal(
    "0.0001"
)  # no price grid is finer; see docs.kalshi.com/getting_started/fixed_point_migration


def exact(value: object) -> Decimal:
    """Return a typed number as Decimal, whether it stood in quotes or not.

    Raises:
        ValueError: If it isn't a plain finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError("should be a number, written in digits")
    if isinstance(value, str) and _NUMBER.fullmatch(value) is None:
        raise ValueError(f"should be a number written in digits, such as 0.40, not {value!r}")
    return Decimal(value)


def _price(value: object) -> Decimal:
    price = exact(value)
    if price >= 1 and price == price.to_integral_value():
        raise ValueError(f'should be dollars per contract between 0 and 1: 40 cents are "0.40", not {value}')
    if not 0 < price < 1:
        raise ValueError(f"should be a price between 0 and 1 dollar, both excluded, not {value}")
    if price % _FINEST_STEP:
        raise ValueError(f"should have at most four decimals, not {value}: no market has a finer price")
    return price


def _between(low: str, high: str, unit: str) -> Callable[[object], Decimal]:
    """Accept ``low < value < high``."""

    def check(value: object) -> Decimal:
        number = exact(value)
        if not Decimal(low) < number < Decimal(high):
            raise ValueError(f"should be {unit} above {low} and below {high}, not {value}")
        return number

    return check


def _seconds(low: str, high: str) -> Callable[[object], float]:
    """Accept ``low <= value <= high`` seconds; times are floats, money never is."""

    def check(value: object) -> float:
        if isinstance(value, str):
            raise ValueError(f"should be a number of seconds without quotes, not {value!r}")
        number = exact(value)
        if not Decimal(low) <= number <= Decimal(high):
            raise ValueError(f"should be from {low} to {high} seconds, not {value}")
        return float(number)

    return check


@dataclass(frozen=True, slots=True)
class Unit:
    """How the reference calls a setting's type and unit."""

    type: str
    unit: str


_DOLLARS = "dollars per contract"
Price = Annotated[Decimal, BeforeValidator(_price), Unit("price", _DOLLARS)]
"""Dollars per contract, 0 and 1 excluded, at most four decimals."""

Slippage = Annotated[
    Decimal, BeforeValidator(_between("0", "1", "dollars per contract")), Unit("number", _DOLLARS)
]
Percent = Annotated[Decimal, BeforeValidator(_between("0", "100", "percent")), Unit("number", "percent")]
Gain = Annotated[Decimal, BeforeValidator(_between("0", "10000", "percent")), Unit("number", "percent")]
Cents = Annotated[Decimal, BeforeValidator(_between("0", "100", "cents")), Unit("number", "cents")]
Contracts = Annotated[
    Decimal, BeforeValidator(_between("0", "1000000000", "contracts")), Unit("number", "contracts")
]
Dollars = Annotated[
    Decimal, BeforeValidator(_between("0", "1000000000", "dollars")), Unit("number", "dollars")
]
Speed = Annotated[Decimal, BeforeValidator(_between("0", "1000", "a factor")), Unit("number", "factor")]

Dwell = Annotated[float, BeforeValidator(_seconds("0", "3600")), Unit("0 to 3600", "seconds")]
Interval = Annotated[float, BeforeValidator(_seconds("0.1", "86400")), Unit("0.1 to 86400", "seconds")]
Cooldown = Annotated[float, BeforeValidator(_seconds("0", "86400")), Unit("0 to 86400", "seconds")]
