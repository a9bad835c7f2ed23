"""The hooks an embedding program calls, and what it can ask: ``app.positions``."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from base.model import PRIMARY, Position
from base.risk.ports import MonitorView, PositionView


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

    A claim that names no sub-account means the guarded one: the key's own, if it is locked to one.
    """

    def __init__(self, monitor: Guarding, subaccount: int = PRIMARY):
        self._monitor = monitor
        self._subaccount = subaccount  # meant where a claim names none

    def _meant(self, subaccount: int | None) -> int:
        # A Position that says nothing says 0. Where another one is meant, 0 is not guarded.
        return self._subaccount if subaccount is None or subaccount == PRIMARY else subaccount

    def opened(self, position: Position) -> None:
        """Say that ``position`` was opened: its market is subscribed and its stop armed at once.

        A claim that the exchange does not confirm within ten seconds is dropped again.
        """
        self._monitor.opened(replace(position, subaccount=self._meant(position.subaccount)))

    def closed(self, ticker: str, subaccount: int | None = None) -> None:
        """Say that the holding is gone: unsubscribed and retired once the exchange agrees."""
        self._monitor.closed(ticker, self._meant(subaccount))

    def all(self) -> tuple[PositionView, ...]:
        """Every position as the monitor sees it now, at most half a second old."""
        return self._monitor.view().positions
