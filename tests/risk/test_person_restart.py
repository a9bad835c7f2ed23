"""What a person asked outlives a restart: a joined exit, a flatten without a stop, a cancel."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from base.model import Side
from base.risk.exit_lifecycle import Event
from base.risk.intent import NEVER_S
from base.risk.messages import MarketsSeen, PersonAsks, ShardsSeen
from base.risk.recovering import recover
from base.risk.rules import AlreadyBreached, Rule
from tests.risk.journals import recovered, rows_of, write
from tests.risk.world import KEY, TICKER, World, armed

D = Decimal
STOP = Rule(name="default", stop=D("0.40"))


def asked(world: World, command: str, **more: Any) -> World:
    """A person asks."""
    return world.tell(PersonAsks(key=KEY, command=command, **more))


def restarted(before: World, path: Path, rule: Rule = STOP, bid: str | None = None, **settings: Any) -> World:
    """A new process on the journal of ``before``; positions and the market are read."""
    write(path / "journal.sqlite", rows_of(before))
    world = World(rule, before.side, **settings)
    world.now_s = before.now_s + 30
    world.link()
    recover(world.guards, recovered(path / "journal.sqlite"), world.moment())
    world.effects.extend(world.guards.out.take())
    world.hold()
    return world if bid is None else world.bid(bid)


def test_joined_exit_is_a_persons_still(tmp_path: Path) -> None:
    """Its lower floor holds, and it is not withdrawn though nothing is touched any more."""
    before = asked(
        armed().bid("0.45").bid("0.31").bid("0.25").answer("0").quiet(1, step_s=0.1),
        "flatten",
        floor=D("0.28"),
    )
    assert before.state == "STUCK"
    world = restarted(before, tmp_path, bid="0.60").quiet(5, step_s=0.2)
    assert world.guard.intent is not None
    assert (world.guard.intent.floor, world.guard.intent.is_joined) == (D("0.28"), True)
    assert len(world.sends) == 1


def test_joined_no_bid_stays_unlocked(tmp_path: Path) -> None:
    """Whoever bids inside the floor gets it."""
    before = asked(armed().bid(None, "0.60").quiet(0.5), "flatten", floor=D("0.20"))
    world = restarted(before, tmp_path, bid="0.50").quiet(1, step_s=0.2)
    assert len(world.sends) == 1


def test_order_that_goes_again_after_a_flatten_keeps_its_id(tmp_path: Path) -> None:
    """What led to the state is told apart from the word that came after it."""
    before = asked(armed().bid("0.40").not_sent(), "flatten")
    write(tmp_path / "j.sqlite", rows_of(before))
    (intent,) = recovered(tmp_path / "j.sqlite").intents
    assert (intent.event, intent.is_joined) == (Event.NOT_SENT, True)
    world = restarted(before, tmp_path, bid="0.40").quiet(1, step_s=0.2)
    assert world.sends[0].order.client_order_id == before.sends[0].order.client_order_id


def test_flatten_in_flight_is_settled_first(tmp_path: Path) -> None:
    """A second press says nothing of what became of the order."""
    before = asked(asked(armed(), "flatten"), "flatten")
    world = restarted(before, tmp_path, bid="0.52").quiet(2, step_s=0.2)
    assert (world.state, world.sends) == ("UNKNOWN", [])


def test_flatten_of_what_no_stop_covers_goes_on(tmp_path: Path) -> None:
    """It needs none, and none is made up for it."""
    before = asked(World(STOP, adopt_default=False).hold().bid("0.52"), "flatten", floor=D("0.52"))
    before.answer("0").bid("0.45").quiet(1, step_s=0.2)
    assert before.state == "STUCK"
    world = restarted(before, tmp_path, adopt_default=False)
    assert (world.guard.stop, world.guard.intent.touched_s) == (None, NEVER_S)  # type: ignore[union-attr]
    world.bid("0.65").quiet(1, step_s=0.2)
    assert [send.order.price for send in world.sends] == [D("0.64")]


@pytest.mark.parametrize("is_resized", [False, True])
@pytest.mark.parametrize("side", list(Side))
def test_cancelled_exit_stays_cancelled(tmp_path: Path, side: Side, is_resized: bool) -> None:
    """A breach before the restart sells nothing after it: not as armed before, not as adopted."""
    before = asked(armed(side=side).bid("0.40").not_sent(), "cancel")
    before.bid("0.38")
    if is_resized:
        before.tell(before.fill("3", "7", ours=False))
        assert before.guard.count == D(7)
    settings = {"already_breached": AlreadyBreached.EXIT}
    world = restarted(before, tmp_path, bid="0.35", **settings).rest("0.35").quiet(3, step_s=0.2)
    assert (world.state, world.guard.reason, world.sends) == ("UNPROTECTED", "cancelled", [])
    world.bid("0.52").quiet(70)
    assert world.state == "ARMED"
    again = restarted(world, tmp_path / "later", bid="0.35", **settings).rest("0.35").quiet(1, step_s=0.2)
    assert len(again.sends) == 1


def test_cancelled_trail_keeps_its_peak(tmp_path: Path) -> None:
    """It never loosens, restart or not."""
    trail = Rule(name="default", trail_cents=D(10))
    before = asked(armed(trail).bid("0.70").quiet(1).bid("0.60").not_sent(), "cancel")
    world = restarted(before, tmp_path, trail, bid="0.58").quiet(1)
    assert world.guard.stop is not None
    assert world.guard.stop.trigger == D("0.60")
    assert world.tell(MarketsSeen(markets={TICKER: world.market})).tell(ShardsSeen(shards=())).sends == []
