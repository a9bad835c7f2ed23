"""The matching engine: groups, expiry, close, pauses, settlement."""

from __future__ import annotations

import pytest

from base.simulator.engine import changes, groups, lifecycle
from base.simulator.semantics import Semantics
from tests.simulator.exchange_world import ME, OTHER, D, World, refused


@pytest.mark.parametrize(("trigger", "matched"), [("hit", "5"), ("exceeded", "6")])
def test_a_group_stops_the_order_that_hits_its_limit(trigger: str, matched: str) -> None:
    """Its rest is cancelled too: nothing of a triggered group waits in the book."""
    world = World(Semantics(group_trigger=trigger))  # type: ignore[arg-type]
    group = groups.create(world.exchange.state, ME, 0, 0, D(5), world.now)
    for _ in range(9):
        world.order(OTHER, "ask", "0.50", "1")
    order = world.order(ME, "bid", "0.50", "20", order_group_id=group.group_id)
    assert (order.filled, order.status, order.reason) == (D(matched), "canceled", "HaltCancel")
    assert world.levels("bid") == []


def test_an_order_group_cancels_itself_past_its_limit() -> None:
    """The limit is on contracts matched in fifteen seconds."""
    world = World()
    group = groups.create(world.exchange.state, ME, 0, 0, D(5), world.now)
    world.order(ME, "bid", "0.50", "4", order_group_id=group.group_id)
    resting = world.order(ME, "bid", "0.49", "4", order_group_id=group.group_id)
    world.ioc(OTHER, "ask", "0.50", "4")
    assert not group.is_triggered
    world.ioc(OTHER, "ask", "0.49", "2")
    assert group.is_triggered
    assert (resting.status, resting.filled) == ("canceled", D(2))
    with refused(400, "invalid_order"):
        world.order(ME, "bid", "0.50", "1", order_group_id=group.group_id)
    groups.reset(world.exchange.state, group, world.now)
    assert world.order(ME, "bid", "0.50", "1", order_group_id=group.group_id).status == "resting"


@pytest.mark.parametrize(("subaccount", "shard"), [(1, 0), (0, 2)])
def test_a_group_belongs_to_one_subaccount_and_shard(subaccount: int, shard: int) -> None:
    """Elsewhere it is not found."""
    world = World()
    group = groups.create(world.exchange.state, ME, subaccount, shard, D(5), world.now)
    with refused(404, "not_found"):
        world.order(ME, "bid", "0.50", "1", order_group_id=group.group_id)


def test_the_group_window_moves() -> None:
    """What matched long ago no longer counts."""
    world = World()
    group = groups.create(world.exchange.state, ME, 0, 0, D(5), world.now)
    for _ in range(3):
        world.order(ME, "bid", "0.50", "4", order_group_id=group.group_id)
        world.ioc(OTHER, "ask", "0.50", "4")
        world.now += groups.WINDOW_MS
    assert not group.is_triggered


def test_orders_expire_by_the_clock() -> None:
    """An expiration is a time, not an event of ours."""
    world = World()
    order = world.order(ME, "bid", "0.50", "5", expiration_ms=world.now + 1000)
    world.exchange.advance(world.now + 999)
    assert order.status == "resting"
    world.exchange.advance(world.now + 1000)
    assert (order.status, order.reason) == ("canceled", "ExpiryCancel")


def test_the_close_is_silent_and_clears_the_book_a_moment_later() -> None:
    """At close_time orders and cancels are refused; the book goes with one snapshot."""
    world = World()
    order = world.order(ME, "bid", "0.50", "5")
    world.exchange.take_events()
    world.now = world.market.close_ms
    world.exchange.advance(world.now)
    assert world.exchange.take_events() == []
    with refused(409, "MARKET_INACTIVE"):
        world.exchange.cancel(order, world.now)
    with refused(409, "MARKET_INACTIVE"):
        world.ioc(ME, "ask", "0.50", "5")
    world.exchange.advance(world.now + 1000)
    kinds = [type(event).__name__ for event in world.exchange.take_events()]
    assert "BookCleared" in kinds
    assert "BookChanged" not in kinds
    assert (order.status, order.reason) == ("canceled", "CloseCancel")


def test_a_pause_refuses_orders_and_allows_cancels() -> None:
    """A trading pause; an exchange pause refuses both."""
    world = World()
    order = world.order(ME, "bid", "0.50", "5")
    shard = world.exchange.state.shards[0]
    shard.trading_active = False
    with refused(409, "trading_is_paused"):
        world.order(ME, "bid", "0.50", "5")
    shard.exchange_active = False
    with refused(409, "exchange_is_paused"):
        world.exchange.cancel(order, world.now)
    shard.exchange_active = True
    assert world.exchange.cancel(order, world.now) == D(5)


def test_an_inactive_market_refuses_and_reactivation_cancels_everything() -> None:
    """The exchange itself runs."""
    world = World()
    order = world.order(ME, "bid", "0.50", "5")
    lifecycle.deactivate(world.exchange.state, world.market, world.now)
    with refused(409, "trading_is_paused"):
        world.ioc(ME, "ask", "0.50", "5")
    lifecycle.activate(world.exchange.state, world.market, world.now)
    assert (order.status, order.reason) == ("canceled", "HaltCancel")


@pytest.mark.parametrize(("held", "result", "paid"), [("5", "yes", "5"), ("5", "no", "0"), ("-5", "no", "5")])
def test_settlement_pays_a_dollar_to_the_winner(held: str, result: str, paid: str) -> None:
    """The loser gets nothing, and all dollars stay accounted for."""
    world = World()
    world.hold(held)
    before, total = world.cash(), world.total()
    lifecycle.determine(world.exchange.state, world.market, result, world.now)
    lifecycle.settle(world.exchange.state, world.market, world.now)
    assert (world.cash() - before, world.position()) == (D(paid), D(0))
    assert world.total() == total


def test_cancel_all_may_reach_into_the_next_minute() -> None:
    """What comes within the tail is dropped; single cancels have none."""
    world = World()
    first = world.order(ME, "bid", "0.50", "5")
    assert changes.cancel_all(world.exchange.state, ME, None, world.now) == 1
    assert first.status == "canceled"
    world.now += 59_000
    assert world.order(ME, "bid", "0.50", "5").status == "canceled"
    world.now += 1_000
    last = world.order(ME, "bid", "0.50", "5")
    assert (last.status, changes.cancel_each(world.exchange.state, ME, None, world.now)) == ("resting", 1)
    assert world.order(ME, "bid", "0.50", "5").status == "resting"
