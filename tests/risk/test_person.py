"""A person's word: flatten, retry and cancel. One intent, whoever presses how often; nothing fires after a cancel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from base.model import Key, MarketStatus, Side
from base.risk.guards import Buried
from base.risk.messages import (
    ConfirmPrice,
    Heard,
    MarketsSeen,
    PersonAsks,
    ProbeFeed,
    ReadMarket,
    ReadOrders,
    ReadPositions,
    Row,
    Sweep,
    Tell,
    Word,
)
from base.risk.rules import AlreadyBreached, BelowFloor, Rule
from tests.risk.world import KEY, TICKER, World, armed

D = Decimal
STOP = Rule(name="default", stop=D("0.40"))
Made = Callable[[], World]


def ask(world: World, command: str, key: Key = KEY, **more: Any) -> Heard | None:
    """Ask for it and return what the person is told; ``None``: nothing yet."""
    heard: list[Heard] = []
    world.tell(PersonAsks(key=key, command=command, reply=heard.append, **more))
    for effect in world.effects:
        if isinstance(effect, Tell) and effect.reply == heard.append:
            effect.reply(effect.heard)
    return heard[-1] if heard else None


def told(world: World) -> list[Heard]:
    """Everything persons were told so far."""
    return [effect.heard for effect in world.effects if isinstance(effect, Tell)]


def moves(world: World, event: str) -> list[dict[str, Any]]:
    """What the journal says of one kind of event."""
    rows = [e.values for e in world.effects if isinstance(e, Row) and e.table == "transitions"]
    return [dict(row) for row in rows if row["event"] == event]


def stuck() -> World:
    """Nobody bids inside the floor of 0.30."""
    world = armed().bid("0.45").bid("0.31").bid("0.25").answer("0").quiet(1, step_s=0.1)
    assert world.state == "STUCK"
    return world


def paused(world: World) -> World:
    """The market takes no orders."""
    return world.tell(MarketsSeen(markets={TICKER: replace(world.market, status=MarketStatus.INACTIVE)}))


def partly_sold() -> World:
    """Three of ten went with the first order, and their fill was seen; the second is in flight."""
    world = armed().bid("0.40")
    return world.tell(world.fill("3", "7")).answer("3", "0.39").quiet(0.4, step_s=0.1)


def unknown() -> World:
    """The answer to the first order was lost."""
    return armed().bid("0.40").lose()


# --- retry --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "word", "said", "state"),
    [
        pytest.param(lambda: World(STOP).hold(), "soon", "its market has not been seen yet", "UNPROTECTED", id="unseen"),
        pytest.param(lambda: World(STOP).hold().bid("0.35"), "done", "exiting", "IN_FLIGHT", id="breached"),
        pytest.param(
            lambda: World(STOP).hold().bid(None, "0.50"), "done", "exiting as soon as somebody bids", "STUCK", id="no bid"
        ),
        pytest.param(
            lambda: World(STOP, adopt_default=False).hold().bid("0.35"), "refused", "no stop covers it (no_rule)",
            "UNPROTECTED", id="no rule",
        ),
        pytest.param(
            lambda: World(STOP).hold().bid("0.01", "0.99"), "nothing", "its stop would not fire now (GHOST_BOOK)",
            "UNPROTECTED", id="a ghost book",
        ),
        pytest.param(
            lambda: World(STOP).hold().bid("0.35").pass_s(9), "soon", "its price is not proven (no connection)",
            "UNPROTECTED", id="not proven",
        ),
        pytest.param(lambda: armed().bid("0.40").refuse(403, ""), "done", "trying again", "IN_FLIGHT", id="refused"),
        pytest.param(stuck, "done", "trying again", "STUCK", id="stuck, and still nobody bids"),
        pytest.param(armed, "nothing", "there is nothing to retry in ARMED", "ARMED", id="armed"),
        pytest.param(
            lambda: armed().bid("0.40"), "nothing", "there is nothing to retry in IN_FLIGHT", "IN_FLIGHT", id="in flight"
        ),
    ],
)  # fmt: skip
def test_retry(world: Made, word: str, said: str, state: str) -> None:
    """It confirms a stop that would fire now and tries a refused or stuck exit again; nothing else."""
    asked = world()
    heard = ask(asked, "retry")
    assert heard is not None
    assert (heard.word, asked.state) == (word, state)
    assert heard.said.startswith(said)


def test_what_is_tried_again_begins_at_the_first_rung_with_its_alarms_off() -> None:
    """The refusal is over for the person: a new id at the best rung, and no alarm from before."""
    world = armed().bid("0.40").refuse(400, "bad_request")
    assert "refused" in world.guard.alarms
    world.tell(PersonAsks(key=KEY, command="retry"))
    assert [send.order.price for send in world.sends] == [D("0.39"), D("0.39")]
    assert world.sends[0].order.client_order_id != world.sends[1].order.client_order_id
    assert dict(world.guard.alarms) == {}


def test_a_take_profit_may_be_confirmed_too() -> None:
    """It sells at its target or better."""
    world = World(Rule(name="default", take_profit=D("0.80"))).hold().bid("0.85")
    assert world.state == "UNPROTECTED"
    ask(world, "retry")
    assert (world.guard.intent.reason, world.guard.intent.floor) == ("RETRY", D("0.80"))


def test_a_word_that_is_not_known_changes_nothing() -> None:
    """Only what is known sells."""
    world = World(STOP).hold().bid("0.35")
    heard = ask(world, "sell")
    assert heard is not None
    assert (heard.word, heard.said) == (Word.REFUSED, "there is no command 'sell'")
    assert (world.state, world.sends) == ("UNPROTECTED", [])


# --- flatten ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(armed, id="armed"),
        pytest.param(lambda: World(STOP, adopt_default=False).hold().bid("0.52"), id="without any stop"),
        pytest.param(lambda: World(Rule(name="default", loss_percent=D(50))).hold(entry=None).bid("0.52"), id="no entry"),
        pytest.param(lambda: World(STOP).hold().bid("0.35"), id="would fire, and waits for a person"),
        pytest.param(lambda: armed(below_floor=BelowFloor.CHASE, last_floor=D("0.01")), id="that would chase"),
    ],
)  # fmt: skip
def test_flatten_sells_what_is_held_down_to_the_slippage_under_the_bid(world: Any) -> None:
    """Covered or not, it leaves at once: one intent, its floor fixed, its evidence a person's."""
    world = world()
    bid = world.cache.quote(TICKER, world.side).bid
    heard = ask(world, "flatten")
    assert heard is not None
    assert (heard.word, heard.said, heard.state) == (Word.DONE, "exiting", "IN_FLIGHT")
    send = world.sends[-1]
    assert (send.order.count, send.order.price, send.evidence_s) == (D(10), bid - D("0.01"), float("inf"))
    assert world.line("TRIGGERED")["reason"] == "FLATTEN"
    assert world.line("TRIGGERED")["floor"] == bid - D("0.10")
    assert world.guard.intent.last_floor is None
    world.answer("10", str(bid)).tell(world.fill("10", "0"))
    assert world.state == "GONE"


