"""What a position would fetch and what it made. Pure; Decimal dollars."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from base.model import Level
from base.units import ZERO

TAKER_RATE = Decimal("0.07")
"""Dollars of fee per contract at P(1 − P) = 1. See: docs.kalshi.com fee schedule, read 2026-08-20."""
_MICRO = Decimal("0.000001")


def taker_fee(count: Decimal, price: Decimal) -> Decimal:
    """Estimate the fee of taking ``count`` at ``price``, in dollars, rounded up to 0.000001.

    For display only: a series may have its own multiplier; what was paid comes from fills.
    """
    return (TAKER_RATE * count * price * (1 - price)).quantize(_MICRO, ROUND_CEILING)


def walk(bids: tuple[Level, ...], count: Decimal) -> tuple[Decimal, Decimal] | None:
    """Sell ``count`` into ``bids``, best first: return ``(worst price, average net of fees)``.

    ``None`` when the visible bids do not cover it.
    """
    left, proceeds, worst = count, ZERO, ZERO
    for price, size in bids:
        taken = min(left, size)
        proceeds += taken * price - taker_fee(taken, price)
        worst = price
        left -= taken
        if left <= ZERO:
            return worst, proceeds / count
    return None


def executable(bids: tuple[Level, ...], count: Decimal) -> Decimal | None:
    """Average price net of the taker fee for all of ``count``; ``None`` where depth does not say."""
    walked = walk(bids, count)
    return None if walked is None else walked[1]


def exit_profit(
    entry: Decimal | None, average: Decimal | None, count: Decimal, fees: Decimal
) -> Decimal | None:
    """Profit of an exit in dollars: (average fill − entry) × count − exit fees; ``None``: not known."""
    return None if entry is None or average is None else (average - entry) * count - fees
