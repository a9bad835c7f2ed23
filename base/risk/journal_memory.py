"""Reads from the journal's tables what a restart must know. See recovered.py for what that is."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile
from typing import Any

import msgspec

from base.model import Key, Quote, Side
from base.risk.answers import CURABLE
from base.risk.exit_lifecycle import ENDS, Event, State
from base.risk.recovered import OpenIntent, PastAttempt, PastHolding, PastOutcome, Recovered
from base.units import ZERO

DAY_MS = 86_400_000
"""How long an epoch that ended is remembered: longer than its news or its latch may last."""
SENDS_MS = 120_000
NEWEST = 20_000
"""Rows among which the sends of the newest minutes are looked for."""
_GUARDED = frozenset(State) - ENDS - {State.UNPROTECTED} | {State.WITHDRAWN}
_NEW_PASS = frozenset({Event.TOUCHED, Event.RETRY, Event.REOPENED})
_SETTLES_NOTHING = frozenset({Event.LOST, Event.FLIP, Event.FLATTEN})
_UNLOCK = frozenset({Event.UNLOCKED, Event.SEND, Event.FLATTEN})
_NEWEST_MOVES = """
SELECT subaccount, ticker, side, at_ms, intent_id, attempt, event, to_state, inputs, seq FROM transitions
WHERE seq IN (SELECT max(seq) FROM transitions GROUP BY subaccount, ticker) ORDER BY seq
"""
_ENDS = """
SELECT subaccount, ticker, at_ms, intent_id, seq FROM transitions
WHERE seq IN (SELECT max(seq) FROM transitions WHERE to_state IN ('CLOSED', 'RETIRED')
              GROUP BY subaccount, ticker)
"""
_MOVES = """
SELECT subaccount, ticker, side, at_ms, intent_id, attempt, event, to_state, inputs, seq FROM transitions
WHERE subaccount = ? AND ticker = ? AND seq > ? AND intent_id = ? ORDER BY seq
"""
_SENDS = """
SELECT subaccount, ticker, side, at_ms, intent_id, attempt, event, to_state, inputs, seq FROM transitions
WHERE seq > ? AND event = 'send' AND at_ms > ? ORDER BY seq
"""
_INTENT = """
SELECT seq, at_ms, reason, quantity, level, floor, entry, rule, evidence, last_floor
FROM intents WHERE intent_id = ?
"""
_ATTEMPTS = """
SELECT number, client_order_id, count, price, exchange_index, at_ms FROM attempts
WHERE intent_id = ? ORDER BY number
"""
_OUTCOMES = """
SELECT at_ms, kind, order_id, filled, remaining, price, fee, status, why FROM outcomes
WHERE seq > ? AND client_order_id = ? ORDER BY seq
"""
_BEFORE_UNPROTECTED = """
SELECT to_state FROM transitions
WHERE subaccount = ? AND ticker = ? AND to_state != 'UNPROTECTED' ORDER BY seq DESC LIMIT 1
"""
_PEAK = """
SELECT peak, side, seq FROM decisions
WHERE subaccount = ? AND ticker = ? ORDER BY seq DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class _Move:
    """One row of the transitions."""

    subaccount: int
    ticker: str
    side: str
    at_ms: int
    intent_id: str | None
    attempt: int | None
    event: str
    to_state: str
    inputs_text: str
    seq: int

    @property
    def key(self) -> Key:
        return Key(self.subaccount, self.ticker)

    @property
    def inputs(self) -> dict[str, Any]:
        read = json.loads(self.inputs_text)
        return read if isinstance(read, dict) else {}


def recovered_from(connection: sqlite3.Connection) -> Recovered:
    """Read everything; a few milliseconds, whatever the age of the journal."""
    newest = {move.key: move for move in _moves(connection.execute(_NEWEST_MOVES))}
    armed = {key: Side(move.side) for key, move in newest.items() if State(move.to_state) in _GUARDED}
    newest_ms = max((move.at_ms for move in newest.values()), default=None)
    ends = _ends(connection)
    cancelled = {key: Side(move.side) for key, move in newest.items() if _is_cancelled(connection, move)}
    recent = {key: end for key, end in ends.items() if end[0] > (newest_ms or 0) - DAY_MS}
    return Recovered(
        armed=armed,
        cancelled=cancelled,
        held={key: held for key, move in newest.items() if (held := _held(move)) is not None},
        closed_ms={key: at_ms for key, (at_ms, _, _) in recent.items()},
        exited_ms={key: at_ms for key, (at_ms, intent_id, _) in recent.items() if intent_id is not None},
        peaks=_peaks(connection, armed | cancelled, ends),
        intents=tuple(_open_intents(connection, newest)),
        sends=_sends(connection, newest, newest_ms),
        newest_ms=newest_ms,
    )