def test_two_presses_make_one_intent() -> None:
    """O3: a double press, in one shell or two, joins: one order, one TRIGGERED."""
    world = armed()
    first, second = ask(world, "flatten"), ask(world, "flatten")
    assert first is not None
    assert second is not None
    assert first.intent_id == second.intent_id
    assert second.said.startswith("the exit that is open is joined, down to 0.4200")
    assert (len(world.sends), world.events.count("TRIGGERED")) == (1, 1)


def test_press_while_the_stop_fires_joins_its_exit() -> None:
    """T10: the stop's own intent becomes the person's; its floor goes down, never up, at the next order."""
    world = armed().bid("0.40")
    stop_floor = world.guard.intent.floor
    ask(world, "flatten", floor=D("0.45"))
    assert world.guard.intent.floor == stop_floor
    ask(world, "flatten", floor=D("0.20"))
    assert (world.events.count("TRIGGERED"), len(world.sends)) == (1, 1)
    assert [row["inputs"]["floor"] for row in moves(world, "flatten")] == [stop_floor, D("0.20")]
    world.bid("0.25").answer("0").quiet(1, step_s=0.1)
    assert world.sends[-1].order.price >= D("0.20")
    assert world.sends[-1].order.price < stop_floor


def test_it_is_not_withdrawn_when_the_price_comes_back() -> None:
    """A stop's exit ends when its level is no longer touched; a person still wants out."""
    world = armed().bid("0.40")
    ask(world, "flatten")
    world.bid("0.60").answer("0").quiet(5, step_s=0.1)
    assert "WITHDRAWN" not in [row["to_state"] for row in moves(world, "untouched")]
    assert len(world.sends) > 1


