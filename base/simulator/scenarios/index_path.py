"""A made-up path of the Bitcoin index, so that its channels have something to say.

It has nothing to do with any market here, and a recording never gets one: an invented index
beside recorded prices would mislead.
"""

from __future__ import annotations

import random
from decimal import Decimal

from base.simulator.indices import Tick
from base.simulator.scenarios.stage import Stage

INDEX = "BRTI"
START_CENTS = 9_700_000
STEP_CENTS = 700  # at most, each way; about 270 dollars in a quarter of an hour
BEAT_MS = 200
LONGEST_LAG_MS = 5_000


class IndexPath:
    """A seeded walk, five values a second of the exchange's own clock at any speed of the play."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"{INDEX} {seed}")
        self._cents = START_CENTS
        self._next_ms: int | None = None

    def play(self, stage: Stage) -> None:
        """Publish what is due; after a long pause the walk goes on from now."""
        now_ms = stage.now_ms()
        if self._next_ms is None or now_ms - self._next_ms > LONGEST_LAG_MS:
            self._next_ms = now_ms - now_ms % BEAT_MS
        while self._next_ms <= now_ms:
            self._cents += self._random.randint(-STEP_CENTS, STEP_CENTS)
            value = Decimal(self._cents) / 100
            tick = Tick(index_id=INDEX, value=value, source_ms=self._next_ms, received_ms=now_ms)
            stage.venue.indices.tick(tick)
            self._next_ms += BEAT_MS
