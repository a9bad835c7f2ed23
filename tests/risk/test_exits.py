"""An exit from the first touch to the confirmed end, and everything that may come between."""

from __future__ import annotations

from decimal import Decimal

import pytest

from base.model import MarketStatus, ShardStatus, Side
from base.risk.messages import (
    ConfirmPrice,
    Line,
    MarketsSeen,
    ReadFailed,
    ReadOrders,
    Row,
    Send,
    ShardsSeen,
    Sweep,
)
from base.risk.rules import Rule
from tests.risk.world import MARGIN_S, TICKER, World, armed

D = Decimal
BOTH = pytest.mark.parametrize("side", list(Side), ids=["yes", "no"])


@BOTH
def test_a_touched_stop_sells_all_and_closes(side: Side) -> None:
    """Touch, send, fill, confirm, closed: for a NO position exactly as for a YES position."""
    world = armed(side=side).bid("0.45").bid("0.40")
    send = world.sends[0].order
    assert (world.state, send.side, send.count) == ("IN_FLIGHT", side, D(10))
    assert D("0.30") <= send.price <= D("0.40")
    world.answer("10", "0.40")
    assert world.state == "CONFIRMING"
    world.tell(world.fill("10", "0", price="0.40"))
    assert world.state == "GONE"
    closed = world.line("CLOSED")
    assert (closed["count"], closed["price"]) == (D(10), D("0.40"))
    assert closed["profit"] == (D("0.40") - D("0.60")) * 10 - D("0.05")


def test_rows_stand_in_the_journal_before_the_order() -> None:
    """Intent and attempt come before the send: killing the process there loses no intent."""
    world = armed().bid("0.40")
    kinds = [e.table if isinstance(e, Row) else "send" for e in world.effects if isinstance(e, Row | Send)]
    assert kinds.index("intents") < kinds.index("attempts") < kinds.index("send")


def test_an_unfilled_exit_is_never_stacked() -> None:
    """(A) While one order is unanswered nothing else is sent, however the price moves."""
    world = armed().bid("0.40")
    for bid in ("0.39", "0.35", "0.30", "0.38"):
        world.bid(bid)
    world.quiet(5)
    assert len(world.sends) == 1


def test_partial_fills_never_add_up_to_more_than_held() -> None:
    """(B) Each next order asks for what is left, whatever source says how much was filled."""
    world = armed().bid("0.40")
    world.answer("4", "0.39").tell(world.fill("4", "6", price="0.39"))
    world.quiet(0.5, step_s=0.1)
    assert world.sends[1].order.count == D(6)
    world.answer("6", "0.35").tell(world.fill("6", "0", trade="t2", price="0.35"))
    assert world.state == "GONE"
    assert world.line("CLOSED")["price"] == (D("0.39") * 4 + D("0.35") * 6) / 10


def test_a_fill_pushed_twice_and_read_by_rest_counts_once() -> None:
    """The maximum over sources, never their sum."""
    world = armed().bid("0.40")
    fill = world.fill("4", "6")
    world.tell(fill).tell(fill)
    world.answer("4", "0.30")
    world.tell(world.orders(world.report("4"), fills=(fill,)))
    intent = world.guard.intent
    assert intent is not None
    assert intent.filled == D(4)


def test_a_lost_answer_holds_until_the_order_is_found() -> None:
    """Nothing else goes out while the outcome is unknown; the order list settles it."""
    world = armed().bid("0.40").lose()
    assert world.state == "UNKNOWN"
    world.quiet(3)
    assert len(world.sends) == 1
    assert any(isinstance(e, ReadOrders) for e in world.effects)
    world.tell(world.orders(world.report("10", "executed")))
    assert world.state == "CONFIRMING"


def test_a_lost_answer_is_settled_by_our_id_in_a_push() -> None:
    """A pushed order with our id says what became of it before any read does."""
    world = armed().bid("0.40").lose()
    world.tell(world.report("10", "executed")).tell(world.fill("10", "0"))
    assert world.state == "GONE"


