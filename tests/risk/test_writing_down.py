"""Rows before orders: only an order waits, and a failing journal stops none."""

from __future__ import annotations

from collections.abc import Sequence

from base.risk.messages import Line, Row
from base.risk.writing_down import look_after, write_down
from tests.risk.world import World, armed


class Keeper:
    """A journal that takes what it is told to take."""

    def __init__(self, *, is_well: bool = True):
        self.is_well = is_well
        self.appended: list[tuple[list[Row], bool]] = []

    def append(self, rows: Sequence[Row], *, wait: bool = True) -> bool:
        """The journal."""
        self.appended.append((list(rows), wait))
        return self.is_well

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


def test_a_dead_journal_stops_no_order_and_rings() -> None:
    """The alarm holds until the journal is well again."""
    world, keeper = armed(), Keeper(is_well=False)
    already = len(world.effects)
    world.bid("0.40")
    assert flush(world, keeper, already) == ["journal_failed"]
    keeper.is_well = True
    look_after(keeper, world.guards, world.moment())
    assert world.guards.alarms == {}


def test_a_row_that_nobody_waited_for_rings_at_the_next_look() -> None:
    """It may be the only sign that the disk is full."""
    world, keeper = armed(), Keeper(is_well=False)
    look_after(keeper, world.guards, world.moment())
    (line,) = world.guards.out.take()
    assert isinstance(line, Line)
    assert (line.event, line.fields["reason"]) == ("ALARM", "journal_failed")
