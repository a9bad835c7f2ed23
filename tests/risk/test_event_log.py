"""logs/stop_loss.log: one line per event, in the promised format, whatever the exchange calls its markets."""

from __future__ import annotations

import io
import os
import re
import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.model import Key, Side
from base.risk.event_log import MOST_WAITING, EventLog, format_line
from base.risk.messages import Line
from tests.risk.world import armed
from tests.support import eventually

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z_]+ ticker=\S+ subaccount=\S+ side=\S+( [a-z_]+=[^\s=]+)*"
)


class Noon:
    """A clock that stands still."""

    def boot_s(self) -> float:
        """Seconds."""
        return 1.0

    def utc_ms(self) -> int:
        """2026-11-20T14:03:07.123Z."""
        return 1_795_183_387_123


def test_a_line_as_promised() -> None:
    """UTC milliseconds, event, ticker, sub-account, side, then fields."""
    line = Line(
        event="TRIGGERED",
        key=Key(0, "KXT"),
        side=Side.NO,
        fields={"count": Decimal(10), "bid": Decimal("0.4")},
    )
    assert format_line(line, Noon().utc_ms()) == (
        "2026-11-20T14:03:07.123Z TRIGGERED ticker=KXT subaccount=0 side=no count=10.00 bid=0.4000"
    )


@given(st.text())
def test_no_text_from_outside_breaks_a_line(text: str) -> None:
    """Newlines, escapes and spaces in a refusal or a title stay inside their field."""
    line = Line(event="REFUSED", key=Key(0, text or "x"), side=None, fields={"details": text})
    assert LINE.fullmatch(format_line(line, Noon().utc_ms()))


def test_an_event_outside_the_closed_list_is_our_mistake() -> None:
    """Scripts of users rely on the list."""
    with pytest.raises(ValueError, match="not an event"):
        format_line(Line(event="HELLO", key=None, side=None, fields={}), 0)


def test_every_line_of_an_exit_has_the_promised_shape(tmp_path: Path) -> None:
    """From ARMED to CLOSED, with the fields the contract names."""
    world = armed().bid("0.40").answer("10", "0.40")
    world.tell(world.fill("10", "0", price="0.40"))
    log = EventLog(tmp_path / "logs" / "stop_loss.log", Noon(), echo=io.StringIO())
    for effect in world.effects:
        if isinstance(effect, Line):
            log.write(effect)
    log.close()
    lines = (tmp_path / "logs" / "stop_loss.log").read_text().splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    by_event = {line.split()[1]: line for line in lines}
    for event, fields in {
        "TRIGGERED": "count trigger bid floor reason intent",
        "SENT": "count price floor intent attempt",
        "FILLED": "count price fee order attempt",
        "CLOSED": "count price fee profit reason intent latency_ms",
    }.items():
        assert set(fields.split()) <= set(re.findall(r" ([a-z_]+)=", by_event[event])), event


def test_alarms_go_to_stderr_too(tmp_path: Path) -> None:
    """A person who watches the terminal sees them."""
    echo = io.StringIO()
    log = EventLog(tmp_path / "stop_loss.log", Noon(), echo=echo)
    log.write(Line(event="ALARM", key=None, side=None, fields={"reason": "blind"}))
    log.write(Line(event="ARMED", key=Key(0, "T"), side=Side.YES, fields={}))
    assert "ALARM" in echo.getvalue()
    assert "ARMED" not in echo.getvalue()
    log.close()


def test_whoever_listens_is_told_every_line_and_can_break_nothing(tmp_path: Path) -> None:
    """What a listener raises is counted; the line stands, and the next one is told."""
    log = EventLog(tmp_path / "stop_loss.log", Noon(), echo=io.StringIO())
    heard: list[str] = []

    def hear(line: Line) -> None:
        heard.append(line.event)
        raise RuntimeError

    log.tell(hear)
    for event in ("ARMED", "ALARM"):
        log.write(Line(event=event, key=None, side=None, fields={}))
    log.close()
    assert heard == ["ARMED", "ALARM"]
    assert log.failures == 2
    assert len((tmp_path / "stop_loss.log").read_text().splitlines()) == 2


@pytest.mark.parametrize("leaves", ["moved", "removed", "folder removed"])
def test_a_log_that_was_rotated_begins_anew(tmp_path: Path, leaves: str) -> None:
    """Whoever reads the path with ``tail -F`` sees the next event, wherever the old file went."""
    path = tmp_path / "logs" / "stop_loss.log"
    log = EventLog(path, Noon(), echo=io.StringIO())
    halted, resumed = (Line(event=e, key=None, side=None, fields={}) for e in ("HALTED", "RESUMED"))
    log.write(halted)
    eventually(lambda: "HALTED" in path.read_text())
    if leaves == "moved":
        path.rename(path.with_suffix(".log.1"))
    elif leaves == "removed":
        path.unlink()
    else:
        shutil.rmtree(path.parent)
    log.write(resumed)
    log.write(resumed)
    log.close()
    assert [line.split()[1] for line in path.read_text().splitlines()] == ["RESUMED", "RESUMED"]
    assert log.failures == 0


def test_a_disk_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    """A pipe that nobody reads takes 64 KiB, then never returns: lines wait, then are left out, said once."""
    os.mkfifo(tmp_path / "stop_loss.log")
    reader = os.open(tmp_path / "stop_loss.log", os.O_RDONLY | os.O_NONBLOCK)
    echo = io.StringIO()
    log = EventLog(tmp_path / "stop_loss.log", Noon(), echo=echo)
    line = Line(event="ALARM", key=None, side=None, fields={"reason": "stuck", "details": "x" * 1_000})
    for _ in range(2 * MOST_WAITING):
        log.write(line)
    assert not log.close(0.1)
    assert log.failures > MOST_WAITING / 2
    assert echo.getvalue().count("does not answer") == 1
    assert echo.getvalue().count("ALARM ticker=-") == 2 * MOST_WAITING
    assert len(log.recent(3)) == 3
    os.close(reader)  # the thread ends with a broken pipe


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full: Linux")
def test_full_disk_raises_nothing_and_leaves_alarms_on_stderr() -> None:
    """(D13) The line is lost, what is loud is heard, and why there is no line is said once."""
    echo = io.StringIO()
    log = EventLog(Path("/dev/full"), Noon(), echo=echo)
    for event in ("ALARM", "ARMED", "ALARM"):
        log.write(Line(event=event, key=None, side=None, fields={"reason": "stuck"}))
    log.close()
    assert log.failures == 3
    assert echo.getvalue().count("No space left on device") == 1
    assert echo.getvalue().count("ALARM ticker=- subaccount=- side=- reason=stuck") == 2