def test_absence_needs_two_reads_past_the_margin_and_resends_the_same_id() -> None:
    """One read without our id proves nothing; two later than send + 5 s do; then the same bytes go."""
    world = armed().bid("0.40").lose()
    first = world.sends[0].order
    world.tell(world.orders()).tell(world.orders())
    assert world.state == "UNKNOWN", "reads within the margin prove nothing"
    world.quiet(MARGIN_S)
    world.tell(world.orders())
    assert world.state == "UNKNOWN", "one read is not enough"
    world.quiet(1)
    world.bid("0.39").tell(world.orders())
    world.quiet(0.5)
    assert [send.order for send in world.sends] == [first, first]


def test_the_same_read_twice_is_one_proof() -> None:
    """Two answers of the same moment are one observation."""
    world = armed().bid("0.40").lose()
    world.quiet(MARGIN_S)
    read = world.orders()
    world.tell(read).tell(read)
    assert world.state == "UNKNOWN"


def test_a_409_on_our_own_id_is_looked_up() -> None:
    """An id that exists already is neither success nor failure: evidence says."""
    world = armed().bid("0.40").refuse(409, "order_already_exists")
    assert world.state == "UNKNOWN"
    world.tell(world.orders(world.report("10", "executed", created_ms=world.utc_ms() - 60_000)))
    assert world.state == "UNKNOWN", "an order older than the attempt is not this attempt's"
    world.tell(world.orders(world.report("10", "executed")))
    assert world.state == "CONFIRMING"


def test_not_sent_goes_again_with_the_same_id_after_a_pause() -> None:
    """No byte left: the same id and bytes, later each time, and the alarm rings."""
    world = armed().bid("0.40").not_sent()
    assert world.state == "TRIGGERED"
    assert "ALARM" in world.events
    world.quiet(0.3, step_s=0.1)
    assert world.sends[1].order == world.sends[0].order


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [
        pytest.param(409, "trading_is_paused", "WAITING", id="trading pause waits"),
        pytest.param(409, "exchange_is_paused", "WAITING", id="exchange pause waits"),
        pytest.param(400, "MARKET_INACTIVE", "WAITING", id="inactive market waits"),
        pytest.param(403, "", "REFUSED", id="no scope asks a person"),
        pytest.param(401, "authentication_error", "REFUSED", id="key revoked asks a person"),
        pytest.param(410, "deprecated_v1_order_endpoint", "REFUSED", id="dead endpoint"),
        pytest.param(400, "bad_request", "REFUSED", id="our own mistake"),
        pytest.param(400, "invalid_price", "TRIGGERED", id="grid is read again"),
        pytest.param(400, "insufficient_balance", "TRIGGERED", id="shard is read again"),
        pytest.param(401, "header_timestamp_expired", "TRIGGERED", id="clock"),
    ],
)
def test_reaction_to_a_refusal(status: int, code: str, state: str) -> None:
    """Each word of the exchange has its own row; none repeats the order blindly."""
    world = armed().bid("0.40").refuse(status, code)
    assert world.state == state
    assert len(world.sends) == 1


def test_a_curable_refusal_is_cured_once() -> None:
    """The grid is read again and a new id is used, once; the second refusal asks a person."""
    world = armed().bid("0.40").refuse(400, "invalid_price")
    world.quiet(0.3, step_s=0.1)
    assert len(world.sends) == 1, "not before the grid was read"
    world.tell(MarketsSeen(markets={TICKER: world.market})).quiet(0.2, step_s=0.1)
    assert len(world.sends) == 2
    assert world.sends[0].order.client_order_id != world.sends[1].order.client_order_id
    world.refuse(400, "invalid_price")
    assert world.state == "REFUSED"


def test_a_pause_holds_the_exit_and_a_resume_decides_anew() -> None:
    """(K) The same intent goes on when trading is back and the trigger is still touched."""
    world = armed()
    paused = ShardStatus(exchange_index=2, exchange_active=True, trading_active=False)
    world.tell(ShardsSeen(shards=(paused,)))
    world.bid("0.40")
    assert (world.state, world.sends) == ("WAITING", [])
    world.quiet(5)
    green = ShardStatus(exchange_index=2, exchange_active=True, trading_active=True)
    world.tell(ShardsSeen(shards=(green,)))
    world.bid("0.39").quiet(1)
    assert len(world.sends) == 1


