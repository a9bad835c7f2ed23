"""``explain`` from the journal: now, or as of a moment; what it does not hold is said."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from base.app.explain_command import moment_ms
from base.app.explained_report import lines_of
from base.app.journal_story import last_known, moves_of, story
from base.errors import ConfigError, MonitorError
from base.risk.messages import PersonAsks
from tests.app.loopback import TICKER as HELD
from tests.app.shells import Shells
from tests.risk.journals import rows_of, write
from tests.risk.world import KEY, TICKER, World, armed
from tests.support import FakeClock


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """An exit that sold three of ten, was joined by a flatten down to 0.20, and is refused; then cancelled."""
    world = armed().bid("0.40")
    world.tell(world.fill("3", "7")).answer("3", "0.39").quiet(0.5, step_s=0.1)
    world.tell(
        PersonAsks(key=KEY, command="flatten", floor=world.guard.intent.floor - world.guard.intent.floor / 3)
    )  # type: ignore[union-attr]
    world.refuse(400, "bad_request").quiet(10)
    world.tell(PersonAsks(key=KEY, command="cancel"))
    write(tmp_path / "journal.sqlite", rows_of(world))
    return tmp_path / "journal.sqlite"


def at_of(journal: Path, state: str) -> int:
    """When it came into that state, as the journal says."""
    with sqlite3.connect(journal) as reader:
        query = "SELECT min(at_ms) FROM transitions WHERE to_state = ?"
        return int(reader.execute(query, (state,)).fetchone()[0])


def test_story_of_now_begins_with_the_newest_state(journal: Path) -> None:
    """Cancelled: unprotected, no exit is open, and the last changes led there."""
    report = story(journal, TICKER, None, None)
    assert (report["state"], report["protection"], report["exit"]) == ("UNPROTECTED", "unprotected", None)
    assert [move["to"] for move in report["transitions"]][-2:] == ["REFUSED", "CANCELLED"]
    assert moves_of(journal, KEY) == report["transitions"]
    assert any("prices between" in gap for gap in report["not_known"])


def test_story_of_then_knows_nothing_of_later(journal: Path) -> None:
    """The exit as it stood: its floor lowered, one order answered, the other one not."""
    report = story(journal, TICKER, 0, at_of(journal, "REFUSED"))
    assert (report["state"], report["trigger"], report["rule"]) == (
        "REFUSED",
        "0.4000",
        {"name": "default", "stop": "0.40"},
    )
    assert (report["exit"]["floor"], report["exit"]["joined"]) == ("0.2000", True)
    assert [(order["number"], order["filled"]) for order in report["exit"]["orders"]] == [
        (1, "3.00"),
        (2, None),
    ]
    assert report["freshness"]["connection"] == "proven"
    before = story(journal, TICKER, None, at_of(journal, "TRIGGERED") - 1)
    assert (before["state"], before["exit"], before["quote"]["bid"]) == ("ARMED", None, "0.5200")


def test_story_can_be_read_aloud(journal: Path) -> None:
    """Every line is text on one line; the exit, its orders and what is not known are among them."""
    lines = list(lines_of(story(journal, TICKER, 0, at_of(journal, "REFUSED"))))
    assert lines[0] == f"{TICKER} YES 7.00, entry 0.6000, sub-account 0: REFUSED (bad_request)"
    assert any("STOP of 10.00" in line and "joined by a flatten" in line for line in lines)
    assert sum("not known" in line for line in lines) == 3
    assert not any("\n" in line for line in lines)


def test_what_was_held_is_told_where_nothing_runs(journal: Path, tmp_path: Path) -> None:
    """``status`` says what the journal knew last; an exit that ended is not among it."""
    (line,) = last_known(journal)
    assert line.startswith(f"{TICKER} YES 7.00: UNPROTECTED since 20")
    assert last_known(tmp_path / "none.sqlite") == []
    sold = armed().bid("0.40").answer("10")
    write(tmp_path / "sold.sqlite", rows_of(sold.tell(sold.fill("10", "0"))))
    assert last_known(tmp_path / "sold.sqlite") == []


@pytest.mark.parametrize(
    ("ticker", "subaccount", "until_ms", "said"),
    [
        pytest.param("KXOTHER", None, None, "says nothing of KXOTHER", id="never held"),
        pytest.param(TICKER, 5, None, f"says nothing of {TICKER}", id="not there"),
        pytest.param(TICKER, None, 1, f"says nothing of {TICKER} by then", id="too early"),
    ],
)
def test_what_the_journal_does_not_hold_is_said(
    journal: Path, ticker: str, subaccount: int | None, until_ms: int | None, said: str
) -> None:
    """Nothing is made up."""
    with pytest.raises(MonitorError, match=said):
        story(journal, ticker, subaccount, until_ms)


def test_journal_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """None there, or another file in its place; nothing is written to it."""
    with pytest.raises(MonitorError, match="no journal"):
        story(tmp_path / "none.sqlite", TICKER, None, None)
    (tmp_path / "other.sqlite").write_text("hello")
    with pytest.raises(MonitorError, match="cannot be read"):
        story(tmp_path / "other.sqlite", TICKER, None, None)
    assert moves_of(tmp_path / "other.sqlite", KEY) == []


def test_position_without_a_decision_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    """A holding that was claimed and never held: no price was ever looked at."""
    world = World(armed().guard.rule).opened()  # type: ignore[arg-type]
    world.now_s += 11
    world.tell(world.positions(None))
    write(tmp_path / "journal.sqlite", rows_of(world))
    report = story(tmp_path / "journal.sqlite", TICKER, None, None)
    assert (report["state"], report["quote"], report["protection"]) == ("CLOSED", None, None)
    assert list(lines_of(report))[-1].endswith("nothing was decided on it")


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        pytest.param("2026-11-20T14:03:07Z", 1_795_183_387_000, id="UTC"),
        pytest.param("2026-11-20 14:03:07.250", 1_795_183_387_250, id="UTC is meant"),
        pytest.param("2026-11-20T15:03:07+01:00", 1_795_183_387_000, id="an offset"),
        pytest.param("14:03:07", 1_795_183_387_000, id="of today"),
        pytest.param("14:03", 1_795_183_380_000, id="without seconds"),
    ],
)
def test_moment_is_read(typed: str, text: int) -> None:
    """As people and the log write it."""
    assert moment_ms(typed, FakeClock(utc_ms=1_795_183_999_000)) == text


def test_what_is_no_moment_is_refused() -> None:
    """With an example of one."""
    with pytest.raises(ConfigError, match="is no time; write 2026-11-20T14:03:07Z"):
        moment_ms("yesterday", FakeClock())


@pytest.mark.parametrize("typed", ["14:03:08", "2026-11-20T15:03:07.001Z", "2026-11-20T14:03:08+00:00"])
def test_moment_that_is_still_to_come_is_refused(typed: str) -> None:
    """Nobody knows it; more likely a time of another zone was meant, so the sentence has ours."""
    now = FakeClock(utc_ms=1_795_183_387_000)
    with pytest.raises(ConfigError) as refused:
        moment_ms(typed, now)
    assert str(refused.value) == "--at: that is later than now (UTC 2026-11-20T14:03:07.000Z)"
    assert moment_ms("14:03:07", now) == 1_795_183_387_000


@pytest.mark.end_to_end
def test_explain_of_a_monitor_and_of_none(shells: Shells) -> None:
    """The live monitor says what it waits for; without one the journal is read, and exit status 1 says so."""
    with shells.monitor() as monitor:
        (live,) = shells.json("explain", HELD)
        assert (live["state"], live["waits_for"]) == ("ARMED", "it fires at a bid of or under 0.4000")
        assert live["transitions"][-1]["to"] == "ARMED"
        assert (live["quote"]["bid"], live["freshness"]["life"]) == ("0.5400", "proven")
        monitor.kill()
    gone = shells.type("explain", HELD)
    assert (gone.returncode, gone.stderr) == (1, "process not running: this is what the journal knows\n")
    assert "ARMED" in gone.stdout.splitlines()[0]
