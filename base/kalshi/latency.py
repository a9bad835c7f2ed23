"""The latest latencies and what they amount to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import fmean

WINDOW = 2048


class RecentValues:
    """A ring of the newest numbers. One thread notes; any thread may copy."""

    def __init__(self, size: int = WINDOW):
        self._size = size
        self._values: list[float] = []
        self._noted = 0

    def note(self, value: float) -> None:
        """Keep ``value``; the oldest makes room for it."""
        if len(self._values) < self._size:
            self._values.append(value)
        else:
            self._values[self._noted % self._size] = value
        self._noted += 1

    def copy(self) -> list[float]:
        """The values kept now, in no order."""
        return self._values[:]  # one step of the interpreter: a writer cannot come in between


def summary_ms(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """Mean, median, P95 and P99 in milliseconds, by nearest rank; all ``None`` without a sample."""
    ranked = sorted(seconds)

    def rank(share: float) -> float | None:
        return round(ranked[max(0, ceil(share * len(ranked)) - 1)] * 1000, 3) if ranked else None

    mean = round(fmean(ranked) * 1000, 3) if ranked else None
    return {
        "mean": mean,
        "median": rank(0.50),
        "p95": rank(0.95),
        "p99": rank(0.99),
        "samples": len(ranked),
    }
