"""Where nothing can be decided: a closed market, a market not read yet, a feed that says too little."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from base.model import MarketStatus, Side
from base.risk.counting import Holding
from base.risk.messages import Closed, ConfirmPrice, Line, MarketsSeen, ProbeFeed, ReadMarket
from base.risk.rules import Rule
from base.units import PriceGrid
from tests.risk.world import KEY, TICKER, World, armed

D = Decimal
STOP = Rule(name="default", stop=D("0.40"))
HALF = Rule(name="default", loss_percent=D(50))
CLOSED = MarketStatus.CLOSED


def shut(world: World) -> World:
    """The market closes."""
    return world.tell(MarketsSeen(markets={TICKER: replace(world.market, status=CLOSED)}))


def rung(world: World) -> list[object]:
    """Reasons of the alarms raised so far."""
    return [e.fields["reason"] for e in world.effects if isinstance(e, Line) and e.event == "ALARM"]


def reads(world: World) -> list[object]:
    """What was asked for so far."""
    return [e for e in world.effects if isinstance(e, ProbeFeed | ConfirmPrice | ReadMarket)]


# --- the market ---------------------------------------------------------------------------------


def test_a_closed_market_is_neither_a_crash_nor_blindness() -> None:
    """A closed book's bid of a cent fires nothing, and its silence rings nothing."""
    world = shut(armed()).bid("0.01", "0.99").quiet(1).pass_s(10)
    assert (world.state, world.guard.reason, world.sends, rung(world)) == ("ARMED", "MARKET_STATE", [], [])


def test_a_breached_adoption_stops_ringing_while_its_market_is_closed() -> None:
    """Nobody could sell it now; its place in the list says why, and after the opening it rings again."""
    world = shut(World(STOP).hold().bid("0.35").quiet(6))
    world.step()
    assert (world.state, world.guard.reason, dict(world.guard.alarms)) == ("UNPROTECTED", "market_state", {})
    world.tell(MarketsSeen(markets={TICKER: world.market})).bid("0.35")
    assert world.guard.reason == "would_fire_now"
    assert "unprotected_would_fire_now" in world.guard.alarms


def test_a_holding_whose_market_was_never_read_says_so() -> None:
    """No grid, no status: nothing is armed, the market is asked for, and after five seconds it rings."""
    world = World(STOP)
    world.tell(world.positions("10")).bid("0.52").quiet(6)
    assert (world.state, world.guard.reason) == ("UNPROTECTED", "no_evidence")
    assert rung(world) == ["unprotected_no_evidence"]
    assert sum(isinstance(effect, ReadMarket) for effect in world.effects) >= 3


def test_a_market_that_nobody_quotes_is_read() -> None:
    """Neither side is quoted: its status may have changed silently; the stop is blind meanwhile."""
    world = armed()
    world.effects.clear()
    world.bid(None)
    assert ReadMarket(TICKER) in world.effects
    world.quiet(4)
    assert (world.state, world.guard.reason, rung(world)) == ("ARMED", "NO_MARKET", ["blind"])


# --- the evidence -------------------------------------------------------------------------------


def test_an_unproven_feed_arms_nothing() -> None:
    """The counter skipped before the stop was seen safe: it waits, loudly."""
    world = World(STOP).hold()
    world.gap()
    world.bid("0.52")
    assert (world.state, world.guard.reason) == ("UNPROTECTED", "sequence")
    for _ in range(6):
        world.pass_s(1)
    assert rung(world) == ["unprotected_no_evidence"]


def test_nobody_bids_for_what_was_found() -> None:
    """An adopted position without a buyer cannot be seen safe: UNPROTECTED, and nothing is sold unasked."""
    world = World(STOP).hold().bid(None, "0.50").quiet(6)
    assert (world.state, world.guard.reason, world.sends) == ("UNPROTECTED", "no_bid", [])


def test_what_was_armed_before_a_restart_has_its_old_price_proven_first() -> None:
    """The breach stood before the first look: it is probed and read by REST, and then it fires."""
    world = World(STOP, armed_before={KEY: Side.YES}).bid("0.35").pass_s(3).hold()
    world.step()
    assert {ProbeFeed(TICKER), ConfirmPrice(TICKER)} <= set(reads(world))
    assert world.sends == []
    world.quiet(0.1, step_s=0.1).rest("0.35").quiet(0.1, step_s=0.1)
    assert len(world.sends) == 1


