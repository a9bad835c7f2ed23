"""What a restart knows of an exit, whatever it was doing when the process was killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from base.model import MarketStatus, Side
from base.risk.exit_lifecycle import Event, State
from base.risk.messages import MarketsSeen
from base.risk.recovered import OpenIntent, PastAttempt
from base.risk.rules import BelowFloor, Rule
from tests.risk.journals import recovered, rows_of, write
from tests.risk.random_days import Day
from tests.risk.world import KEY, MARGIN_S, TICKER, D, World, armed

TRAIL = Rule(name="default", trail_cents=D(10))


def remembered(world: World, path: Path) -> OpenIntent:
    """The one intent that is still open."""
    write(path, rows_of(world))
    (intent,) = recovered(path).intents
    return intent


# --- situations -----------------------------------------------------------------------------------


def never_answered() -> World:
    """An order has left."""
    return armed().bid("0.40")


def sold_partly() -> World:
    """Four of ten are sold, the next order has left, its answer was lost."""
    return armed().bid("0.40").answer("4").bid("0.39").quiet(0.5).lose()


def proven_absent() -> World:
    """A lost order never arrived and is sent again under its own id."""
    world = armed().bid("0.40").lose().quiet(MARGIN_S)
    world.tell(world.orders()).quiet(1)
    return world.tell(world.orders())


def rests() -> World:
    """An immediate-or-cancel order that rests: nobody knows yet what it will have sold."""
    return armed().bid("0.40").answer("4", remaining="6")


def not_sent() -> World:
    """No byte left us."""
    return armed().bid("0.40").not_sent()


def refused() -> World:
    """The key may not trade."""
    return armed().bid("0.40").refuse(403, "forbidden")


def all_sold() -> World:
    """Sold, and not confirmed yet."""
    return armed().bid("0.40").answer("10")


def repeated() -> World:
    """The exchange knows our id already."""
    return armed().bid("0.40").refuse(409, "order_already_exists")


def nobody_bids() -> World:
    """There is no bid to sell to."""
    return armed().bid(None, "0.50")


def somebody_bids_too_little() -> World:
    """After no bid one came that passes the filters, below the floor; a REST book confirms it."""
    return nobody_bids().bid("0.20").quiet(0.1, 0.1).rest("0.20")


@pytest.mark.parametrize(
    ("situation", "state", "event", "unresolved"),
    [
        pytest.param(never_answered, State.IN_FLIGHT, Event.SEND, [True], id="never answered"),
        pytest.param(sold_partly, State.UNKNOWN, Event.LOST, [False, True], id="second answer lost"),
        pytest.param(proven_absent, State.IN_FLIGHT, Event.SEND, [True], id="proven absent, sent again"),
        pytest.param(rests, State.UNKNOWN, Event.LOST, [True], id="a remainder rests"),
        pytest.param(repeated, State.UNKNOWN, Event.LOST, [True], id="409 on its own id"),
        pytest.param(not_sent, State.TRIGGERED, Event.NOT_SENT, [False], id="not sent"),
        pytest.param(refused, State.REFUSED, Event.DENIED, [False], id="refused"),
        pytest.param(all_sold, State.CONFIRMING, Event.SOLD, [False], id="all sold"),
        pytest.param(nobody_bids, State.STUCK, Event.NO_ROOM, [], id="nobody bids"),
    ],
)
def test_an_open_exit_is_known_as_it_stood(
    tmp_path: Path, situation: Callable[[], World], state: State, event: Event, unresolved: list[bool]
) -> None:
    """Its state, and which of its orders may have reached the exchange without a word about it."""
    intent = remembered(situation(), tmp_path / "journal.sqlite")
    assert (intent.state, intent.event) == (state, event)
    assert [attempt.is_unresolved for attempt in intent.attempts] == unresolved


def test_everything_of_an_order_and_its_answer_is_kept(tmp_path: Path) -> None:
    """Id, count, price, engine and times; what was filled, at what average price and fee."""
    world = sold_partly()
    first, second = world.sends
    intent = remembered(world, tmp_path / "journal.sqlite")
    past = intent.attempts[0]
    assert past == PastAttempt(
        number=1, client_order_id=first.order.client_order_id, count=D(10), price=D("0.39"),
        exchange_index=2, written_ms=intent.began_ms, sent_ms=intent.began_ms, outcomes=past.outcomes,
        is_unresolved=False, settled=D(4),
    )  # fmt: skip
    (answer,) = past.outcomes
    assert (answer.kind, answer.order_id, answer.filled, answer.remaining) == ("Accepted", "o-1", D(4), D(0))
    assert (answer.price, answer.fee) == (D("0.30"), D("0.01"))
    assert intent.attempts[1].client_order_id == second.order.client_order_id
    assert [outcome.kind for outcome in intent.attempts[1].outcomes] == ["Unanswered"]


def test_what_a_read_found_sold_is_kept(tmp_path: Path) -> None:
    """Its answer was lost, so no outcome says it: the exit's own rows do, order by order."""
    world = armed().bid("0.40").lose()
    world.tell(world.orders(world.report("4"))).bid("0.39").quiet(0.5).answer("1")
    intent = remembered(world, tmp_path / "journal.sqlite")
    assert [attempt.settled for attempt in intent.attempts] == [D(4), D(1)]
    assert [[said.kind for said in attempt.outcomes] for attempt in intent.attempts] == [
        ["Unanswered"],
        ["Accepted"],
    ]


