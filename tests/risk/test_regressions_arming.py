"""Epochs, alarms and stops made anew after odd news: each once went wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from base.model import Fill, MarketStatus, PositionPush, Side
from base.risk.messages import Line, MarketsSeen, Message, PersonAsks, ReadFailed
from base.risk.rules import AlreadyBreached, Rule
from tests.risk.world import KEY, TICKER, World, armed

D = Decimal
STOP = Rule(name="default", stop=D("0.40"))
HALF = Rule(name="default", loss_percent=D(50))


# --- where an epoch begins and ends -----------------------------------------------------------------


def test_a_lagging_read_after_an_external_close_begins_no_new_epoch() -> None:
    """The user sold by hand; a read of before that still lists the position."""
    world = armed().quiet(1)
    world.tell(world.fill("10", "0", trade="hand", ours=False))
    assert world.state == "GONE"
    world.quiet(0.5).tell(world.positions("10", lag_ms=1_500))
    assert world.state == "GONE"


def test_a_settled_market_that_is_still_listed_retires_once() -> None:
    """Positions of a determined market are listed until they are paid; nothing guards them again."""
    world = armed()
    settled = replace(world.market, status=MarketStatus.DETERMINED, result="no")
    world.tell(MarketsSeen(markets={TICKER: settled})).quiet(1)
    for _ in range(4):
        world.tell(world.positions("10")).quiet(30, step_s=10)
    assert world.state == "GONE"
    assert world.events.count("RETIRED") == 1


def test_a_hooks_claim_outlives_reads_older_than_itself() -> None:
    """A read of before the claim cannot speak against it, however often it comes."""
    world = World(STOP).opened().bid("0.52")
    for lag_ms in (4_000, 4_500):
        world.quiet(2).tell(world.positions(None, lag_ms=lag_ms))
    assert world.state == "ARMED"


def test_a_reentry_is_not_what_was_armed_before_the_start() -> None:
    """Only the epoch the journal spoke of may act on its first evidence; the next one is adopted."""
    world = World(STOP, armed_before={KEY: Side.YES}).hold().bid("0.52").quiet(6)
    world.tell(world.fill("10", "0", trade="hand", ours=False))
    assert world.state == "GONE"
    world.bid("0.45").bid("0.35").quiet(100, step_s=1)
    world.tell(world.fill("-10", "10", trade="again", price="0.36", ours=False))
    world.quiet(6).rest("0.35").quiet(1)
    assert (world.state, world.sends) == ("UNPROTECTED", [])


def test_two_outside_fills_of_a_read_end_one_epoch_and_have_the_next_read() -> None:
    """All sold and some bought again, told by one read: nothing crashes, and positions say what is held."""
    world = armed()
    sold = replace(traded_elsewhere(world, "10", "a"), ts_ms=world.utc_ms())
    bought = replace(traded_elsewhere(world, "-5", "b"), ts_ms=world.utc_ms() + 10)
    world.tell(world.orders(fills=(sold, bought)))
    for _ in range(2):
        world.quiet(6).tell(world.positions("5"))
    assert (world.guard.count, world.sends) == (D(5), [])


def traded_elsewhere(world: World, count: str, trade: str) -> Fill:
    """A trade made elsewhere, as a read lists it."""
    return world.fill(count, None, trade=trade, ours=False)


def test_a_flip_that_is_traded_back_stays_guarded() -> None:
    """The sign changed twice: the holding is not forgotten, and nothing is sold unasked."""
    world = armed().bid("0.40").answer("0")
    world.tell(world.fill("15", "-5", trade="x", ours=False)).quiet(1)
    assert world.state == "FLIPPED"
    world.quiet(1).tell(world.fill("-15", "10", trade="y", ours=False))
    world.bid("0.52").quiet(10)
    assert (world.guard.count, len(world.sends)) == (D(10), 1)
    assert world.state == "ARMED" or world.guard.alarms, "guarded, or loud about it"


# --- a stop made anew -------------------------------------------------------------------------------


def test_a_resized_stop_does_not_fire_on_a_low_of_before() -> None:
    """The new trigger is armed by a safe sighting; a low that came before it is not its evidence."""
    world = World(HALF).hold("10", "0.60").bid("0.45").quiet(6)
    for bid in ("0.36", "0.45"):
        world.cache.put(world.quote(bid))
        world.now_s += 0.05
    world.tell(world.fill("-10", "20", trade="add", price="0.90", ours=False)).quiet(1)
    assert world.guard.stop is not None
    assert (world.guard.stop.trigger, world.sends) == (D("0.375"), [])


def test_a_target_that_a_resize_brought_below_the_bid_does_not_sell() -> None:
    """A new target must be seen from below before it may take a profit."""
    world = World(Rule(name="default", loss_percent=D(50), gain_percent=D(50)))
    world.hold("10", "0.60").bid("0.80").quiet(6)
    world.tell(world.positions("20", "0.45")).quiet(1).rest("0.80").quiet(1)
    assert world.guard.stop is not None
    assert (world.guard.stop.target, world.sends) == (D("0.675"), [])


def test_a_trail_that_a_resize_activates_waits_until_it_is_seen_safe() -> None:
    """Ten more at 0.40 bring the entry to 0.50: the peak of 0.75 now activates the trail, above the bid."""
    rule = Rule(name="default", trail_cents=D(10), trail_activation_cents=D(20))
    world = World(rule).hold("10", "0.60").bid("0.75").quiet(6).bid("0.62")
    world.tell(world.fill("-10", "20", trade="add", price="0.40", ours=False)).quiet(1)
    assert (world.state, world.guard.entry, world.sends) == ("ARMED", D("0.50"), [])
    world.cache.put(world.quote("0.78"))  # a high between two looks: the stop that waits follows it too
    world.bid("0.62").bid("0.67").quiet(1)
    assert (world.state, world.sends) == ("ARMED", [])
    world.bid("0.75").bid("0.68")
    assert world.line("TRIGGERED")["trigger"] == D("0.68")


def test_contracts_added_during_an_exit_are_said_to_be_unprotected() -> None:
    """The exit sells what the trigger saw; what was added meanwhile has no stop, and says so."""
    world = armed().bid("0.40")
    world.tell(world.fill("-5", "15", trade="x", ours=False)).quiet(1)
    assert world.line("UNPROTECTED")["reason"] == "added"


def test_a_withdrawn_exit_remakes_its_stop_for_what_was_added() -> None:
    """Twenty at an average of 0.45 are guarded at 0.225, though the exit began with ten."""
    world = World(HALF).hold("10", "0.60").bid("0.52").quiet(6).bid("0.40").bid("0.30").not_sent()
    world.tell(world.fill("-10", "20", trade="x", price="0.30", ours=False))
    world.bid("0.44").bid("0.50").meanwhile(World.not_sent, 10)
    assert world.state == "ARMED"
    world.quiet(6).tell(world.positions("20", "0.45")).quiet(2)
    assert world.guard.stop is not None
    assert (world.guard.stop.count, world.guard.stop.trigger) == (D(20), D("0.225"))


# --- alarms end with what they warned of ------------------------------------------------------------


def refused(world: World) -> World:
    """The key may not trade; then the price recovers and the minute passes after which it is tried."""
    return world.bid("0.40").refuse(403, "").bid("0.55").quiet(70)


def overdue(world: World) -> World:
    """The answer takes 13 seconds and says that nothing left; then the price recovers."""
    return world.bid("0.40").quiet(13, step_s=1).not_sent().bid("0.55").meanwhile(World.not_sent, 20, 1)


@pytest.mark.parametrize("trouble", [refused, overdue])
def test_an_exit_that_is_withdrawn_leaves_no_alarm(trouble: Callable[[World], World]) -> None:
    """ARMED again means that nothing is wrong any more."""
    world = trouble(armed())
    assert (world.state, dict(world.guard.alarms)) == ("ARMED", {})
    assert "ALARM" in world.events


@pytest.mark.parametrize("blind_s", [0, 8], ids=["breached", "without evidence first"])
def test_a_breached_adoption_that_recovers_leaves_no_alarm(blind_s: int) -> None:
    """`adopt.already_breached: exit`: the exit could not leave, the price came back, all is well."""
    world = World(STOP, already_breached=AlreadyBreached.EXIT).hold().quiet(blind_s, step_s=1)
    world.bid("0.35").quiet(6).rest("0.35")
    assert world.state == "IN_FLIGHT"
    world.not_sent().bid("0.45").bid("0.55").meanwhile(World.not_sent, 10)
    assert (world.state, dict(world.guard.alarms)) == ("ARMED", {})


def test_a_confirmed_exit_is_unprotected_no_more() -> None:
    """The alarm about a missing stop ends when a person lets the holding be sold."""
    world = World(STOP).hold().bid("0.35").quiet(6)
    assert any(reason.startswith("unprotected") for reason in world.guard.alarms)
    world.tell(PersonAsks(key=KEY, command="retry"))
    assert not any(reason.startswith("unprotected") for reason in world.guard.alarms)


def failed_read(what: str) -> ReadFailed:
    """A report that could not be had."""
    return ReadFailed(what=what, why="503")


def test_single_failures_with_a_success_between_are_no_alarm() -> None:
    """Reads fail for long only when nothing succeeds in between."""
    world = armed().tell(failed_read("ReadOrders"))
    world.tell(world.orders()).quiet(40, step_s=5).tell(failed_read("ReadOrders"))
    assert world.guards.alarms == {}


@pytest.mark.parametrize("what", ["ReadMarket", "ReadOrders", "ReadPositions"])
def test_a_read_that_succeeds_ends_the_alarm_about_it(what: str) -> None:
    """Thirty seconds of failures ring; one answer is enough to stop it."""
    world = armed().tell(failed_read(what)).quiet(40, step_s=5).tell(failed_read(what))
    assert list(world.guards.alarms) == [f"read_failed_{what}"]
    answers: dict[str, Message] = {
        "ReadMarket": MarketsSeen(markets={TICKER: world.market}),
        "ReadOrders": world.orders(),
        "ReadPositions": world.positions("10"),
    }
    world.tell(answers[what])
    assert world.guards.alarms == {}


def test_a_pushed_position_in_another_subaccount_alarms_until_it_is_gone() -> None:
    """What we may not sell is said loudly, and no longer than it is held."""
    world = armed().tell(PositionPush(ticker=TICKER, subaccount=3, signed_count=D(5)))
    lines = [effect for effect in world.effects if isinstance(effect, Line) and effect.event == "ALARM"]
    assert [line.fields["reason"] for line in lines] == ["unprotected_subaccount_3"]
    world.tell(PositionPush(ticker=TICKER, subaccount=3, signed_count=D(0)))
    assert world.guards.alarms == {}
