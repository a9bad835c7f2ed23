"""What a batch must have reached: a fault or a state that never occurred was not tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from base.risk.exit_lifecycle import State
from tests.simulation import persons
from tests.simulation.faults import FRAME_KINDS, REPORT_KINDS, REQUEST_KINDS
from tests.simulation.plan import EVENTS, STAGES

TOLD = (
    "flatten done", "flatten soon", "flatten nothing", "flatten refused", "flatten floor",
    "retry done", "retry nothing", "cancel done", "cancel nothing", "cancel typed",
)  # fmt: skip
"""What persons were told."""
ENOUGH = 1_000
"""A smaller batch need not reach everything."""


def required() -> Iterable[str]:
    """Every fault, every event of a day, every point of death, every state."""
    yield from (*REQUEST_KINDS, *REPORT_KINDS, *FRAME_KINDS, *EVENTS, *persons.EVENTS)
    yield from (f"killed at {stage}" for stage in STAGES)
    yield "kept in the emergency file"
    yield "decisions replayed"
    yield from (f"to {state}" for state in State)
    yield from (f"told {what}" for what in TOLD)
    yield from ("a flatten joined an exit", "an order of a joined exit")


def missing(reached: Counter[str]) -> list[str]:
    """What did not occur."""
    return [what for what in required() if not reached[what]]
