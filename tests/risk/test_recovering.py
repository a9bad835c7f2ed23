"""What a restart goes on with: a table over the states of the journal, and what may happen next."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from base.model import Key, Side
from base.risk.exit_lifecycle import Event, State
from base.risk.intent import client_order_id
from base.risk.messages import Line, PersonAsks, ReadOrders, ReadResting, Row
from base.risk.recovered import OpenIntent, PastAttempt, PastHolding, PastOutcome, Recovered
from base.risk.recovering import recover
from base.risk.rules import BelowFloor, Rule
from tests.risk.world import EPOCH_MS, KEY, World

D = Decimal
STOP = Rule(name="default", stop=D("0.40"))
NOW_MS = EPOCH_MS + 1_000_000  # when a world begins
BEGAN_MS = NOW_MS - 60_000
INTENT = f"{7:016x}-{BEGAN_MS}"
ACCOUNT = "a" * 12


def name_of(number: int) -> str:
    """The id of an attempt, before the restart and after it."""
    return client_order_id(ACCOUNT, KEY, INTENT, number)


def outcome(kind: str, filled: str | None = None, **said: Any) -> PastOutcome:
    """What the executor said of an attempt."""
    price = D("0.39") if filled and D(filled) else None
    parts = {
        "at_ms": NOW_MS - 50_000, "order_id": "o-1" if filled else None, "price": price,
        "filled": None if filled is None else D(filled), "remaining": D(0) if filled else None,
        "fee": D("0.01") if price else None, "status": None, "why": "",
    }  # fmt: skip
    return PastOutcome(kind=kind, **(parts | said))


def attempt(*outcomes: PastOutcome, number: int = 1, count: str = "10", **changes: Any) -> PastAttempt:
    """An attempt of the journal; without an outcome it is unresolved."""
    parts = {
        "client_order_id": name_of(number), "price": D("0.39"), "exchange_index": 2, "written_ms": NOW_MS - 55_000,
        "sent_ms": NOW_MS - 55_000, "is_unresolved": not outcomes or outcomes[-1].kind == "Unanswered",
        "goes_again": bool(outcomes) and outcomes[-1].kind == "NotSent",
    }  # fmt: skip
    return PastAttempt(number=number, count=D(count), outcomes=outcomes, **(parts | changes))


MISSED, LOST = attempt(outcome("Accepted", "0")), attempt(outcome("Unanswered"))
FOUR = attempt(outcome("Accepted", "4"))
ALL = attempt(outcome("Accepted", "10"))


def past(state: State, *attempts: PastAttempt, event: Event = Event.LEFT_OVER, **changes: Any) -> OpenIntent:
    """An exit of ten at a trigger of 0.40, as the journal left it in ``state``."""
    parts = {
        "key": KEY, "side": Side.YES, "intent_id": INTENT, "reason": "STOP", "quantity": D(10), "level": D("0.40"),
        "floor": D("0.30"), "entry": D("0.60"), "rule": "default", "evidence": None,
        "last_floor": None, "is_joined": False, "began_ms": BEGAN_MS, "event_ms": NOW_MS - 50_000, "unlocked": True,
        "tried": D("0.39") if attempts else None, "denied_status": None, "denied_code": None, "sold_ms": None,
    }  # fmt: skip
    return OpenIntent(state=state, event=event, attempts=attempts, **(parts | changes))


def restart(
    *intents: OpenIntent, rule: Rule | None = STOP, settings: dict[str, Any] | None = None, **known: Any
) -> World:
    """A new process with this journal; nothing was read of the exchange yet, the feed has begun."""
    world = World(rule, intents[0].side if intents else Side.YES, **(settings or {}))  # type: ignore[arg-type]
    armed = {intent.key: intent.side for intent in intents}
    recover(
        world.guards,
        Recovered(armed=armed | known.pop("armed", {}), intents=intents, **known),
        world.moment(),
    )
    world.effects.extend(world.guards.out.take())
    return world


# --- where it stands ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intent", "state", "orders_are_read"),
    [
        pytest.param(past(State.TRIGGERED), "TRIGGERED", False, id="decided, nothing sent"),
        pytest.param(past(State.TRIGGERED, MISSED), "TRIGGERED", True, id="missed once"),
        pytest.param(past(State.TRIGGERED, attempt()), "UNKNOWN", True, id="written, its sending is not"),
        pytest.param(past(State.IN_FLIGHT, attempt(), event=Event.SEND), "UNKNOWN", True, id="in flight"),
        pytest.param(past(State.UNKNOWN, LOST, event=Event.LOST), "UNKNOWN", True, id="answer lost"),
        pytest.param(past(State.CONFIRMING, ALL, event=Event.SOLD), "CONFIRMING", True, id="all sold, not confirmed"),
        pytest.param(past(State.STUCK, MISSED, event=Event.NO_ROOM), "STUCK", True, id="stuck"),
        pytest.param(past(State.WAITING, event=Event.HALTED), "WAITING", False, id="market paused"),
        pytest.param(past(State.REFUSED, MISSED, event=Event.DENIED, denied_status=400), "REFUSED", True, id="refused"),
        pytest.param(past(State.FLIPPED, FOUR, event=Event.FLIP), "FLIPPED", True, id="turned over"),
    ],
)  # fmt: skip
def test_an_exit_goes_on_where_the_journal_left_it(
    intent: OpenIntent, state: str, orders_are_read: bool
) -> None:
    """An order without an answer is UNKNOWN; before anything was read of the exchange nothing is sent."""
    world = restart(intent)
    assert world.state == state
    assert any(isinstance(effect, ReadOrders) for effect in world.effects) is orders_are_read
    world.bid("0.40").quiet(2)
    assert (world.state, world.sends) == (state, [])


def test_it_says_what_it_goes_on_with() -> None:
    """One line: what was to be sold, what was sold, and where it stands."""
    line = restart(past(State.TRIGGERED, FOUR)).line("RECOVERED")
    assert (line["count"], line["sold"], line["state"]) == (D(10), D(4), "TRIGGERED")
    assert (line["reason"], line["intent"], line["attempts"]) == ("STOP", INTENT, 1)


@pytest.mark.parametrize("side", list(Side))
def test_what_is_held_is_a_guess_until_positions_are_read(side: Side) -> None:
    """What was held at the trigger, less the trades that are known since; the exchange's read wins."""
    world = restart(past(State.STUCK, FOUR, side=side))
    assert (world.guard.side, world.guard.count) == (side, D(10))
    assert world.guard.intent is not None
    assert world.guard.intent.left(world.guard.count) == D(6)
    world.hold("9")
    assert world.guard.count == D(9)


