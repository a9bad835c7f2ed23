"""Replays the decisions of a journal: what the core was given must make it decide the same, byte for byte."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec

from base.feed.watch import Sighting
from base.model import Market
from base.risk.decide import Exit, Moment, confirm, decide, follow
from base.risk.journal_tables import Cell, cell, json_text
from base.risk.rules import Stop

_DECISIONS = """
SELECT seq, at_ms, now_s, call, stop, seen, market, resumed_s, kind, decision, peak, confirmed
FROM decisions ORDER BY seq
"""
_STOP = msgspec.json.Decoder(Stop)
_SEEN = msgspec.json.Decoder(Sighting)
_MARKET = msgspec.json.Decoder(Market)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A decision that is another one today: ``(kind, decision as JSON, peak, confirmed)``."""

    seq: int
    journalled: tuple[Cell, ...]
    replayed: tuple[Cell, ...]


def replay(file: Path) -> tuple[int, tuple[Difference, ...]]:
    """Decide again on every row of ``file``; return how many there are, and those that differ.

    Raises:
        sqlite3.Error: It is no journal, or an older one that has not been opened since.
    """
    rows, differences = 0, []
    with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
        for seq, journalled, replayed in _decisions(connection):
            rows += 1
            if journalled != replayed:
                differences.append(Difference(seq=seq, journalled=journalled, replayed=replayed))
    return rows, tuple(differences)


def _decisions(
    connection: sqlite3.Connection,
) -> Iterator[tuple[int, tuple[Cell, ...], tuple[Cell, ...]]]:
    for seq, at_ms, now_s, call, stop, seen, market, resumed_s, *journalled in connection.execute(_DECISIONS):
        given = _STOP.decode(stop), _SEEN.decode(seen), _MARKET.decode(market), Moment(now_s, at_ms)
        yield seq, tuple(journalled), _decide_again(call, *given, resumed_s)


def _decide_again(
    call: str, stop: Stop, seen: Sighting, market: Market, now: Moment, resumed_s: float
) -> tuple[Cell, ...]:
    if call == "follow":
        stop, decision = follow(stop, seen, market, now, resumed_s)
    else:
        decision = decide(stop, seen, market, now, resumed_s)
    confirmed = isinstance(confirm(decision, seen, now), Exit) if isinstance(decision, Exit) else None
    return type(decision).__name__, json_text(decision), cell(stop.peak), cell(confirmed)
