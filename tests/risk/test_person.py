"""A person's word: what ``retry`` confirms, what it tries again, what it cannot."""

from __future__ import annotations

from decimal import Decimal

import pytest

from base.risk import arming
from base.risk.messages import PersonAsks
from base.risk.rules import Rule
from tests.risk.world import KEY, TICKER, World, armed

D = Decimal
STOP = Rule(name="default", stop=D("0.40"))


def retry(world: World) -> str:
    """Ask for it and return what the person is told."""
    guard = world.guard
    said = arming.retry(guard, world.guards.context(guard, world.look, world.moment(), glance=True))
    world.effects.extend(world.guards.out.take())
    return said


def stuck() -> World:
    """Nobody bids inside the floor."""
    world = armed().bid("0.45").bid("0.31").bid("0.25").answer("0").quiet(1, step_s=0.1)
    assert world.state == "STUCK"
    return world


@pytest.mark.parametrize(
    ("world", "said", "state"),
    [
        pytest.param(lambda: World(STOP).hold(), "the market has not been seen yet", "UNPROTECTED", id="unseen"),
        pytest.param(lambda: World(STOP).hold().bid("0.35"), "exiting", "IN_FLIGHT", id="breached"),
        pytest.param(
            lambda: World(STOP).hold().bid(None, "0.50"), "exiting as soon as somebody bids", "STUCK", id="no bid"
        ),
        pytest.param(
            lambda: World(STOP, adopt_default=False).hold().bid("0.35"), "the market has not been seen yet",
            "UNPROTECTED", id="no rule",
        ),
        pytest.param(
            lambda: World(STOP).hold().bid("0.01", "0.99"), "nothing to confirm: GHOST_BOOK", "UNPROTECTED",
            id="a ghost book",
        ),
        pytest.param(lambda: armed().bid("0.40").refuse(403, ""), "trying again", "IN_FLIGHT", id="refused"),
        pytest.param(stuck, "trying again", "STUCK", id="stuck, and still nobody bids"),
        pytest.param(armed, "nothing to retry in ARMED", "ARMED", id="armed"),
        pytest.param(lambda: armed().bid("0.40"), "nothing to retry in IN_FLIGHT", "IN_FLIGHT", id="in flight"),
    ],
)  # fmt: skip
def test_retry(world, said: str, state: str) -> None:  # type: ignore[no-untyped-def]
    """It confirms a stop that would fire now and tries a refused or stuck exit again; nothing else."""
    asked = world()
    assert retry(asked).startswith(said)
    assert asked.state == state


def test_what_is_tried_again_begins_at_the_first_rung_with_its_alarms_off() -> None:
    """The refusal is over for the person: a new id at the best rung, and no alarm from before."""
    world = armed().bid("0.40").refuse(400, "bad_request")
    assert "refused" in world.guard.alarms
    world.tell(PersonAsks(key=KEY, command="retry"))
    assert [send.order.price for send in world.sends] == [D("0.39"), D("0.39")]
    assert world.sends[0].order.client_order_id != world.sends[1].order.client_order_id
    assert dict(world.guard.alarms) == {}


def test_a_word_that_is_not_known_changes_nothing() -> None:
    """Only ``retry`` sells."""
    world = World(STOP).hold().bid("0.35").tell(PersonAsks(key=KEY, command="sell"))
    assert (world.state, world.sends) == ("UNPROTECTED", [])
    assert TICKER in world.guards.tickers