def test_the_row_of_a_lost_answer_is_written() -> None:
    """The journal shows that the restart, not the exchange, made it UNKNOWN."""
    rows = [e.values for e in restart(past(State.IN_FLIGHT, attempt())).effects if isinstance(e, Row)]
    assert [(row["from_state"], row["event"], row["to_state"]) for row in rows] == [
        ("IN_FLIGHT", "lost", "UNKNOWN")
    ]


# --- what it may do next --------------------------------------------------------------------------


def test_a_breach_that_is_seen_again_sells_what_is_left_under_the_next_id() -> None:
    """Attempt two of the same intent: the same id that this attempt would have had without the restart."""
    world = restart(past(State.TRIGGERED, FOUR)).hold("6").bid("0.40")
    (send,) = world.sends
    assert (send.intent_id, send.attempt, send.order.count) == (INTENT, 2, D(6))
    assert send.order.client_order_id == name_of(2)
    assert send.order.price == D("0.30"), "0.39 was tried already"


@pytest.mark.parametrize("later", [(), (attempt(outcome("Accepted", "2"), number=2, count="6"),)])
def test_what_was_found_sold_before_the_restart_is_not_sold_again(later: tuple[PastAttempt, ...]) -> None:
    """A read had found it, no answer: positions of the first seconds may still show all of it."""
    found = attempt(settled=D(4), is_unresolved=False)
    world = restart(past(State.TRIGGERED, found, *later, began_ms=NOW_MS - 2_000)).hold("10").bid("0.40")
    assert [send.order.count for send in world.sends] == [D(4) if later else D(6)]


