"""Reference values of CF Benchmarks as Kalshi passes them on: the newest ticks and their averages.

Everything published here is made up by a play or a test, and every frame says so.
See: asyncapi.yaml of 2026-10, channels cfbenchmarks_value and cfbenchmarks_value_5hz.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

MINUTE_MS = 60_000
QUARTER_MS = 15 * MINUTE_MS
FIVE_HZ = frozenset({"BRTI", "ETHUSD_RTI", "SOLUSD_RTI", "XRPUSD_RTI", "DOGEUSD_RTI"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One value in dollars. Times are Unix milliseconds."""

    index_id: str
    value: Decimal
    source_ms: int
    received_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """The mean of ``size`` ticks in a window of Unix milliseconds."""

    value: Decimal
    size: int
    start_ms: int
    end_ms: int  # exclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages:
    """What the channel of one value a second adds: the minute before, and a quarter hour's last minute."""

    trailing: Average
    closing: Average | None


Listener = Callable[[Tick, Averages | None], None]


@dataclass(slots=True)
class Indices:
    """Every index that ticked. ``listeners`` are given averages with one tick a second, else None."""

    listeners: list[Listener] = field(default_factory=list)
    _newest_ms: dict[str, int] = field(default_factory=dict)
    _seconds: dict[str, deque[Tick]] = field(default_factory=dict)  # one a second, the last minute

    def streamed_on(self, channel: str) -> list[str]:
        """Return the ids that a channel has sent; ``pyth_value`` sends none."""
        if channel == "pyth_value":
            return []
        return sorted(i for i in self._newest_ms if channel == "cfbenchmarks_value" or i in FIVE_HZ)

    def tick(self, tick: Tick) -> None:
        """Publish a value; one that is not newer than the last is dropped [spec]."""
        newest_ms = self._newest_ms.get(tick.index_id)
        if newest_ms is not None and tick.source_ms <= newest_ms:
            return
        self._newest_ms[tick.index_id] = tick.source_ms
        is_new_second = newest_ms is None or tick.source_ms // 1000 > newest_ms // 1000
        averages = self._averages(tick) if is_new_second else None
        for listener in self.listeners:
            listener(tick, averages)

    def _averages(self, tick: Tick) -> Averages:
        seconds = self._seconds.setdefault(tick.index_id, deque())
        start_ms = tick.source_ms - MINUTE_MS
        while seconds and seconds[0].source_ms < start_ms:
            seconds.popleft()
        # Prior ticks only; without any the value itself stands for them.
        trailing = Average(
            value=_mean([each.value for each in seconds] or [tick.value]),
            size=len(seconds),
            start_ms=start_ms,
            end_ms=tick.source_ms,
        )
        seconds.append(tick)
        return Averages(trailing=trailing, closing=_closing(seconds, tick.source_ms))


def _closing(seconds: deque[Tick], now_ms: int) -> Average | None:
    """Return the mean since a minute before the quarter hour's end; None before that minute."""
    close_ms = now_ms + -now_ms % QUARTER_MS
    start_ms = close_ms - MINUTE_MS
    values = [each.value for each in seconds if each.source_ms > start_ms]
    if now_ms <= start_ms:
        return None
    return Average(value=_mean(values), size=len(values), start_ms=start_ms, end_ms=now_ms + 1)


def _mean(values: list[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)
