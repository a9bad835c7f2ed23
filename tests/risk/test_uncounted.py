"""An exit ends with contracts left and its fills not seen yet: nothing is held back, nothing sold again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from base.model import MarketStatus, ShardStatus, Side
from base.risk.counting import Holding
from base.risk.messages import Heard, Linked, MarketsSeen, PersonAsks, ReadOrders, ShardsSeen, Tell, Word
from base.risk.rules import AlreadyBreached, Rule
from tests.risk.test_person_restart import restarted
from tests.risk.world import KEY, TICKER, World, armed

D = Decimal
BOTH = Rule(name="default", stop=D("0.40"), take_profit=D("0.80"))


def falls(world: World, *bids: str) -> World:
    """The price falls; REST shows it too."""
    for bid in bids:
        world.bid(bid).quiet(0.3, 0.1).rest(bid)
    return world


@pytest.mark.parametrize("side", list(Side))
def test_a_stop_fires_though_a_take_profit_is_not_counted(side: Side) -> None:
    """Three of ten were sold at the target, by the answer: the stop has seven to sell, at once."""
    world = armed(BOTH, side).bid("0.80").answer("3", "0.80").bid("0.70").quiet(4, 0.2)
    falls(world, "0.60", "0.50", "0.42", "0.39")
    assert (world.line("TRIGGERED")["count"], world.sends[-1].order.count) == (D(7), D(7))


def test_a_stop_fires_in_a_market_that_reopened() -> None:
    """The take profit waited for the market; it gives way as soon as that is open."""
    world = armed(BOTH).bid("0.80").answer("3", "0.80")
    world.tell(MarketsSeen(markets={TICKER: replace(world.market, status=MarketStatus.INACTIVE)})).step()
    world.bid("0.70").quiet(4, 0.2).tell(MarketsSeen(markets={TICKER: world.market})).quiet(6, 0.2)
    falls(world, "0.60", "0.50", "0.39")
    assert world.sends[-1].order.count == D(7)


def test_a_stop_that_overtakes_sells_what_was_added_too() -> None:
    """Ten were to be sold at the target, five were bought meanwhile: the stop is for all of them."""
    world = armed(BOTH).bid("0.80").not_sent()
    world.tell(replace(world.fill("5", "15", ours=False), signed_count=D(5))).bid("0.79")
    for bid in ("0.60", "0.50", "0.40"):
        world.bid(bid).rest(bid)
    world.quiet(0.5, 0.1)
    assert world.sends[-1].order.count == D(15)


def test_a_backoff_of_a_take_profit_does_not_hold_the_stop() -> None:
    """Nothing of the take profit leaves for seconds; the stop has a pause of its own to earn."""
    world = armed(BOTH).bid("0.80")
    for _ in range(6):
        world.not_sent().quiet(0.1).bid("0.80").quiet(6, 0.2)
    sent = len(world.not_sent().sends)
    for bid in ("0.60", "0.50", "0.40"):
        world.bid(bid)
    assert len(world.sends) == sent + 1


def test_a_trail_follows_though_its_exit_is_not_counted() -> None:
    """Armed again, it climbs with the price and fires under the new peak."""
    world = armed(Rule(name="default", trail_cents=D(10))).bid("0.42").answer("3", "0.42").bid("0.50")
    world.meanwhile(World.not_sent, 4, 0.1)
    for bid in ("0.60", "0.70", "0.80", "0.90"):
        world.bid(bid).quiet(5)
    sent = len(world.sends)
    falls(world, "0.85", "0.80")
    assert (len(world.sends), world.sends[-1].order.count) == (sent + 1, D(7))


def test_an_exit_that_was_cancelled_stays_so_over_a_restart(tmp_path: Path) -> None:
    """Nobody knows yet what it sold; a new process sells nothing all the same."""
    world = armed().bid("0.40").answer("3", "0.39").quiet(0.4, step_s=0.1).not_sent()
    world.tell(PersonAsks(key=KEY, command="cancel")).quiet(20)
    after = restarted(world, tmp_path, bid="0.38").rest("0.38").quiet(3, 0.1)
    assert after.sends == []


def test_a_cancelled_exit_ends_with_its_market() -> None:
    """Counted or not, what is settled is retired."""
    world = armed().bid("0.40").answer("3", "0.39").quiet(0.2, 0.1)
    world.tell(PersonAsks(key=KEY, command="cancel"))
    world.tell(MarketsSeen(markets={TICKER: replace(world.market, status=MarketStatus.FINALIZED)})).quiet(1)
    assert world.state == "GONE"


def test_fills_of_the_exit_before_are_read_too() -> None:
    """The stop sold the seven; of the take profit's three no fill came: they are asked for, not guarded."""
    world = armed(BOTH, already_breached=AlreadyBreached.EXIT).bid("0.80").answer("3", "0.80").quiet(10, 0.2)
    falls(world, "0.60", "0.50", "0.40").answer("7", "0.39")
    sold = replace(world.fill("7", None, trade="st", price="0.39"), client_order_id=None)
    world.tell(world.orders(world.report("7"), fills=(sold,))).quiet(3, 0.2).rest("0.40").quiet(1, 0.2)
    assert (world.state, len(world.sends)) == ("GONE", 2)
    asked = [effect.since_ms for effect in world.effects if isinstance(effect, ReadOrders)]
    assert min(asked) <= world.utc_ms() - 15_000