def test_a_flatten_in_a_quiet_market_waits_for_no_probe() -> None:
    """A proven price may be seconds old; the order leaves in the same moment."""
    world = armed().quiet(4)
    world.now_s += 3
    ask(world, "flatten")
    assert len(world.sends) == 1


def test_stuck_flatten_goes_on_when_somebody_bids_its_floor() -> None:
    """No level has to be touched for it."""
    world = armed()
    ask(world, "flatten", floor=D("0.52"))
    world.bid("0.48").answer("0").quiet(0.5, step_s=0.1)
    assert world.state == "STUCK"
    heard = ask(world, "flatten", floor=D("0.52"))
    assert heard is not None
    assert heard.said.endswith("nobody bids 0.5200 or more; it goes on when somebody does")
    world.bid("0.61").quiet(0.5, step_s=0.1)
    assert world.sends[-1].order.price == D("0.60")


def test_floor_that_is_lowered_frees_a_stuck_exit() -> None:
    """The person takes less: the standing intent sells at once."""
    world = stuck()
    ask(world, "flatten")
    assert world.state == "IN_FLIGHT"
    assert world.sends[-1].order.price >= D("0.15")
    assert world.events.count("TRIGGERED") == 1


def test_joined_take_profit_no_longer_waits_for_its_target() -> None:
    """It sells under its target, and a miss does not withdraw it."""
    world = armed(replace(STOP, take_profit=D("0.80"))).bid("0.79").bid("0.81")
    assert world.guard.intent.reason == "TAKE_PROFIT"
    ask(world, "flatten")
    world.bid("0.75").answer("0").quiet(0.5, step_s=0.1)
    assert world.sends[-1].order.price < D("0.80")


def test_joined_no_bid_sells_to_whoever_bids() -> None:
    """The filters that a stop's sale waits for are not asked for a person's."""
    world = armed().bid(None, "0.60").quiet(0.5)
    assert world.guard.intent.reason == "NO_BID"
    heard = ask(world, "flatten", floor=D("0.05"))
    assert heard is not None
    assert heard.word is Word.DONE
    world.bid("0.50").quiet(0.5, step_s=0.1)
    assert len(world.sends) == 1


def test_refused_exit_is_tried_again() -> None:
    """Whoever wants out has looked at it: the same intent, a new order."""
    world = armed().bid("0.40").refuse(400, "bad_request")
    heard = ask(world, "flatten")
    assert heard is not None
    assert (heard.word, world.state, len(world.sends)) == (Word.DONE, "IN_FLIGHT", 2)
    assert world.events.count("TRIGGERED") == 1


