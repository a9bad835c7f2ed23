"""What is told of alarms, and when: grouped, the worst first, again while they hold, and when they are over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.ui.alarm_words import WORDS, Severity, words_of
from base.ui.bulletins import (
    AGAIN_S,
    MOST_CHARACTERS,
    MOST_KEPT,
    MOST_LINES,
    OVER_S,
    PACE_S,
    RETRY_S,
    AlarmBoard,
    Bulletin,
    Ring,
)


class Day:
    """A board on a clock of the test's own; every bulletin that is due is taken, unless it is said."""

    def __init__(self) -> None:
        self.board = AlarmBoard("demo")
        self.now_s = 100.0
        self.ringing: set[str] = set()
        self.told: list[tuple[float, Bulletin]] = []

    def ring(self, name: str, details: str = "") -> None:
        """It rings, and goes on."""
        self.ringing.add(name)
        self.board.ring(Ring(name, name.rpartition(":")[2], details), self.now_s)

    def hush(self, name: str) -> None:
        """It no longer rings."""
        self.ringing.discard(name)

    def pass_s(self, seconds: float, *, is_taken: bool = True) -> list[Bulletin]:
        """Time passes in half seconds; return what was told."""
        before = len(self.told)
        for _ in range(round(seconds * 2)):
            self.board.look(self.ringing, self.now_s)
            if (bulletin := self.board.due(self.now_s)) is not None:
                self.told.append((self.now_s, bulletin))
                self.board.sent(bulletin, self.now_s, is_taken=is_taken)
            self.now_s += 0.5
        return [bulletin for _, bulletin in self.told[before:]]


def test_an_alarm_is_told_at_once_with_its_meaning() -> None:
    """Which market, what it means, and what the line said of it."""
    day = Day()
    day.ring("KXT:stuck", "side=yes")
    (bulletin,) = day.pass_s(0.5)
    assert bulletin.title == "Stop-loss demo: 1 alarm"
    assert bulletin.body == "ALARM KXT:stuck - the exit waits: nobody bids inside its floor - side=yes"
    assert bulletin.is_bad


def test_one_that_holds_is_told_again_every_minute_and_not_in_between() -> None:
    """Never silenced, never repeated early, however often it rings."""
    day = Day()
    day.ring("KXT:stuck")
    day.pass_s(0.5)
    for _ in range(50):
        day.ring("KXT:stuck")
        day.pass_s(0.5)
    assert len(day.told) == 1
    day.pass_s(3 * AGAIN_S)
    gaps = [b[0] - a[0] for a, b in zip(day.told, day.told[1:], strict=False)]
    assert gaps == [AGAIN_S] * 3
    assert day.told[1][1].body.startswith("STILL KXT:stuck ×50 - ")


def test_the_end_of_an_alarm_is_told_once() -> None:
    """And then nothing more."""
    day = Day()
    day.ring("journal_failed")
    day.pass_s(2)
    day.hush("journal_failed")
    (bulletin,) = day.pass_s(OVER_S + 2)
    assert bulletin.title == "Stop-loss demo: over: 1 alarm"
    assert bulletin.body.startswith("OVER journal_failed")
    assert not bulletin.is_bad
    assert day.pass_s(3 * AGAIN_S) == []


def test_one_that_came_and_went_between_two_looks_is_told() -> None:
    """Short trouble was trouble; its end is told as well."""
    day = Day()
    day.board.ring(Ring("KXT:not_sent", "not_sent"), day.now_s)
    bulletins = day.pass_s(OVER_S + PACE_S + 1)
    assert [bulletin.body.split(" ")[0] for bulletin in bulletins] == ["ALARM", "OVER"]


def test_one_that_comes_and_goes_is_one_alarm() -> None:
    """A flapping condition fills no telephone."""
    day = Day()
    for _ in range(20):
        day.ring("KXT:blind")
        day.pass_s(1)
        day.hush("KXT:blind")
        day.pass_s(1)
    assert len(day.told) == 1


def test_one_that_was_never_heard_is_seen_ringing() -> None:
    """Nothing depends on one call that found no room."""
    day = Day()
    day.ringing.add("KXT:refused")
    (bulletin,) = day.pass_s(0.5)
    assert bulletin.body.startswith("ALARM KXT:refused - the exchange refused")


def test_a_storm_is_a_few_messages_of_one_screen_the_worst_first() -> None:
    """Five hundred alarms in three seconds."""
    day = Day()
    day.ring("strategy_failed")
    for n in range(500):
        day.ring(f"KX{n}:read_failed_x" if n % 2 else f"KX{n}:stuck")
        if n % 100 == 0:
            day.pass_s(0.5)
    day.pass_s(4)
    assert len(day.told) <= 3
    _, last = day.told[-1]
    lines = last.body.split("\n")
    assert len(lines) <= MOST_LINES + 2
    assert all(":stuck" in line for line in lines[:MOST_LINES])
    assert lines[-2] == f"and {MOST_KEPT - MOST_LINES} more: python run.py status"
    assert lines[-1].startswith("and 301 that were too many to keep")
    assert all(len(line) <= MOST_CHARACTERS for line in lines)


def test_what_nobody_took_is_tried_again_and_counts_as_untold() -> None:
    """All channels are down: ten seconds later, with everything in it."""
    day = Day()
    day.ring("KXT:stuck")
    day.pass_s(0.5, is_taken=False)
    day.ring("KXT:refused")
    bulletins = day.pass_s(RETRY_S, is_taken=True)
    assert [b.body.count("ALARM") for b in bulletins] == [2]
    assert day.told[1][0] - day.told[0][0] == RETRY_S


def test_new_ones_stand_before_those_that_were_told() -> None:
    """A worse one that is known does not hide a new one."""
    day = Day()
    day.ring("KXT:stuck")
    day.pass_s(PACE_S + 1)
    day.ring("strategy_failed")
    (bulletin,) = day.pass_s(1)
    assert [line.split()[:2] for line in bulletin.body.split("\n")] == [
        ["ALARM", "strategy_failed"],
        ["STILL", "KXT:stuck"],
    ]
    assert bulletin.title == "Stop-loss demo: 2 alarms (1 new)"


def test_the_count_of_those_dropped_elsewhere_is_told() -> None:
    """What found no room on its way here."""
    day = Day()
    day.board.drop(7)
    day.ring("KXT:stuck")
    (bulletin,) = day.pass_s(1)
    assert bulletin.body.endswith("and 7 that were too many to keep: logs/stop_loss.log has them")


@given(st.text(), st.text())
def test_names_from_outside_break_no_line(name: str, details: str) -> None:
    """A ticker with a newline, an escape or text from right to left."""
    board = AlarmBoard("demo")
    board.ring(Ring(name, "stuck", details), 0.0)
    bulletin = board.due(0.0)
    assert bulletin is not None
    assert bulletin.body.isprintable()


@pytest.mark.parametrize(
    ("reason", "severity"),
    [
        ("stuck", Severity.MONEY),
        ("unprotected_subaccount_3", Severity.MONEY),
        ("unprotected_something_new", Severity.MONEY),
        ("read_failed_ReadOrders", Severity.GUARD),
        ("strategy_failed", Severity.BESIDE),
        ("nobody_wrote_words_for_this", Severity.MONEY),
    ],
)
def test_severity(reason: str, severity: Severity) -> None:
    """An alarm without words is not taken lightly."""
    assert words_of(reason)[0] is severity


def test_every_word_fits_a_line() -> None:
    """With a long ticker before it."""
    assert max(len(words) for _, words in WORDS.values()) < MOST_CHARACTERS - 60
