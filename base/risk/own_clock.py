"""Whether this machine's wall clock is right, by the exchange's. No exit depends on it, logs do."""

from __future__ import annotations

import logging

from base.risk.decide import Moment
from base.risk.guards import Guards

SLIGHTLY_S = 1.0
BADLY_S = 5.0
_log = logging.getLogger(__name__)


class OwnClock:
    """Told at each sweep; says a slight error once in the log, a bad one as an alarm while it lasts."""

    def __init__(self) -> None:
        self._is_said = False

    def judge(self, guards: Guards, utc_ms: int, measured: tuple[int, int] | None, now: Moment) -> None:
        """``measured``: the exchange's Unix ms at ``utc_ms`` of ours, and the error; ``None``: not known."""
        off_s = 0.0
        if measured is not None:
            exchange_ms, error_ms = measured
            off_s = max(0, abs(utc_ms - exchange_ms) - error_ms) / 1000
        if off_s > BADLY_S:
            guards.ring("clock_wrong", now, details=f"by_{off_s:.0f}_s")
        else:
            guards.alarms.pop("clock_wrong", None)
        if off_s > SLIGHTLY_S and not self._is_said:
            _log.warning("own_clock_off seconds=%.1f", off_s)
        self._is_said = off_s > SLIGHTLY_S