def _is_cancelled(connection: sqlite3.Connection, newest: _Move) -> bool:
    """Whether a person withdrew its exit, and its stop was not seen safe since."""
    state = newest.to_state
    if state == State.UNPROTECTED:  # it was resized, or lost its rule, since then
        found = connection.execute(_BEFORE_UNPROTECTED, (newest.subaccount, newest.ticker)).fetchone()
        state = "" if found is None else found[0]
    return state == State.CANCELLED


def _held(move: _Move) -> PastHolding | None:
    """What was held then, if that is known and its epoch goes on."""
    try:
        count = Decimal(str(move.inputs["count"]))
    except (KeyError, ArithmeticError):  # written before counts were
        return None
    if State(move.to_state) in (State.CLOSED, State.RETIRED):
        return None
    return PastHolding(count if Side(move.side) is Side.YES else -count, move.at_ms)


def _moves(rows: sqlite3.Cursor) -> Iterator[_Move]:
    return (_Move(*row) for row in rows)


def _ends(connection: sqlite3.Connection) -> dict[Key, tuple[int, str | None, int]]:
    return {
        Key(subaccount, ticker): (at_ms, intent_id, seq)
        for subaccount, ticker, at_ms, intent_id, seq in connection.execute(_ENDS)
    }


def _peaks(
    connection: sqlite3.Connection, armed: dict[Key, Side], ends: dict[Key, tuple[int, str | None, int]]
) -> dict[Key, Decimal]:
    """The peak of each epoch that goes on, if it has one by its newest decision."""
    peaks = {}
    for key, side in armed.items():
        began_seq = ends[key][2] if key in ends else 0
        newest = connection.execute(_PEAK, (key.subaccount, key.ticker)).fetchone()
        if newest is not None:
            peak, of_side, seq = newest
            if peak is not None and of_side == side.value and seq > began_seq:
                peaks[key] = Decimal(peak)
    return peaks


def _sends(
    connection: sqlite3.Connection, newest: dict[Key, _Move], newest_ms: int | None
) -> dict[Key, tuple[tuple[int, bool], ...]]:
    if newest_ms is None:
        return {}
    last_seq = max(move.seq for move in newest.values())
    sends: dict[Key, list[tuple[int, bool]]] = defaultdict(list)
    known: set[tuple[str | None, int | None]] = set()
    for move in _moves(connection.execute(_SENDS, (last_seq - NEWEST, newest_ms - SENDS_MS))):
        # Version 1 did not say: there the first sending of an attempt is the one with the new id.
        is_new_id = move.inputs.get("is_new_id", (move.intent_id, move.attempt) not in known)
        known.add((move.intent_id, move.attempt))
        sends[move.key].append((move.at_ms, bool(is_new_id)))
    return {key: tuple(of_key) for key, of_key in sends.items()}


# --- open intents -----------------------------------------------------------------------------------


def _open_intents(connection: sqlite3.Connection, newest: dict[Key, _Move]) -> Iterator[OpenIntent]:
    """An intent is open while the newest row of its key belongs to it and ends nothing."""
    found = [
        (connection.execute(_INTENT, (move.intent_id,)).fetchone(), move)
        for move in newest.values()
        if move.intent_id is not None and State(move.to_state) not in ENDS
    ]
    for row, move in sorted((pair for pair in found if pair[0] is not None), key=lambda pair: pair[0][0]):
        yield _open_intent(connection, move, row)


