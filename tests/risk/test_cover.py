"""Each contract is covered, exiting or loudly UNPROTECTED: what would be silent rings, again every minute.

That it holds on any day, in any order of events, is part of tests/risk/test_random_days.py (tests/risk/cover.py).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from base.model import Side
from base.risk.messages import Line
from base.risk.rules import Rule
from base.risk.unsaid import UNFINISHED_S
from tests.risk.world import D, World, armed


def rings(world: World, reason: str) -> int:
    """How often ``reason`` rang so far."""
    lines = [e for e in world.effects if isinstance(e, Line) and e.event == "ALARM"]
    return sum(line.fields["reason"] == reason for line in lines)


def nobody_bids() -> World:
    """An exit made on an empty side: it says so once, when it is made."""
    return armed().bid(None, ask="0.50")


def added_during_an_exit() -> World:
    """Three more contracts bought by hand while an exit waits for a bid: said when they are seen."""
    world = nobody_bids()
    return world.tell(world.positions("13"))


@pytest.mark.parametrize(
    ("situation", "reason"), [(nobody_bids, "no_bid"), (added_during_an_exit, "unprotected_added")]
)
def test_an_alarm_that_holds_rings_again_every_minute(situation: Callable[[], World], reason: str) -> None:
    """Seen and forgotten is not over: it comes back until the condition ends, not only where it began."""
    world = situation()
    assert rings(world, reason) == 1
    world.quiet(59)
    assert rings(world, reason) == 1
    world.quiet(2)
    assert rings(world, reason) == 2
    world.quiet(120)
    assert rings(world, reason) == 4


def test_an_exit_that_does_not_end_rings() -> None:
    """Its order is refused by the market again and again, each time answered at once: no state lasts."""
    world = armed(below_floor="wait").bid("0.40")
    world.meanwhile(lambda w: w.refuse(400, "invalid_price"), 0.5)
    world.guard.alarms.clear()  # as if each of its states had been over before it rang
    began_s = world.guard.intent.began_s  # type: ignore[union-attr]
    while not rings(world, "exit_unfinished"):
        world.guard.alarms.clear()
        world.quiet(0.5)
        assert world.now_s < began_s + UNFINISHED_S + 5
    assert world.now_s >= began_s + UNFINISHED_S


def test_a_short_exit_is_looked_at_again_when_it_would_be_long() -> None:
    """The alarm does not wait for the next sweep."""
    world = armed().bid("0.40")
    assert world.state == "IN_FLIGHT"
    assert world.guard.due_s is not None
    assert world.guard.due_s <= world.guard.intent.began_s + UNFINISHED_S  # type: ignore[union-attr]


@pytest.mark.parametrize("side", list(Side))
def test_contracts_bought_while_as_many_were_sold_are_said(side: Side) -> None:
    """Held stays ten: seven of the exit's and three that nobody sells."""
    world = armed(Rule(name="default", stop=D("0.40")), side).bid("0.40")
    world.tell(world.fill("3", "10", trade="t1", price="0.40"))
    world.quiet(6)
    assert world.guard.holding.signed == (10 if side is Side.YES else -10)
    assert rings(world, "unprotected_added") == 1
    assert world.line("UNPROTECTED") == {"count": D(3), "reason": "added"}


def test_a_short_surplus_is_no_alarm() -> None:
    """Reports of one moment come one after the other: three bought by hand are sold by hand at once."""
    world = armed().bid("0.40")
    world.tell(world.fill("3", "10", trade="t1", price="0.40"))
    world.quiet(2)
    world.tell(world.fill("1", "6", trade="t2", price="0.40"))
    world.quiet(6)
    assert rings(world, "unprotected_added") == 0


def test_a_position_turned_over_while_an_order_is_in_flight_rings() -> None:
    """Nobody sells the other side; the answer that would say so may take seconds."""
    world = armed().bid("0.40")
    world.tell(world.fill("14", "-4", ours=False))
    assert (world.state, world.guard.has_flipped) == ("IN_FLIGHT", True)
    world.quiet(6)
    assert rings(world, "flipped") == 1
