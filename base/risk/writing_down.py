"""Rows before orders: what a round decided is durable, or kept for an emergency, before anything leaves.

See stops-and-exits.md, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from base.risk import journal_rows
from base.risk.decide import Moment
from base.risk.guards import Guards
from base.risk.messages import Effect, Row, Send, Tell


class RowKeeper(Protocol):
    """The journal, as those see it who write to it."""

    def append(self, rows: Sequence[Row], *, wait: bool = True) -> bool:
        """Hand rows over; ``True``: they are durable, or without ``wait`` nothing failed so far."""

    def keep(self, rows: Sequence[Row]) -> bool:
        """Write rows into the emergency file; ``False``: that failed too."""

    def check(self) -> bool:
        """Whether nothing failed since the last call, and nothing waits for the disk to come back."""


def write_down(journal: RowKeeper, guards: Guards, effects: Sequence[Effect], now: Moment) -> None:
    """Journal the rows among ``effects``. Only an order and a person's answer wait; what fails is said.

    A stop that may not fire is worse than a missing row: an order goes although its rows stand nowhere.
    """
    rows = [effect for effect in effects if isinstance(effect, Row)]
    if not rows:
        return
    sends = [effect for effect in effects if isinstance(effect, Send)]
    if journal.append(rows, wait=any(isinstance(effect, Send | Tell) for effect in effects)):
        _heal(guards)
        return
    guards.ring("journal_failed", now)
    if sends and not journal.keep(journal_rows.of_orders(guards.by_key.values(), sends, rows)):
        guards.ring("emergency_failed", now)


def look_after(journal: RowKeeper, guards: Guards, now: Moment) -> None:
    """Rows nobody waited for may have failed since: say so, or that the journal is well again."""
    if journal.check():
        _heal(guards)
    else:
        guards.ring("journal_failed", now)


def _heal(guards: Guards) -> None:
    guards.alarms.pop("journal_failed", None)
    guards.alarms.pop("emergency_failed", None)
