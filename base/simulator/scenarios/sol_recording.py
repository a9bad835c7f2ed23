"""The recorded Solana day: about a hundred 15-minute markets, one after the other, with gaps.

Best bid, best ask and the total depth of each side about once a second, in bursts with minutes
between. Data: kalshi-crypto-15m-dataset by Johnny-God,
github.com/Johnny-God/kalshi-crypto-15m-dataset, CC BY 4.0.
"""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

FILE = "kxsol15m_snapshots_20260817.jsonl.gz"
LIFE_S = 15 * 60.0
NEW_YORK = timezone(timedelta(hours=-4))  # summer time, on both recorded days


class MissingRecording(FileNotFoundError):
    """The reference data is not on this machine."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded look. Seconds from the first of the recording, dollars, contracts."""

    at_s: float
    bid: Decimal
    ask: Decimal
    yes_depth: int
    no_depth: int


@dataclass(frozen=True, slots=True)
class RecordedMarket:
    """One market: when it opened and closed, seconds from the first row, and what was seen of it."""

    ticker: str
    open_s: float
    close_s: float
    rows: list[Row]

    @property
    def favours_yes(self) -> bool:
        """Say which side the last recorded prices favour; who won is not recorded."""
        return self.rows[-1].bid + self.rows[-1].ask >= 1


def recording() -> Path:
    """Return the file. Raises: MissingRecording."""
    folder = Path(os.environ.get("REFERENCE_DIR") or "../shared")
    path = folder / "data" / FILE
    if not path.is_file():
        raise MissingRecording(f"scenario sol needs {path}: set REFERENCE_DIR to the folder above data")
    return path


def read_markets(path: Path) -> list[RecordedMarket]:
    """Return the recorded markets in the order of their opens, which is that of the file."""
    with gzip.open(path, "rb") as file:
        bodies = [msgspec.json.decode(raw) for raw in file]
    start_s = bodies[0]["ts"]
    rows: dict[str, list[Row]] = {}
    for body in bodies:
        rows.setdefault(body["ticker"], []).append(_row(body["ts"] - start_s, body))
    return [_market(ticker, start_s, seen) for ticker, seen in rows.items()]


def _market(ticker: str, start_s: float, rows: list[Row]) -> RecordedMarket:
    """The ticker tells the close in New York: ``KXSOL15M-26AUG170145-45`` closes at 01:45 there."""
    closes = datetime.strptime(ticker.split("-")[1], "%y%b%d%H%M").replace(tzinfo=NEW_YORK)
    close_s = closes.timestamp() - start_s
    return RecordedMarket(ticker, close_s - LIFE_S, close_s, rows)


def _row(at_s: float, body: dict[str, Any]) -> Row:
    # repr of a JSON number is its shortest decimal form, which is what was written.
    return Row(
        at_s=at_s,
        bid=Decimal(repr(body["yb"])),
        ask=Decimal(repr(body["ya"])),
        yes_depth=int(body["yes_depth"]),
        no_depth=int(body["no_depth"]),
    )
