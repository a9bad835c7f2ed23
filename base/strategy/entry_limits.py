"""How much a strategy may enter: per order, market and minute. Pure. Sales and cancels are never held."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryLimits:
    """``None`` is no limit. Counts are contracts, dollars are count × price without fees."""

    max_contracts_per_order: Decimal | None = None
    max_dollars_per_order: Decimal | None = None
    max_contracts_per_market: Decimal | None = None  # held now and this order together
    max_orders_per_minute: int | None = None


class EntryBudget:
    """Says whether one more entry is within the limits, and counts those that went out."""

    def __init__(self, limits: EntryLimits):
        self._limits = limits
        self._sent_s: deque[float] = deque(maxlen=limits.max_orders_per_minute or 1)

    def refuses(self, count: Decimal, price: Decimal, held: Decimal, now_s: float) -> str | None:
        """Why an entry of ``count`` at ``price`` may not go, with ``held`` contracts; ``None``: it may."""
        limits = self._limits
        if _is_above(count, limits.max_contracts_per_order):
            return "max_contracts_per_order"
        if _is_above(count * price, limits.max_dollars_per_order):
            return "max_dollars_per_order"
        if _is_above(held + count, limits.max_contracts_per_market):
            return "max_contracts_per_market"
        most = limits.max_orders_per_minute
        if most is not None and len(self._sent_s) == most and now_s - self._sent_s[0] < MINUTE_S:
            return "max_orders_per_minute"
        return None

    def sent(self, now_s: float) -> None:
        """Count an entry that went out."""
        self._sent_s.append(now_s)


def _is_above(value: Decimal, limit: Decimal | None) -> bool:
    return limit is not None and value > limit
