"""What people see: never a value without its age and state, and nothing from outside that moves the cursor."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from base.model import Key
from base.ui.lines import PlainLines
from base.ui.screen import Screen, age_text, plain, position_text, short_line, summary_text
from base.ui.terminal import Picture, TerminalScreen
from tests.app.views import COVERED, STALE, UNPROTECTED, screen_of
from tests.support import FakeClock, eventually


def drawn(screen: Screen, width: int = 140) -> str:
    """Return what a terminal of that width shows, without colours."""
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(Picture(screen))
    return capture.get()


def test_table_shows_each_position_with_age_and_state() -> None:
    """Price, proof, age and state of a position stand in one row."""
    row = next(line for line in drawn(screen_of(COVERED)).splitlines() if "KXTEST-26DEC31-A" in line)
    for shown in (
        "YES",
        "25.00",
        "0.5600",
        "0.5400",
        "0.2800",
        "+0.2600",
        "-0.69",
        "ARMED",
        "proven",
        "0.4s",
    ):
        assert shown in row


def test_unproven_price_says_what_is_missing() -> None:
    """A price that is not proven names the missing proof beside it, on the table and in lines."""
    assert "no connection" in drawn(screen_of(replace(COVERED, freshness=STALE)))
    assert "no connection" in position_text(replace(COVERED, freshness=STALE))


def test_unprotected_position_and_alarm_are_loud() -> None:
    """What needs a person stands out in words too, not in colour alone."""
    text = drawn(screen_of(UNPROTECTED, alarms=("journal_failed",)))
    assert "UNPROTECTED (no_entry)" in text
    assert "ALARM journal_failed" in text


def test_absent_values_are_dashes_not_zeros() -> None:
    """Nothing known is shown as nothing known."""
    text = position_text(UNPROTECTED)
    assert "0.0000" not in text
    assert "entry — bid —" in text


@pytest.mark.parametrize("width", [64, 80, 100, 200])
def test_narrow_terminal_is_no_error(width: int) -> None:
    """The table fits into any width, and state and age are on every one of them."""
    text = drawn(screen_of(COVERED, replace(UNPROTECTED, reason=""), log=("x" * 300,)), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "ARMED" in text
    assert "0.4s" in text
    assert "UNPROTECTED" in text


def test_what_needs_a_person_comes_first() -> None:
    """On a low terminal the end of the table is cut off: the unprotected ones stand at its top."""
    text = drawn(screen_of(COVERED, UNPROTECTED))
    assert text.index("UNPROTECTED") < text.index("ARMED")


def test_log_lines_on_the_screen_are_short() -> None:
    """Time of day, event, ticker and what matters; ids are for the file."""
    line = "2026-11-20T14:03:07.123Z CLOSED ticker=A subaccount=0 side=yes count=1.00 order=o-1 intent=i-1 latency_ms=8"
    assert short_line(line) == "14:03:07.123Z CLOSED A side=yes count=1.00 latency_ms=8"
    assert "subaccount=3" in short_line(line.replace("subaccount=0", "subaccount=3"))


def test_disconnected_and_halted_are_said() -> None:
    """The header tells what holds entries back and what blinds the stops."""
    screen = replace(screen_of(), is_connected=False, is_halted=True)
    assert "DISCONNECTED" in drawn(screen)
    assert "HALTED" in drawn(screen)
    assert "HALTED" in summary_text(screen)


@given(st.text(max_size=60))
def test_text_from_outside_cannot_move_the_cursor(text: str) -> None:
    """Escape sequences, line ends and other control characters are written out."""
    shown = plain(text)
    assert shown.isprintable()
    assert "\x1b" not in shown


def test_hostile_ticker_stays_on_its_line() -> None:
    """A ticker or reason with control characters or markup neither breaks lines nor colours anything."""
    hostile = replace(UNPROTECTED, key=Key(0, "A\n\x1b[2JB"), reason="[red]x\x07")
    text = drawn(screen_of(hostile, alarms=("\x1b]0;t\x07",)), width=200)
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "A\\n\\x1b[2JB" in text
    assert "[red]x" in text


@pytest.mark.parametrize(
    ("age_s", "shown"),
    [(None, "—"), (0.04, "0.0s"), (9.96, "10.0s"), (12.3, "12s"), (119.4, "119s"), (3600, "60m")],
)
def test_age_is_short(age_s: float | None, shown: str) -> None:
    """Ages are for a glance."""
    assert age_text(age_s) == shown


def test_lines_print_changes_once_and_a_summary_now_and_then() -> None:
    """Not on a terminal: one line per change, the whole picture every ten seconds."""
    screens = [screen_of(COVERED, log=("a ARMED",))]
    clock, out = FakeClock(), io.StringIO()
    lines = PlainLines(lambda: screens[0], clock, period_s=0.01, out=out)
    lines.start()
    eventually(lambda: "1 positions, 0 unprotected" in out.getvalue())
    screens[0] = screen_of(replace(COVERED, state="TRIGGERED"), log=("a ARMED", "b TRIGGERED"))
    eventually(lambda: "TRIGGERED" in out.getvalue())
    clock.advance(11)
    eventually(lambda: out.getvalue().count("positions, ") == 2)
    assert lines.stop(2.0)
    shown = out.getvalue()
    assert shown.count("a ARMED") == 1
    assert shown.count("b TRIGGERED") == 1
    assert shown.count("KXTEST-26DEC31-A YES") == 2


def test_lines_survive_a_reader_that_left() -> None:
    """When nobody reads the output any more the screen ends and the program goes on."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    lines = PlainLines(lambda: screen_of(), FakeClock(), period_s=0.01, out=Gone())
    lines.start()
    assert lines.stop(2.0)


def test_terminal_draws_and_ends() -> None:
    """The table is drawn until stopped; the last picture is the newest."""
    out = io.StringIO()
    screens = [screen_of(COVERED)]
    console = Console(width=140, file=out, force_terminal=True, color_system=None)
    terminal = TerminalScreen(lambda: screens[0], period_s=0.01, console=console)
    terminal.start()
    eventually(lambda: "ARMED" in out.getvalue())
    screens[0] = screen_of(replace(COVERED, state="CONFIRMING", protection="exiting"))
    assert terminal.stop(2.0)
    assert "CONFIRMING" in out.getvalue()