def test_an_order_of_before_fills_more_than_its_answer_said() -> None:
    """A report of it says five of ten: two fewer are held, and the stop is for those."""
    world = armed().bid("0.40").answer("3").bid("0.55").meanwhile(World.not_sent, 4, 0.1)
    late = replace(world.report("5"), order_id="o-1", client_order_id=None)
    world.tell(late).quiet(0.1)
    assert world.guard.count == D(5)


def test_an_older_read_does_not_undo_a_newer_one() -> None:
    """Servers are not equally late: ten, as of before it, after fifteen."""
    world = armed().quiet(20, 1)
    world.tell(world.positions("15")).tell(world.positions("10", lag_ms=15_000)).bid("0.40")
    assert world.sends[-1].order.count == D(15)


def test_take_profits_leave_the_stop_its_pace() -> None:
    """A target that flickers costs an id each time it is missed: half of them are the stop's."""
    world = armed(BOTH)
    for _ in range(8):
        world.bid("0.80")
        if world.state == "IN_FLIGHT":
            world.answer("0")
        world.bid("0.79").quiet(0.5, 0.1)
    assert len(world.sends) == 3
    for bid in ("0.60", "0.50", "0.40"):
        world.bid(bid)
    assert len(world.sends) == 4


def test_a_refusal_is_tried_again_whatever_the_market_did() -> None:
    """A 403 around a pause: after the pause it is still tried every minute."""
    world = armed().bid("0.40").refuse(403, "forbidden")
    for is_on in (False, True):
        shard = ShardStatus(exchange_index=2, exchange_active=True, trading_active=is_on)
        world.tell(ShardsSeen(shards=(shard,)))
    world.bid("0.39").quiet(59, 1)
    assert len(world.sends) == 1
    world.bid("0.38").quiet(5, 1)
    assert len(world.sends) == 2


def test_a_take_profit_that_is_refused_gives_way() -> None:
    """Its own order is wrong in some way; the stop's may not be."""
    world = armed(BOTH).bid("0.80").refuse(400, "invalid_order")
    assert world.state == "REFUSED"
    falls(world, "0.60", "0.50", "0.40").quiet(1, 0.2)
    assert (world.sends[-1].order.price <= D("0.40"), len(world.sends)) == (True, 2)


def test_nothing_is_sold_after_a_cancel_before_its_last_order_is_settled() -> None:
    """Whether it sold anything was not known: a flatten waits for a report, as the next order would have."""
    world = armed().bid("0.40").lose()
    world.tell(PersonAsks(key=KEY, command="cancel", is_confirmed=True))
    world.tell(PersonAsks(key=KEY, command="flatten")).quiet(2, 0.2)
    assert (world.state, len(world.sends), "unknown" in world.guard.alarms) == ("TRIGGERED", 1, True)
    assert any(isinstance(effect, ReadOrders) for effect in world.effects)
    found = replace(
        world.report("10", status="executed"), client_order_id=world.sends[0].order.client_order_id
    )
    world.tell(found).quiet(0.5, 0.1)
    assert (world.guard.count, len(world.sends)) == (D(0), 1)


