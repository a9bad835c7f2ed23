"""News of what is not guarded, not guarded any more, or guarded already; and what is kept up meanwhile."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from base.model import Key, PositionPush
from base.risk.guards import MOST_ATTEMPTS
from base.risk.limits import WINDOW_S, Pace
from base.risk.messages import Closed, Linked, Opened, ReadOrders, ReadPositions, RestingSeen, Swept
from base.risk.rules import Rule
from tests.risk.test_odd_answers import order_elsewhere
from tests.risk.world import KEY, TICKER, World, armed

D = Decimal
STOP = Rule(name="default", stop=D("0.40"))


def gone() -> World:
    """An exit that has ended."""
    world = armed().bid("0.40").answer("10")
    return world.tell(world.fill("10", "0"))


def asked(world: World, of: type) -> list[object]:
    """Reads of this kind that were asked for."""
    return [effect for effect in world.effects if isinstance(effect, of)]


# --- of what is not guarded -----------------------------------------------------------------------


@pytest.mark.parametrize("after", [None, "0"], ids=["held is not told", "nothing is held after it"])
def test_a_trade_that_leaves_open_what_is_held_has_positions_read(after: str | None) -> None:
    """A fill in a market that nobody guards, without a position to guard: the exchange is asked."""
    world = World(STOP)
    world.tell(world.fill("7", after, ours=False))
    assert (world.state, asked(world, ReadPositions)) == ("GONE", [ReadPositions(0)])


def test_a_trade_on_top_of_what_was_held_has_its_entry_read() -> None:
    """Seven were bought and twelve are held: what the other five cost, a read must say."""
    world = World(STOP)
    world.tell(world.fill("-7", "12", price="0.55", ours=False))
    assert (world.guard.count, world.guard.entry) == (D(12), None)
    assert asked(world, ReadPositions) == [ReadPositions(0)]


@pytest.mark.parametrize(
    ("world", "count", "reads"),
    [
        pytest.param(lambda: World(STOP), "5", [ReadPositions(0)], id="held by nobody's knowledge"),
        pytest.param(lambda: World(STOP), "0", [], id="nothing held"),
        pytest.param(armed, "5", [], id="guarded: its fill says the same"),
    ],
)
def test_a_pushed_position_is_a_hint_to_read(world, count: str, reads: list[object]) -> None:  # type: ignore[no-untyped-def]
    """It has no time and proves nothing; it is asked after where nobody guards."""
    hinted = world()
    hinted.effects.clear()
    hinted.tell(PositionPush(ticker=TICKER, subaccount=0, signed_count=D(count)))
    assert asked(hinted, ReadPositions) == reads


def test_news_of_what_is_not_guarded_any_more_changes_nothing() -> None:
    """The answer comes again, a hook closes, an old list of resting orders arrives: the exit has ended."""
    world = gone().answer("10").tell(Closed(key=KEY)).tell(RestingSeen(key=KEY, orders=()))
    world.guards.step(KEY, world.look, world.moment())
    assert world.state == "GONE"
    assert world.events.count("CLOSED") == 1


def test_a_hook_about_what_is_guarded_already_only_tells_its_price() -> None:
    """The fill was faster: nothing begins twice; an entry that nobody knew is taken from the hook."""
    world = World(STOP).hold("10", None).bid("0.52").quiet(6)
    world.effects.clear()
    world.tell(Opened(position=world.position("99", "0.60")))
    assert (world.guard.count, world.guard.entry, world.guard.claimed_s) == (D(10), D("0.60"), None)
    assert asked(world, ReadPositions) == [ReadPositions(0)]
    world.tell(Opened(position=world.position("10", "0.70")))
    assert world.guard.entry == D("0.60")


# --- kept up --------------------------------------------------------------------------------------


def test_a_new_connection_has_the_orders_of_open_exits_read() -> None:
    """Pushes have no gap detection: what they would have told of the exit is read from its beginning."""
    world = armed().bid("0.40").quiet(1)
    began_ms = world.utc_ms() - 1_000
    world.effects.clear()
    world.tell(Linked(is_up=False))
    assert world.effects == []
    world.tell(Linked(is_up=True))
    (read,) = asked(world, ReadOrders)
    assert isinstance(read, ReadOrders)
    assert (read.key, read.since_ms <= began_ms) == (KEY, True)


def test_the_sweep_before_an_exit_ends_when_its_answer_comes() -> None:
    """What was cancelled is forgotten; what could not be is no reason to wait."""
    world = armed()
    orders = (order_elsewhere(world), replace(order_elsewhere(world), order_id="stays"))
    world.tell(RestingSeen(key=KEY, orders=orders)).bid("0.40")
    assert world.sends == []
    world.tell(Swept(key=KEY, cancelled=("rest",), failed=("stays",)))
    assert (len(world.sends), list(world.guard.resting)) == (1, ["stays"])
    world = armed().tell(RestingSeen(key=KEY, orders=orders))
    world.tell(Swept(key=KEY, cancelled=("rest", "stays"), failed=())).bid("0.40")
    assert len(world.sends) == 1


def test_one_of_two_subaccounts_ends_and_the_other_stays_guarded() -> None:
    """Both hold the same market: it is watched until the last of them is gone."""
    world = World(STOP, subaccounts=(0, 1)).hold()
    second = replace(world.position("10", "0.60"), subaccount=1)
    world.tell(replace(world.positions("10"), subaccount=1, positions=(second,)))
    world.bid("0.52").quiet(6).tell(world.fill("10", "0", ours=False))
    assert (list(world.guards.by_key), world.guards.tickers) == ([Key(1, TICKER)], {TICKER})
    assert world.guards.exits_open == 0
    world.bid("0.40")
    assert ([send.key for send in world.sends], world.guards.exits_open) == ([Key(1, TICKER)], 1)


def test_more_than_sixty_attempts_a_minute_on_the_account_alarm() -> None:
    """It is never a stop: something is wrong, and every exit goes on."""
    world = armed()
    for n in range(MOST_ATTEMPTS):
        world.guards.note_sent(world.moment())
        world.now_s += 59.9 / MOST_ATTEMPTS
        assert "many_attempts" not in world.guards.alarms, n
    world.guards.note_sent(world.moment())
    assert "many_attempts" in world.guards.alarms
    world.now_s += 2
    world.guards.note_sent(world.moment())
    assert "many_attempts" not in world.guards.alarms


def test_the_pace_of_a_market_is_kept_a_minute_beyond_its_exit() -> None:
    """A re-entry goes on at the old pace; what nobody needs any more is forgotten."""
    world = gone()
    for seconds, is_kept in ((WINDOW_S - 1, True), (2, False)):
        world.now_s += seconds
        world.guards.sweep(world.moment())
        assert (KEY in world.guards.paces) is is_kept
    world = armed()
    world.guards.sweep(world.moment())
    assert KEY in world.guards.paces, "guarded now"


def test_a_request_that_never_left_before_any_did_is_no_request() -> None:
    """There is nothing to take back."""
    pace = Pace()
    pace.not_sent()
    assert (pace.is_idle(0.0), pace.free_at_s(5.0, is_new_id=True)) == (True, 5.0)


def test_an_exit_that_sold_all_of_a_holding_in_doubt_has_positions_read() -> None:
    """Fifteen may be held or five: its ten are sold, and what is left is not guessed."""
    world = armed().bid("0.40").answer("10")
    world.tell(replace(world.fill("-5", None, trade="x", ours=False), ts_ms=world.utc_ms() - 6_000))
    ours = world.fill("10", None, trade="t2")
    world.effects.clear()
    world.tell(ours)
    assert (world.state, "CLOSED" in world.events) == ("GONE", True)
    assert ReadPositions(0) in world.effects
