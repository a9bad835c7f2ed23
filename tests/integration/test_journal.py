"""The journal under a whole app: exits go on when its disk does not, and what happened can be decided again."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.risk.emergency import emergency_path
from base.risk.journal_chain import broken_link_of
from base.risk.journal_file import JournalFile
from base.risk.journal_head import JournalHead
from base.risk.journal_replay import replay
from tests.integration.rig import D, Rig
from tests.support import eventually


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A rig holding ten contracts, its stop armed."""
    with Rig(tmp_path) as rig:
        rig.hold()
        rig.start()
        rig.armed()
        yield rig
        assert rig.deaths == []


def attempts(rig: Rig) -> list[str]:
    """Ids of the orders the journal knows."""
    with sqlite3.connect(rig.journal) as reader:
        return [
            client_id for (client_id,) in reader.execute("SELECT client_order_id FROM attempts ORDER BY seq")
        ]


def sent(rig: Rig) -> list[str]:
    """Ids of the orders the exchange received."""
    return [order["client_order_id"] for order in rig.orders]


def test_a_run_can_be_decided_again(rig: Rig) -> None:
    """(I4) Every decision of a real run, from adopted to closed, byte for byte; the chain holds; holds are noted."""
    rig.slide("0.52", "0.42")
    rig.bid("0.39", size="4", depth=1)
    eventually(lambda: rig.held == D(6), 10)
    rig.bid("0.36", size="100")
    rig.closed(15)
    rig.app.stop()
    rows, differences = replay(rig.journal)
    assert differences == ()
    assert rows >= 2
    assert broken_link_of(rig.journal) is None
    assert attempts(rig) == sent(rig)
    assert rig.journal.with_name("holds.jsonl").read_text().count('"ABOVE_TRIGGER"') > 0


def test_a_full_disk_stops_no_exit_and_its_order_is_known_after_a_restart(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(D1, D3) The emergency file has the order before it leaves; the next start carries it over."""

    def full(file: JournalFile, rows: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as disk:
        disk.setattr(JournalFile, "write", full)
        rig.slide("0.52", "0.40")
        rig.closed()
        eventually(lambda: "journal_failed" in "".join(rig.log))
        assert attempts(rig) == []
        rig.app.stop()
    assert "emergency_failed" not in "".join(rig.log)
    rig.start()
    assert attempts(rig) == sent(rig) != []


def test_a_disk_that_hangs_stops_no_exit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """(D2) A sync that takes for ever costs the order a quarter of a second, and no row once it is over."""
    is_free, write = threading.Event(), JournalFile.write

    def hanging(file: JournalFile, rows: list[object]) -> None:
        is_free.wait(30)
        write(file, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(JournalFile, "write", hanging)
    rig.slide("0.52", "0.40")
    rig.closed()
    assert attempts(rig) == []
    is_free.set()
    eventually(lambda: attempts(rig) == sent(rig))
    eventually(lambda: "journal_failed" not in rig.view.alarms)


def test_a_damaged_journal_arms_nothing_from_memory(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """(D5) The file is kept, the alarm rings, and the position is adopted as if never seen."""
    rig.app.stop()
    rig.journal.write_bytes(b"\0" * 8192)
    rig.bid("0.35")
    rig.start()
    eventually(lambda: rig.position is not None and rig.position.reason == "would_fire_now", 10)
    assert "journal_corrupt" in rig.view.alarms
    assert "is kept as journal.sqlite.corrupt-" in capsys.readouterr().err
    assert len(list(rig.journal.parent.glob("journal.sqlite.corrupt-*"))) == 1
    assert rig.orders == []


def test_with_an_old_journal_nothing_is_guarded_before_reads_show_what_was_done(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    """(O9) An exit that the journal does not know sold four; reads of before that are not begun with."""
    old = {path: path.read_bytes() for path in rig.journal.parent.glob("journal.sqlite*")}
    rig.bid("0.50")
    rig.bid("0.39", size="4", depth=1)
    eventually(lambda: rig.held == D(6), 10)
    head = JournalHead(emergency_path(rig.journal, rig.app.config.paths.emergency))
    newest = head.path.read_bytes()
    rig.app.stop()
    for path in rig.journal.parent.glob("journal.sqlite*"):
        path.unlink()
    for path, content in old.items():
        path.write_bytes(content)
    head.path.write_bytes(newest)  # as a kill leaves it
    rig.bid("0.50")
    began_s = time.monotonic()
    rig.start()
    rig.armed()
    assert time.monotonic() - began_s > 5.0
    assert rig.position is not None
    assert rig.position.count == D(6)
    assert "journal_old" in rig.view.alarms
    assert "is older than what was written last" in capsys.readouterr().err
