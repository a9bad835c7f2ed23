"""Two real sessions of the production exchange, replayed whole."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from base.kalshi.book_keeper import CROSSED_S
from base.kalshi.messages import BookDelta, BookSnapshot, Frame, Ticker, UnknownFrame, decode
from base.kalshi.order_book import OrderBook
from base.kalshi.sequence import Sequence, Step
from tests.reference import reference_file

pytestmark = pytest.mark.wide

SESSIONS = ["kxbtc15m_ws_20260514T0109Z.jsonl.gz", "kxbtc15m_ws_20260514T1301Z.jsonl.gz"]
NEAR = Decimal("0.03")


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


class Replay:
    """What the frames of one session add up to."""

    def __init__(self) -> None:
        self.sequence = Sequence()
        self.books: dict[str, OrderBook] = {}
        self.steps: Counter[Step] = Counter()
        self.kinds: Counter[str] = Counter()
        self.compared = self.equal = self.near = 0
        self.crossed_since: dict[str, float] = {}
        self.longest_crossed_s = 0.0

    def take(self, frame: Frame | UnknownFrame, at_s: float) -> None:
        self.kinds[type(frame).__name__] += 1
        if isinstance(frame, BookDelta | BookSnapshot):
            self.steps[self.sequence.see(frame.seq)] += 1
        if isinstance(frame, BookSnapshot):
            self.books[frame.ticker] = OrderBook(frame, use_yes_price=False)
        elif isinstance(frame, BookDelta):
            self.books[frame.ticker].apply(frame)  # raises below zero
            self.note_crossed(frame.ticker, at_s)
        elif isinstance(frame, Ticker) and frame.ticker in self.books:
            self.compare(frame, self.books[frame.ticker])

    def note_crossed(self, market: str, at_s: float) -> None:
        if self.books[market].is_crossed:
            since_s = self.crossed_since.setdefault(market, at_s)
            self.longest_crossed_s = max(self.longest_crossed_s, at_s - since_s)
        else:
            self.crossed_since.pop(market, None)

    def compare(self, frame: Ticker, book: OrderBook) -> None:
        quote = book.quote(received_s=0.0, exchange_ms=None, epoch=1)
        if None in (frame.bid, frame.ask, quote.bid, quote.ask):
            return
        self.compared += 1
        apart = [abs(frame.bid - quote.bid), abs(frame.ask - quote.ask)]  # type: ignore[operator]
        self.equal += max(apart) == 0
        self.near += max(apart) <= NEAR


@pytest.mark.parametrize("name", SESSIONS)
def test_session_replays_without_a_gap(name: str):
    """Every frame decodes, no number is missing, no level falls below zero, ticker and book agree."""
    replay = Replay()
    for line in lines_of(reference_file(f"data/{name}")):
        if line.get("note") == "ws_connected":
            replay.sequence, replay.books = Sequence(), {}
        elif "frame" in line:
            replay.take(decode(json.dumps(line["frame"])), line["recv_ns"] / 1e9)
    assert set(replay.steps) == {Step.NEXT}
    assert replay.kinds["UnknownFrame"] == 0
    assert replay.kinds["BookDelta"] > 60_000
    assert replay.equal / replay.compared > 0.85
    assert replay.near / replay.compared > 0.98
    # One action's changes come one by one and may cross the book for milliseconds, never for long.
    assert replay.longest_crossed_s < CROSSED_S / 10
    assert replay.crossed_since == {}
