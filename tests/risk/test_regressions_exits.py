"""Selling and counting where sources lag, requests fail and prices jump: each once went wrong."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from base.model import Fill, OrderReport
from base.risk.messages import ConfirmPrice, MarketsSeen, PersonAsks, ReadPositions
from base.risk.rules import BelowFloor, Rule
from base.units import PriceGrid
from tests.risk.world import KEY, MARGIN_S, TICKER, World, armed

D = Decimal
STOP = Rule(name="default", stop=D("0.40"))
BOTH_ENDS = Rule(name="default", stop=D("0.40"), take_profit=D("0.80"))


def missed(world: World) -> World:
    """The exchange accepts the order in flight and fills nothing."""
    return world.answer("0")


def listed(fill: Fill) -> Fill:
    """The fill as a read lists it: without our id and without the position after it."""
    return replace(fill, client_order_id=None, post_position=None)


def lost_with_four_sold() -> tuple[World, Fill]:
    """An exit of ten whose answer is lost; four were sold, as only a read of fills will say."""
    world = armed().bid("0.40").lose()
    return world, listed(world.fill("4", None, trade="a"))


# --- when an exit may be sent ---------------------------------------------------------------------


def test_an_answer_that_is_overdue_lets_the_monitor_rest() -> None:
    """Waiting for an answer asks for attention in the future, not for the same moment again and again."""
    world = armed().bid("0.40").quiet(13, step_s=1)
    world.step()
    assert world.state == "IN_FLIGHT"
    assert world.guard.due_s is not None
    assert world.guard.due_s > world.now_s
    assert "answer_overdue" in world.guard.alarms


def test_a_persons_exit_that_misses_is_tried_again_while_the_touch_lasts() -> None:
    """After ``retry`` six ids a minute hold the exit in TRIGGERED, and the next minute it goes on."""
    world = World(STOP).hold().bid("0.35").quiet(6)
    world.tell(PersonAsks(key=KEY, command="retry"))
    world.meanwhile(missed, 12, 0.4)
    count = len(world.sends)
    assert (world.state, world.guard.reason, count) == ("TRIGGERED", "paced", 6)
    world.quiet(70)
    for bid in ("0.36", "0.35", "0.37", "0.36"):
        world.bid(bid).quiet(2)
    assert len(world.sends) > count


def test_a_confirmed_take_profit_sells_at_its_target_or_better() -> None:
    """``retry`` of a target that was passed before it was armed has the target as its floor."""
    world = World(Rule(name="default", take_profit=D("0.80"))).hold().bid("0.85").quiet(6)
    assert world.state == "UNPROTECTED"
    world.tell(PersonAsks(key=KEY, command="retry"))
    assert world.sends[0].order.price >= D("0.80")
    assert world.line("TRIGGERED")["floor"] == D("0.80")


def test_a_low_between_two_looks_is_dated_when_it_stood() -> None:
    """The evidence of an exit is as old as the low itself, not as the recovery after it."""
    world = armed().bid("0.45")
    low_s = world.now_s
    world.cache.put(world.quote("0.40"))
    world.now_s += 0.1
    world.cache.put(world.quote("0.45"))
    world.quiet(1.7, step_s=1.7)
    assert [send.evidence_s for send in world.sends] == [low_s]


def test_a_message_of_one_subaccount_keeps_the_low_for_the_other() -> None:
    """Both holdings of a market see a low between two rounds, whichever is spoken of first."""
    world = World(STOP, subaccounts=(0, 1)).hold()
    second = replace(world.position("10", "0.60"), subaccount=1)
    world.tell(replace(world.positions("10"), subaccount=1, positions=(second,)))
    world.bid("0.52").quiet(6).bid("0.45")
    for bid in ("0.40", "0.44"):
        world.cache.put(world.quote(bid))
        world.now_s += 0.02
    world.tell(cancelled_elsewhere(world, subaccount=1))
    world.step()
    assert sorted(send.key.subaccount for send in world.sends) == [0, 1]


def cancelled_elsewhere(world: World, subaccount: int) -> OrderReport:
    """A push about an order nobody here knows, which ended without a fill."""
    return OrderReport(
        order_id="unheard-of", client_order_id="theirs", ticker=TICKER, subaccount=subaccount,
        is_yes_bid=False, yes_price=D("0.90"), status="canceled", initial=D(1), filled=D(0), remaining=D(0),
        fill_cost=None, fees=None, created_ms=world.utc_ms(), updated_ms=None, reason=None, exchange_index=2,
    )  # fmt: skip


def test_a_persons_exit_sends_nothing_on_a_book_that_is_not_proven() -> None:
    """A person's word needs no touch, but it still needs a price that is true now."""
    world = World(STOP).hold().bid("0.35").quiet(6)
    world.tell(PersonAsks(key=KEY, command="retry")).not_sent()
    world.gap()
    for _ in range(20):
        world.pass_s(1)
    assert len(world.sends) == 1


