"""Starting is recovering; there is no other start (stops-and-exits.md §2)."""

from __future__ import annotations

import logging
import threading

from base.app.account_folder import AccountFolder, InUse
from base.app.config import Config
from base.app.credentials import Access, explain_refusal
from base.app.stderr import CurrentStderr
from base.app.stopping import Stops
from base.app.wiring import Parts
from base.clock import Clock, boot_ms
from base.errors import ConfigError, MonitorError, RequestRefused
from base.model import PRIMARY
from base.risk.counting import AS_OF_MARGIN_MS

REACH_S = 30.0
"""How long the start waits for an exchange that does not answer. Seconds."""
READS_S = 60.0
"""How long the start waits for reads that show what an older journal does not know. Seconds."""
CLOCK_S = 5.0
"""How long a refused timestamp is tried again: a resumed machine sets its clock within seconds."""
PAUSE_S = 1.0
TAKEN_S = 2.0
KEY_WATCH_STOP_S = 0.5
HOLD_LOG_STOP_S = 0.5
POLL_S = 0.02
LOCK_S = 0.2
"""How often a process that was started again looks whether the account is free. Seconds."""
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
    for warning in parts.journal.warnings:
        CurrentStderr().write(f"{warning}\n")
    _reach(parts, access, clock, stopping)
    _check_key(parts, config)
    if parts.journal.recovered().is_old:
        _wait_for_reads(parts, clock, stopping)
    parts.reconciler.run_once()
    stops.add("price refresher", parts.refresher.stop)
    parts.refresher.start()
    stops.add("feed", parts.feed.stop)
    parts.feed.start()
    stops.add("hold log", parts.holds.stop, longest_s=HOLD_LOG_STOP_S)
    parts.holds.start()
    stops.add("stop-loss monitor", parts.monitor.stop)
    unseen = parts.monitor.view()
    parts.monitor.start()
    # Ended before the monitor: it still takes the answers to orders in flight.
    stops.add("exit executor", parts.executor.stop)
    parts.executor.start(parts.submit)
    stops.add("reconciler", parts.reconciler.stop)
    parts.reconciler.start()
    key_watch = parts.watch_key()
    stops.add("key watch", key_watch.stop, longest_s=KEY_WATCH_STOP_S)
    # The first view comes after the reports were taken in: a strategy must not begin without it.
    deadline_s = clock.boot_s() + TAKEN_S
    while parts.monitor.view() is unseen and clock.boot_s() < deadline_s:
        if stopping.wait(POLL_S):
            return
    key_watch.start()


def claim_in_turn(folder: AccountFolder, patience_s: float, clock: Clock, stopping: threading.Event) -> None:
    """Take the account's folder; wait for it, for another process may have taken it over to flatten.

    Raises:
        ConfigError: It is not free within ``patience_s`` seconds, or it cannot be written.
        Interrupted: Somebody ended the program meanwhile.
    """
    deadline_s, has_told = clock.boot_s() + patience_s, False
    while True:
        try:
            return folder.claim()
        except InUse as e:
            if clock.boot_s() >= deadline_s:
                raise
            if not has_told:
                CurrentStderr().write(
                    f"{e.what.rpartition(':')[0]}: it is waited for, {patience_s:g} s long\n"
                )
                has_told = True
        if stopping.wait(LOCK_S):
            raise Interrupted("ended before the account was free")


def _reach(parts: Parts, access: Access, clock: Clock, stopping: threading.Event) -> None:
    """Read limits and status until the exchange answers; that also measures its clock."""
    deadline_s = clock.boot_s() + REACH_S
    while True:
        try:
            parts.clients.account.limits()
            parts.clients.account.shards()
            return
        except RequestRefused as e:
            # A clock that was just set right is refused once more or not at all: try again for a moment.
            may_pass = (
                e.code == "header_timestamp_expired" and clock.boot_s() < deadline_s - REACH_S + CLOCK_S
            )
            if e.status in (401, 403) and not may_pass:
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


def _wait_for_reads(parts: Parts, clock: Clock, stopping: threading.Event) -> None:
    """Wait until reads show all that was done before now: the journal is too old to know it."""
    measured = parts.exchange_time.exchange_ms(boot_ms(clock))
    until_ms = (clock.utc_ms() if measured is None else measured[0]) + AS_OF_MARGIN_MS
    deadline_s = clock.boot_s() + READS_S
    while clock.boot_s() < deadline_s:
        try:
            as_of_ms = parts.clients.account.user_data_as_of_ms()
            if as_of_ms is not None and as_of_ms > until_ms:
                return
        except MonitorError as e:
            _log.warning("reads_not_known why=%s", e)
        if stopping.wait(PAUSE_S):
            raise Interrupted("ended before it was known what had been sold")
    _log.error("reads_lag seconds=%g: going on all the same", READS_S)


def _check_key(parts: Parts, config: Config) -> None:
    """Find out now, not at the first exit, what this key may not do. Later the key watch looks.

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
    if terms.subaccount is not None:
        _guard_own(parts, config, terms.subaccount)


def _guard_own(parts: Parts, config: Config, own: int) -> None:
    """A restricted key reaches one sub-account and nothing else.

    Raises:
        ConfigError: Others are to be guarded.
    """
    wanted = set(config.exchange.subaccounts)
    if wanted == {own}:
        return
    if wanted != {PRIMARY}:
        raise ConfigError(
            "exchange.subaccounts", f"this API key is restricted to sub-account {own}: write [{own}]"
        )
    # [0] stands there where nobody chose.
    CurrentStderr().write(
        f"exchange.subaccounts: this API key is restricted to sub-account {own}: that one is guarded, not 0\n"
    )
    parts.reconciler.subaccounts = (own,)
    parts.monitor.guard_subaccounts((own,))