@pytest.mark.parametrize(
    ("world", "floor", "word", "said"),
    [
        pytest.param(lambda: World(STOP).hold(), None, "soon", "its market has not been seen yet", id="unseen"),
        pytest.param(
            lambda: (w := World(STOP)).tell(w.positions("10")).bid("0.52"), None, "soon", "its market has not been seen yet",
            id="its market was never read",
        ),
        pytest.param(lambda: armed().pass_s(9), None, "soon", "its price is not proven (no connection)", id="not proven"),
        pytest.param(
            lambda: armed().bid(None, "0.60").bid(None, "0.62"), None, "done", "the exit that is open is joined, down to",
            id="nobody bids, an exit is open",
        ),
        pytest.param(
            lambda: World(STOP).hold().bid(None, "0.60"), None, "floor", "nobody bids: name the worst price", id="nobody bids"
        ),
        pytest.param(armed, "0.405", "refused", "no order may carry a price of 0.405: the nearest are 0.4000 and 0.4100", id="grid"),
        pytest.param(armed, "0", "refused", "no order may carry a price of 0", id="zero"),
        pytest.param(armed, "1.2", "refused", "no order may carry a price of 1.2", id="above one"),
    ],
)  # fmt: skip
def test_flatten_that_cannot_be_done_so_says_why(world: Any, floor: str | None, word: str, said: str) -> None:
    """A wrong floor, a price that nobody knows: nothing is begun, and the sentence says what to do."""
    world = world()
    before = len(world.sends)
    heard = ask(world, "flatten", floor=None if floor is None else D(floor))
    assert heard is not None
    assert heard.word == word
    assert heard.said.startswith(said)
    assert len(world.sends) == before


@pytest.mark.parametrize("command", ["flatten", "retry"])
def test_what_is_missing_is_asked_for(command: str) -> None:
    """A market that was never read is read; a price that is not proven is probed, and read by REST; no faster."""
    world = World(STOP)
    world.tell(world.positions("10")).bid("0.35")
    world.guard.asked_s.clear()
    world.effects.clear()
    ask(world, command)
    assert any(isinstance(effect, ReadMarket) for effect in world.effects)
    world.tell(MarketsSeen(markets={TICKER: world.market})).bid("0.35").pass_s(9)
    world.effects.clear()
    world.guard.asked_s.clear()
    for _ in range(2):
        ask(world, command)
    asked = [
        type(effect) for effect in world.effects if isinstance(effect, ReadMarket | ProbeFeed | ConfirmPrice)
    ]
    assert asked == [ProbeFeed, ConfirmPrice]


def test_joined_without_a_proven_price_is_asked_again() -> None:
    """It is a person's from now on; its floor goes down once a price is proven."""
    world = stuck().pass_s(9)
    heard = ask(world, "flatten")
    assert heard is not None
    assert (heard.word, world.guard.intent.is_joined) == (Word.SOON, True)
    assert world.guard.intent.floor == D("0.30")


def test_typed_floor_is_taken_before_a_price_is_proven() -> None:
    """The exit is made; its order leaves with the first proven price."""
    world = armed().pass_s(9)
    heard = ask(world, "flatten", floor=D("0.30"))
    assert heard is not None
    assert (heard.word, heard.state, world.sends) == (Word.DONE, "TRIGGERED", [])
    assert world.guard.intent.level == D("0.30")
    world.link()
    world.bid("0.52")
    assert len(world.sends) == 1


def test_market_that_takes_no_orders_is_waited_for() -> None:
    """The person is told what it waits for; it goes on with the first proven price, whatever that is."""
    world = paused(armed())
    heard = ask(world, "flatten")
    assert heard is not None
    assert heard.word is Word.DONE
    assert heard.said == "the market takes no orders (market_closed); it goes on when it does"
    world.tell(MarketsSeen(markets={TICKER: world.market})).bid("0.70").quiet(1, step_s=0.2)
    assert len(world.sends) == 1


@pytest.mark.parametrize(
    ("world", "said"),
    [
        pytest.param(unknown, "whether its last order sold anything is being found out", id="unknown"),
        pytest.param(lambda: armed().bid("0.40").answer("10"), "all is sold; the exchange's reports confirm it", id="sold"),
    ],
)  # fmt: skip
def test_what_is_on_its_way_stays(world: Any, said: str) -> None:
    """The word is remembered and nothing is sent before the last order is settled."""
    world = world()
    state = world.state
    heard = ask(world, "flatten")
    assert heard is not None
    assert heard.said.endswith(said)
    assert (world.state, len(world.sends)) == (state, 1)