def test_after_a_restart_a_cancelled_exit_waits_for_a_report(tmp_path: Path) -> None:
    """The journal says ten, an older read says more: what the cancelled order did shows in a later one."""
    before = armed().bid("0.40").lose()
    before.tell(PersonAsks(key=KEY, command="cancel", is_confirmed=True)).quiet(1)
    world = restarted(before, tmp_path, bid="0.38")
    world.guard.holding = Holding.believed(D(10), world.utc_ms())
    world.rest("0.38").tell(PersonAsks(key=KEY, command="retry")).quiet(1, 0.2)
    assert (world.state, world.sends) == ("TRIGGERED", [])
    world.quiet(6).tell(world.positions("4")).rest("0.37").quiet(1, 0.2)
    assert [send.order.count for send in world.sends] == [D(4)]


def test_a_fill_in_doubt_is_not_held_either() -> None:
    """After a restart a fill from about the trigger may be in what the journal says, or not: it is not sold again."""
    world = armed().bid("0.40")
    world.guard.holding = Holding.believed(D(10), world.utc_ms() + 300)
    world.answer("3", "0.39").tell(world.fill("3", "7")).bid("0.55").meanwhile(World.not_sent, 4, 0.1)
    assert (world.state, world.guard.holding.signed, world.guard.count) == ("ARMED", D(10), D(7))
    world.quiet(6).tell(world.positions("7")).quiet(0.2, 0.1)
    assert (world.guard.count, world.guard.past) == (D(7), [])


def test_a_sale_that_a_read_shows_is_not_taken_off_again() -> None:
    """Six of ten by the answer; the next read has four, within the seconds in which it proves nothing."""
    world = armed(Rule(name="default", trail_cents=D(10))).bid("0.90").quiet(1).bid("0.80")
    world.answer("6", "0.80").tell(world.positions("4")).bid("0.84").meanwhile(World.not_sent, 3, 0.1)
    assert (world.state, world.guard.count) == ("ARMED", D(4))
    falls(world, "0.78")
    assert world.sends[-1].order.count == D(4)


def test_a_read_before_the_answer_is_not_taken_off_again() -> None:
    """Held was lowered while the order was in flight; then the answer says why."""
    world = armed().bid("0.40")
    world.tell(world.positions("4")).answer("6", "0.40").bid("0.55").meanwhile(World.not_sent, 5, 0.1)
    assert (world.state, world.guard.count) == ("ARMED", D(4))


def test_a_flatten_after_a_cancel_knows_what_a_read_showed() -> None:
    """Four are held: they are sold, not called gone."""
    world = armed().bid("0.40").answer("6", "0.40")
    world.tell(world.positions("4")).quiet(0.4, 0.1).not_sent()
    world.tell(PersonAsks(key=KEY, command="cancel")).tell(PersonAsks(key=KEY, command="flatten"))
    assert (world.state, world.sends[-1].order.count) == ("IN_FLIGHT", D(4))


def test_a_push_that_names_what_is_held_counts_what_was_sold() -> None:
    """Three were sold, five bought: the push of the purchase says twelve."""
    world = armed().bid("0.40").answer("3").bid("0.55").meanwhile(World.not_sent, 3, 0.1)
    world.tell(replace(world.fill("5", "12", ours=False), signed_count=D(5)))
    assert (world.guard.count, world.guard.past) == (D(12), [])


@pytest.mark.parametrize("side", list(Side))
def test_a_listed_fill_does_not_bring_back_what_it_sold(side: Side) -> None:
    """A lagging read says ten, then the fill is listed: it may be in that read or not, so three are not held."""
    world = armed(BOTH, side).bid("0.80").answer("3", "0.80").bid("0.70").meanwhile(World.not_sent, 3, 0.1)
    world.tell(world.positions("10", lag_ms=4_000))
    sold = replace(world.fill("3", None, price="0.80"), client_order_id=None, ts_ms=world.utc_ms() - 3_000)
    world.tell(world.orders(world.report("3"), fills=(sold,)))
    assert world.guard.count == D(7)


