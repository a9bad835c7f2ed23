"""What the monitor shows to screens and commands. Pure: made from its state, never changed after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from base.feed.freshness import Freshness
from base.model import Quote
from base.risk.exit_lifecycle import State
from base.risk.guard import Guard
from base.risk.guards import Guards
from base.risk.messages import Line
from base.risk.ports import MonitorView, PositionView
from base.risk.valuation import executable
from base.units import ZERO


@dataclass(slots=True)
class Tally:
    """What happened since the start, counted from the lines of the log."""

    triggered: int = 0
    filled: int = 0
    closed: int = 0
    profit: Decimal = ZERO
    alarms: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            triggered=self.triggered + other.triggered,
            filled=self.filled + other.filled,
            closed=self.closed + other.closed,
            profit=self.profit + other.profit,
            alarms=self.alarms + other.alarms,
        )

    def note(self, line: Line) -> None:
        """Count one line."""
        profit = line.fields.get("profit")  # of a closed exit, or of what a withdrawn one had sold
        self.profit += profit if isinstance(profit, Decimal) else ZERO
        if line.event == "TRIGGERED":
            self.triggered += 1
        elif line.event == "FILLED":
            self.filled += 1
        elif line.event == "CLOSED":
            self.closed += 1
        elif line.event == "ALARM":
            self.alarms += 1


def protection_of(state: State) -> str:
    """Say whether contracts in ``state`` are covered, exiting or unprotected."""
    if state is State.ARMED:
        return "covered"
    return "unprotected" if state in (State.UNPROTECTED, State.FLIPPED) else "exiting"


def position_view(
    guard: Guard, quote: Quote | None, freshness: Freshness, age_s: float | None
) -> PositionView:
    """Show one holding; of one that turned over, what is held now. ``quote``: from the guard's side."""
    if guard.has_flipped:
        return _turned(guard, None if quote is None else quote.flipped(), freshness, age_s)
    fetches = None if quote is None else executable(_bids(quote), guard.count) if guard.count else None
    stop = guard.stop
    return PositionView(
        key=guard.key,
        side=guard.side,
        count=guard.count,
        entry=guard.entry,
        bid=None if quote is None else quote.bid,
        executable=fetches,
        trigger=None if stop is None else stop.trigger,
        target=None if stop is None else stop.target,
        profit=None if fetches is None or guard.entry is None else (fetches - guard.entry) * guard.count,
        state=guard.state.value,
        protection=protection_of(guard.state),
        freshness=freshness,
        source=None if quote is None else quote.source,
        age_s=age_s,
        reason=guard.reason,
    )


def _turned(guard: Guard, quote: Quote | None, freshness: Freshness, age_s: float | None) -> PositionView:
    """The other side's contracts: no stop of this epoch covers them."""
    count = abs(guard.holding.signed)
    return PositionView(
        key=guard.key,
        side=guard.side.other,
        count=count,
        entry=None,
        bid=None if quote is None else quote.bid,
        executable=None if quote is None else executable(_bids(quote), count),
        trigger=None,
        target=None,
        profit=None,
        state=guard.state.value,
        protection="unprotected",
        freshness=freshness,
        source=None if quote is None else quote.source,
        age_s=age_s,
        reason="flipped",
    )


def monitor_view(guards: Guards, positions: Iterable[PositionView], tally: Tally) -> MonitorView:
    """Show everything."""
    ringing = [
        f"{guard.key.ticker}:{reason}" for guard in guards.by_key.values() for reason in sorted(guard.alarms)
    ]
    return MonitorView(
        positions=tuple(sorted(positions, key=lambda view: view.key)),
        exits_open=guards.exits_open,
        alarms=(*sorted(guards.alarms), *sorted(ringing)),
        triggered=tally.triggered,
        filled=tally.filled,
        closed=tally.closed,
        profit=tally.profit,
        alarms_raised=tally.alarms,
    )


def _bids(quote: Quote) -> tuple[tuple[Decimal, Decimal], ...]:
    if quote.bids or quote.bid is None or quote.bid_size is None:
        return quote.bids
    return ((quote.bid, quote.bid_size),)