@pytest.mark.parametrize("state", [State.TRIGGERED, State.WAITING, State.STUCK])
def test_a_touch_from_before_the_restart_fires_nothing(state: State) -> None:
    """The price has recovered: withdrawn, and ARMED by the rule of now."""
    world = restart(past(state)).hold().bid("0.55").quiet(1)
    assert (world.state, world.sends) == ("ARMED", [])
    assert len(world.quiet(6).bid("0.45").bid("0.40").sends) == 1


def test_what_did_not_leave_goes_again_with_the_same_id() -> None:
    """The exchange is known not to have it: the same bytes."""
    unsent = attempt(outcome("NotSent"))
    (send,) = restart(past(State.TRIGGERED, unsent, event=Event.NOT_SENT)).hold().bid("0.40").sends
    assert (send.attempt, send.order.client_order_id) == (1, name_of(1))
    assert (send.order.price, send.order.count, send.order.exchange_index) == (D("0.39"), D(10), 2)


def test_what_was_refused_curably_goes_under_a_new_id() -> None:
    """The refused bytes would be refused again: the row of that refusal began the ladder anew."""
    refused = attempt(outcome("Refused", status=400, why="invalid_price"))
    (send,) = (
        restart(past(State.TRIGGERED, refused, event=Event.NOT_SENT, tried=None)).hold().bid("0.40").sends
    )
    assert (send.attempt, send.order.client_order_id) == (2, name_of(2))


def test_a_lost_order_that_is_proven_absent_goes_again_with_the_same_id() -> None:
    """Two reads past the margin without our id, after the restart as before it."""
    world = restart(past(State.IN_FLIGHT, attempt())).hold().bid("0.40")
    assert world.sends == []
    world.tell(world.orders()).quiet(1).tell(world.orders())
    world.bid("0.39").quiet(0.5, step_s=0.1)
    assert [send.order.client_order_id for send in world.sends] == [name_of(1)]


def test_a_lost_order_that_was_filled_is_found() -> None:
    """A fill under our id is in the list: sold, and closed; nothing is sent."""
    world = restart(past(State.IN_FLIGHT, attempt())).hold().bid("0.40")
    fill = replace(world.fill("10", "0", ours=False), order_id="o-1", client_order_id=name_of(1))
    world.tell(world.orders(fills=(fill,))).quiet(0.1, step_s=0.1)
    assert (world.state, world.sends, world.line("CLOSED")["count"]) == ("GONE", [], D(10))


def test_what_was_sold_while_nobody_looked_ends_the_exit() -> None:
    """Positions list nothing, and a trade says why."""
    world = restart(past(State.STUCK, MISSED)).hold()
    world.tell(world.fill("10", "0", trade="by-hand", ours=False))
    assert (world.state, world.sends) == ("GONE", [])
    assert "CLOSED" in world.events


def test_an_empty_read_alone_does_not_end_it() -> None:
    """An exchange in trouble answers with nothing: the trades are asked for, and believed."""
    world = restart(past(State.TRIGGERED))
    world.effects.clear()
    world.tell(world.positions(None))
    assert world.state == "TRIGGERED"
    assert any(isinstance(effect, ReadOrders) for effect in world.effects)


