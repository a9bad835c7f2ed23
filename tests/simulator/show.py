"""A play performed without a server."""

from __future__ import annotations

from decimal import Decimal

import pytest

from base.simulator.clock import ManualClock
from base.simulator.engine.events import Event, TopChanged
from base.simulator.rate_limits import UNLIMITED
from base.simulator.scenarios.catalogue import find
from base.simulator.scenarios.stage import Stage
from base.simulator.semantics import Semantics
from base.simulator.venue import Venue
from tests.simulator.exchange_world import NOW
from tests.simulator.published_spec import REFERENCE

STEP_S = 0.05

needs_recordings = pytest.mark.skipif(
    not (REFERENCE / "data").is_dir(), reason=f"needs the recordings in {REFERENCE}/data: set REFERENCE_DIR"
)


class Show:
    """A play performed without a server. ``events`` holds (scenario seconds, event)."""

    def __init__(
        self, name: str, seconds: float, seed: int = 0, speed: float = 1.0, step_s: float = STEP_S
    ) -> None:
        self.clock = ManualClock(NOW)
        self.venue = Venue(Semantics(), self.clock, UNLIMITED, salt=0)
        self.events: list[tuple[float, Event]] = []
        stage, play = Stage(self.venue, seed, speed), find(name)
        play.open(stage)
        self.venue.publish()
        for step in range(1, round(seconds / step_s) + 1):
            now_s = step * step_s
            self.venue.listeners[:] = [lambda event, at=now_s: self.events.append((at, event))]  # type: ignore[misc]
            self.clock.advance(step_s / speed)
            self.venue.advance()
            play.play(stage, now_s)
            self.venue.publish()

    def bids(self, ticker: str) -> list[tuple[float, Decimal | None]]:
        """Return (time, best bid) of every ticker message."""
        return [(at, e.top.bid) for at, e in self.events if isinstance(e, TopChanged) and e.ticker == ticker]

    def tops(self, ticker: str) -> list[tuple[float, TopChanged]]:
        """Return every ticker message of a market."""
        return [(at, e) for at, e in self.events if isinstance(e, TopChanged) and e.ticker == ticker]
