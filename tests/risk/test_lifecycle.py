"""The table of states: what is not in it cannot happen."""

from __future__ import annotations

import pytest

from base.errors import IllegalTransition
from base.risk.exit_lifecycle import ENDS, EXITING, Event, State, accepts, advance, table
from tests.reference import ROOT
from tests.risk.lifecycle_page import page

EXITS = "TRIGGERED IN_FLIGHT UNKNOWN CONFIRMING STUCK WAITING REFUSED"
STANDS = "TRIGGERED STUCK WAITING REFUSED FLIPPED"
ROWS = (
    ("UNPROTECTED", "seen_safe", "ARMED"),
    ("UNPROTECTED", "retry trigger", "TRIGGERED"),  # a person's word
    ("UNPROTECTED ARMED", "gone", "CLOSED"),
    ("UNPROTECTED ARMED", "settled", "RETIRED"),
    ("UNPROTECTED ARMED", "uncovered", "UNPROTECTED"),
    ("UNPROTECTED", "resized", "UNPROTECTED"),
    ("ARMED", "resized", "ARMED"),
    ("ARMED", "trigger", "TRIGGERED"),
    ("TRIGGERED", "send", "IN_FLIGHT"),
    ("TRIGGERED STUCK WAITING", "untouched", "WITHDRAWN"),
    ("TRIGGERED", "no_room", "STUCK"),
    ("STUCK", "touched", "TRIGGERED"),
    ("TRIGGERED STUCK IN_FLIGHT", "halted", "WAITING"),
    ("TRIGGERED", "unlocked", "TRIGGERED"),  # a NO_BID has seen a bid that passes the filters
    ("STUCK", "unlocked", "STUCK"),
    ("WAITING", "unlocked", "WAITING"),
    ("IN_FLIGHT UNKNOWN", "sold", "CONFIRMING"),
    ("IN_FLIGHT UNKNOWN", "left_over", "TRIGGERED"),
    ("IN_FLIGHT", "not_sent", "TRIGGERED"),
    ("IN_FLIGHT", "lost", "UNKNOWN"),
    ("IN_FLIGHT", "denied", "REFUSED"),
    ("UNKNOWN", "absent", "TRIGGERED"),
    ("WAITING", "reopened", "TRIGGERED"),
    (f"CONFIRMING {STANDS}", "confirmed", "CLOSED"),
    (f"UNKNOWN CONFIRMING {STANDS}", "settled", "RETIRED"),
    (EXITS, "flip", "FLIPPED"),
    ("REFUSED STUCK", "retry", "TRIGGERED"),
    (f"UNKNOWN CONFIRMING {STANDS}", "cancel", "CANCELLED"),  # any but IN_FLIGHT
    *((state, "flatten", state) for state in EXITS.split()),  # joined: what is on its way stays
)


def test_the_table_is_the_specifications() -> None:
    """No row more, none less, none that leads elsewhere: written here once more, by hand."""
    expected = {
        (State(state), Event(event)): State(to)
        for states, events, to in ROWS
        for state in states.split()
        for event in events.split()
    }
    assert {(state, event): to for state, event, to in table()} == expected


def test_no_event_leaves_an_end() -> None:
    """Closed, retired, cancelled and withdrawn are ends."""
    assert not [(s, e) for s in ENDS for e in Event if accepts(s, e)]


def test_unknown_leaves_only_by_evidence_settlement_or_a_person() -> None:
    """A lost answer is neither success nor failure."""
    leaves = {event for state, event, to in table() if state is State.UNKNOWN and to is not state}
    assert leaves == {Event.SOLD, Event.LEFT_OVER, Event.ABSENT, Event.SETTLED, Event.FLIP, Event.CANCEL}


def test_only_triggered_sends() -> None:
    """One order at a time: nothing else reaches IN_FLIGHT."""
    assert {s for s, _, new in table() if new is State.IN_FLIGHT and s is not new} == {State.TRIGGERED}


def test_every_state_with_an_open_intent_can_end() -> None:
    """No exit is trapped: some sequence of events leads to an end."""
    reach = set(ENDS)
    while grown := {s for s, _, new in table() if new in reach} - reach:
        reach |= grown
    assert reach >= EXITING


def test_a_person_cannot_cancel_what_is_in_flight() -> None:
    """Its answer comes within the deadline; a forgotten order could still sell."""
    assert not accepts(State.IN_FLIGHT, Event.CANCEL)


def test_what_is_not_in_the_table_raises() -> None:
    """An impossible event is our own mistake and says so."""
    with pytest.raises(IllegalTransition):
        advance(State.ARMED, Event.SOLD)


def test_the_page_in_docs_is_made_from_the_table() -> None:
    """docs/exit-lifecycle.md: python -m tests.risk.lifecycle_page > docs/exit-lifecycle.md"""
    assert (ROOT / "docs/exit-lifecycle.md").read_text() == page()
