"""Starting is recovering; there is no other start (stops-and-exits.md §2)."""

from __future__ import annotations

import logging
import threading

from base.app.config import Config
from base.app.credentials import Access, explain_refusal
from base.app.stopping import Stops
from base.app.wiring import Parts
from base.clock import Clock, utc_text
from base.errors import ConfigError, MonitorError, RequestRefused
from base.risk.messages import Line

REACH_S = 30.0
"""How long the start waits for an exchange that does not answer. Seconds."""
PAUSE_S = 1.0
TAKEN_S = 2.0
POLL_S = 0.02
WARN_BEFORE_MS = 7 * 86_400_000
"""When the location attestation ends, some markets cannot be traded. See: changelog of 2026-08-16."""
_log = logging.getLogger(__name__)


class Interrupted(MonitorError):
    """Somebody ended the program while it started."""


def recover(
    parts: Parts, config: Config, access: Access, clock: Clock, stops: Stops, stopping: threading.Event
) -> None:
    """Start the threads in order; when it returns, positions are being guarded.

    Raises:
        ConfigError: The journal cannot be used, the exchange does not let us in, or the key may not do it.
        MonitorError: The exchange did not answer within ``REACH_S`` seconds.
    """
    stops.add("journal", parts.journal.stop)
    parts.journal.open()
    _reach(parts, access, clock, stopping)
    _check_key(parts, config, clock)
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


def _check_key(parts: Parts, config: Config, clock: Clock) -> None:
    """Find out now, not at the first exit, what this key may not do.

    Raises:
        ConfigError: Live with a key that may only read, or one locked to another sub-account.
    """
    try:
        terms = parts.clients.account.api_keys()
    except MonitorError as e:
        _log.warning("key_terms_not_read why=%s", e)
        return
    if terms is None:
        return
    if config.is_live and terms.scopes and not terms.may_trade:
        raise ConfigError(
            "exchange.key_id", "this API key may only read: exits need one with the scope write::trade"
        )
    locked_to = terms.subaccount
    if locked_to is not None and set(config.exchange.subaccounts) != {locked_to}:
        raise ConfigError(
            "exchange.subaccounts", f"this API key is locked to sub-account {locked_to}: write [{locked_to}]"
        )
    expires_ms = terms.region_expires_ms
    if expires_ms is not None and expires_ms - clock.utc_ms() < WARN_BEFORE_MS:
        fields = {"reason": "location_attestation_expires", "at": utc_text(expires_ms)}
        parts.events.write(Line(event="ALARM", key=None, side=None, fields=fields))
