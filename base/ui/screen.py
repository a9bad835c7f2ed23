"""What a screen is given, and how its values are written. Pure.

No value is shown without its age and its state: a price of a minute ago looks like one of now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from base.risk.ports import MonitorView, PositionView
from base.units import count_text, price_text

ABSENT = "—"
_LONG_FIELDS = ("subaccount=0", "intent=", "order=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Everything that is shown at one moment."""

    environment: str
    execution: str  # live | paper
    is_connected: bool
    is_halted: bool
    view: MonitorView
    log: tuple[str, ...]  # newest lines of the stop-loss log, oldest first

    @property
    def connection_text(self) -> str:
        """The state of the feed, for people."""
        return "connected" if self.is_connected else "DISCONNECTED"


Look = Callable[[], Screen]
"""Says what there is to show now; called by the UI's own thread."""


def price_or_absent(price: Decimal | None) -> str:
    """Dollars per contract, or a dash."""
    return ABSENT if price is None else price_text(price)


def money_or_absent(dollars: Decimal | None) -> str:
    """A gain or loss in dollars with its sign, or a dash."""
    return ABSENT if dollars is None else f"{dollars:+.2f}"


def age_text(age_s: float | None) -> str:
    """The age of a price, e.g. ``0.4s``, ``75s``, ``12m``; a dash where there is no price."""
    if age_s is None:
        return ABSENT
    if age_s < 10:
        return f"{age_s:.1f}s"
    return f"{age_s:.0f}s" if age_s < 120 else f"{age_s // 60:.0f}m"


def freshness_text(position: PositionView) -> str:
    """``proven``, or the first proof that is missing."""
    missing = position.freshness.missing
    return "proven" if missing is None else f"no {missing}"


def state_text(position: PositionView) -> str:
    """The state and, where it needs one, the reason."""
    if position.protection == "covered" or not position.reason:
        return position.state
    return f"{position.state} ({plain(position.reason)})"


def plain(text: str) -> str:
    """Text from outside on one line: control characters are written out, none reaches the terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def short_line(line: str) -> str:
    """A line of the stop-loss log as a screen has room for: time of day, event, what matters of the rest."""
    date, _, rest = line.partition("T")
    words = [word.removeprefix("ticker=") for word in rest.split(" ") if not word.startswith(_LONG_FIELDS)]
    return " ".join(words) if words else date


def position_text(position: PositionView) -> str:
    """One position as one line of plain text."""
    return (
        f"{plain(position.key.ticker)} {position.side.upper()} {count_text(position.count)}"
        f" entry {price_or_absent(position.entry)}"
        f" bid {price_or_absent(position.bid)} ({freshness_text(position)}, {age_text(position.age_s)} old)"
        f" trigger {price_or_absent(position.trigger)} profit {money_or_absent(position.profit)}"
        f" {state_text(position)}"
    )


def summary_text(screen: Screen) -> str:
    """The whole screen in one line."""
    view = screen.view
    unprotected = sum(position.protection == "unprotected" for position in view.positions)
    parts = [
        f"{screen.environment}, execution {screen.execution}, {screen.connection_text}",
        f"{len(view.positions)} positions, {unprotected} unprotected",
        f"{view.exits_open} exits open, {view.closed} closed, profit {money_or_absent(view.profit)}",
        f"{len(view.alarms)} alarms" + (f": {plain(', '.join(view.alarms))}" if view.alarms else ""),
    ]
    return "; ".join(parts) + ("; HALTED: no new entries" if screen.is_halted else "")
