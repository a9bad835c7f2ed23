"""Rows before orders: what a round decided is durable before anything leaves.

See stops-and-exits.md, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from base.risk.decide import Moment
from base.risk.guards import Guards
from base.risk.messages import Effect, Row, Send


class RowKeeper(Protocol):
    """The journal, as those see it who write to it."""

    def append(self, rows: Sequence[Row], *, wait: bool = True) -> bool:
        """Hand rows over; ``True``: they are durable, or without ``wait`` nothing failed so far."""

    def check(self) -> bool:
        """Whether nothing failed since the last call, and nothing waits for the disk to come back."""


def write_down(journal: RowKeeper, guards: Guards, effects: Sequence[Effect], now: Moment) -> None:
    """Journal the rows among ``effects``. Only an order waits for them; what fails is said.

    A stop that may not fire is worse than a missing row: an order goes although its rows may stand nowhere.
    """
    rows = [effect for effect in effects if isinstance(effect, Row)]
    if not rows:
        return
    if journal.append(rows, wait=any(isinstance(effect, Send) for effect in effects)):
        _heal(guards)
        return
    guards.ring("journal_failed", now)


def look_after(journal: RowKeeper, guards: Guards, now: Moment) -> None:
    """Rows nobody waited for may have failed since: say so, or that the journal is well again."""
    if journal.check():
        _heal(guards)
    else:
        guards.ring("journal_failed", now)


def _heal(guards: Guards) -> None:
    guards.alarms.pop("journal_failed", None)