def test_a_recovered_price_withdraws_a_waiting_exit() -> None:
    """After the pause the evidence decides, not the memory of a breach."""
    world = armed()
    world.tell(
        ShardsSeen(shards=(ShardStatus(exchange_index=2, exchange_active=True, trading_active=False),))
    )
    world.bid("0.40").bid("0.55").quiet(4)
    world.tell(ShardsSeen(shards=(ShardStatus(exchange_index=2, exchange_active=True, trading_active=True),)))
    world.quiet(2)
    assert (world.state, world.sends) == ("ARMED", [])


def test_no_bid_inside_the_floor_is_stuck_and_tries_again_when_there_is_one() -> None:
    """The floor is the user's: below it the exit stands, rings, and goes when a bid is back inside."""
    world = armed().bid("0.45").bid("0.31").bid("0.25")
    world.answer("0")
    world.quiet(1, step_s=0.1)
    assert world.state == "STUCK"
    count = len(world.sends)
    world.bid("0.33")
    assert world.state == "IN_FLIGHT"
    assert len(world.sends) == count + 1
    assert world.sends[-1].order.price >= D("0.30")


def test_the_ladder_goes_to_the_floor_and_no_further() -> None:
    """Rung 1 covers the count minus a step, rung 2 is the floor, then it is stuck."""
    world = armed().bid("0.40").answer("0")
    world.quiet(0.4, step_s=0.1)
    world.answer("0")
    world.quiet(0.4, step_s=0.1)
    assert [send.order.price for send in world.sends][:2] == [D("0.39"), D("0.30")]
    assert all(send.order.price >= D("0.30") for send in world.sends)


def test_six_new_ids_a_minute_then_it_waits_and_goes_on() -> None:
    """A market that never fills is not hammered, and never given up."""
    world = armed().bid("0.40")
    for _ in range(100):
        if world.state == "IN_FLIGHT":
            world.answer("0")
        world.quiet(0.4, step_s=0.1)
    assert len(world.sends) == 6
    for _ in range(100):
        if world.state == "IN_FLIGHT":
            world.answer("0")
        world.quiet(0.5)
    assert len(world.sends) > 6


def test_an_untouched_trigger_withdraws_the_intent() -> None:
    """An exit that could not leave while the price was down does not leave when it is up again."""
    world = armed().bid("0.40").not_sent().bid("0.55")
    for _ in range(20):
        if world.state == "IN_FLIGHT":
            world.not_sent()
        world.quiet(0.2, step_s=0.1)
    assert world.state == "ARMED"
    assert world.line("ARMED")["reason"] == "untouched"
    assert len({send.order.client_order_id for send in world.sends}) == 1


@pytest.mark.parametrize("side", list(Side))
def test_an_exit_that_is_withdrawn_leaves_what_its_answers_left(side: Side) -> None:
    """Three of ten by the answer, their fills late: armed again for ten it would sell what is gone."""
    world = armed(side=side).bid("0.40").answer("3").bid("0.55").meanwhile(World.not_sent, 4, 0.1)
    assert (world.state, world.line("ARMED")["count"]) == ("ARMED", D(7))
    world.bid("0.50").bid("0.40").quiet(0.3, step_s=0.1)
    assert world.sends[-1].order.count == D(7)


@pytest.mark.parametrize("before", [10, 3])
def test_a_read_counts_what_a_withdrawn_exit_sold(before: int) -> None:
    """The fills may never come: a read of positions that is late enough shows them, an older one does not."""
    world = armed().bid("0.40").answer("3").bid("0.55").meanwhile(World.not_sent, 4, 0.1)
    world.tell(world.positions("10", lag_ms=before * 1_000)).quiet(0.1)
    assert (world.guard.count, len(world.guard.past)) == (D(7), 1)
    world.quiet(6).tell(world.positions("7")).quiet(0.1)
    assert (world.guard.count, world.guard.past, "RESIZED" in world.events) == (D(7), [], False)
    world.tell(world.positions("10", lag_ms=7_000)).quiet(0.1)
    assert world.guard.count == D(7)


