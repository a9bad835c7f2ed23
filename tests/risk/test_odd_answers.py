"""Answers and reports that come late, twice, for nobody, or say something odd."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from base.model import MarketStatus, NotSent, OrderReport
from base.risk.messages import (
    Answered,
    ConfirmPrice,
    Line,
    MarketsSeen,
    ProbeFeed,
    ReadOrders,
    ReadPositions,
    Sweep,
)
from base.risk.rules import Rule
from tests.risk.world import KEY, MARGIN_S, TICKER, World, armed

D = Decimal
STOP = Rule(name="default", stop=D("0.40"))
BOTH_ENDS = Rule(name="default", stop=D("0.40"), take_profit=D("0.80"))


def settled(world: World) -> World:
    """The market's result is known."""
    found = replace(world.market, status=MarketStatus.DETERMINED, result="no")
    return world.tell(MarketsSeen(markets={TICKER: found}))


def resting(world: World, order_id: str, client_id: str) -> OrderReport:
    """A sell order of ten that rests in the market."""
    return replace(
        world.report("0", "resting"), order_id=order_id, client_order_id=client_id, remaining=D(10)
    )


# --- answers ------------------------------------------------------------------------------------


def test_an_answer_to_an_exit_that_ended_changes_nothing() -> None:
    """The take profit missed and was withdrawn: its answer, come once more, is not another exit's."""
    world = armed(BOTH_ENDS).bid("0.80").answer("0").bid("0.75").quiet(1)
    assert world.state == "ARMED"
    world.answer("4")
    assert (world.state, world.guard.intent, world.guard.count) == ("ARMED", None, D(10))


def test_an_answer_to_an_attempt_that_nobody_made_changes_nothing() -> None:
    """Only what was sent can be answered."""
    world = armed().bid("0.40")
    outcome = NotSent(client_order_id="?", why="?")
    intent = world.sends[0].intent_id
    world.tell(Answered(key=KEY, intent_id=intent, attempt=9, outcome=outcome, answered_s=world.now_s))
    assert world.state == "IN_FLIGHT"


def test_an_answer_that_comes_twice_counts_once() -> None:
    """The second one finds the exit further on."""
    world = armed().bid("0.40").answer("10").answer("10")
    assert world.state == "CONFIRMING"
    assert world.line("FILLED")["count"] == D(10)
    assert world.events.count("FILLED") == 1


@pytest.mark.parametrize(("has_left", "requests"), [(True, 12), (False, 30)], ids=["429", "never left"])
def test_a_request_turned_away_by_the_exchanges_limiter_counts_against_the_pace(
    has_left: bool, requests: int
) -> None:
    """Twelve in a minute that reached the exchange; what never left our machine is no load on it."""
    world = armed().bid("0.40")
    for _ in range(70):
        if world.state == "IN_FLIGHT":
            client_id = world.sends[-1].order.client_order_id
            world.outcome(NotSent(client_order_id=client_id, why="429", has_left=has_left))
            assert world.guard.intent is not None
            world.guard.intent.backoff_s = 0.0  # the pause between two tries is not what is asked here
        world.quiet(0.25, step_s=0.25)
    assert (len(world.sends) <= 12) is has_left
    assert (world.guard.reason == "paced") is has_left
    assert len(world.sends) >= min(requests, 12)


def test_a_fill_that_comes_before_its_order_is_known_finds_it() -> None:
    """A read lists the fill without our id; the answer names the order, and nothing more has to be asked."""
    world = armed().bid("0.40")
    world.tell(replace(world.fill("10", "0"), client_order_id=None)).answer("10")
    assert world.state == "GONE"
    assert world.line("CLOSED")["fee"] == D("0.05")
    assert "EXTERNAL" not in world.events


def test_an_order_that_rests_is_cancelled_and_counted_before_anything_else() -> None:
    """An immediate-or-cancel order has no remainder; where one is reported, evidence says what it sold."""
    world = armed().bid("0.40").answer("4", remaining="6")
    assert world.state == "UNKNOWN"
    assert Sweep(key=KEY, exchange_index=2, order_ids=("o-1",)) in world.effects
    assert "order_rests" in world.guard.alarms
    world.quiet(1)
    assert len(world.sends) == 1
    world.tell(world.report("4")).tell(world.fill("4", "6")).quiet(0.5, step_s=0.1)
    assert "order_rests" not in world.guard.alarms
    assert [send.order.count for send in world.sends] == [D(10), D(6)]


