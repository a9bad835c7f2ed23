"""Persons at the command line: flatten, retry and cancel, once or from two shells, at any time of the day.

They come through the desk that the control socket stands in front of, on threads of the program's own
process, and ask again while they are told to wait. Their dice are their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from base.app.desk import Desk
from base.clock import SystemClock
from base.errors import MonitorError
from base.units import price_text
from tests.simulation.program import Program
from tests.simulation.scheduler import Scheduler

D = Decimal
EVENTS = {
    "O3 flatten": 0.15,
    "O3 flatten twice": 0.15,
    "O3 flatten all": 0.1,
    "O2 flatten takes over": 0.1,
    "T10 flatten as it falls": 0.2,
    "O3 retry": 0.2,
    "O3 cancel": 0.1,
    "O3 cancel as it sells": 0.25,
    "O3 cancel twice": 0.15,
}
"""What a person may do, and how likely."""
AGAIN_S, PATIENCE_S = 0.5, 8.0
FALLS = (D("0.38"), D("0.38"), D("0.15"))
"""Bids at which every fixed stop fires: inside its floor, or far under it."""
FLOORS = (None, None, None, "0.30", "0.20", "0.02", "0.505")


def draw(random: Random, day_s: float) -> tuple[tuple[float, str], ...]:
    """When who presses what."""
    chosen = [name for name, probability in EVENTS.items() if random.random() < probability * 0.6]
    return tuple((random.uniform(1.0, day_s), name) for name in chosen)


class Persons:
    """Presses what the plan says. ``floors``: the worst prices they named, by market."""

    def __init__(self, seed: int, scheduler: Scheduler, program: Program, tickers: list[str]):
        self._random = Random(f"persons of {seed}")
        self._scheduler, self._program, self._tickers = scheduler, program, tickers
        self.kill: Callable[[str], None] = lambda why: None
        self.falls: Callable[[str, Decimal], None] = lambda ticker, bid: None
        self.noted: Callable[[str], None] = lambda what: None
        self.floors: defaultdict[str, set[Decimal]] = defaultdict(set)
        self.flattened: set[str] = set()

    def happen(self, name: str) -> None:
        """One of ``EVENTS``."""
        ticker = self._random.choice(self._tickers)
        command = name.split()[1]
        arguments: dict[str, Any] = {"ticker": ticker, "all": name.endswith("all")}
        if command == "flatten" and (floor := self._random.choice(FLOORS)) is not None:
            arguments["floor"] = price_text(D(floor))
            for market in self._tickers if arguments["all"] else [ticker]:
                self.floors[market].add(D(floor))
        if command == "flatten":
            self.flattened |= set(self._tickers) if arguments["all"] else {ticker}
        if command == "cancel":
            arguments["sure"] = self._random.random() < 0.5
        if name.startswith("T10") or name.endswith("sells"):
            self.falls(ticker, self._random.choice(FALLS))
        if name.startswith("O2"):
            self.kill("taken over")
        until_s = self._scheduler.now_s + PATIENCE_S
        for _ in range(2 if name.endswith("twice") else 1):
            delay_s = self._random.choice((0.0, 0.0, self._random.uniform(0.0, 0.3)))
            delay_s += self._random.uniform(0.0, 1.5) if name.endswith("sells") else 0.0
            self._scheduler.after(delay_s, lambda: self._press(command, arguments, until_s))

    def _press(self, command: str, arguments: dict[str, Any], until_s: float) -> None:
        """Type it, in whatever process guards now; again while there is none."""
        if self._scheduler.now_s > until_s:
            return
        program = self._program
        parts = program.parts
        if parts is None or program.process is None or not program.is_guarding:
            self._scheduler.after(AGAIN_S, lambda: self._press(command, arguments, until_s))
            return
        desk = Desk(parts.monitor.submit, parts.monitor.view, 0, SystemClock())

        def ask() -> None:
            try:
                said = desk.answers[command](arguments)
            except (MonitorError, ValueError) as e:
                said = [{"word": "error", "said": str(e)}]
            assert isinstance(said, list)
            for answer in said:
                self.noted(f"told {command} {answer['word']}")
            if any(answer["word"] in ("soon", "silent") for answer in said):
                self._scheduler.after(AGAIN_S, lambda: self._press(command, arguments, until_s))

        self._scheduler.spawn(f"person {command}", ask, program.process)
