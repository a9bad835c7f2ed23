"""two fills of one millisecond, the later one pushed, the earlier one known from a read only."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from base.model import Side
from base.risk.counting import Holding
from tests.risk.test_counting import fill
from tests.risk.world import armed

D = Decimal


def test_a_read_fill_of_the_pushed_fills_moment_is_in_its_position_already() -> None:
    """The position after the second of two fills of one match contains the first."""
    held = Holding(D(10), 1_000)
    held.add_fill(fill("second", "2", 2_000, "5"))
    held.add_fill(fill("first", "3", 2_000, None))
    assert held.signed == D(5) or not held.is_certain, held.signed


@pytest.mark.parametrize("side", list(Side))
def test_an_exit_whose_first_push_was_lost_does_not_look_flipped(side: Side) -> None:
    """Two fills of five; one push is lost with the answer; the order list tells both: all is sold."""
    world = armed(side=side).bid("0.40").lose()
    first = replace(world.fill("5", None, trade="a"), client_order_id=None)
    world.tell(world.fill("5", "0", trade="b"))
    world.tell(world.orders(world.report("10", "executed"), fills=(first,)))
    world.quiet(1)
    assert "FLIPPED" not in world.events
    assert world.state == "GONE"
