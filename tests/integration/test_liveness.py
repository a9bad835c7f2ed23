"""A whole app whose threads stand still or die, or that stands still itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.app.watchdog import Watchdog
from base.risk.journal_file import JournalFile
from base.risk.stop_loss import StopLossMonitor
from tests.integration.rig import Rig, armed_rig
from tests.support import eventually


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """An app that guards ten contracts."""
    with armed_rig(tmp_path) as rig:
        yield rig


def test_a_thread_that_stands_still_is_noticed_within_seconds(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(I17, K13) It waits for something that does not come, a lock for instance, and the process is to end."""
    is_free = threading.Event()
    monkeypatch.setattr(StopLossMonitor, "_round", lambda self: is_free.wait(20))
    try:
        eventually(lambda: rig.deaths, timeout_s=8)
    finally:
        is_free.set()
    assert rig.deaths[0].startswith("stop-loss: Stuck(")


def test_a_disk_that_hangs_is_no_thread_that_is_stuck(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """(D2) The journal waits for it as long as it takes; exits go by the emergency file meanwhile."""
    is_free = threading.Event()
    writes = JournalFile.write

    def slow(file: JournalFile, rows: object) -> None:
        is_free.wait(20)
        writes(file, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(JournalFile, "write", slow)
    rig.slide("0.52", "0.40")
    rig.closed(10)
    threading.Event().wait(3.5)
    is_free.set()
    assert rig.deaths == []


def test_a_process_that_stood_still_trusts_nothing_until_it_is_proven_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(C3, C4) The watchdog's own lateness says so; it is survived, and the stop guards on fresh evidence."""
    resyncs = rig.app._parts.feed.get_stats()["resyncs"]  # type: ignore[union-attr]
    rig.app._watchdog.looked_s -= 30.0
    eventually(lambda: rig.app._parts.feed.get_stats()["resyncs"] > resyncs)  # type: ignore[union-attr,operator]
    rig.armed()
    assert rig.deaths == []
    assert rig.app._watchdog.is_in_time()
    rig.slide("0.52", "0.40")
    rig.closed(15)


def test_the_watchdog_watches_every_critical_thread(rig: Rig) -> None:
    """Each has a heartbeat that moves or says that it is idle."""
    watchdog: Watchdog = rig.app._watchdog
    names = {watched.heart.name for watched in watchdog._watched}
    assert names == {
        "start", "websocket manager", "price refresher", "journal", "stop-loss", "reconciler",
        *(f"exit-executor-{n}" for n in range(1, 5)),
    }  # fmt: skip
