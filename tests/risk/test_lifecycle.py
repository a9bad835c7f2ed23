"""The table of states: what is not in it cannot happen."""

from __future__ import annotations

import pytest

from base.errors import IllegalTransition
from base.risk.exit_lifecycle import ENDS, EXITING, Event, State, accepts, advance, table
from tests.reference import ROOT
from tests.risk.lifecycle_page import page


def test_no_event_leaves_an_end() -> None:
    """Closed, retired, cancelled and withdrawn are ends."""
    assert not [(s, e) for s in ENDS for e in Event if accepts(s, e)]


def test_unknown_leaves_only_by_evidence_settlement_or_a_person() -> None:
    """A lost answer is neither success nor failure."""
    leaves = {event for state, event, _ in table() if state is State.UNKNOWN}
    assert leaves == {Event.SOLD, Event.LEFT_OVER, Event.ABSENT, Event.SETTLED, Event.FLIP, Event.CANCEL}


def test_only_triggered_sends() -> None:
    """One order at a time: nothing else reaches IN_FLIGHT."""
    assert {s for s, _, new in table() if new is State.IN_FLIGHT} == {State.TRIGGERED}


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
