"""Replaying the journal through the pure core gives the same decisions, byte for byte."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from base.risk import decide
from base.risk.journal_replay import replay
from base.risk.messages import Row
from base.risk.rules import Rule
from tests.risk.journals import read, rows_of, write
from tests.risk.random_days import Day
from tests.risk.world import D, World, armed

DAYS = range(12)
MIXED = Rule(name="default", stop=D("0.40"), updates=3, dwell_s=1.0)


def decisions(world: World) -> list[dict[str, Any]]:
    """What was journalled of decisions."""
    return [dict(row.values) for row in rows_of(world) if row.table == "decisions"]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The journals of some days."""
    paths = []
    for seed in DAYS:
        day = Day(seed)
        day.live_for(100)
        paths.append(tmp_path_factory.mktemp("day") / "journal.sqlite")
        write(paths[-1], rows_of(day.world))
    return paths


def test_every_decision_of_a_day_is_decided_again(days: list[Path]) -> None:
    """All kinds of them: holds, exits, confirmed and not."""
    kinds: set[str] = set()
    for path in days:
        rows, differences = replay(path)
        assert differences == ()
        assert rows == len(read(path, "SELECT 1 FROM decisions")) > 0
        kinds |= {
            f"{kind} {confirmed}" for kind, confirmed in read(path, "SELECT kind, confirmed FROM decisions")
        }
    assert kinds >= {"Hold None", "NoBid None", "Exit 0", "Exit 1"}


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        pytest.param("FIRE_WITHIN_S", 0.05, id="evidence is old sooner"),
        pytest.param("SUSPICIOUS_SPREAD", Decimal("0.01"), id="a narrower spread is suspicious"),
        pytest.param("peak_of", lambda stop, seen: None, id="a trail that does not follow"),
        pytest.param("_at_or_below", lambda level, seen, now: [], id="no trigger is touched"),
    ],
)
def test_a_core_that_decides_otherwise_is_noticed(
    days: list[Path], monkeypatch: pytest.MonkeyPatch, name: str, mistake: object
) -> None:
    """The row and both decisions are told."""
    monkeypatch.setattr(decide, name, mistake)
    found = [difference for path in days for difference in replay(path)[1]]
    assert found
    assert all(difference.journalled != difference.replayed for difference in found)


def test_a_decision_is_journalled_when_it_becomes_another_one() -> None:
    """However often the same is decided again, it stands there once."""
    world = armed()
    before = len(decisions(world))
    world.bid("0.50").bid("0.51").quiet(3)
    assert len(decisions(world)) == before
    world.gap()
    world.link()
    world.bid("0.51")
    told = [(row["kind"], row["reason"]) for row in decisions(world)[before:]]
    assert told == [("Unknown", "sequence"), ("Hold", "ABOVE_TRIGGER")]


def test_a_new_peak_is_another_decision() -> None:
    """Each high that moves a trailing stop stands in the journal."""
    world = armed(Rule(name="default", trail_cents=D(10)))
    before = len(decisions(world))
    for bid in ("0.53", "0.52", "0.55"):
        world.bid(bid)
    assert [row["peak"] for row in decisions(world)[before:]] == [D("0.53"), D("0.55")]


def test_what_a_filter_counts_is_journalled_until_it_is_enough() -> None:
    """Every update while the rule waits for more; none beyond that."""
    world = armed(MIXED)
    before = len(decisions(world))
    for bid in ("0.40", "0.39", "0.38", "0.37", "0.36"):
        world.bid(bid)
    rows = decisions(world)[before:]
    assert [row["reason"] for row in rows] == ["DWELL"] * 3
    assert [row["seen"].stop_touch.updates for row in rows] == [1, 2, 3]


def test_a_closed_market_and_an_unlocked_exit_are_decisions_too() -> None:
    """Wherever the core decides, the journal says so."""
    world = armed().bid(None, "0.50").bid("0.20").quiet(0.1, 0.1).rest("0.20")
    told = [(row["call"], row["kind"], row["confirmed"]) for row in decisions(world)[-3:]]
    assert told == [("follow", "NoBid", None), ("decide", "Exit", False), ("decide", "Exit", True)]
    assert all(row["intent_id"] == world.guard.intent.id for row in decisions(world)[-2:])  # type: ignore[union-attr]


def test_rows_stand_before_the_order_they_led_to() -> None:
    """Decision, intent, attempt, then the order."""
    world = armed()
    already = len(world.effects)
    tables = [row.table for row in world.bid("0.40").effects[already:] if isinstance(row, Row)]
    assert tables == ["decisions", "intents", "transitions", "attempts", "transitions"]