def test_a_touch_that_grew_old_is_proven_before_it_fires() -> None:
    """The dwell is over, but the newest proof is three seconds old: probe at once, after a second REST."""
    world = armed(Rule(name="default", stop=D("0.40"), dwell_s=3.0)).bid("0.40")
    world.effects.clear()
    world.pass_s(3.5)
    assert ProbeFeed(TICKER) in world.effects
    assert ConfirmPrice(TICKER) not in world.effects
    world.pass_s(1.1)
    assert ConfirmPrice(TICKER) in world.effects
    assert world.sends == []
    world.quiet(0.1, step_s=0.1)
    assert len(world.sends) == 1


def test_rest_that_stays_silent_is_an_alarm() -> None:
    """A jump wants a REST book; none comes for three seconds: hold, and say so until it does."""
    world = armed().bid("0.60").bid("0.35").quiet(4)
    assert (world.state, world.guard.reason, world.sends) == ("ARMED", "UNCONFIRMED", [])
    assert rung(world) == ["unconfirmed"]
    world.rest("0.35")
    assert len(world.sends) == 1


# --- claims -------------------------------------------------------------------------------------


def test_a_confirmed_claim_is_a_holding_like_any_other() -> None:
    """Once a read lists it, an empty read is an external close, not a claim that was wrong."""
    world = World(STOP).opened().bid("0.52").quiet(6)
    world.tell(replace(world.positions("10"), as_of_ms=None))
    assert world.guard.claimed_s is not None, "a read without a moment confirms nothing"
    world.tell(world.positions("10"))
    for _ in range(63):
        world.quiet(1, step_s=1).tell(world.positions(None))
    assert (world.state, world.line("EXTERNAL")["reason"]) == ("GONE", "gone")


def test_a_closed_claim_during_an_exit_leaves_the_exit_alone() -> None:
    """What is being sold is held until it is sold: the read that says so is no contradiction."""
    world = armed().bid("0.40").tell(Closed(key=KEY)).quiet(6)
    world.tell(world.positions("10"))
    assert (world.state, world.guard.close_claimed_ms) == ("IN_FLIGHT", None)
    assert "UNPROTECTED" not in world.events


def test_a_holding_of_nothing_is_released() -> None:
    """Whatever led there, nothing is guarded that is not held."""
    world = World(STOP)
    holding = Holding(D(0), world.utc_ms())
    world.guards.begin(world.position("10", "0.60"), world.moment(), holding=holding)
    world.tell(MarketsSeen(markets={TICKER: world.market})).step()
    assert (world.state, world.line("EXTERNAL")["reason"]) == ("GONE", "gone")


# --- stops that cannot be made anew -------------------------------------------------------------


@pytest.mark.parametrize("bid", ["0.50", "0.25"], ids=["armed", "breached when it was found"])
def test_a_stop_that_a_resize_makes_impossible_is_said_to_be(bid: str) -> None:
    """Half of a cent is no price an order may carry: UNPROTECTED with the reason, and the old stop is gone."""
    world = World(HALF).hold("10", "0.60").bid(bid).quiet(6)
    world.tell(world.positions("20", "0.01"))
    assert (world.state, world.line("UNPROTECTED")["reason"]) == ("UNPROTECTED", "can_never_fire")
    assert world.bid("0.20").sends == []


def test_a_withdrawn_exit_whose_stop_fell_off_the_grid_is_unprotected() -> None:
    """The grid changed during the exit: the typed stop is no price any more, and that is said."""
    world = armed(Rule(name="default", stop=D("0.42"))).bid("0.41").not_sent()
    coarse = replace(world.market, grid=PriceGrid.of([("0.0000", "1.0000", "0.0500")]))
    world.tell(MarketsSeen(markets={TICKER: coarse})).bid("0.55").meanwhile(World.not_sent, 6)
    assert (world.state, world.guard.reason) == ("UNPROTECTED", "off_grid")
    assert "unprotected_off_grid" in world.guard.alarms


def test_a_holding_without_a_rule_grows_without_a_stop() -> None:
    """There is no stop to make anew; the size is right all the same."""
    world = World(STOP, adopt_default=False).hold().bid("0.52")
    world.tell(world.positions("20"))
    assert (world.guard.count, world.line("RESIZED")["trigger"]) == (D(20), None)
    assert (world.state, world.guard.reason) == ("UNPROTECTED", "no_rule")