def test_a_stop_takes_over_what_a_take_profit_left() -> None:
    """It sold three of ten by the answer alone: the stop has seven to sell, at once."""
    world = armed(Rule(name="default", stop=D("0.40"), take_profit=D("0.80")))
    world.bid("0.80").answer("3").bid("0.79").bid("0.60").bid("0.50").bid("0.40")
    world.quiet(0.5, step_s=0.1)
    assert (world.line("TRIGGERED")["count"], world.sends[-1].order.count) == (D(7), D(7))


def test_a_stop_takes_over_from_a_take_profit() -> None:
    """A missed take profit never blocks the stop: it gets its own floor and intent."""
    world = armed(Rule(name="default", stop=D("0.40"), take_profit=D("0.80")))
    world.bid("0.80").answer("0")
    world.bid("0.79").bid("0.60").bid("0.50").bid("0.40")
    world.quiet(0.5, step_s=0.1)
    last = world.sends[-1].order
    assert last.price <= D("0.40")
    assert last.client_order_id != world.sends[0].order.client_order_id


def test_a_missed_take_profit_is_withdrawn_not_stuck() -> None:
    """A take profit sells at its target or better, or not at all."""
    world = armed(Rule(name="default", stop=D("0.40"), take_profit=D("0.80")))
    world.bid("0.80").answer("0").bid("0.75").quiet(1)
    assert world.state == "ARMED"
    assert all(send.order.price >= D("0.80") for send in world.sends)


def test_a_hand_made_close_while_in_flight_shrinks_the_exit() -> None:
    """The user sells six of ten elsewhere: only four are left to sell, and no flip."""
    world = armed().bid("0.40")
    world.tell(world.fill("6", "4", trade="x", ours=False))
    world.answer("0")
    world.quiet(0.4, step_s=0.1)
    assert world.sends[1].order.count == D(4)


def test_contracts_added_while_exiting_become_a_new_epoch() -> None:
    """Only the trigger's quantity is exited; what was added is guarded anew."""
    world = armed().bid("0.40")
    world.tell(world.fill("-5", "15", trade="x", ours=False))
    world.answer("10").tell(world.fill("10", "5", trade="t2"))
    assert sum(send.order.count for send in world.sends) == D(10)
    assert world.guard.count == D(5)
    assert world.state in ("UNPROTECTED", "ARMED")


def test_a_flip_during_the_exit_rings_and_sends_nothing_more() -> None:
    """The sign changed: a person decides."""
    world = armed().bid("0.40").answer("0")
    world.tell(world.fill("15", "-5", trade="x", ours=False))
    world.quiet(3)
    assert world.state == "FLIPPED"
    assert len(world.sends) == 1
    assert "ALARM" in world.events


def test_what_a_read_has_taken_off_already_does_not_explain_an_empty_one() -> None:
    """Nine of ten are sold, by the answer alone; a read shows the one that is left, the next ones nothing."""
    world = armed().bid("0.40").answer("9")
    world.quiet(6).tell(world.positions("1"))
    for _ in range(5):
        world.quiet(1).tell(world.positions(None))
    assert world.guard.count == D(1), "an exchange in trouble answers with nothing"
    assert "CLOSED" not in world.events


def test_what_was_sold_since_the_last_read_explains_an_empty_one() -> None:
    """All ten are sold, by the answer alone: two reads without them confirm it."""
    world = armed().bid("0.40").answer("10")
    world.quiet(6).tell(world.positions(None))
    world.quiet(1).tell(world.positions(None))
    assert world.state == "GONE"


def test_a_failed_positions_read_closes_nothing() -> None:
    """(E) An error, an empty page or a lagging read is no evidence of being flat."""
    world = armed()
    world.tell(ReadFailed(what="ReadPositions", why="503"))
    world.tell(world.positions(None))
    assert world.state == "ARMED", "one empty read proves nothing"
    world.tell(world.positions(None))
    assert world.state == "ARMED", "the same moment twice is one read"
    world.quiet(1).tell(world.positions(None))
    assert world.state == "ARMED", "an exchange in trouble answers with nothing, again and again"
    for _ in range(61):
        world.quiet(1).tell(world.positions(None))
    rung = [e.fields["reason"] for e in world.effects if isinstance(e, Line) and e.event == "ALARM"]
    assert "reports_contradict" in rung, "a minute of it is said, and believed in the end"
    assert world.state == "GONE"
    assert "EXTERNAL" in world.events


