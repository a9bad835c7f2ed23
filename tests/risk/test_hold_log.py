"""holds.jsonl: unchanged decisions at each sweep, bounded, never waited for."""

from __future__ import annotations

import json
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from base.risk.hold_log import MOST_WAITING, HoldLine, HoldLog, unchanged
from tests.risk.world import D, armed
from tests.support import eventually


def a_line() -> HoldLine:
    """What a world's armed holding leaves at a sweep."""
    world = armed()
    began = world.moment()
    world.quiet(2, 2)
    (line,) = unchanged(world.guards.by_key.values(), began)
    return line


def test_what_was_decided_as_before_is_a_line() -> None:
    """Who, what, why, and at which price; what changed stands in the journal instead."""
    world = armed()
    before_change = world.moment()
    world.bid("0.45")
    began = world.moment()
    world.quiet(2, 2)
    (line,) = unchanged(world.guards.by_key.values(), began)
    assert (line.decision, line.reason, line.state) == ("Hold", "ABOVE_TRIGGER", "ARMED")
    assert (line.bid, line.trigger, line.at_ms) == (D("0.45"), D("0.40"), world.utc_ms())
    world.gap()
    assert unchanged(world.guards.by_key.values(), before_change) == []
    world.bid("0.40")
    assert unchanged(world.guards.by_key.values(), began) == []


def test_lines_are_json_in_a_private_file(tmp_path: Path) -> None:
    """One object a line, money as strings."""
    log = HoldLog(tmp_path / "holds.jsonl")
    log.start()
    line = a_line()
    log.write([line, replace(line, bid=None)])
    log.stop(5)
    first, second = (json.loads(text) for text in (tmp_path / "holds.jsonl").read_text().splitlines())
    assert (first["bid"], first["trigger"], second["bid"]) == ("0.52", "0.40", None)
    assert stat.S_IMODE((tmp_path / "holds.jsonl").stat().st_mode) == 0o600


def test_the_files_are_bounded(tmp_path: Path) -> None:
    """One file and the one before it."""
    log = HoldLog(tmp_path / "holds.jsonl", size=10_000)
    log.start()
    for _ in range(100):
        eventually(log._queue.empty)
        log.write([a_line()] * 20)
    log.stop(5)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert sum(sizes) < 30_000
    assert log.lost == 0


def test_a_disk_that_hangs_or_fails_costs_lines_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits, nothing raises, and what was lost is counted."""
    folder = tmp_path / "gone"
    folder.mkdir()
    log, is_free = HoldLog(folder / "holds.jsonl"), threading.Event()
    folder.rmdir()
    handle = log._file.handle

    def hanging(record: object) -> bool:
        is_free.wait(20)
        return handle(record)  # type: ignore[arg-type]

    monkeypatch.setattr(log._file, "handle", hanging)
    log.start()
    for _ in range(MOST_WAITING + 5):
        log.write([a_line()])
    assert log.lost >= 4
    is_free.set()
    eventually(lambda: log.lost == MOST_WAITING + 5)
    log.stop(5)