def turned() -> World:
    """The other side is held during an exit."""
    world = armed().bid("0.40").answer("0").quiet(0.2, step_s=0.1)
    world.tell(world.fill("15", "-5", ours=False))
    world.answer("0")
    assert world.state == "FLIPPED"
    return world


def test_turned_position_is_cancelled_first() -> None:
    """The exit is for contracts that are gone; after a cancel the others are guarded as a new epoch."""
    world = turned()
    heard = ask(world, "flatten")
    assert heard is not None
    assert (heard.word, heard.said[:14]) == (Word.REFUSED, "it turned over")
    ask(world, "cancel")
    assert (world.guard.side, world.state, world.guard.is_cancelled) == (
        world.side.other,
        "UNPROTECTED",
        True,
    )


def test_nothing_held_is_said_so() -> None:
    """A ticker that is not guarded, one held elsewhere, and one whose contracts just turned over."""
    world = armed()
    heard = ask(world, "flatten", Key(0, "KXOTHER"))
    assert heard is not None
    assert (heard.word, heard.said, heard.state) == (
        Word.NOTHING,
        "KXOTHER is not held in sub-account 0",
        None,
    )
    world.guards.foreign[Key(3, "KXOTHER")] = "unprotected_subaccount_3"
    heard = ask(world, "retry", Key(0, "KXOTHER"))
    assert heard is not None
    assert heard.said == "KXOTHER is held in sub-account 3, which exchange.subaccounts does not name"
    world.guards.buried[Key(0, "KXSOLD")] = Buried(
        ended_ms=world.utc_ms() - 59_000, holding=world.guard.holding, order_ids=frozenset(), had_intent=True
    )
    heard = ask(world, "flatten", Key(0, "KXSOLD"))
    assert heard is not None
    assert (heard.word, heard.said) == (Word.DONE, "KXSOLD has just been sold")
    for command, waited_s in (("retry", 0), ("flatten", 1), ("flatten", 9)):
        world.pass_s(waited_s)
        heard = ask(world, command, Key(0, "KXSOLD"))
        assert heard is not None
        assert heard.word is Word.NOTHING
    world.guard.holding.signed = D(-3)
    heard = ask(world, "flatten")
    assert heard is not None
    assert heard.said == "nothing of it is held"
    world.tell(PersonAsks(key=Key(0, "KXOTHER"), command="flatten"))  # nobody waits for the answer


def flattened_high(**more: Any) -> World:
    """Out now at 0.60, down to 0.50 by default: the order misses, and the price falls through it."""
    world = armed().bid("0.60").quiet(1)
    world.tell(PersonAsks(key=KEY, command="flatten", **more)).answer("0").quiet(0.4, step_s=0.1)
    return falls(world, "0.45")


def falls(world: World, *bids: str) -> World:
    """The price falls, and every order misses."""
    for bid in bids:
        world.bid(bid).meanwhile(lambda w: w.answer("0"), 1, 0.1).rest(bid)
    return world


@pytest.mark.parametrize("side", list(Side))
def test_a_floor_that_nobody_bids_begins_nothing(side: Side) -> None:
    """It would stand STUCK while the price falls through the stop: the stop goes on instead."""
    world = armed(side=side).bid("0.54").quiet(1)
    heard = ask(world, "flatten", floor=D("0.90"))
    assert heard is not None
    assert (heard.word, world.state) == (Word.REFUSED, "ARMED")
    assert heard.said.startswith("nobody bids 0.9000, the best bid is 0.5400")
    assert len(world.bid("0.45").bid("0.40").sends) == 1


def test_a_flatten_goes_as_low_as_the_stop() -> None:
    """Who wants out now must not end with less than who leaves it to the stop at 0.40, down to 0.30."""
    world = flattened_high()
    assert (world.state, world.sends[-1].order.price) == ("STUCK", D("0.50"))
    falls(world, "0.40", "0.36")
    assert world.guard.intent is not None
    assert (world.guard.intent.floor, world.sends[-1].order.price) == (D("0.30"), D("0.30"))
    assert [row["inputs"]["level"] for row in moves(world, "flatten")] == [D("0.40")]


