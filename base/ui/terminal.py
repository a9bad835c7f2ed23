"""The screen of a person at a terminal: one table, drawn anew once a second."""

from __future__ import annotations

import threading

from rich.console import Console, Group, RenderableType
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
    state_text,
)
from base.units import count_text

LOG_LINES = 8
_PROTECTION_STYLES = {"covered": "green", "exiting": "yellow", "unprotected": "bold white on red"}
_COLUMNS = (
    "market", "side", "count", "entry", "bid", "trigger", "distance", "profit", "state", "price is", "age",
)  # fmt: skip
_TEXT_COLUMNS = frozenset({"market", "side", "state", "price is"})


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
        with Live(render(self._look()), console=self._console, auto_refresh=False) as live:
            while not self._stopping.wait(self._period_s):
                live.update(render(self._look()), refresh=True)
            live.update(render(self._look()), refresh=True)


def render(screen: Screen) -> RenderableType:
    """Lay out one screen."""
    return Group(_header(screen), _table(screen), *_log(screen))


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


def _table(screen: Screen) -> Table:
    table = Table(expand=False, pad_edge=False)
    for name in _COLUMNS:
        is_text = name in _TEXT_COLUMNS
        table.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold")
    for position in screen.view.positions:
        table.add_row(*_cells(position), style="red" if position.protection == "unprotected" else None)
    if not screen.view.positions:
        table.add_row("no positions", *([""] * (len(_COLUMNS) - 1)))
    return table


def _cells(position: PositionView) -> list[Text]:
    is_proven = position.freshness.is_proven
    # A price that is not proven is not shown like one that is.
    price_style = "" if is_proven else "dim"
    profit = position.profit
    profit_style = "" if profit is None else "green" if profit >= 0 else "red"
    return [
        Text(plain(position.key.ticker)),
        Text(position.side.upper()),
        Text(count_text(position.count)),
        Text(price_or_absent(position.entry)),
        Text(price_or_absent(position.bid), style=price_style),
        Text(price_or_absent(position.trigger)),
        Text(ABSENT if position.distance is None else f"{position.distance:+.4f}", style=price_style),
        Text(money_or_absent(profit), style=profit_style if is_proven else "dim"),
        Text(state_text(position), style=_PROTECTION_STYLES.get(position.protection, "")),
        Text(freshness_text(position), style="green" if is_proven else "yellow"),
        Text(age_text(position.age_s)),
    ]


def _log(screen: Screen) -> list[Text]:
    return [
        Text(plain(line), style="dim", no_wrap=True, overflow="ellipsis") for line in screen.log[-LOG_LINES:]
    ]
