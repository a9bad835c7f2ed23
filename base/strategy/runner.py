"""The strategy's thread. What a strategy does wrong ends its round and nothing else."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable

from base.clock import Clock, SystemClock
from base.risk.messages import AlarmChanged
from base.strategy.contract import Context, Strategy

FAILED = "strategy_failed"
GOOD_AGAIN_S = 60.0
"""So long no round must have failed before the alarm is over: it may fail in every second one. Seconds."""
SWITCH_S = 0.0002
"""How long a strategy may keep the interpreter from a thread that waits for it. Python's own 5 ms are lent
at every hand-over on the way of an exit, and there are a score of them. Seconds."""
_log = logging.getLogger(__name__)


class StrategyRunner:
    """Calls one strategy every ``interval_s`` seconds until stopped; rings while its rounds fail.

    Args:
        strategy: What is called.
        context: What it is given.
        interval_s: Pause between two rounds, seconds.
        ring: Takes the alarm ``strategy_failed``.
        clock: Time.
    """

    def __init__(
        self,
        strategy: Strategy,
        context: Context,
        interval_s: float,
        ring: Callable[[AlarmChanged], None] = lambda alarm: None,
        clock: Clock | None = None,
    ):
        self._strategy = strategy
        self._context = context
        self._interval_s = interval_s
        self._ring, self._clock = ring, clock or SystemClock()
        self._failed_s: float | None = None  # the newest failure, while the alarm rings
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="strategy", daemon=True)
        self.rounds = 0
        self.failures = 0

    def start(self) -> None:
        """Start; the first round begins at once. A strategy that only computes must not delay an exit."""
        sys.setswitchinterval(min(SWITCH_S, sys.getswitchinterval()))
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End after the current step; ``False``: the strategy was still busy after ``timeout_s`` seconds."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._round()
            self._stopping.wait(self._interval_s)

    def _round(self) -> None:
        """One round; a failure skips its remaining steps, and the next round begins anew."""
        self.rounds += 1
        strategy = self._strategy
        update = getattr(strategy, "update_subscriptions", None)  # only some strategies have this step
        steps = (strategy.collect, strategy.compute, strategy.execute, *([update] if update else []))
        try:
            for step in steps:
                if self._stopping.is_set():
                    return
                step(self._context)
        except BaseException as e:
            # It is somebody's own code: whatever it raises, sys.exit() included, thread and stops go on.
            self.failures += 1
            _log.exception("strategy failed round=%d", self.rounds)
            self._failed_s = self._clock.boot_s()
            self._ring(AlarmChanged(reason=FAILED, is_on=True, details=type(e).__name__))
        else:
            self._is_fine()

    def _is_fine(self) -> None:
        if self._failed_s is not None and self._clock.boot_s() - self._failed_s >= GOOD_AGAIN_S:
            self._failed_s = None
            self._ring(AlarmChanged(reason=FAILED, is_on=False))
