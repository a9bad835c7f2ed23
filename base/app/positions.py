"""The hooks an embedding program calls, and what it can ask: ``app.positions``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from base.model import PRIMARY, Position, Side
from base.risk.ports import MonitorView, PositionView
from base.units import COUNT_STEP, MOST_CONTRACTS, ONE, ZERO, typed_name


class Guarding(Protocol):
    """The monitor, as far as the hooks need it."""

    def opened(self, position: Position) -> None:
        """A position was opened."""

    def closed(self, ticker: str, subaccount: int = 0) -> None:
        """A position was closed."""

    def view(self) -> MonitorView:
        """What is known now."""


class Positions:
    """Hooks are claims: the exchange's reports decide. Every call returns at once, from any thread.

    A claim that names no sub-account means the guarded one: the key's own, if it is locked to one. What
    could be no position is refused here: the monitor must not stumble over it.
    """

    def __init__(
        self, monitor: Guarding, subaccounts: Callable[[], Collection[int]], subaccount: int = PRIMARY
    ):
        self._monitor = monitor
        self._subaccounts = subaccounts  # those that are guarded
        self._subaccount = subaccount  # meant where a claim names none

    def _meant(self, subaccount: int | None) -> int:
        # A Position that says nothing says 0. Where another one is meant, 0 is not guarded.
        meant = self._subaccount if subaccount is None or subaccount == PRIMARY else subaccount
        guarded = self._subaccounts()
        if meant not in guarded:
            raise ValueError(
                f"sub-account {meant!r} is not guarded: exchange.subaccounts names {sorted(guarded)}"
            )
        return meant

    def opened(self, position: Position) -> None:
        """Say that ``position`` was opened: its market is subscribed and its stop armed at once.

        A claim that the exchange does not confirm within ten seconds is dropped again.

        Raises:
            ValueError: It could be no position, or nobody guards its sub-account.
        """
        meant = self._meant(position.subaccount)
        self._monitor.opened(replace(_checked(position), subaccount=meant))

    def closed(self, ticker: str, subaccount: int | None = None) -> None:
        """Say that the holding is gone: unsubscribed and retired once the exchange agrees.

        Raises:
            ValueError: As ``opened``.
        """
        self._monitor.closed(typed_name(ticker), self._meant(subaccount))

    def all(self) -> tuple[PositionView, ...]:
        """Every position as the monitor sees it now, at most half a second old."""
        return self._monitor.view().positions


def _checked(position: Position) -> Position:
    count, entry = position.count, position.entry
    if not _is_within(count, MOST_CONTRACTS) or count == ZERO or count % COUNT_STEP:
        raise ValueError(f"count {count!r} should be a Decimal above 0, in steps of 0.01 contracts")
    if entry is not None and not _is_within(entry, ONE):
        raise ValueError(f"entry {entry!r} should be a Decimal from 0 to 1 dollar, or None if nobody knows")
    return replace(position, ticker=typed_name(position.ticker), side=Side(position.side))


def _is_within(value: object, most: Decimal) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and ZERO <= value <= most