@pytest.mark.parametrize(
    ("held", "after"),
    [(None, "GONE"), ("5", "UNPROTECTED")],
    ids=["nothing is listed", "five more were added"],
)
def test_a_sold_exit_is_closed_by_positions_not_by_the_journal(held: str | None, after: str) -> None:
    """That all is sold is the journal's word; the exchange must agree, and what it lists beyond is a new epoch."""
    sold = past(State.CONFIRMING, ALL, event=Event.SOLD, sold_ms=NOW_MS - 30_000)
    world = restart(sold).quiet(2)
    assert (world.state, "CLOSED" in world.events) == ("CONFIRMING", False)
    for _ in range(2):
        world.quiet(1).tell(world.positions(held))
    assert (world.state, world.line("CLOSED")["count"]) == (after, D(10))


def test_a_holding_that_turned_over_stays_a_persons_to_decide() -> None:
    """What was to be sold was sold, and more: a guess that nothing is left does not end the alarm."""
    world = restart(past(State.FLIPPED, ALL, event=Event.FLIP)).hold("-5").quiet(1)
    assert world.state == "FLIPPED"
    world.tell(world.positions("-5"))
    assert (world.state, world.guard.has_flipped, "flipped" in world.guard.alarms) == ("FLIPPED", True, True)


@pytest.mark.parametrize(
    ("status", "goes_on"), [(401, True), (403, True), (400, False), (410, False), (None, False)]
)
def test_a_refused_scope_is_tried_again_after_a_minute(status: int | None, goes_on: bool) -> None:
    """401 and 403 may be over by themselves; anything else waits for a person, and the alarm rings."""
    world = restart(past(State.REFUSED, MISSED, event=Event.DENIED, denied_status=status)).hold().bid("0.40")
    world.quiet(58, step_s=1)
    assert (world.state, world.sends, "refused" in world.guard.alarms) == ("REFUSED", [], True)
    world.quiet(3, step_s=1)
    assert bool(world.sends) is goes_on
    world.bid("0.40").tell(PersonAsks(key=KEY, command="retry"))
    assert world.sends != []


def test_an_exit_that_waits_for_its_market_has_it_read_and_rings() -> None:
    """No market, no grid, no order: it is asked for, and after three seconds that is an alarm."""
    world = restart(past(State.TRIGGERED)).bid("0.40").quiet(2)
    assert "blind_exit" not in world.guard.alarms
    world.quiet(2)
    assert "blind_exit" in world.guard.alarms
    world.hold().bid("0.40")
    assert (len(world.sends), "blind_exit" in world.guard.alarms) == (1, False)


def test_a_no_bid_exit_sells_nothing_before_a_bid_passed_the_filters() -> None:
    """It had not seen one before the restart; the first one is odd so soon after a start: REST confirms it."""
    world = restart(past(State.STUCK, unlocked=False, reason="NO_BID")).hold().bid("0.38")
    assert world.sends == []
    world.quiet(0.1, step_s=0.1).rest("0.38").quiet(0.2, step_s=0.1)
    assert len(world.sends) == 1


@pytest.mark.parametrize(
    ("rule", "name"),
    [pytest.param(STOP, "default", id="its rule"), pytest.param(None, "old", id="no rule any more")],
)
def test_a_take_profit_goes_on_at_its_target(rule: Rule | None, name: str) -> None:
    """Its floor is its target; where settings have no rule for it any more the journal's levels make its stop."""
    intent = past(State.TRIGGERED, reason="TAKE_PROFIT", level=D("0.80"), floor=D("0.80"), rule="old")
    world = restart(intent, rule=rule).hold()
    stop = world.guard.stop
    assert stop is not None
    assert (stop.rule.name, stop.target, stop.fixed_trigger) == (name, D("0.80"), None)
    world.bid("0.85")
    assert [send.order.price for send in world.sends] == [D("0.84")]


