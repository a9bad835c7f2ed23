"""The life of a protected holding and its exit, as a table. What is not here cannot happen. Pure.

A holding begins UNPROTECTED until its stop has been seen on its safe side. ARMED watches;
TRIGGERED has decided and may send; IN_FLIGHT has sent and waits for the answer; UNKNOWN lost it
and leaves only by evidence; CONFIRMING waits until the exchange agrees that all is sold. STUCK
and WAITING stand and try again when they may; REFUSED and FLIPPED need a person.
See stops-and-exits.md, section 5.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import product

from base.errors import IllegalTransition


class State(StrEnum):
    """Where a holding stands. The last four end an intent; WITHDRAWN leaves the holding ARMED."""

    UNPROTECTED = "UNPROTECTED"
    ARMED = "ARMED"
    TRIGGERED = "TRIGGERED"
    IN_FLIGHT = "IN_FLIGHT"
    UNKNOWN = "UNKNOWN"
    CONFIRMING = "CONFIRMING"
    STUCK = "STUCK"
    WAITING = "WAITING"
    REFUSED = "REFUSED"
    FLIPPED = "FLIPPED"
    CLOSED = "CLOSED"
    RETIRED = "RETIRED"
    CANCELLED = "CANCELLED"
    WITHDRAWN = "WITHDRAWN"


class Event(StrEnum):
    """What may happen to a holding."""

    SEEN_SAFE = "seen_safe"
    UNCOVERED = "uncovered"  # the rule cannot protect it any more, or a hook said closed and it is held
    RETRY = "retry"  # a person confirms
    CANCEL = "cancel"  # a person withdraws the intent
    FLATTEN = "flatten"  # a person wants out while an intent is open: it is joined, its floor lowered
    TRIGGER = "trigger"  # EXIT, NO_BID or a flatten that finds no intent
    RESIZED = "resized"
    GONE = "gone"  # held = 0 by fills or two reads, nothing of ours did it
    SETTLED = "settled"
    UNLOCKED = "unlocked"  # a NO_BID saw a bid that passes the filters
    SEND = "send"  # attempt durable, evidence at most 2 s old
    UNTOUCHED = "untouched"  # no touch for 2 s, proven, what it sold counted; or a stop overtook it
    NO_ROOM = "no_room"  # no bid inside the floor, or the ladder ended
    TOUCHED = "touched"  # touched within 2 s and a bid at or above the floor
    HALTED = "halted"  # market or shard paused, inactive, closed
    REOPENED = "reopened"  # open again with fresh evidence, still decided
    SOLD = "sold"  # answered or found: nothing left
    LEFT_OVER = "left_over"  # answered or found: some left, or nothing filled
    NOT_SENT = "not_sent"  # no byte left, 429, clock refused, or a refusal that a re-read may cure
    LOST = "lost"  # no readable answer, a 409 on our own id, a remainder that rests
    DENIED = "denied"  # 401, 403, 410, other 400
    ABSENT = "absent"  # proven twice that the exchange never had it
    CONFIRMED = "confirmed"  # the exchange agrees that nothing is left
    FLIP = "flip"  # the sign changed


_S, _E = State, Event
_OPEN = (_S.TRIGGERED, _S.IN_FLIGHT, _S.UNKNOWN, _S.CONFIRMING, _S.STUCK, _S.WAITING, _S.REFUSED)
_STANDING = (_S.TRIGGERED, _S.STUCK, _S.WAITING, _S.REFUSED, _S.FLIPPED)

TRANSITIONS: dict[tuple[State, Event], State] = {
    (_S.UNPROTECTED, _E.SEEN_SAFE): _S.ARMED,
    (_S.UNPROTECTED, _E.RETRY): _S.TRIGGERED,
    (_S.UNPROTECTED, _E.TRIGGER): _S.TRIGGERED,  # flatten
    (_S.UNPROTECTED, _E.GONE): _S.CLOSED,
    (_S.UNPROTECTED, _E.SETTLED): _S.RETIRED,
    (_S.UNPROTECTED, _E.RESIZED): _S.UNPROTECTED,
    (_S.UNPROTECTED, _E.UNCOVERED): _S.UNPROTECTED,
    (_S.ARMED, _E.TRIGGER): _S.TRIGGERED,
    (_S.ARMED, _E.RESIZED): _S.ARMED,
    (_S.ARMED, _E.GONE): _S.CLOSED,
    (_S.ARMED, _E.SETTLED): _S.RETIRED,
    (_S.ARMED, _E.UNCOVERED): _S.UNPROTECTED,
    (_S.TRIGGERED, _E.SEND): _S.IN_FLIGHT,
    **{(state, _E.UNLOCKED): state for state in (_S.TRIGGERED, _S.STUCK, _S.WAITING)},
    **{(state, _E.UNTOUCHED): _S.WITHDRAWN for state in (_S.TRIGGERED, _S.STUCK, _S.WAITING)},
    (_S.TRIGGERED, _E.NO_ROOM): _S.STUCK,
    (_S.STUCK, _E.TOUCHED): _S.TRIGGERED,
    **{(state, _E.HALTED): _S.WAITING for state in (_S.TRIGGERED, _S.STUCK, _S.IN_FLIGHT)},
    (_S.WAITING, _E.REOPENED): _S.TRIGGERED,
    **{(state, _E.SOLD): _S.CONFIRMING for state in (_S.IN_FLIGHT, _S.UNKNOWN)},
    **{(state, _E.LEFT_OVER): _S.TRIGGERED for state in (_S.IN_FLIGHT, _S.UNKNOWN)},
    (_S.IN_FLIGHT, _E.NOT_SENT): _S.TRIGGERED,
    (_S.IN_FLIGHT, _E.LOST): _S.UNKNOWN,
    (_S.IN_FLIGHT, _E.DENIED): _S.REFUSED,
    (_S.UNKNOWN, _E.ABSENT): _S.TRIGGERED,
    **{(state, _E.SETTLED): _S.RETIRED for state in (_S.UNKNOWN, _S.CONFIRMING, *_STANDING)},
    (_S.CONFIRMING, _E.CONFIRMED): _S.CLOSED,
    **{(state, _E.CONFIRMED): _S.CLOSED for state in _STANDING},
    **{(state, _E.FLIP): _S.FLIPPED for state in _OPEN},
    **{(state, _E.FLATTEN): state for state in _OPEN},  # what is on its way stays; the next order heeds it
    **{(state, _E.RETRY): _S.TRIGGERED for state in (_S.REFUSED, _S.STUCK)},
    **{
        (state, _E.CANCEL): _S.CANCELLED
        for state in (*_OPEN, _S.FLIPPED)
        if state is not _S.IN_FLIGHT  # its answer comes within the deadline; then it may be cancelled
    },
}

ENDS = frozenset({State.CLOSED, State.RETIRED, State.CANCELLED, State.WITHDRAWN})
"""No event leaves these."""

EXITING = frozenset(_OPEN) | {State.FLIPPED}
"""States with an open intent."""


def advance(state: State, event: Event) -> State:
    """Return the state after ``event``.

    Raises:
        IllegalTransition: The table does not list it: our own mistake, never the exchange's.
    """
    if (new := TRANSITIONS.get((state, event))) is None:
        raise IllegalTransition(f"{event} in {state}")
    return new


def accepts(state: State, event: Event) -> bool:
    """Whether the table lists ``event`` for ``state``."""
    return (state, event) in TRANSITIONS


def table() -> list[tuple[State, Event, State]]:
    """Every transition, for the diagram in docs/ and for tests."""
    pairs = product(State, Event)
    return [(s, e, TRANSITIONS[s, e]) for s, e in pairs if (s, e) in TRANSITIONS]
