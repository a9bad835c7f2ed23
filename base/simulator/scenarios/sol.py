"""``sol``: a recorded Solana session (CC BY 4.0), its book synthesised from top and totals.

The recording holds best bid, best ask and the total depth of each side about once a second,
in bursts with minutes between; gaps are shortened. Data: kalshi-crypto-15m-dataset by
Johnny-God, github.com/Johnny-God/kalshi-crypto-15m-dataset, CC BY 4.0.
"""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from base.simulator.scenarios.makers import LEVELS, Ladder
from base.simulator.scenarios.stage import Stage

FILE = "kxsol15m_snapshots_20260817.jsonl.gz"
FALLING, OTHER = "KXSOL15M-26AUG170230-30", "KXSOL15M-26AUG170200-00"
LONGEST_GAP_S = 2.0
BEAT_S = 0.5
SHARD = 2
SOURCE = "kalshi-crypto-15m-dataset by Johnny-God, CC BY 4.0"
TITLE = f"Solana 15 min of 2026-08-17, book synthesised. Data: {SOURCE}"


class MissingRecording(FileNotFoundError):
    """The reference data is not on this machine."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded look. Dollars, contracts."""

    at_s: float
    bid: Decimal
    ask: Decimal
    yes_depth: int
    no_depth: int


def recording() -> Path:
    """Return the file. Raises: MissingRecording."""
    folder = Path(os.environ.get("REFERENCE_DIR") or "../shared")
    path = folder / "data" / FILE
    if not path.is_file():
        raise MissingRecording(f"scenario sol needs {path}: set REFERENCE_DIR to the folder above data")
    return path


def read_rows(path: Path, ticker: str) -> list[Row]:
    """Return one market's rows, gaps shortened."""
    rows: list[Row] = []
    before_s = None
    with gzip.open(path, "rb") as file:
        for raw in file:
            body = msgspec.json.decode(raw)
            if body["ticker"] != ticker:
                continue
            step_s = 0.0 if before_s is None else min(body["ts"] - before_s, LONGEST_GAP_S)
            before_s = body["ts"]
            at_s = (rows[-1].at_s if rows else 0.0) + step_s
            rows.append(_row(at_s, body))
    return rows


def _row(at_s: float, body: dict[str, Any]) -> Row:
    # repr of a JSON number is its shortest decimal form, which is what was written.
    return Row(
        at_s=at_s,
        bid=Decimal(repr(body["yb"])),
        ask=Decimal(repr(body["ya"])),
        yes_depth=int(body["yes_depth"]),
        no_depth=int(body["no_depth"]),
    )


class Sol:
    """Plays two recorded markets over a synthetic ladder."""

    notice = (
        f"Data: {SOURCE} (github.com/Johnny-God/kalshi-crypto-15m-dataset, "
        "creativecommons.org/licenses/by/4.0). Prices are recorded; the books are synthesised "
        "from best prices and total depth, gaps are shortened."
    )

    def __init__(self) -> None:
        path = recording()
        self._rows = {ticker: read_rows(path, ticker) for ticker in (FALLING, OTHER)}
        self._ladders: dict[str, Ladder] = {}
        self._next = dict.fromkeys(self._rows, 0)
        self._beat = 0

    def open(self, stage: Stage) -> None:
        """List both markets; hold YES of the one that falls and NO of the other."""
        stage.give_cash("5000", shard=SHARD)
        for ticker, rows in self._rows.items():
            far_s = 6 * 3600 * stage.speed
            stage.list_market(ticker, TITLE, shard=SHARD, grid="deci_cent", close_in_s=far_s)
            self._ladders[ticker] = Ladder(ticker, rows[0].bid, rows[0].ask - rows[0].bid)
            self._show(stage, ticker, rows[0])
        stage.give_position(FALLING, "25", str(self._rows[FALLING][0].ask))
        stage.give_position(OTHER, "-25", str(1 - self._rows[OTHER][0].bid))

    def play(self, stage: Stage, until_s: float) -> None:
        """Perform the rows that are due, and keep the sizes moving between them."""
        while (self._beat + 1) * BEAT_S <= until_s:
            self._beat += 1
            for ticker, rows in self._rows.items():
                index = self._next[ticker]
                while index < len(rows) and rows[index].at_s <= self._beat * BEAT_S:
                    self._show(stage, ticker, rows[index])
                    index += 1
                self._next[ticker] = index
                self._ladders[ticker].refresh(stage)

    def _show(self, stage: Stage, ticker: str, row: Row) -> None:
        ladder = self._ladders[ticker]
        ladder.spread = row.ask - row.bid
        ladder.size, ladder.ask_size = _bounds(row.yes_depth), _bounds(row.no_depth)
        ladder.move_to(stage, row.bid)


def _bounds(depth: int) -> tuple[int, int]:
    level = max(depth // LEVELS, 4)
    return level // 2, level + level // 2