def test_an_order_of_ours_that_a_read_shows_resting_is_cancelled() -> None:
    """Its answer was lost; it neither filled nor ended: it is cancelled, and waited for."""
    world = armed().bid("0.40").lose()
    mine = resting(world, "o-1", world.sends[0].order.client_order_id)
    world.tell(world.orders(mine))
    assert Sweep(key=KEY, exchange_index=2, order_ids=("o-1",)) in world.effects
    assert (world.state, "order_rests" in world.guard.alarms) == ("UNKNOWN", True)


def test_a_report_of_our_resting_order_is_swept_before_the_exit() -> None:
    """A push tells of it, a later one of its end: only what still rests is cancelled."""
    world = armed()
    theirs = replace(order_elsewhere(world), order_id="rest-1")
    world.tell(theirs).tell(replace(theirs, order_id="rest-2"))
    world.tell(replace(theirs, order_id="rest-2", status="canceled", remaining=D(0)))
    world.bid("0.40")
    assert [e.order_ids for e in world.effects if isinstance(e, Sweep)] == [("rest-1",)]


def order_elsewhere(world: World) -> OrderReport:
    """A sell order of ours that is no exit: a strategy's."""
    return OrderReport(
        order_id="rest", client_order_id="mine", ticker=TICKER, subaccount=0, is_yes_bid=False,
        yes_price=D("0.90"), status="resting", initial=D(10), filled=D(0), remaining=D(10), fill_cost=None,
        fees=None, created_ms=world.utc_ms(), updated_ms=None, reason=None, exchange_index=2,
    )  # fmt: skip


# --- while nothing may be sent --------------------------------------------------------------------


def test_an_unknown_order_retires_with_its_market() -> None:
    """The result is known: what became of the order shows in the balance, not here."""
    world = settled(armed().bid("0.40").lose()).quiet(1)
    assert (world.state, world.line("RETIRED")["result"]) == ("GONE", "no")


def test_a_sold_exit_retires_with_its_market() -> None:
    """The market settles before the exchange has agreed that all is sold."""
    world = settled(armed().bid("0.40").answer("10")).quiet(1)
    assert (world.state, world.events[-1]) == ("GONE", "RETIRED")


def test_a_sold_exit_that_turns_over_is_flipped() -> None:
    """The other side is held though ours was sold: said at once, and nothing is sold any more."""
    world = armed().bid("0.40").answer("10")
    world.tell(world.fill("15", "-5", trade="x", ours=False))
    assert (world.state, world.guard.has_flipped) == ("FLIPPED", True)
    assert "flipped" in world.guard.alarms


def test_an_end_that_nobody_confirms_is_asked_about_and_rings() -> None:
    """All is sold by the answer, and neither fills nor positions say so for ten seconds."""
    world = armed().bid("0.40").answer("10")
    world.effects.clear()
    world.quiet(9)
    asked = [type(effect) for effect in world.effects]
    assert asked.count(ReadOrders) == asked.count(ReadPositions)
    assert 7 <= asked.count(ReadOrders) <= 9, "once a second, and not at the moment of the answer"
    assert "unconfirmed_end" not in world.guard.alarms
    world.quiet(2)
    assert (world.state, "unconfirmed_end" in world.guard.alarms) == ("CONFIRMING", True)


@pytest.mark.parametrize(("lag_ms", "state"), [(0, "UNPROTECTED"), (1_500, "CONFIRMING")])
def test_more_held_than_was_sold_begins_a_new_epoch(lag_ms: int, state: str) -> None:
    """A read more than five seconds after the end still lists five: they are not the exit's to sell."""
    world = armed().bid("0.40").answer("10").quiet(MARGIN_S)
    world.tell(world.positions("5", lag_ms=lag_ms))
    assert (world.state, world.guard.count) == (state, D(5))
    assert ("CLOSED" in world.events) is (state == "UNPROTECTED")


