"""The strategy's thread. What a strategy does wrong ends its round and nothing else."""

from __future__ import annotations

import logging
import sys
import threading

from base.strategy.contract import Context, Strategy

SWITCH_S = 0.0002
"""How long a strategy may keep the interpreter from a thread that waits for it. Python's own 5 ms are lent
at every hand-over on the way of an exit, and there are a score of them. Seconds."""
_log = logging.getLogger(__name__)


class StrategyRunner:
    """Calls one strategy every ``interval_s`` seconds until stopped."""

    def __init__(self, strategy: Strategy, context: Context, interval_s: float):
        self._strategy = strategy
        self._context = context
        self._interval_s = interval_s
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
        except (Exception, SystemExit):
            # It is somebody's own code: whatever it raises, sys.exit() included, thread and stops go on.
            self.failures += 1
            _log.exception("strategy failed round=%d", self.rounds)
