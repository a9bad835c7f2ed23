"""Contracts added during an exit and sold again by hand before it is withdrawn."""

from __future__ import annotations

from decimal import Decimal

from base.risk.messages import ReadPositions
from base.risk.rules import Rule
from tests.risk.world import World, armed

D = Decimal
HALF = Rule(name="default", loss_percent=D(50))


def exiting() -> World:
    """Ten at 0.60 guarded at 0.30; the exit could not leave."""
    world = World(HALF).hold("10", "0.60").bid("0.52").quiet(6)
    return world.bid("0.40").bid("0.30").not_sent()


def withdrawn(world: World) -> World:
    """The price recovers and the exit is given up."""
    return world.bid("0.44").bid("0.50").meanwhile(World.not_sent, 10)


def test_added_contracts_that_were_sold_again_do_not_crash_the_withdrawal() -> None:
    """Two and five are bought and twelve sold by hand while the exit waits: five are left and guarded."""
    world = exiting()
    world.tell(world.fill("-2", "12", trade="a", price="0.30", ours=False))
    world.tell(world.fill("-5", "17", trade="b", price="0.30", ours=False))
    world.tell(world.fill("12", "5", trade="c", price="0.30", ours=False))
    withdrawn(world)
    assert (world.state, world.guard.count) == ("ARMED", D(5))


def test_the_entry_stays_between_the_prices_paid() -> None:
    """Five are bought at 0.30 and twelve sold by hand: the entry of the three left lies in 0.30-0.60."""
    world = exiting()
    world.tell(world.fill("-5", "15", trade="a", price="0.30", ours=False))
    world.tell(world.fill("12", "3", trade="b", price="0.30", ours=False))
    withdrawn(world)
    assert (world.state, world.guard.count) == ("ARMED", D(3))
    assert world.guard.entry is not None
    assert D("0.30") <= world.guard.entry <= D("0.60"), world.guard.entry


def test_what_is_left_after_an_exit_is_looked_for_until_a_read_can_tell() -> None:
    """A read that may be older than the end proves nothing; the next one is not half a minute away."""
    world = armed().bid("0.40").answer("10")
    world.tell(world.fill("10", "0"))
    assert world.state == "GONE"
    world.quiet(2).tell(world.positions("5"))
    assert world.state == "GONE", "it may be from before the end"
    world.effects.clear()
    world.now_s += 4
    world.guards.sweep(world.moment())
    world.step()
    assert ReadPositions(0) in world.effects
    world.tell(world.positions("5"))
    assert world.guard.count == D(5)
