"""The screen of a person at a terminal: one table, drawn anew once a second."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from base.risk.ports import PositionView
from base.ui.screen import (
    ABSENT,
    Look,
    Screen,
    age_text,
    freshness_text,
    money_or_absent,
    plain,
    price_or_absent,
    short_line,
    state_text,
)
from base.units import count_text

LOG_LINES = 8
# What a screen of at least that width shows, widest first. State and age are on every one of them.
_COLUMNS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (
        118,
        (
            "market",
            "side",
            "count",
            "entry",
            "bid",
            "trigger",
            "distance",
            "profit",
            "state",
            "price is",
            "age",
        ),
    ),
    (92, ("market", "side", "count", "bid", "trigger", "profit", "state", "age")),
    (78, ("market", "side", "bid", "trigger", "profit", "state", "age")),
    (0, ("market", "bid", "trigger", "state", "age")),
)
_TEXT_COLUMNS = frozenset({"market", "side", "state", "price is"})
_PROTECTION_STYLES = {"covered": "green", "exiting": "yellow", "unprotected": "bold white on red"}
_LOUDEST_FIRST = ("unprotected", "exiting", "covered")


class TerminalScreen:
    """Draws until stopped, on a thread of its own."""

    def __init__(self, look: Look, period_s: float = 1.0, console: Console | None = None):
        self._look = look
        self._period_s = period_s
        self._console = console or Console()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="ui", daemon=True)

    def start(self) -> None:
        """Start drawing."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Draw once more and end; ``False``: it was still busy after ``timeout_s`` seconds."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _draw(self) -> None:
        # Live moves what others print to stderr above the table instead of through it.
        with Live(Picture(self._look()), console=self._console, auto_refresh=False) as live:
            while not self._stopping.wait(self._period_s):
                live.update(Picture(self._look()), refresh=True)
            live.update(Picture(self._look()), refresh=True)


@dataclass(frozen=True, slots=True)
class Picture:
    """One screen, laid out for the width it is drawn in."""

    screen: Screen

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the parts, top down."""
        names = next(names for width, names in _COLUMNS if options.max_width >= width)
        yield _header(self.screen)
        yield _table(self.screen, names)
        yield from _log(self.screen)


def _header(screen: Screen) -> Text:
    view = screen.view
    header = Text(no_wrap=False)
    header.append(f"{screen.environment} ", style="bold")
    header.append(f"execution {screen.execution}", style="bold red" if _is_real_money(screen) else "")
    header.append("  ")
    header.append(screen.connection_text, style="green" if screen.is_connected else "bold white on red")
    header.append(
        f"  exits open {view.exits_open}  closed {view.closed}  profit {money_or_absent(view.profit)}  "
    )
    if screen.is_halted:
        header.append(" HALTED ", style="bold black on yellow")
    alarms = plain(", ".join(view.alarms))
    header.append(
        f" ALARM {alarms} " if alarms else "no alarms", style="bold white on red" if alarms else "green"
    )
    return header


def _is_real_money(screen: Screen) -> bool:
    return screen.environment == "production" and screen.execution == "live"


def _table(screen: Screen, names: Sequence[str]) -> Table:
    table = Table(expand=False, pad_edge=False)
    for name in names:
        is_text = name in _TEXT_COLUMNS
        table.add_column(
            name, justify="left" if is_text else "right", no_wrap=name != "market", overflow="fold"
        )
    # A screen may be too low for all of them: what needs a person comes first.
    for position in sorted(screen.view.positions, key=lambda p: _LOUDEST_FIRST.index(p.protection)):
        cells = _cells(position, has_proof="price is" in names)
        table.add_row(*(cells[name] for name in names))
    if not screen.view.positions:
        table.add_row("no positions", *([""] * (len(names) - 1)))
    return table


def _cells(position: PositionView, *, has_proof: bool) -> dict[str, Text]:
    """Every cell of a row by the name of its column; the age says what is not proven where no column does."""
    is_proven = position.freshness.is_proven
    faded = "" if is_proven else "dim"  # a price that is not proven is not shown like one that is
    profit = position.profit
    gain = "" if profit is None else "green" if profit >= 0 else "red"
    proof, age = freshness_text(position), age_text(position.age_s)
    return {
        "market": Text(plain(position.key.ticker)),
        "side": Text(position.side.upper()),
        "count": Text(count_text(position.count)),
        "entry": Text(price_or_absent(position.entry)),
        "bid": Text(price_or_absent(position.bid), style=faded),
        "trigger": Text(price_or_absent(position.trigger)),
        "distance": Text(ABSENT if position.distance is None else f"{position.distance:+.4f}", style=faded),
        "profit": Text(money_or_absent(profit), style=gain if is_proven else faded),
        "state": Text(state_text(position), style=_PROTECTION_STYLES[position.protection]),
        "price is": Text(proof, style="green" if is_proven else "yellow"),
        "age": Text(age if has_proof or is_proven else f"{age} {proof}"),
    }


def _log(screen: Screen) -> list[Text]:
    lines = screen.log[-LOG_LINES:]
    return [Text(short_line(plain(line)), style="dim", no_wrap=True, overflow="ellipsis") for line in lines]
