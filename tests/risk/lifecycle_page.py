"""Writes docs/exit-lifecycle.md from the table: ``python -m tests.risk.lifecycle_page > docs/exit-lifecycle.md``."""

from __future__ import annotations

from collections import defaultdict

from base.risk.exit_lifecycle import ENDS, EXITING, Event, State, table

_HEAD = """# The life of an exit

Made from the table in `base/risk/exit_lifecycle.py`; a test holds this page to it. What is not here cannot happen:
any other event in a state ends the monitor's thread, and its process with it, rather than be guessed at.

UNPROTECTED and ARMED are a holding without an exit. From TRIGGERED on an *intent* is open: one decision to leave,
with a quantity and a floor fixed when it was made; a person's flatten joins it and may lower its floor. It ends in CLOSED, RETIRED, CANCELLED or WITHDRAWN (the holding is
ARMED again); STUCK, WAITING, REFUSED and FLIPPED stand, with an alarm that rings every minute.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, "```mermaid", *_diagram(), "```", "", *_rows()]) + "\n"


def _diagram() -> list[str]:
    arrows: dict[tuple[State, State], list[Event]] = defaultdict(list)
    for state, event, to in table():
        arrows[state, to].append(event)
    lines = ["stateDiagram-v2", "    [*] --> UNPROTECTED"]
    for (state, to), events in arrows.items():
        lines.append(f"    {state} --> {to}: {', '.join(events)}")
    return [
        *lines,
        *(f"    {state} --> [*]" for state in sorted(ENDS - {State.WITHDRAWN})),
        "    WITHDRAWN --> ARMED",
    ]


def _rows() -> list[str]:
    rows = ["| From | Event | To | An intent is open |", "|---|---|---|---|"]
    for state, event, to in table():
        rows.append(f"| {state} | {event} | {to} | {'yes' if state in EXITING else ''} |")
    return rows


if __name__ == "__main__":
    print(page(), end="")
