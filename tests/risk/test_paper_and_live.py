"""Paper and live see the same feed and decide the same; only the words of the log differ."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.risk.messages import Row, Send
from base.risk.rules import Rule
from tests.risk.world import D, World

pytestmark = pytest.mark.wide

MOVES = st.lists(st.tuples(st.integers(2, 90), st.sampled_from([0.1, 1.0, 3.0])), max_size=30)


def day(moves: list[tuple[int, float]], *, is_live: bool) -> list[object]:
    """What is journalled and sent on one path of prices; every order is answered alike."""
    world = World(Rule(name="default", stop=D("0.40"), take_profit=D("0.80"), dwell_s=0.5), is_live=is_live)
    world.hold()
    world.bid("0.52").quiet(6)
    for cents, pause_s in moves:
        world.bid(str(D(cents) / 100))
        if world.state == "IN_FLIGHT":
            world.answer("0")
        world.quiet(pause_s, step_s=0.1)
    return [effect for effect in world.effects if isinstance(effect, Row | Send)]


@settings(max_examples=60, deadline=None)
@given(moves=MOVES)
def test_paper_and_live_decide_the_same_on_the_same_feed(moves: list[tuple[int, float]]) -> None:
    """Every journal row and every order is equal, byte for byte."""
    assert repr(day(moves, is_live=True)) == repr(day(moves, is_live=False))