def test_turned_contracts_are_another_holding() -> None:
    """What an exit sold of the YES is not taken off the NO."""
    world = armed(BOTH).bid("0.80").answer("3", "0.80").bid("0.70").meanwhile(World.not_sent, 3, 0.1)
    world.tell(world.fill("12", "-2", trade="x", ours=False)).quiet(0.2, 0.1)
    assert (world.guard.side, world.guard.count) == (Side.NO, D(2))


def test_a_read_of_the_future_is_of_now() -> None:
    """Its moment is wrong by an hour: later reads are believed all the same."""
    world = armed().quiet(10, 1)
    world.tell(world.positions("10", lag_ms=-3_600_000)).quiet(20, 1).tell(world.positions("25")).quiet(1)
    assert world.guard.count == D(25)


def test_a_reconnect_does_not_cut_short_the_read_of_a_grid() -> None:
    """``invalid_price`` waits for the market's new grid: another order on the old one would be refused for good."""
    world = armed().bid("0.40").refuse(400, "invalid_price")
    world.tell(Linked(is_up=True)).bid("0.39").quiet(0.5, 0.1)
    assert len(world.sends) == 1
    world.tell(MarketsSeen(markets={TICKER: world.market})).quiet(0.5, 0.1)
    assert len(world.sends) == 2


def test_reconnects_do_not_spend_the_pace_on_an_inactive_market() -> None:
    """One order finds out whether it reopened meanwhile; then its event or status is waited for again."""
    world = armed().bid("0.40").refuse(409, "market_inactive")
    for _ in range(6):
        world.tell(Linked(is_up=True)).bid("0.39").quiet(1, 0.2)
        if world.state == "IN_FLIGHT":
            world.refuse(409, "market_inactive")
    assert len(world.sends) == 2


@pytest.mark.parametrize("how", ["found", "absent"])
def test_an_order_that_was_given_up_is_settled_by_orders_too(how: str) -> None:
    """Positions may be no help: the order list says what it sold, or twice that it never came."""
    world = armed().bid("0.40").lose()
    world.tell(PersonAsks(key=KEY, command="cancel", is_confirmed=True))
    world.tell(PersonAsks(key=KEY, command="flatten")).quiet(7, 0.5)
    assert len(world.sends) == 1
    if how == "found":
        world.tell(world.report("4"))
    else:
        for _ in range(2):
            world.tell(world.orders()).quiet(1, 0.5)
    world.bid("0.39").quiet(1, 0.2)
    assert (len(world.sends), world.sends[-1].order.count) == (2, D(6) if how == "found" else D(10))
    assert "unknown" not in world.guard.alarms


def test_a_named_floor_gives_way_once_the_price_is_known() -> None:
    """Asked for without a proven price; the bid is under it, so the stop goes on instead of waiting behind it."""
    world = armed()
    world.gap()
    world.tell(PersonAsks(key=KEY, command="flatten", floor=D("0.50")))
    assert world.sends == []
    world.link()
    world.bid("0.45").rest("0.45").quiet(1, 0.2)
    assert world.state == "ARMED"
    falls(world, "0.40")
    assert len(world.sends) == 1


def test_a_named_floor_does_not_take_a_take_profit_over() -> None:
    """The joined exit would be nobody's: no longer a take profit, and no stop could overtake it."""
    world = armed(BOTH).bid("0.80").not_sent().bid("0.60")
    heard: list[Heard] = []
    world.tell(PersonAsks(key=KEY, command="flatten", floor=D("0.79"), reply=heard.append))
    for effect in world.effects:
        if isinstance(effect, Tell):
            effect.reply(effect.heard)
    assert heard[0].word is Word.REFUSED


def test_what_answers_and_trades_sold_together_is_neither_sold_nor_called_gone() -> None:
    """Six by the answer, four by hand, and of the six no report yet: nothing is left to sell, and reads say when."""
    world = armed().bid("0.40").answer("6").bid("0.55").meanwhile(World.not_sent, 4, 0.1)
    world.tell(world.fill("4", None, trade="x", ours=False)).quiet(1, 0.2)
    sent = len(world.sends)
    falls(world, "0.45", "0.40")
    assert (world.state, world.guard.count, len(world.sends)) == ("ARMED", D(0), sent)
    world.tell(replace(world.fill("6", "0"), order_id="o-1", client_order_id=None)).quiet(0.2, 0.1)
    assert world.state == "GONE"