def test_an_empty_read_is_believed_when_a_trade_says_why() -> None:
    """Sold by hand while the socket was down: nothing is listed, and the list of fills explains it."""
    world = armed().quiet(6)
    world.tell(world.positions(None))
    assert any(isinstance(effect, ReadOrders) for effect in world.effects)
    sold = world.fill("10", None, trade="by-hand", ours=False)
    world.tell(world.orders(fills=(sold,)))
    assert world.state == "GONE"


def test_a_read_that_lags_behind_the_fills_is_not_believed() -> None:
    """Fills win over positions: no second exit on a position that is sold already."""
    world = armed().bid("0.40").answer("10")
    world.tell(world.fill("10", "0"))
    assert world.state == "GONE"
    world.quiet(2).tell(world.positions("10"))
    assert world.state == "GONE"
    assert len(world.sends) == 1


def test_resting_orders_of_ours_are_cancelled_first_but_never_wait_long() -> None:
    """Our own take profit on the book is swept before the exit; 300 ms at most."""
    world = armed()
    from base.risk.messages import RestingSeen
    from tests.risk.world import KEY

    world.tell(RestingSeen(key=KEY, orders=(resting_order(world),)))
    world.bid("0.40")
    assert world.sends == []
    assert any(isinstance(e, Sweep) for e in world.effects)
    world.quiet(0.4, step_s=0.1)
    assert len(world.sends) == 1


def resting_order(world: World):  # type: ignore[no-untyped-def]
    """Our own resting sell at 0.90."""
    from base.model import OrderReport

    return OrderReport(
        order_id="rest-1", client_order_id="mine", ticker=TICKER, subaccount=0, is_yes_bid=False,
        yes_price=D("0.90"), status="resting", initial=D(10), filled=D(0), remaining=D(10), fill_cost=None,
        fees=None, created_ms=world.utc_ms(), updated_ms=None, reason=None, exchange_index=2,
    )  # fmt: skip


def test_settled_while_exiting_retires() -> None:
    """The result is known: nothing is sent to a dead market."""
    world = armed().bid("0.40").answer("0")
    settled = world.market.__class__(
        ticker=TICKER, status=MarketStatus.DETERMINED, open_ms=None, close_ms=None, grid=world.market.grid,
        exchange_index=2, result="no",
    )  # fmt: skip
    world.tell(MarketsSeen(markets={TICKER: settled}))
    world.quiet(1)
    assert world.state == "GONE"
    assert "RETIRED" in world.events


def test_a_jump_is_confirmed_by_rest_before_it_fires() -> None:
    """A fall of more than 15 cents in one update waits for one REST book that shows it."""
    world = armed().bid("0.60").bid("0.35")
    assert world.sends == []
    assert any(isinstance(e, ConfirmPrice) for e in world.effects)
    world.quiet(0.2, step_s=0.1).rest("0.35")
    assert len(world.sends) == 1


def test_a_phantom_jump_does_not_fire() -> None:
    """REST shows the old price: hold."""
    world = armed().bid("0.60").bid("0.05")
    world.quiet(0.2, step_s=0.1).rest("0.60").quiet(1)
    assert (world.sends, world.state) == ([], "ARMED")


def test_what_a_withdrawn_take_profit_sold_is_booked() -> None:
    """Four of ten were sold at the target, the rest is kept: the money of the four stands in the log."""
    world = armed(Rule(name="default", stop=D("0.40"), take_profit=D("0.80")))
    world.bid("0.65").bid("0.78").bid("0.80").answer("4", "0.80")
    world.tell(world.fill("4", "6", price="0.80")).bid("0.75").quiet(2)
    assert world.state == "ARMED"
    booked = world.line("ARMED")
    assert (booked["sold"], booked["price"]) == (D(4), D("0.80"))
    assert booked["profit"] == (D("0.80") - D("0.60")) * 4 - D("0.05")