def test_a_stop_without_a_rule_keeps_the_level_of_the_journal() -> None:
    """What made it is not known by name either: it still sells."""
    world = restart(past(State.TRIGGERED, rule=None), rule=None).hold()
    assert world.guard.stop is not None
    assert (world.guard.stop.rule.name, world.guard.stop.trigger) == ("recovered", D("0.40"))
    assert len(world.bid("0.40").sends) == 1


CHASE = {"below_floor": BelowFloor.CHASE, "last_floor": D("0.05")}


@pytest.mark.parametrize(
    ("settings", "before", "lowest"),
    [
        pytest.param(CHASE, {}, "0.30", id="it may chase now, it might not then"),
        pytest.param({}, {"last_floor": D("0.05")}, "0.05", id="it might then"),
        pytest.param(CHASE, {"last_floor": D("0.05")}, "0.05", id="then as now"),
    ],
)
def test_an_exit_keeps_the_ladder_it_began_with(
    settings: dict[str, Any], before: dict[str, Any], lowest: str
) -> None:
    """Settings that changed while nothing ran hold from the next exit on."""
    world = restart(past(State.TRIGGERED, **before), settings=settings).hold().bid("0.40")
    world.meanwhile(lambda w: w.answer("0"), 3, 0.4)
    assert min(send.order.price for send in world.sends) == D(lowest)


# --- what is remembered beside it -----------------------------------------------------------------


def test_the_pace_is_kept() -> None:
    """Six ids went out in the last minute: the seventh waits until the oldest has left a minute ago."""
    sends = {KEY: tuple((NOW_MS - 50_000 + n * 1_000, True) for n in range(6))}
    world = restart(past(State.TRIGGERED, MISSED), sends=sends).hold().bid("0.40")
    assert (world.guard.reason, world.sends) == ("paced", [])
    world.quiet(14)
    assert len(world.sends) == 1


def test_requests_with_an_old_id_count_as_requests_only() -> None:
    """Twelve requests, two of them new ids: it is the requests that make it wait."""
    sends = {KEY: tuple((NOW_MS - 50_000, n < 2) for n in range(12))}
    world = restart(past(State.TRIGGERED, MISSED), sends=sends)
    pace = world.guards.pace_of(KEY)
    assert pace.free_at_s(world.now_s, is_new_id=False) == pytest.approx(world.now_s + 13)
    sends = {KEY: sends[KEY][:11]}
    world = restart(past(State.TRIGGERED, MISSED), sends=sends)
    assert world.guards.pace_of(KEY).free_at_s(world.now_s, is_new_id=True) == world.now_s


def test_a_clock_that_went_back_makes_nothing_older_than_now() -> None:
    """A row from the future was sent now at the latest: its minute is not longer than a minute."""
    sends = {KEY: tuple((NOW_MS + 3_600_000, True) for _ in range(6))}
    world = restart(past(State.TRIGGERED, MISSED), sends=sends)
    assert world.guards.pace_of(KEY).free_at_s(world.now_s, is_new_id=True) == world.now_s + 63


def test_entries_stay_latched_after_an_exit_of_before() -> None:
    """It ended twenty seconds ago: forty are left of the cool-down."""
    ended = {KEY: NOW_MS - 20_000}
    world = restart(closed_ms=ended, exited_ms=ended)
    assert world.guards.is_latched(KEY, world.now_s + 39)
    assert not world.guards.is_latched(KEY, world.now_s + 41)
    assert not world.guards.is_latched(Key(0, "KXOTHER"), world.now_s)


@pytest.mark.parametrize(
    ("ago_ms", "is_exit", "is_listed"),
    [(9_999, True, True), (10_000, True, False), (1_000, False, False)],
    ids=["just ended", "long enough ago", "closed by hand"],
)
def test_resting_orders_are_listed_again_after_an_exit_that_has_just_ended(
    ago_ms: int, is_exit: bool, is_listed: bool
) -> None:
    """The late look at what rests may have died with the process."""
    ended = {KEY: NOW_MS - ago_ms}
    world = restart(closed_ms=ended, exited_ms=ended if is_exit else {})
    assert any(isinstance(effect, ReadResting) for effect in world.effects) is is_listed


