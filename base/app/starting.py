"""Starting is recovering; there is no other start (stops-and-exits.md §2)."""

from __future__ import annotations

import logging
import threading

from base.app.credentials import Access, explain_refusal
from base.app.stopping import Stops
from base.app.wiring import Parts
from base.clock import Clock
from base.errors import MonitorError, RequestRefused

REACH_S = 30.0
"""How long the start waits for an exchange that does not answer. Seconds."""
PAUSE_S = 1.0
TAKEN_S = 2.0
POLL_S = 0.02
_log = logging.getLogger(__name__)


class Interrupted(MonitorError):
    """Somebody ended the program while it started."""


def recover(parts: Parts, access: Access, clock: Clock, stops: Stops, stopping: threading.Event) -> None:
    """Start the threads in order; when it returns, positions are being guarded.

    Raises:
        ConfigError: The journal cannot be used, or the exchange does not let us in.
        MonitorError: The exchange did not answer within ``REACH_S`` seconds.
    """
    stops.add("journal", parts.journal.stop)
    parts.journal.open()
    _reach(parts, access, clock, stopping)
    parts.reconciler.run_once()
    stops.add("price refresher", parts.refresher.stop)
    parts.refresher.start()
    stops.add("feed", parts.feed.stop)
    parts.feed.start()
    stops.add("stop-loss monitor", parts.monitor.stop)
    unseen = parts.monitor.view()
    parts.monitor.start()
    # Ended before the monitor: it still takes the answers to orders in flight.
    stops.add("exit executor", parts.executor.stop)
    parts.executor.start(parts.monitor.submit)
    stops.add("reconciler", parts.reconciler.stop)
    parts.reconciler.start()
    # The first view comes after the reports were taken in: a strategy must not begin without it.
    deadline_s = clock.boot_s() + TAKEN_S
    while parts.monitor.view() is unseen and clock.boot_s() < deadline_s:
        if stopping.wait(POLL_S):
            return


def _reach(parts: Parts, access: Access, clock: Clock, stopping: threading.Event) -> None:
    """Read limits and status until the exchange answers; that also measures its clock."""
    deadline_s = clock.boot_s() + REACH_S
    while True:
        try:
            parts.clients.account.limits()
            parts.clients.account.shards()
            return
        except RequestRefused as e:
            if e.status in (401, 403):
                raise explain_refusal(access, e) from e
            error: MonitorError = e
        except MonitorError as e:
            error = e
        if clock.boot_s() > deadline_s:
            url = access.endpoints.rest_url
            raise MonitorError(f"{url} does not answer, {REACH_S:g} s long: {error}") from error
        _log.warning("exchange_not_reached why=%s", error)
        if stopping.wait(PAUSE_S):
            raise Interrupted("ended before the exchange was reached")
