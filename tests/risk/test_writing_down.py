"""Rows before orders: only an order and a person wait, and a failing journal stops none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from base.risk.messages import Line, PersonAsks, Row, Send
from base.risk.rules import Rule
from base.risk.writing_down import look_after, write_down
from tests.risk.world import KEY, World, armed

D = Decimal


class Keeper:
    """A journal that takes what it is told to take."""

    def __init__(self, *, is_well: bool = True, has_room: bool = True):
        self.is_well, self.has_room = is_well, has_room
        self.appended: list[tuple[list[Row], bool]] = []
        self.kept: list[Row] = []

    def append(self, rows: Sequence[Row], *, wait: bool = True) -> bool:
        """The journal."""
        self.appended.append((list(rows), wait))
        return self.is_well

    def keep(self, rows: Sequence[Row]) -> bool:
        """The emergency file."""
        self.kept += rows
        return self.has_room

    def check(self) -> bool:
        """How it is."""
        return self.is_well


def flush(world: World, keeper: Keeper, already: int) -> list[str]:
    """Write down what the world did since; return the alarms that rang."""
    effects = world.effects[already:]
    write_down(keeper, world.guards, effects, world.moment())
    rung = world.guards.out.take()
    return [str(line.fields["reason"]) for line in rung if isinstance(line, Line)]


def test_only_a_round_with_an_order_waits() -> None:
    """A decision to hold, and the answer to an order, are handed over; the order waits for its rows."""
    world, keeper = armed(), Keeper()
    for happens in (lambda: world.bid("0.50"), lambda: world.bid("0.40"), lambda: world.answer("10")):
        already = len(world.effects)
        happens()
        assert flush(world, keeper, already) == []
    waits = {wait for rows, wait in keeper.appended if any(row.table == "attempts" for row in rows)}
    others = {wait for rows, wait in keeper.appended if all(row.table != "attempts" for row in rows)}
    assert (waits, others) == ({True}, {False})


def test_a_person_is_answered_once_their_word_is_durable() -> None:
    """A cancel that a kill undoes would fire after all: who asked waits for the disk as an order does."""
    world, keeper = armed().bid("0.40").not_sent(), Keeper()
    already = len(world.effects)
    world.tell(PersonAsks(key=KEY, command="cancel", reply=lambda heard: None))
    assert flush(world, keeper, already) == []
    assert [wait for _, wait in keeper.appended] == [True]
    keeper.is_well = False
    world.bid("0.52").quiet(6).bid("0.40").not_sent()
    already = len(world.effects)
    world.tell(PersonAsks(key=KEY, command="cancel", reply=lambda heard: None))
    assert flush(world, keeper, already) == ["journal_failed"]
    assert keeper.kept == []


@pytest.mark.parametrize(
    ("has_room", "alarms"), [(True, ["journal_failed"]), (False, ["journal_failed", "emergency_failed"])]
)
def test_a_dead_journal_stops_no_order_and_rings(has_room: bool, alarms: list[str]) -> None:
    """Its rows go to the emergency file; if that fails too, the order goes all the same."""
    world, keeper = armed(), Keeper(is_well=False, has_room=has_room)
    already = len(world.effects)
    world.bid("0.40")
    assert flush(world, keeper, already) == alarms
    tables = [row.table for row in keeper.kept]
    assert tables == ["intents", "attempts", "transitions"]
    assert keeper.kept[-1].values["event"] == "send"
    keeper.is_well = True
    look_after(keeper, world.guards, world.moment())
    assert world.guards.alarms == {}


def test_an_order_is_kept_with_what_earlier_rounds_may_have_lost() -> None:
    """The intent and every order before: a restart must make sense of the newest one alone."""
    world, keeper = armed(), Keeper(is_well=False)
    world.bid("0.40").answer("4").bid("0.39")
    already = len(world.effects)
    world.quiet(0.5, 0.5)
    assert [effect.attempt for effect in world.effects[already:] if isinstance(effect, Send)] == [2]
    flush(world, keeper, already)
    assert [row.table for row in keeper.kept] == ["intents", "attempts", "attempts", "transitions"]
    written = [row for row in world.effects if isinstance(row, Row) and row.table in ("intents", "attempts")]
    assert keeper.kept[:3] == [written[0], written[1], written[2]]


def test_a_row_that_nobody_waited_for_rings_at_the_next_look() -> None:
    """It may be the only sign that the disk is full."""
    world, keeper = armed(), Keeper(is_well=False)
    look_after(keeper, world.guards, world.moment())
    (line,) = world.guards.out.take()
    assert isinstance(line, Line)
    assert (line.event, line.fields["reason"]) == ("ALARM", "journal_failed")


def test_only_exits_that_send_now_are_kept_whole() -> None:
    """The room of the emergency file is for orders that leave: a holding that watches is not written there."""
    world, keeper = (
        World(Rule(name="default", stop=D("0.40")), subaccounts=(0, 1)).hold(),
        Keeper(is_well=False),
    )
    second = replace(world.position("10", "0.60"), subaccount=1)
    world.tell(replace(world.positions("10"), subaccount=1, positions=(second,)))
    world.bid("0.52").quiet(6)
    world.tell(world.fill("10", "0", ours=False)).tell(world.fill("-5", "5", trade="again", ours=False))
    already = len(world.effects)
    world.bid("0.40")
    flush(world, keeper, already)
    assert [send.key.subaccount for send in world.sends] == [1]
    assert {row.values.get("subaccount", 1) for row in keeper.kept} == {1}
    assert {row.table for row in keeper.kept} == {"intents", "attempts", "transitions"}