def test_a_read_that_lags_behind_an_end_of_before_begins_no_epoch() -> None:
    """Closed two seconds before the restart and listed by a read that is older."""
    world = restart(closed_ms={KEY: NOW_MS - 2_000})
    world.tell(world.positions("10"))
    assert world.state == "GONE"
    world.quiet(4).tell(world.positions("10"))
    assert world.state == "UNPROTECTED"


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("listed", "lag_ms", "held"),
    [
        pytest.param("10", 0, "6", id="as before the sale"),
        pytest.param("6", 0, "6", id="as after it"),
        pytest.param("4", 0, "4", id="less: sold since"),
        pytest.param("-10", 0, "10", id="the other side: nothing of it is known"),
        pytest.param("10", -5_000, "10", id="bought since, by a read that is late enough"),
    ],
)
def test_a_read_of_just_after_the_restart_shows_no_more_than_was_known(
    listed: str, lag_ms: int, held: str, side: Side
) -> None:
    """Four of ten were sold a second before the restart: reads may lag behind that."""
    signed = D(6) if side is Side.YES else D(-6)
    world = World(STOP, side)
    past_holding = PastHolding(signed, NOW_MS - 1_000)
    recover(world.guards, Recovered(armed={KEY: side}, held={KEY: past_holding}), world.moment())
    world.tell(world.positions(listed, lag_ms=lag_ms))
    assert world.guard.count == D(held)
    if held == "6" and listed == "10":
        assert world.guards.catching_up_ms == {0: NOW_MS + 4_000}, "reads go on until one can tell"
        world.quiet(5).tell(world.positions("10"))
        assert world.guard.count == D(10), "it was bought since"


@pytest.mark.parametrize("bid", ["0.59", "0.61"], ids=["touched", "not touched"])
def test_a_trailing_peak_is_kept(bid: str) -> None:
    """Armed before the restart at a peak of 0.70: its trigger is 0.60 on the first fresh evidence."""
    rule = Rule(name="default", trail_cents=D(10))
    world = (
        restart(rule=rule, armed={KEY: Side.YES}, peaks={KEY: D("0.70")}).hold().bid(bid).quiet(6).rest(bid)
    )
    assert world.guard.stop is not None
    assert world.guard.stop.trigger == D("0.60")
    assert bool(world.sends) is (bid == "0.59")


def test_a_holding_in_an_open_exit_is_not_armed_a_second_time() -> None:
    """Once its exit has closed, a re-entry is adopted like any other."""
    world = restart(past(State.TRIGGERED))
    assert (world.guards.armed_before, world.guard.target_is_armed) == ({}, True)


def test_a_damaged_journal_is_an_alarm_that_names_where_it_is_kept() -> None:
    """Nothing of it is known: every position is adopted, and a person is told why."""
    world = restart(kept_aside="journal.sqlite3.damaged-1")
    alarm = world.line("ALARM")
    assert (alarm["reason"], alarm["details"]) == ("journal_corrupt", "journal.sqlite3.damaged-1")
    assert [e.event for e in restart().effects if isinstance(e, Line)] == []


def test_an_old_journal_is_an_alarm_and_goes_on_with_no_exit() -> None:
    """Its holding counts as armed: a breach that is seen makes a new exit, with an id of its own."""
    world = World(STOP)
    old = Recovered(armed={KEY: Side.YES}, intents=(past(State.STUCK, MISSED),)).of_old_journal()
    recover(world.guards, old, world.moment())
    world.effects.extend(world.guards.out.take())
    assert world.line("ALARM")["reason"] == "journal_old"
    world.hold().bid("0.45").quiet(6).bid("0.40")
    assert world.state == "IN_FLIGHT"
    assert world.sends[0].intent_id != INTENT
