"""The replay of exits: a recording of our own, whose outcome can be worked out by hand."""

from __future__ import annotations

import importlib.util
import json
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TICKER = "KXREC-26DEC31-T1"
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "exits_on_recorded_books.py"
D = Decimal


@pytest.fixture(scope="module")
def replay() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("exits_on_recorded_books", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def record(folder: Path, *frames: tuple[float, str, dict[str, Any]]) -> Path:
    """Write frames as a capture; times in seconds."""
    path = folder / "capture.jsonl"
    lines = [
        {"recv_ns": round(at_s * 1e9) + 1, "frame": {"type": kind, "msg": {"market_ticker": TICKER, **msg}}}
        for at_s, kind, msg in frames
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def delta(at_s: float, price: str, count: str) -> tuple[float, str, dict[str, Any]]:
    """Return a change of a YES bid."""
    return at_s, "orderbook_delta", {"side": "yes", "price_dollars": price, "delta_fp": count}


def test_each_rung_meets_the_book_after_its_delay(replay: ModuleType, tmp_path: Path) -> None:
    """A bid that leaves within the delay is missed; the next rung sells into what stands then."""
    book = {"yes_dollars_fp": [["0.4500", "500.00"], ["0.5000", "100.00"]]}
    path = record(
        tmp_path,
        (0.0, "orderbook_snapshot", book),
        delta(1.02, "0.5000", "-95.00"),
        delta(1.9, "0.4500", "1.00"),
    )
    exits = {e.latency_s: e for e in replay.play(path) if e.count == 10}
    at_once, late = exits[0.0], exits[0.05]
    assert (at_once.first_fill, at_once.slippage, at_once.prices) == (D(10), D(0), [D("0.49")])
    assert (late.first_fill, late.left) == (D(5), D(0))
    assert late.prices == [D("0.49"), D("0.44")]
    assert late.slippage == D("0.025")
    assert late.at_the_bid == D(5)


def test_what_an_order_took_is_gone_for_the_next(replay: ModuleType, tmp_path: Path) -> None:
    """The floor is the end of the ladder; what nobody bids for inside it stays unsold."""
    book = {"yes_dollars_fp": [["0.3000", "900.00"], ["0.4500", "30.00"], ["0.5000", "20.00"]]}
    path = record(tmp_path, (0.0, "orderbook_snapshot", book), delta(1.5, "0.3000", "1.00"))
    exit_ = next(e for e in replay.play(path) if e.count == 100 and not e.latency_s)
    assert exit_.prices == [D("0.40")]
    assert (exit_.first_fill, exit_.left) == (D(50), D(50))
    row = replay.summary([exit_])
    assert (row["rung_1_partly_pct"], row["floor_needed_pct"], row["sold_out_pct"]) == (100.0, 100.0, 0.0)


def test_without_the_recordings_it_says_so(
    replay: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON object in any case."""
    monkeypatch.setenv("REFERENCE_DIR", str(tmp_path))
    replay.main()
    assert "REFERENCE_DIR" in json.loads(capsys.readouterr().out)["skipped"]
