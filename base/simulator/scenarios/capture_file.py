"""Reading a capture: JSON Lines, plain or ``.gz``, frames exactly as received.

Broken lines are skipped: a recording that was cut off in the middle of a line still plays.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from base.simulator.decoding import UNREADABLE
from base.simulator.engine.grid import GRIDS, Grid
from base.simulator.engine.money import ONE, read_count, read_price
from base.simulator.engine.orders import Side

FIRST_PRICES = 4000  # looked at to choose a grid
BOOK_TYPES = ("orderbook_snapshot", "orderbook_delta")


@dataclass(frozen=True, slots=True)
class Line:
    """One line. ``at_s`` counts from the first line; ``body`` is the frame or the note's data."""

    at_s: float
    kind: str  # the frame's type, or "note"
    body: dict[str, Any]


@dataclass(slots=True)
class Synopsis:
    """What a first reading finds out: markets in order, close times, prices, NO scale."""

    started_ns: int = 0
    tickers: list[str] = field(default_factory=list)
    with_book: set[str] = field(default_factory=set)
    close_at_s: dict[str, float] = field(default_factory=dict)
    prices: dict[str, set[Decimal]] = field(default_factory=dict)
    uses_yes_price: bool = False

    def grid_of(self, ticker: str) -> Grid:
        """Return the coarsest known grid that holds every price seen."""
        prices = self.prices.get(ticker, set())
        for label in ("linear_cent", "tapered_deci_cent", "deci_cent"):
            if all(GRIDS[label].holds(price) for price in prices):
                return GRIDS[label]
        return GRIDS["center_deci_edge_centi_cent"]


def lines_of(path: Path) -> Iterator[Line]:
    """Yield the lines of a capture, in order."""
    started_ns: int | None = None
    for body in _bodies(path):
        stamp = body["recv_ns"]
        started_ns = stamp if started_ns is None else started_ns
        at_s = max(stamp - started_ns, 0) / 1e9
        frame = body.get("frame")
        if isinstance(frame, dict) and isinstance(frame.get("msg"), dict):
            yield Line(at_s, str(frame.get("type")), frame["msg"])
        elif "note" in body and isinstance(body.get("data"), dict):
            yield Line(at_s, "note", {"note": body["note"], **body["data"]})


def _bodies(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for raw in file:
            body = _decode(raw)
            if body is not None:
                yield body


def _decode(raw: bytes) -> dict[str, Any] | None:
    try:
        body = msgspec.json.decode(raw)
    except UNREADABLE:
        return None
    is_line = isinstance(body, dict) and isinstance(body.get("recv_ns"), int)
    return body if is_line else None


def first_ns(path: Path) -> int:
    """Return when the first line was received, Unix nanoseconds; 0 for an empty file."""
    return next((int(body["recv_ns"]) for body in _bodies(path)), 0)


def read_synopsis(path: Path) -> Synopsis:
    """Read the file once through."""
    found = Synopsis(started_ns=first_ns(path))
    for line in lines_of(path):
        if line.kind == "note":
            _note_context(found, line)
        ticker = line.body.get("market_ticker")
        if line.kind in (*BOOK_TYPES, "ticker") and isinstance(ticker, str):
            if ticker not in found.prices:
                found.tickers.append(ticker)
                found.prices[ticker] = set()
            if line.kind in BOOK_TYPES:
                found.with_book.add(ticker)
            found.prices[ticker].update(_prices_in(line))
    return found


def _note_context(found: Synopsis, line: Line) -> None:
    if line.body.get("use_yes_price") is True:
        found.uses_yes_price = True
    ticker, close = line.body.get("market_ticker"), line.body.get("close_time")
    if isinstance(ticker, str) and isinstance(close, str):
        closes = datetime.fromisoformat(close).timestamp()
        found.close_at_s[ticker] = closes - found.started_ns / 1e9


def _prices_in(line: Line) -> set[Decimal]:
    names = ("price_dollars",) if line.kind == "orderbook_delta" else ("yes_bid_dollars", "yes_ask_dollars")
    texts = [line.body.get(name) for name in names]
    for name in ("yes_dollars_fp", "no_dollars_fp"):
        texts += [pair[0] for pair in line.body.get(name) or []]
    found = {price for text in texts if (price := read_price(text)) is not None}
    return {price for price in found if 0 < price < 1}


def yes_levels(line: Line, *, no_in_yes: bool) -> dict[Side, dict[Decimal, Decimal]]:
    """Return a snapshot's levels, both sides on the YES scale."""
    levels: dict[Side, dict[Decimal, Decimal]] = {Side.BID: {}, Side.ASK: {}}
    for name, side in (("yes_dollars_fp", Side.BID), ("no_dollars_fp", Side.ASK)):
        for text, count in line.body.get(name) or []:
            levels[side][_on_yes_scale(Decimal(text), side, no_in_yes)] = Decimal(count)
    return levels


def yes_change(line: Line, *, no_in_yes: bool) -> tuple[Side, Decimal, Decimal]:
    """Return a delta as (side, YES price, contracts added)."""
    side = Side.BID if line.body["side"] == "yes" else Side.ASK
    price = _on_yes_scale(Decimal(line.body["price_dollars"]), side, no_in_yes)
    return side, price, Decimal(line.body["delta_fp"])


def recorded_trade(line: Line) -> tuple[Side, Decimal, Decimal]:
    """Return a trade as (taker's side, YES price, contracts). Older captures have only ``taker_side``.

    Raises:
        KeyError, ValueError: It is malformed.
    """
    outcome = line.body.get("taker_outcome_side") or line.body["taker_side"]
    price, count = read_price(line.body["yes_price_dollars"]), read_count(line.body["count_fp"])
    if not price or not count or price >= 1:
        raise ValueError("no trade")
    return {"yes": Side.BID, "no": Side.ASK}[outcome], price, count


def _on_yes_scale(price: Decimal, side: Side, no_in_yes: bool) -> Decimal:
    return price if side is Side.BID or no_in_yes else ONE - price