def test_an_order_leaves_within_seconds_of_the_networks_return() -> None:
    """Requests that never left do not count against the pace of requests."""
    world = armed().bid("0.40").meanwhile(World.not_sent, 45, 0.1)
    assert len(world.sends) >= 12, "as many requests as a minute allows"
    world.quiet(6, step_s=0.1)
    assert world.state == "IN_FLIGHT"


# --- which price an exit believes -------------------------------------------------------------------


def test_a_bid_at_the_target_does_not_unlock_a_no_bid_exit() -> None:
    """What began because nobody bid sells at a touched stop, not at a good price with the stop's floor."""
    world = armed(BOTH_ENDS).bid(None, "0.90")
    assert world.state == "STUCK"
    world.bid("0.85").quiet(0.5, step_s=0.1)
    assert world.sends == []


def test_a_rule_without_a_stop_ignores_an_empty_book() -> None:
    """A take profit alone has no reason to sell because nobody bids."""
    world = armed(Rule(name="default", take_profit=D("0.80"))).bid(None, "0.90").quiet(2)
    assert (world.state, world.sends) == ("ARMED", [])


def test_a_stop_that_overtakes_is_confirmed_when_the_price_is_odd() -> None:
    """A fall of 45 cents in one update takes an exit over only once a REST book shows it."""
    world = armed(BOTH_ENDS).bid("0.65").bid("0.78").bid("0.80").answer("0")
    world.bid("0.35", "0.82").quiet(0.5, step_s=0.1)
    assert [send.order.price for send in world.sends] == [D("0.80")]
    assert any(isinstance(effect, ConfirmPrice) for effect in world.effects)
    world.rest("0.35", "0.82").quiet(0.5, step_s=0.1)
    assert world.sends[-1].order.price <= D("0.40")


def test_a_bid_that_comes_back_odd_is_confirmed() -> None:
    """From 0.55 through nothing to one contract at 0.31: one REST book must show it first."""
    world = armed().bid("0.55").bid(None, "0.60").bid("0.31", "0.60", size="1")
    world.quiet(0.2, step_s=0.1)
    assert world.sends == []
    world.rest("0.31", "0.60", size="1").quiet(0.5, step_s=0.1)
    assert len(world.sends) == 1


def test_chasing_never_takes_a_take_profit_below_its_target() -> None:
    """`below_floor: chase` is a stop's: whatever is missed, a take profit sells at its target or better."""
    world = armed(BOTH_ENDS, below_floor=BelowFloor.CHASE, last_floor=D("0.05")).bid("0.75").bid("0.80")
    world.meanwhile(missed, 5, 0.4)
    assert min(send.order.price for send in world.sends) == D("0.80")


# --- refusals ---------------------------------------------------------------------------------------


def test_a_refused_price_waits_for_the_grid_however_long_the_read_takes() -> None:
    """The new id goes with the grid that was read, not before it."""
    world = armed().bid("0.40").refuse(400, "invalid_price").quiet(1, step_s=0.1)
    assert len(world.sends) == 1
    coarse = replace(world.market, grid=PriceGrid.of([("0.0000", "1.0000", "0.0500")]))
    world.tell(MarketsSeen(markets={TICKER: coarse}))
    world.bid("0.40").quiet(1, step_s=0.1)
    assert (world.state, world.sends[-1].order.price) == ("IN_FLIGHT", D("0.35"))


def test_an_order_that_did_not_leave_goes_under_a_new_id_when_the_grid_changed() -> None:
    """The same bytes go again only while their price may still be sent."""
    world = armed().bid("0.40").not_sent()
    coarse = replace(world.market, grid=PriceGrid.of([("0.0000", "1.0000", "0.0500")]))
    world.tell(MarketsSeen(markets={TICKER: coarse})).quiet(1, step_s=0.1)
    first, second = (send.order for send in world.sends)
    assert first.client_order_id != second.client_order_id
    assert coarse.grid.contains(second.price)


def test_an_order_that_did_not_leave_goes_under_a_new_id_when_less_is_held() -> None:
    """Six of ten were sold by hand meanwhile: the next order asks for four."""
    world = armed().bid("0.40").not_sent()
    world.tell(world.fill("6", "4", trade="x", ours=False)).quiet(1, step_s=0.1)
    first, second = (send.order for send in world.sends)
    assert first.client_order_id != second.client_order_id
    assert (first.count, second.count) == (D(10), D(4))


def test_a_refusal_at_the_floor_gets_its_new_id() -> None:
    """A refused order tried no price: the last rung is not used up by it."""
    world = armed().bid("0.45").bid("0.31").refuse(400, "insufficient_balance")
    assert world.sends[0].order.price == D("0.30")
    world.tell(MarketsSeen(markets={TICKER: world.market})).quiet(0.3, step_s=0.1)
    assert [send.order.price for send in world.sends] == [D("0.30"), D("0.30")]
    assert "STUCK" not in world.events


