"""Pauses: by hand, every Thursday by New York's clock, and in planned maintenance.

A trading pause lets cancels through, an exchange pause nothing.
See: docs.kalshi.com/getting_started/maintenance_and_pauses, read 2026-11-20.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from base.simulator.engine import resting
from base.simulator.engine.state import State

NEW_YORK = ZoneInfo("America/New_York")
THURSDAY, FROM_HOUR, TO_HOUR = 3, 3, 5


def _local(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, NEW_YORK)


def is_weekly_pause(now_ms: int) -> bool:
    """Say whether it is Thursday from 03:00 until 05:00 in New York, in summer time or not."""
    local = _local(now_ms)
    return local.weekday() == THURSDAY and FROM_HOUR <= local.hour < TO_HOUR


def next_resume_ms(now_ms: int) -> int:
    """Return the end of the Thursday window that is on or comes next, Unix milliseconds."""
    local = _local(now_ms)
    end = local.replace(hour=TO_HOUR, minute=0, second=0, microsecond=0)
    end += timedelta(days=(THURSDAY - local.weekday()) % 7)  # wall-clock arithmetic: 05:00 stays 05:00
    if end <= local:
        end += timedelta(days=7)
    return round(end.timestamp() * 1000)


def advance(state: State, now_ms: int) -> None:
    """Begin and end the pauses that the clock decides."""
    if state.semantics.weekly_pause:
        is_on = is_weekly_pause(now_ms)
        for index, shard in state.shards.items():
            begins = is_on and not shard.in_weekly_pause
            shard.in_weekly_pause = is_on
            if begins:
                _cancel_what_asked_for_it(state, index, now_ms)
    for index, shard in state.shards.items() if state.maintenance else ():
        is_on = any(start <= now_ms < end for start, end in state.maintenance)
        begins = is_on and not shard.in_maintenance
        shard.in_maintenance = is_on
        if begins:
            _cancel_what_asked_for_it(state, index, now_ms)


def set_trading(state: State, index: int, now_ms: int, *, is_active: bool) -> None:
    """Pause or resume one shard by hand."""
    state.shards[index].trading_active = is_active
    if not is_active:
        _cancel_what_asked_for_it(state, index, now_ms)


def set_exchange(state: State, now_ms: int, *, is_active: bool) -> None:
    """Pause or resume everything by hand, trading with it."""
    for index, shard in state.shards.items():
        shard.exchange_active = is_active
        set_trading(state, index, now_ms, is_active=is_active)


def _cancel_what_asked_for_it(state: State, index: int, now_ms: int) -> None:
    leaving = [
        order
        for account in state.accounts.values()
        for order in account.resting.values()
        if order.exchange_index == index and order.request.cancel_on_pause
    ]
    resting.cancel_each(state, leaving, "HaltCancel", now_ms)