def test_a_price_that_a_person_named_is_the_worst_they_take() -> None:
    """They said 0.50, and the stop says less: they are asked by the alarm, not overruled."""
    world = falls(flattened_high(floor=D("0.50")), "0.40", "0.36").quiet(5)
    assert (world.state, "stuck" in world.guard.alarms) == ("STUCK", True)
    assert min(send.order.price for send in world.sends) == D("0.50")


# --- cancel -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(stuck, id="stuck"),
        pytest.param(lambda: armed().bid("0.40").refuse(400, "bad_request"), id="refused"),
        pytest.param(lambda: partly_sold().refuse(409, "trading_is_paused"), id="waiting, partly sold"),
        pytest.param(lambda: armed().bid("0.40").not_sent(), id="triggered"),
    ],
)
def test_cancelled_exit_fires_no_more_before_it_was_seen_safe(world: Any) -> None:
    """The epoch stands UNPROTECTED(cancelled) while the stop would fire, and arms once it would not."""
    world = world()
    heard = ask(world, "cancel")
    assert heard is not None
    assert heard.word is Word.DONE
    assert heard.intent_id is None
    assert world.line("CANCELLED")["reason"] == "person"
    world.tell(MarketsSeen(markets={TICKER: world.market}))
    sent = len(world.sends)
    world.bid("0.35").quiet(5, step_s=0.2)
    assert (world.state, world.guard.reason, len(world.sends)) == ("UNPROTECTED", "cancelled", sent)
    assert "unprotected_cancelled" in world.guard.alarms
    world.bid("0.52").quiet(1)
    assert (world.state, world.guard.is_cancelled) == ("ARMED", False)
    world.quiet(70).bid("0.39")
    assert len(world.sends) == sent + 1


def test_cancel_outlives_the_wish_to_sell_what_is_breached() -> None:
    """``already_breached: exit`` is for what is found, not for what a person just held back."""
    world = (
        World(STOP, already_breached=AlreadyBreached.EXIT)
        .hold()
        .bid("0.35")
        .quiet(0.5)
        .rest("0.35")
        .not_sent()
    )
    ask(world, "cancel")
    world.quiet(5, step_s=0.2)
    assert (world.state, len(world.sends)) == ("UNPROTECTED", 1)


def test_cancel_keeps_the_trail_of_the_epoch() -> None:
    """A trail never loosens, a cancel in between or not."""
    world = armed(Rule(name="default", trail_cents=D(10))).bid("0.70").quiet(1).bid("0.60").not_sent()
    ask(world, "cancel")
    world.quiet(1)
    assert world.guard.stop.trigger == D("0.60")


def test_what_a_cancelled_exit_had_sold_is_booked() -> None:
    """No CLOSED will come for it."""
    world = partly_sold().refuse(400, "bad_request")
    ask(world, "cancel")
    assert world.line("CANCELLED")["sold"] == D(3)


def test_order_that_may_rest_is_swept() -> None:
    """An order that rests where none should is taken out of the book with the exit."""
    world = armed().bid("0.40").answer("3", "0.39", remaining="7")
    world.effects.clear()
    ask(world, "cancel", is_confirmed=True)
    assert [effect.order_ids for effect in world.effects if isinstance(effect, Sweep)] == [("o-1",)]


def test_unknown_outcome_needs_a_person_who_is_sure() -> None:
    """Nobody knows what the last order did: without their word nothing changes."""
    world = unknown()
    heard = ask(world, "cancel")
    assert heard is not None
    assert (heard.word, world.state) == (Word.TYPED, "UNKNOWN")
    heard = ask(world, "cancel", is_confirmed=True)
    assert heard is not None
    assert (heard.word, world.state) == (Word.DONE, "UNPROTECTED")