def test_what_was_fixed_at_the_trigger_stays_fixed(tmp_path: Path) -> None:
    """Quantity, level, floors, entry, evidence."""
    world = armed(below_floor=BelowFloor.CHASE, last_floor=D("0.05")).bid("0.40")
    truth, intent = world.guard.intent, remembered(world, tmp_path / "journal.sqlite")
    assert truth is not None
    names = ("reason", "quantity", "level", "floor", "last_floor", "entry", "evidence", "began_ms")
    assert {name: getattr(intent, name) for name in names} == {name: getattr(truth, name) for name in names}
    assert (intent.intent_id, intent.key, intent.side, intent.rule) == (truth.id, KEY, Side.YES, "default")
    assert intent.last_floor == D("0.05")


@pytest.mark.parametrize(
    ("situation", "unlocked"),
    [
        pytest.param(nobody_bids, False, id="no bid yet"),
        pytest.param(somebody_bids_too_little, True, id="a bid passed the filters"),
        pytest.param(never_answered, True, id="a stop is never locked"),
    ],
)
def test_whether_an_exit_without_a_bid_may_sell_is_known(
    tmp_path: Path, situation: Callable[[], World], unlocked: bool
) -> None:
    """A NO_BID sells once a bid has passed the filters, restart or not."""
    world = situation()
    assert world.guard.intent is not None
    assert world.guard.intent.unlocked is unlocked
    assert remembered(world, tmp_path / "journal.sqlite").unlocked is unlocked


def test_a_denial_and_the_end_of_selling_are_known(tmp_path: Path) -> None:
    """Status and word of the newest denial; when nothing was left."""
    intent = remembered(refused(), tmp_path / "refused.sqlite")
    assert (intent.denied_status, intent.denied_code, intent.sold_ms) == (403, "forbidden", None)
    world = all_sold()
    intent = remembered(world, tmp_path / "sold.sqlite")
    assert world.guard.intent is not None
    assert intent.sold_ms == world.guard.intent.sold_ms == intent.event_ms


# --- holdings ---------------------------------------------------------------------------------------


def test_an_armed_holding_is_known(tmp_path: Path) -> None:
    """It may act on its first fresh evidence."""
    path = tmp_path / "journal.sqlite"
    write(path, rows_of(armed(side=Side.NO)))
    found = recovered(path)
    assert (found.armed, found.intents, found.closed_ms) == ({KEY: Side.NO}, (), {})
    assert {key: held.signed for key, held in found.held.items()} == {KEY: D(-10)}


def test_a_closed_exit_is_over(tmp_path: Path) -> None:
    """Nothing of it is armed; its end is known, for late news and for the latch on entries."""
    world = armed().bid("0.40").answer("10")
    world.tell(world.fill("10", "0"))
    assert world.state == "GONE"
    write(tmp_path / "journal.sqlite", rows_of(world))
    found = recovered(tmp_path / "journal.sqlite")
    assert (found.armed, found.intents, found.held) == ({}, (), {})
    assert found.closed_ms == found.exited_ms == {KEY: world.utc_ms()}


