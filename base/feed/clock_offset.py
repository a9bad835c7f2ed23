"""How far the exchange's clock is from our boot clock: bounds, never a guess. Pure; shared by all threads.

The wall clock has no part in it: it is set by people and by time servers, an hour off at worst.
Each REST answer says the exchange's time at some moment between the request and the answer,
so the offset lies in an interval; intervals of several answers are intersected. The feed is
never used: a feed that is late would measure itself as punctual.
"""

from __future__ import annotations

from dataclasses import dataclass

DRIFT_MS_PER_S = 0.5
"""What a clock may gain or lose: the kernel slews at most 500 ppm. See: man adjtimex(2)."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """``exchange − local`` lay within ``low_ms … high_ms`` at local time ``at_ms``."""

    low_ms: float
    high_ms: float
    at_ms: int

    def at(self, local_ms: int) -> Bounds:
        """These bounds at another local time, wider by what the clocks may have drifted."""
        drift_ms = abs(local_ms - self.at_ms) / 1000 * DRIFT_MS_PER_S
        return Bounds(self.low_ms - drift_ms, self.high_ms + drift_ms, local_ms)

    def meet(self, other: Bounds) -> Bounds | None:
        """What both allow at the later of the two times; ``None``: they contradict each other."""
        later = max(self.at_ms, other.at_ms)
        a, b = self.at(later), other.at(later)
        low_ms, high_ms = max(a.low_ms, b.low_ms), min(a.high_ms, b.high_ms)
        return Bounds(low_ms, high_ms, later) if low_ms <= high_ms else None


class ClockOffset:
    """The newest bounds. Any thread may note and read: one immutable pair is swapped at a time,

    so a reader never sees half of it; of two notes at the same instant one may be lost, and
    either alone is true.
    """

    def __init__(self) -> None:
        # (bounds in force, bounds that contradict them and wait for a second witness)
        self._state: tuple[Bounds | None, Bounds | None] = (None, None)

    def note(
        self, local_before_ms: int, local_after_ms: int, exchange_low_ms: int, exchange_high_ms: int
    ) -> None:
        """Take in one answer: between our two times the exchange's clock stood within its two."""
        if local_after_ms < local_before_ms or exchange_high_ms < exchange_low_ms:
            return  # no clock goes back: it measures nothing
        seen = Bounds(exchange_low_ms - local_after_ms, exchange_high_ms - local_before_ms, local_after_ms)
        standing, challenger = self._state
        if standing is None or (both := standing.meet(seen)) is not None:
            self._state = (seen if standing is None else both, None)
        elif challenger is not None and (agreed := challenger.meet(seen)) is not None:
            self._state = (agreed, None)  # two witnesses: a clock was set
        else:
            self._state = (standing, seen)  # one alone may be an answer out of somebody's cache

    def exchange_ms(self, local_ms: int) -> tuple[int, int] | None:
        """The exchange's Unix ms at ``local_ms`` of our boot clock, and the error; ``None``: not measured."""
        standing, challenger = self._state
        if standing is None:
            return None
        now = standing.at(local_ms)
        if challenger is not None:  # in doubt the bound holds both
            other = challenger.at(local_ms)
            now = Bounds(min(now.low_ms, other.low_ms), max(now.high_ms, other.high_ms), local_ms)
        middle_ms = (now.low_ms + now.high_ms) / 2
        return local_ms + round(middle_ms), round((now.high_ms - now.low_ms) / 2) + 1