# --- how much was sold ------------------------------------------------------------------------------


def test_two_fills_of_one_moment_in_a_read_both_count() -> None:
    """Fills of one match share their millisecond; neither is older than the other."""
    world = armed().bid("0.40").lose().quiet(1)
    fills = (listed(world.fill("4", None, trade="a")), listed(world.fill("6", None, trade="b")))
    world.tell(world.orders(world.report("10", "executed"), fills=fills)).quiet(1)
    assert world.state == "GONE"
    assert world.line("CLOSED")["count"] == D(10)


@pytest.mark.parametrize("step", [1, -1], ids=["oldest first", "newest first"])
def test_fills_of_a_read_count_in_whatever_order_it_lists_them(step: int) -> None:
    """Four and one were sold by hand while pushes were lost: five are left, and no exit sells nine."""
    world = armed().quiet(8)
    first, second = (listed(world.fill(count, None, trade=count, ours=False)) for count in ("4", "1"))
    fills = (first, replace(second, ts_ms=second.ts_ms + 10))
    world.tell(world.orders(fills=fills[::step])).bid("0.40")
    assert (world.guard.count, world.sends[0].order.count) == (D(5), D(5))


def test_a_fill_that_a_later_read_adds_before_a_known_one_puts_the_count_in_doubt() -> None:
    """The list lagged: what was counted without it is asked for again, and no longer believed alone."""
    world = armed().quiet(8)
    first, second = (listed(world.fill(count, None, trade=count, ours=False)) for count in ("4", "1"))
    world.tell(world.orders(fills=(replace(second, ts_ms=second.ts_ms + 10),)))
    assert (world.guard.count, world.guard.holding.is_certain) == (D(9), True)
    world.effects.clear()
    world.tell(world.orders(fills=(first,)))
    assert not world.guard.holding.is_certain
    assert ReadPositions(0) in world.effects


def test_a_push_that_comes_after_the_end_begins_nothing() -> None:
    """A fill the reads have told already is no new holding when its push arrives late."""
    world = armed().bid("0.40").answer("10")
    first = world.fill("4", "6", trade="a")
    second = replace(world.fill("6", "0", trade="b"), ts_ms=world.utc_ms() + 1)
    world.quiet(1.2)
    world.tell(world.orders(world.report("10", "executed"), fills=(listed(first), listed(second))))
    assert world.state == "GONE"
    world.tell(first)
    assert world.state == "GONE"


def test_a_read_that_shows_a_fill_before_its_moment_is_not_counted_twice() -> None:
    """``as_of`` is approximate: the fill it names as later may be in the read already."""
    world, fill = lost_with_four_sold()
    world.quiet(1).tell(world.positions("6", lag_ms=2_000))
    world.tell(world.orders(world.report("4"), fills=(fill,)))
    assert world.guard.count == D(6)


def test_the_next_order_asks_for_all_that_is_still_held() -> None:
    """Six of ten are left, whichever of the two reads told it first."""
    world, fill = lost_with_four_sold()
    world.quiet(1).tell(world.positions("6", lag_ms=2_000)).bid("0.39")
    world.tell(world.orders(world.report("4"), fills=(fill,))).quiet(0.5, step_s=0.1)
    assert [send.order.count for send in world.sends] == [D(10), D(6)]


def test_a_late_push_does_not_undo_a_newer_read() -> None:
    """The position in a push is that of its moment; a read more than the margin later knows better."""
    world = armed()
    late = world.fill("4", "6", trade="late", ours=False)
    world.quiet(9).tell(world.positions("3"))
    assert world.guard.count == D(3)
    world.tell(late)
    assert world.guard.count == D(3)


def test_a_fill_after_the_proof_of_absence_ends_the_exit() -> None:
    """An order that surfaces late sold what the exit had to sell; what was added is a new epoch."""
    world = armed().bid("0.40").lose().quiet(MARGIN_S)
    world.tell(world.orders()).quiet(1).gap()
    world.tell(world.orders())
    assert world.state == "TRIGGERED"
    world.tell(world.fill("-5", "15", trade="x", ours=False))
    world.tell(world.fill("10", "5", trade="late"))
    world.link()
    world.bid("0.40").quiet(20)
    assert (world.state, world.guard.count, len(world.sends)) == ("UNPROTECTED", D(5), 1)


@pytest.mark.parametrize("answers", [0, 1], ids=["in flight", "answered"])
def test_an_exit_of_what_was_never_held_ends(answers: int) -> None:
    """A hook's claim that fired and that no read confirms ends its exit; nothing crashes on the way."""
    world = World(STOP).opened().bid("0.52").quiet(6).bid("0.45").bid("0.40")
    for _ in range(answers):
        world.answer("0")
    world.quiet(5, step_s=0.1)
    world.bid("0.39").tell(world.positions(None))
    for _ in range(3):
        world.meanwhile(missed, 1, 0.1).tell(world.positions(None))
    assert world.state == "GONE"
