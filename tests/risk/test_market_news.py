"""What is heard of markets and matching engines, and which exits it lets go on."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from base.model import LifecycleEvent, MarketStatus, ShardStatus
from base.risk.messages import Linked, MarketsSeen, PersonAsks, ReadMarket, RestingSeen, ShardsSeen, Sweep
from base.units import PriceGrid
from tests.risk.test_odd_answers import order_elsewhere
from tests.risk.world import KEY, TICKER, World, armed

D = Decimal
COARSE = PriceGrid.of([("0.0000", "1.0000", "0.0500")])


def push(world: World, event: str, **says: Any) -> World:
    """The exchange pushes a change of the market."""
    said = {"ticker": TICKER, "close_ms": None, "result": None, "grid": None} | says
    return world.tell(LifecycleEvent(event=event, **said))


@pytest.mark.parametrize(
    ("event", "says", "changes"),
    [
        pytest.param("deactivated", {}, {"status": MarketStatus.INACTIVE}, id="paused"),
        pytest.param("activated", {}, {"status": MarketStatus.ACTIVE}, id="goes on"),
        pytest.param(
            "determined", {"result": "no"}, {"status": MarketStatus.DETERMINED, "result": "no"}, id="decided"
        ),
        pytest.param("settled", {}, {"status": MarketStatus.FINALIZED}, id="paid"),
        pytest.param("close_date_updated", {"close_ms": 5}, {"close_ms": 5}, id="closes earlier"),
        pytest.param("price_level_structure_updated", {"grid": COARSE}, {"grid": COARSE}, id="another grid"),
        pytest.param("a_new_word", {}, {}, id="a word we do not know"),
    ],
)
def test_what_a_push_says_holds_at_once_and_the_market_is_read(
    event: str, says: dict[str, Any], changes: dict[str, Any]
) -> None:
    """What it leaves out stays as it was; the report decides."""
    world = armed()
    world.effects.clear()
    push(world, event, **says)
    assert world.guards.markets[TICKER] == replace(world.market, **changes)
    assert ReadMarket(TICKER) in world.effects


def test_a_push_about_a_market_that_nobody_holds_is_no_news() -> None:
    """Nothing is read for it, and nothing is remembered."""
    world = World(armed().guard.rule)  # type: ignore[arg-type]
    push(world, "activated")
    assert (world.effects, world.guards.markets) == ([], {})
    world = armed().bid("0.40").answer("10")
    world.tell(world.fill("10", "0"))
    world.effects.clear()
    push(world, "deactivated")
    assert world.effects == []


def test_an_inactive_market_reopens_by_its_event_only() -> None:
    """However long it is called active, the exchange's own word closed it: its event lets the exit go on."""
    world = armed().bid("0.40").refuse(400, "MARKET_INACTIVE")
    world.tell(MarketsSeen(markets={TICKER: world.market})).quiet(30, step_s=1).bid("0.39")
    assert (world.state, len(world.sends)) == ("WAITING", 1)
    push(world, "activated").quiet(0.1, step_s=0.1)
    assert (world.state, len(world.sends)) == ("IN_FLIGHT", 2)


def test_an_inactive_market_reopens_by_a_change_of_its_status() -> None:
    """Read as inactive, then as active: that is a change."""
    world = armed().bid("0.40").refuse(400, "MARKET_INACTIVE")
    for status in (MarketStatus.INACTIVE, MarketStatus.ACTIVE):
        world.tell(MarketsSeen(markets={TICKER: replace(world.market, status=status)})).quiet(0.5)
    world.bid("0.39").quiet(1)
    assert len(world.sends) == 2


@pytest.mark.parametrize("how", ["reconnected", "a person"])
def test_an_event_that_may_have_been_missed_keeps_no_exit_waiting(how: str) -> None:
    """It reopened while the feed was down, or a person knows that it did."""
    world = armed().bid("0.40").refuse(400, "MARKET_INACTIVE")
    world.tell(Linked(is_up=True) if how == "reconnected" else PersonAsks(key=KEY, command="retry"))
    world.bid("0.39").quiet(1, step_s=0.1)
    assert (world.state, len(world.sends)) == ("IN_FLIGHT", 2)


@pytest.mark.parametrize("event", ["activated", "deactivated"])
def test_reactivation_cancels_what_rested(event: str) -> None:
    """The exchange cancels all resting orders when it reopens a market; an exit need not sweep them."""
    world = armed()
    world.tell(RestingSeen(key=KEY, orders=(order_elsewhere(world),)))
    push(world, event)
    assert (not world.guard.resting) is (event == "activated")


def test_an_engine_of_other_markets_says_nothing_about_this_one() -> None:
    """Engine 1 pauses and goes on; the exit is at engine 2."""
    world = armed().bid("0.40").refuse(409, "trading_is_paused")
    for is_on in (False, True):
        world.tell(
            ShardsSeen(shards=(ShardStatus(exchange_index=1, exchange_active=True, trading_active=is_on),))
        )
    world.step()
    assert (world.state, len(world.sends)) == ("WAITING", 1)


def test_what_is_left_of_our_resting_orders_after_an_exit_is_cancelled() -> None:
    """Listed again when it has ended: what was created before its end goes, what came after stays."""
    world = armed().bid("0.40").answer("10")
    before = order_elsewhere(world)
    world.quiet(1).tell(world.fill("10", "0"))
    world.quiet(1)
    after = replace(order_elsewhere(world), order_id="later")
    undated = replace(order_elsewhere(world), order_id="undated", created_ms=None)
    world.effects.clear()
    world.tell(RestingSeen(key=KEY, orders=(before, after, undated)))
    assert world.effects == [Sweep(key=KEY, exchange_index=2, order_ids=("rest",))]