def test_contracts_that_a_read_adds_during_an_exit_are_said_to_be_unprotected() -> None:
    """Fifteen are listed where ten were being sold: five wait, loudly, for the exit's end."""
    world = armed().bid("0.40").quiet(1)
    world.tell(world.positions("15"))
    assert (world.line("UNPROTECTED")["reason"], world.line("UNPROTECTED")["count"]) == ("added", D(5))
    assert (world.guard.is_outdated, [send.order.count for send in world.sends]) == (True, [D(10)])


def test_an_entry_that_a_read_tells_later_makes_the_stop_possible() -> None:
    """A percent of an unknown price is no trigger; once the price is known it is one, without a resize."""
    world = World(Rule(name="default", loss_percent=D(50))).hold("10", None).bid("0.52")
    assert world.guard.reason == "no_entry"
    world.quiet(1).tell(world.positions("10", "0.60")).bid("0.53")
    assert (world.state, world.line("ARMED")["trigger"]) == ("ARMED", D("0.30"))
    assert "RESIZED" not in world.events


def test_a_fill_at_an_unknown_entry_leaves_it_unknown() -> None:
    """The average of a price that nobody knows is not known either."""
    world = World(STOP).hold("10", None).bid("0.52")
    world.tell(world.fill("-5", "15", trade="add", price="0.30", ours=False))
    assert (world.guard.count, world.guard.entry) == (D(15), None)


def test_what_no_source_gave_a_price_for_has_none() -> None:
    """Found by an order read alone: the count is known, the money is not, and it is not made up."""
    world = armed().bid("0.40").lose()
    world.tell(world.orders(world.report("10", "executed"))).quiet(MARGIN_S)
    world.tell(replace(world.fill("10", "0", ours=False), order_id="unheard-of"))
    closed = world.line("CLOSED")
    assert (world.state, closed["count"], closed["price"], closed["profit"]) == ("GONE", D(10), None, None)


def test_nothing_is_sent_once_all_is_sold_by_a_late_report() -> None:
    """Absent by proof, and then reported as executed: what is held only lags behind."""
    world = armed().bid("0.40").lose().quiet(MARGIN_S)
    world.tell(world.orders()).quiet(1).gap()
    world.tell(world.orders()).tell(world.report("10", "executed"))
    world.link()
    world.bid("0.40").quiet(3)
    assert (world.state, len(world.sends)) == ("TRIGGERED", 1)


def test_a_standing_touch_is_proven_before_the_exit_goes_on() -> None:
    """The price did not move, but the newest proof is three seconds old: probe and REST, and nothing goes."""
    world = armed().bid("0.40")
    world.pass_s(2.9)
    world.not_sent()
    world.effects.clear()
    world.pass_s(0.3)
    asked = [type(effect) for effect in world.effects if not isinstance(effect, Line)]
    assert (world.sends, set(asked)) == ([], {ProbeFeed, ConfirmPrice})
    world.quiet(0.1, step_s=0.1).quiet(0.5, step_s=0.1)
    assert len(world.sends) == 1


def test_an_exit_whose_shard_is_back_waits_for_fresh_evidence() -> None:
    """Trading is on again and the feed is not: the exit stays, and goes once a price is proven."""
    world = armed().bid("0.40").refuse(409, "trading_is_paused")
    world.gap()
    for _ in range(4):
        world.pass_s(1)
    assert (world.state, len(world.sends)) == ("WAITING", 1)
    world.link()
    world.bid("0.39").quiet(1, step_s=0.1)
    assert len(world.sends) == 2


@pytest.mark.parametrize(("bid", "sends", "state"), [("0.38", 2, "IN_FLIGHT"), ("0.55", 1, "ARMED")])
def test_an_order_that_is_absent_goes_again_on_a_bid_not_on_the_absence_of_one(
    bid: str, sends: int, state: str
) -> None:
    """Nobody bids when the proof comes: the exit stays open and asks, and the next bid decides."""
    world = armed().bid("0.40").lose().bid(None, "0.60").quiet(MARGIN_S)
    world.tell(world.orders()).quiet(1).tell(world.orders())
    before = len(world.effects)
    world.quiet(2, step_s=0.1)
    assert (world.state, len(world.sends)) == ("TRIGGERED", 1)
    assert ConfirmPrice(TICKER) in world.effects[before:]
    world.bid(bid).quiet(3, step_s=0.1)
    assert (world.state, len(world.sends)) == (state, sends)
