"""The journal's tables, how a row becomes cells, and the digest that chains rows. Pure.

Money is text, so that no digit is lost; what has parts is JSON. STRICT tables take nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from decimal import Decimal

import msgspec

_SEQUENCED = "seq INTEGER PRIMARY KEY, chain TEXT NOT NULL"
_KEYED = "subaccount INTEGER NOT NULL, ticker TEXT NOT NULL, side TEXT NOT NULL CHECK (side IN ('yes', 'no'))"
STEPS = (
    f"""
CREATE TABLE intents ({_SEQUENCED},
    intent_id TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL, {_KEYED}, reason TEXT NOT NULL,
    quantity TEXT NOT NULL, level TEXT NOT NULL, floor TEXT NOT NULL, entry TEXT, rule TEXT,
    evidence TEXT NOT NULL) STRICT;
CREATE TABLE attempts ({_SEQUENCED},
    client_order_id TEXT NOT NULL UNIQUE, intent_id TEXT NOT NULL REFERENCES intents (intent_id),
    number INTEGER NOT NULL, at_ms INTEGER NOT NULL, exchange_index INTEGER NOT NULL,
    count TEXT NOT NULL, price TEXT NOT NULL, UNIQUE (intent_id, number)) STRICT;
CREATE TABLE outcomes ({_SEQUENCED},
    client_order_id TEXT NOT NULL REFERENCES attempts (client_order_id), at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL, order_id TEXT, filled TEXT, why TEXT NOT NULL) STRICT;
CREATE TABLE transitions ({_SEQUENCED},
    at_ms INTEGER NOT NULL, now_s REAL NOT NULL, {_KEYED}, intent_id TEXT, attempt INTEGER,
    from_state TEXT NOT NULL, event TEXT NOT NULL, to_state TEXT NOT NULL, inputs TEXT NOT NULL) STRICT;
CREATE INDEX transitions_by_key ON transitions (subaccount, ticker, seq);
""",
    f"""
ALTER TABLE intents ADD COLUMN last_floor TEXT;
ALTER TABLE outcomes ADD COLUMN remaining TEXT;
ALTER TABLE outcomes ADD COLUMN price TEXT;
ALTER TABLE outcomes ADD COLUMN fee TEXT;
ALTER TABLE outcomes ADD COLUMN status INTEGER;
CREATE INDEX transitions_that_end ON transitions (subaccount, ticker, seq)
    WHERE to_state IN ('CLOSED', 'RETIRED');
CREATE TABLE decisions ({_SEQUENCED},
    at_ms INTEGER NOT NULL, now_s REAL NOT NULL, {_KEYED}, intent_id TEXT,
    call TEXT NOT NULL CHECK (call IN ('follow', 'decide')), kind TEXT NOT NULL, reason TEXT NOT NULL,
    peak TEXT, confirmed INTEGER, stop TEXT NOT NULL, seen TEXT NOT NULL, market TEXT NOT NULL,
    resumed_s REAL NOT NULL, decision TEXT NOT NULL) STRICT;
CREATE INDEX decisions_by_key ON decisions (subaccount, ticker, seq);
""",
)
"""What each version added. A new file takes all steps, an older one those it lacks."""
SCHEMA_VERSION = len(STEPS)
# Whole statements, so that no name is ever put together at run time.
INSERT = {
    "intents": "INSERT INTO intents VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    "attempts": "INSERT INTO attempts VALUES (?,?,?,?,?,?,?,?,?)",
    "outcomes": "INSERT INTO outcomes VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
    "transitions": "INSERT INTO transitions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
    "decisions": "INSERT INTO decisions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
}
SELECT = {
    "intents": "SELECT * FROM intents WHERE seq >= ? ORDER BY seq",
    "attempts": "SELECT * FROM attempts WHERE seq >= ? ORDER BY seq",
    "outcomes": "SELECT * FROM outcomes WHERE seq >= ? ORDER BY seq",
    "transitions": "SELECT * FROM transitions WHERE seq >= ? ORDER BY seq",
    "decisions": "SELECT * FROM decisions WHERE seq >= ? ORDER BY seq",
}
Cell = str | int | float | None
_encode = msgspec.json.Encoder(decimal_format="string").encode


def cell(value: object) -> Cell:
    """What stands in the file for ``value``: read back, it is the same, or the chain would break."""
    if isinstance(value, str):
        return value if value.isascii() else _writable(value)
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        return int(value)  # True is 1
    return str(value) if isinstance(value, Decimal) else json_text(value)


def json_text(value: object) -> str:
    """Write frozen facts as JSON, money as strings.

    Raises:
        TypeError: Something in it is no fact: an object without fields.
    """
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:  # half a character, from outside: only json can write it
        return json.dumps(msgspec.to_builtins(value, str_keys=True), separators=(",", ":"))


def digest_of(previous: str, table: str, seq: int, cells: Iterable[Cell]) -> str:
    """The chain's digest of one row: anybody may check it.

    Absent cells at the end do not count: a version of the tables may add columns to rows that have none.
    """
    present = list(cells)
    while present and present[-1] is None:
        present.pop()
    text = json.dumps([previous, table, seq, present], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _writable(text: str) -> str:
    """Text from outside may hold half a character, which no file of text takes."""
    return text.encode("utf-8", "backslashreplace").decode()