def test_a_holding_that_went_without_us_is_no_exit(tmp_path: Path) -> None:
    """Sold elsewhere, or settled: late news is old, but no latch holds entries."""
    world = armed()
    world.tell(MarketsSeen(markets={TICKER: replace(world.market, status=MarketStatus.DETERMINED)}))
    world.step()
    write(tmp_path / "journal.sqlite", rows_of(world))
    found = recovered(tmp_path / "journal.sqlite")
    assert (found.closed_ms, found.exited_ms, found.armed) == ({KEY: world.utc_ms()}, {}, {})


def test_a_withdrawn_exit_leaves_its_holding_armed(tmp_path: Path) -> None:
    """The price came back before anything sold."""
    world = armed().bid("0.40").answer("0").bid("0.45").meanwhile(lambda w: w.answer("0"), 6)
    assert world.state == "ARMED"
    write(tmp_path / "journal.sqlite", rows_of(world))
    found = recovered(tmp_path / "journal.sqlite")
    assert (found.armed, found.intents) == ({KEY: Side.YES}, ())


def test_the_peak_of_a_trailing_stop_is_known(tmp_path: Path) -> None:
    """The highest bid that passed the filters, not the newest one."""
    world = armed(TRAIL).bid("0.61").bid("0.58")
    write(tmp_path / "journal.sqlite", rows_of(world))
    assert recovered(tmp_path / "journal.sqlite").peaks == {KEY: D("0.61")}


def test_a_peak_ends_with_its_holding(tmp_path: Path) -> None:
    """A re-entry starts fresh."""
    world = armed(TRAIL).bid("0.61").bid("0.51").answer("10")
    world.tell(world.fill("10", "0"))
    assert world.state == "GONE"
    later = armed(TRAIL).quiet(60).bid("0.61").bid("0.51")
    sending = [row for row in rows_of(later) if row.values.get("event") == "send"]
    write(tmp_path / "journal.sqlite", rows_of(world) + sending)
    found = recovered(tmp_path / "journal.sqlite")
    assert (found.armed, found.peaks) == ({KEY: Side.YES}, {})


def test_the_pace_goes_on_through_a_restart(tmp_path: Path) -> None:
    """When each request was handed over, and whether it had a new id."""
    world = armed().bid("0.40").not_sent()
    first_ms = world.utc_ms()
    world.quiet(0.5, 0.1)
    assert len(world.sends) == 2
    write(tmp_path / "journal.sqlite", rows_of(world))
    (first, second) = recovered(tmp_path / "journal.sqlite").sends[KEY]
    assert first == (first_ms, True)
    assert second[0] > first_ms
    assert second[1] is False


def test_an_empty_journal_knows_nothing(tmp_path: Path) -> None:
    """The first start."""
    found = recovered(tmp_path / "journal.sqlite")
    assert (found.armed, found.intents, found.sends, found.newest_ms) == ({}, (), {}, None)


# --- any day ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(0, 120, 3))
def test_whatever_happened_the_journal_knows_what_the_monitor_knew(tmp_path: Path, seed: int) -> None:
    """Killed at any moment of any day: state, exit, orders, peak and pace are those of the monitor."""
    day = Day(seed)
    day.live_for(25 + seed)
    write(tmp_path / "journal.sqlite", rows_of(day.world))
    found = recovered(tmp_path / "journal.sqlite")
    guard = day.world.guards.by_key.get(KEY)
    intent = None if guard is None else guard.intent
    if guard is None or intent is None:
        is_armed = guard is not None and guard.state is State.ARMED
        assert (found.armed, found.intents) == ({KEY: guard.side} if guard and is_armed else {}, ())
        return
    (known,) = found.intents
    assert (known.intent_id, known.state, known.quantity) == (intent.id, guard.state, intent.quantity)
    assert (known.unlocked, known.tried, known.sold_ms) == (intent.unlocked, intent.tried, intent.sold_ms)
    orders = [(a.client_order_id, a.count, a.price, a.written_ms, a.sent_ms) for a in known.attempts]
    assert orders == [
        (a.order.client_order_id, a.order.count, a.order.price, a.written_ms, a.sent_ms)
        for a in intent.attempts
    ]
    if guard.state is not State.FLIPPED:
        is_open = guard.state in (State.IN_FLIGHT, State.UNKNOWN)
        assert [a.is_unresolved for a in known.attempts] == [False] * (len(orders) - is_open) + [
            True
        ] * is_open
    assert found.armed == {KEY: guard.side}
    peak = None if guard.stop is None else guard.stop.peak
    assert found.peaks.get(KEY) == peak
