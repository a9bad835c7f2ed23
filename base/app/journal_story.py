"""What the journal says of one holding, now or at a moment that is past. Read only: it takes no lock.

The journal holds every change with what it was made on, and nothing of what happened in between: the
prices between two decisions, and the five proofs outside them, are not in it.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from base.app.explained_report import levels_report, quote_report, rule_report
from base.app.status_report import PROOFS, price_or_none
from base.clock import utc_text
from base.errors import MonitorError
from base.feed.watch import Sighting
from base.model import Key, Side
from base.risk.exit_lifecycle import ENDS, State
from base.risk.rules import Stop
from base.risk.views import protection_of
from base.units import count_text

MOST_MOVES = 10
NEVER_MS = 1 << 62
_STOP = msgspec.json.Decoder(Stop)
_SEEN = msgspec.json.Decoder(Sighting)
_NEWEST = """
SELECT at_ms, ticker, side, to_state, inputs FROM transitions
WHERE seq IN (SELECT max(seq) FROM transitions GROUP BY subaccount, ticker)
AND to_state NOT IN ('CLOSED', 'RETIRED') ORDER BY ticker, subaccount
"""
_KEYS = "SELECT DISTINCT subaccount FROM transitions WHERE ticker = ? AND at_ms <= ? ORDER BY subaccount"
_MOVES = """
SELECT at_ms, from_state, event, to_state, inputs, side, intent_id FROM transitions
WHERE subaccount = ? AND ticker = ? AND at_ms <= ? ORDER BY seq DESC LIMIT ?
"""
_DECISION = """
SELECT at_ms, now_s, kind, reason, stop, seen FROM decisions
WHERE subaccount = ? AND ticker = ? AND at_ms <= ? ORDER BY seq DESC LIMIT 1
"""
_INTENT = "SELECT reason, quantity, floor FROM intents WHERE intent_id = ?"
_FLATTENS = """
SELECT inputs FROM transitions
WHERE subaccount = ? AND ticker = ? AND intent_id = ? AND event = 'flatten' AND at_ms <= ?
"""
_ORDERS = """
SELECT number, count, price, client_order_id FROM attempts WHERE intent_id = ? AND at_ms <= ? ORDER BY number
"""
_FILLED = "SELECT filled FROM outcomes WHERE client_order_id = ? AND at_ms <= ? AND filled IS NOT NULL"


def moves_of(journal: Path, key: Key) -> list[dict[str, Any]]:
    """The newest changes of state, oldest first; none where the journal cannot be read."""
    try:
        with closing(_open(journal)) as connection:
            return _moves(connection.execute(_MOVES, (key.subaccount, key.ticker, NEVER_MS, MOST_MOVES)))
    except sqlite3.Error:
        return []


def last_known(journal: Path) -> list[str]:
    """One line for each holding that had not ended; none where the journal cannot be read."""
    try:
        with closing(_open(journal)) as connection:
            rows = connection.execute(_NEWEST).fetchall()
    except sqlite3.Error:
        return []
    return [
        f"{ticker} {side.upper()} {_count(json.loads(inputs).get('count'))}: {_standing(State(state))}"
        f" since {utc_text(at_ms)}"
        for at_ms, ticker, side, state, inputs in rows
    ]


def story(journal: Path, ticker: str, subaccount: int | None, until_ms: int | None) -> dict[str, Any]:
    """Tell of one holding as the journal knows it: now, or as of ``until_ms``.

    Raises:
        MonitorError: It says nothing of it, cannot be read, or it is not clear which sub-account is meant.
    """
    end_ms = NEVER_MS if until_ms is None else until_ms
    if not journal.exists():
        raise MonitorError("there is no journal: nothing is known")
    try:
        with closing(_open(journal)) as connection:
            key = _key(connection, ticker, subaccount, end_ms)
            return _tell(connection, key, end_ms)
    except sqlite3.Error as e:
        raise MonitorError(f"the journal {journal} cannot be read: {e}") from e


def _open(journal: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(journal))}?mode=ro", uri=True)


def _key(connection: sqlite3.Connection, ticker: str, subaccount: int | None, end_ms: int) -> Key:
    known = [number for (number,) in connection.execute(_KEYS, (ticker, end_ms))]
    if subaccount is None and len(known) > 1:
        numbers = " and ".join(map(str, known))
        raise MonitorError(f"{ticker} is known in sub-accounts {numbers}: say which with --subaccount")
    if not known or (subaccount is not None and subaccount not in known):
        raise MonitorError(
            f"the journal says nothing of {ticker}" + ("" if end_ms == NEVER_MS else " by then")
        )
    return Key(known[0] if subaccount is None else subaccount, ticker)


def _tell(connection: sqlite3.Connection, key: Key, end_ms: int) -> dict[str, Any]:
    newest = connection.execute(_MOVES, (key.subaccount, key.ticker, end_ms, MOST_MOVES)).fetchall()
    at_ms, _, event, to_state, inputs_text, side, intent_id = newest[0]
    inputs, state = json.loads(inputs_text), State(to_state)
    is_open = intent_id is not None and state not in ENDS
    now_state = _standing(state)
    report: dict[str, Any] = {
        "ticker": key.ticker, "subaccount": key.subaccount, "side": Side(side).value,
        "count": _count(inputs.get("count")), "entry": None, "state": now_state.value,
        "protection": None if state in (State.CLOSED, State.RETIRED) else protection_of(now_state),
        "reason": str(inputs.get("why") or inputs.get("reason") or event),
        "rule": None, "trigger": None, **levels_report(None), "quote": None, "age_ms": None,
        "freshness": None, "decision": None, "alarms": [], "waits_for": None, "as_of": utc_text(at_ms),
        "exit": _exit(connection, key, intent_id, end_ms) if is_open else None,
        "transitions": _moves(newest),
        "not_known": [
            "prices between the decisions that are written down, and what was held since "
            f"{utc_text(at_ms)}, when its state last changed",
            "alarms: they stand in the stop-loss log",
        ],
    }  # fmt: skip
    decided = connection.execute(_DECISION, (key.subaccount, key.ticker, end_ms)).fetchone()
    if decided is None:
        report["not_known"].append("its rule and its price: nothing was decided on it")
    else:
        report.update(_decision(*decided))
        report["not_known"].append(f"its price after {report['decision']['at']}, when that was decided on")
    return report


def _decision(
    at_ms: int, now_s: float, kind: str, reason: str, stop_text: str, seen_text: str
) -> dict[str, Any]:
    stop, seen = _STOP.decode(stop_text), _SEEN.decode(seen_text)
    return {
        "entry": price_or_none(stop.entry),
        "rule": rule_report(stop.rule),
        "trigger": price_or_none(stop.trigger),
        **levels_report(stop),
        "quote": quote_report(seen.quote),
        "age_ms": round((now_s - seen.confirmed_s) * 1000),
        "freshness": {proof: str(getattr(seen.freshness, proof)) for proof in PROOFS},
        "decision": {"kind": kind, "reason": reason or None, "at": utc_text(at_ms)},
    }


def _standing(state: State) -> State:
    """WITHDRAWN leaves the holding armed, CANCELLED unprotected; neither writes a row of its own."""
    return {State.WITHDRAWN: State.ARMED, State.CANCELLED: State.UNPROTECTED}.get(state, state)


def _exit(connection: sqlite3.Connection, key: Key, intent_id: str, end_ms: int) -> dict[str, Any] | None:
    found = connection.execute(_INTENT, (intent_id,)).fetchone()
    if found is None:
        return None
    reason, quantity, floor = found
    flattens = connection.execute(_FLATTENS, (key.subaccount, key.ticker, intent_id, end_ms)).fetchall()
    floors = [Decimal(json.loads(text)["floor"]) for (text,) in flattens]
    orders = connection.execute(_ORDERS, (intent_id, end_ms)).fetchall()
    return {
        "intent": intent_id,
        "reason": reason,
        "quantity": _count(quantity),
        "floor": price_or_none(min([Decimal(floor), *floors])),
        "joined": bool(floors),
        "orders": [
            {
                "number": number,
                "count": _count(count),
                "price": price_or_none(Decimal(price)),
                "filled": _filled(connection, name, end_ms),
            }
            for number, count, price, name in orders
        ],
    }


def _filled(connection: sqlite3.Connection, client_order_id: str, end_ms: int) -> str | None:
    answers = connection.execute(_FILLED, (client_order_id, end_ms)).fetchall()
    return _count(answers[-1][0]) if answers else None


def _count(text: str | None) -> str | None:
    return None if text is None else count_text(Decimal(text))


def _moves(rows: Any) -> list[dict[str, Any]]:
    told = []
    for at_ms, from_state, event, to_state, inputs_text, _, _ in rows:
        inputs = json.loads(inputs_text)
        why = inputs.get("why") or inputs.get("reason") or None
        told.append({"at": utc_text(at_ms), "from": from_state, "event": event, "to": to_state, "why": why})
    return told[::-1]