def _open_intent(connection: sqlite3.Connection, newest: _Move, row: tuple[Any, ...]) -> OpenIntent:
    seq, began_ms, reason, quantity, level, floor, entry, rule, evidence, last_floor = row
    assert newest.intent_id is not None
    asked = (newest.subaccount, newest.ticker, seq, newest.intent_id)
    moves = list(_moves(connection.execute(_MOVES, asked)))
    denied = _last(moves, Event.DENIED)
    sold = _last(moves, Event.SOLD)
    events = {move.event for move in moves}
    floors = [Decimal(str(move.inputs["floor"])) for move in moves if move.event == Event.FLATTEN]
    last = next((move for move in reversed(moves) if move.event != Event.FLATTEN), newest)
    return OpenIntent(
        key=newest.key, side=Side(newest.side), intent_id=newest.intent_id, reason=reason,
        quantity=Decimal(quantity), level=Decimal(level), floor=min([Decimal(floor), *floors]),
        is_joined=bool(floors), entry=_decimal(entry), rule=rule, evidence=_quote(evidence),
        last_floor=_decimal(last_floor),
        began_ms=began_ms, state=State(newest.to_state), event=Event(last.event), event_ms=last.at_ms,
        unlocked=reason != "NO_BID" or bool(events & _UNLOCK), tried=_tried(moves),
        denied_status=denied.inputs.get("status") if denied else None,
        denied_code=denied.inputs.get("code") if denied else None,
        sold_ms=sold.at_ms if sold else None,
        attempts=tuple(_attempts(connection, newest.intent_id, seq, moves)),
    )  # fmt: skip


def _last(moves: list[_Move], event: Event) -> _Move | None:
    return next((move for move in reversed(moves) if move.event == event), None)


def _tried(moves: list[_Move]) -> Decimal | None:
    tried = None
    for move in moves:
        if move.event == Event.SEND:
            tried = _decimal(move.inputs.get("price"))
        elif move.event in _NEW_PASS or (move.event == Event.NOT_SENT and move.inputs.get("why") in CURABLE):
            tried = None
    return tried


def _attempts(
    connection: sqlite3.Connection, intent_id: str, began_seq: int, moves: list[_Move]
) -> Iterator[PastAttempt]:
    settled = _settled(moves)
    for number, client_id, count, price, index, written_ms in connection.execute(_ATTEMPTS, (intent_id,)):
        outcomes = connection.execute(_OUTCOMES, (began_seq, client_id))
        sent = next((m for m in reversed(moves) if m.event == Event.SEND and m.attempt == number), None)
        yield PastAttempt(
            number=number,
            client_order_id=client_id,
            count=Decimal(count),
            price=Decimal(price),
            exchange_index=index,
            written_ms=written_ms,
            sent_ms=sent.at_ms if sent else None,
            outcomes=tuple(_outcome(*values) for values in outcomes),
            is_unresolved=sent is not None and not _is_resolved(sent, moves),
            goes_again=sent is not None and _goes_again(sent, moves),
            settled=settled.get(number),
        )


def _settled(moves: list[_Move]) -> dict[int | None, Decimal]:
    """What each order had sold when it was settled: the rows say it of the whole exit.

    An order that was found by a read has no outcome: without this a restart would sell its contracts again.
    """
    settled: dict[int | None, Decimal] = {}
    for move in moves:
        if move.event in (Event.LEFT_OVER, Event.SOLD) and "filled" in move.inputs:
            others = sum((sold for number, sold in settled.items() if number != move.attempt), ZERO)
            settled[move.attempt] = max(ZERO, Decimal(str(move.inputs["filled"])) - others)
    return settled


def _is_resolved(sent: _Move, moves: list[_Move]) -> bool:
    """Whether an event after the newest sending says what became of it; no answer stands without one."""
    return bool({Event(move.event) for move in _after(sent, moves)} - _SETTLES_NOTHING)


def _after(sent: _Move, moves: list[_Move]) -> Iterator[_Move]:
    """What was written after ``sent`` and speaks of it: what follows the next order speaks of that one."""
    later = (move for move in moves if move.seq > sent.seq)
    return takewhile(lambda move: move.event != Event.SEND, later)


def _goes_again(sent: _Move, moves: list[_Move]) -> bool:
    """Whether it never came to the exchange, and no word of it asks for another order than this."""
    return any(
        move.event == Event.ABSENT or (move.event == Event.NOT_SENT and move.inputs.get("why") not in CURABLE)
        for move in _after(sent, moves)
    )


def _outcome(
    at_ms: int, kind: str, order_id: str | None, filled: str | None, remaining: str | None,
    price: str | None, fee: str | None, status: int | None, why: str,
) -> PastOutcome:  # fmt: skip
    return PastOutcome(
        at_ms=at_ms,
        kind=kind,
        order_id=order_id,
        filled=_decimal(filled),
        remaining=_decimal(remaining),
        price=_decimal(price),
        fee=_decimal(fee),
        status=status,
        why=why,
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _quote(text: str) -> Quote | None:
    try:
        return msgspec.json.decode(text, type=Quote)
    except (msgspec.DecodeError, ValueError):
        return None