def test_what_is_in_flight_is_cancelled_with_its_answer() -> None:
    """The answer is waited for; then nothing more leaves, and both who asked are told."""
    world = armed().bid("0.40")
    assert ask(world, "cancel") is None
    assert ask(world, "cancel") is None
    assert told(world) == []
    world.tell(world.fill("3", "7")).answer("3", "0.39")
    assert [heard.word for heard in told(world)] == [Word.DONE, Word.DONE]
    assert (world.state, len(world.sends)) == ("UNPROTECTED", 1)


@pytest.mark.parametrize(
    ("answer", "word", "state"),
    [
        pytest.param(lambda world: world.answer("10", "0.39"), "nothing", "CONFIRMING", id="all was sold"),
        pytest.param(lambda world: world.lose(), "typed", "UNKNOWN", id="the answer was lost"),
        pytest.param(
            lambda world: world.refuse(409, "trading_is_paused"), "done", "UNPROTECTED", id="paused"
        ),
        pytest.param(lambda world: world.refuse(400, "bad_request"), "done", "UNPROTECTED", id="refused"),
    ],
)
def test_cancel_in_flight_says_what_the_answer_allowed(answer: Any, word: str, state: str) -> None:
    """Too late, not known, or done."""
    world = armed().bid("0.40")
    ask(world, "cancel")
    answer(world)
    assert ([heard.word for heard in told(world)], world.state) == ([word], state)


def test_cancelled_exit_leaves_what_its_answers_left() -> None:
    """The answer says three of ten: before their fills are here, seven are held and guarded."""
    world = armed().bid("0.40").answer("3", "0.39").quiet(0.4, step_s=0.1).refuse(400, "bad_request")
    heard = ask(world, "cancel")
    assert heard is not None
    assert (heard.word, world.state) == (Word.DONE, "UNPROTECTED")
    assert (world.line("CANCELLED")["count"], world.guard.count) == (D(7), D(7))
    world.quiet(0.2, step_s=0.1)
    assert {ReadOrders, ReadPositions} <= {type(effect) for effect in world.effects}
    world.tell(replace(world.fill("3", "7"), order_id="o-1", client_order_id=None)).quiet(0.2, step_s=0.1)
    assert (world.guard.count, world.guard.past) == (D(7), [])
    assert "RESIZED" not in world.events
    assert "EXTERNAL" not in world.events
    heard = ask(world, "cancel")
    assert heard is not None
    assert (heard.word, world.state) == (Word.DONE, "UNPROTECTED")


def test_flatten_after_a_cancel_sells_what_is_left() -> None:
    """Not what the cancelled exit sold, though no fill has shown it."""
    world = armed().bid("0.40").answer("3", "0.39").quiet(0.4, step_s=0.1).not_sent()
    ask(world, "cancel")
    ask(world, "flatten")
    assert (world.line("TRIGGERED")["count"], world.sends[-1].order.count) == (D(7), D(7))


def test_flatten_after_a_cancel_in_flight_wins() -> None:
    """The newest word holds: the exit goes on, and who cancelled is told."""
    world = armed().bid("0.40")
    ask(world, "cancel")
    ask(world, "flatten")
    assert [heard.word for heard in told(world)] == [Word.REFUSED, Word.DONE]
    world.answer("3", "0.39").quiet(0.5, step_s=0.1)
    assert len(world.sends) == 2


def test_nothing_open_is_nothing_to_cancel() -> None:
    """A stop that is armed is not an exit."""
    heard = ask(armed(), "cancel")
    assert heard is not None
    assert (heard.word, heard.said) == (Word.NOTHING, "no exit of it is open")


def test_what_is_sold_already_is_not_cancelled() -> None:
    """All ten are sold, by the answer alone: held is still what the last read said. The exit ends by itself."""
    world = armed().bid("0.40").answer("10")
    assert world.state == "CONFIRMING"
    world.tell(PersonAsks(key=KEY, command="cancel"))
    assert world.state == "CONFIRMING"
    assert "CANCELLED" not in world.events
