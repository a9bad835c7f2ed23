"""The matching engine: tables for the cases of rest.md §8, §10, §12, §14."""

from __future__ import annotations

import pytest

from base.simulator.engine import changes
from base.simulator.engine.changes import Amendment
from base.simulator.engine.events import BookChanged, Filled, OrderChanged
from base.simulator.semantics import Semantics
from tests.simulator.exchange_world import GRIDS, HOUSE, ME, OTHER, D, T, World, refused


def test_an_order_fills_at_the_resting_price() -> None:
    """The limit is only a collar."""
    world = World()
    world.order(OTHER, "ask", "0.52", "5")
    order = world.ioc(ME, "bid", "0.99", "5")
    assert (order.filled, order.average_price, order.status) == (D(5), D("0.52"), "executed")


def test_better_prices_trade_first_then_earlier_orders() -> None:
    """Price, then time."""
    world = World()
    late = world.order(OTHER, "bid", "0.50", "5")
    later = world.order(OTHER, "bid", "0.50", "5")
    best = world.order(OTHER, "bid", "0.51", "5")
    world.ioc(ME, "ask", "0.50", "12")
    assert [o.filled for o in (best, late, later)] == [D(5), D(5), D(2)]


def test_an_ioc_never_rests_and_its_remaining_is_zero() -> None:
    """What an immediate-or-cancel order cannot trade is gone."""
    world = World()
    world.order(OTHER, "bid", "0.50", "5")
    order = world.ioc(ME, "ask", "0.50", "12")
    assert (order.filled, order.remaining, order.status) == (D(5), D(0), "canceled")
    assert world.levels("ask") == []


def test_a_gtc_rest_goes_into_the_book() -> None:
    """What does not cross waits."""
    world = World()
    world.order(OTHER, "ask", "0.50", "5")
    order = world.order(ME, "bid", "0.50", "12")
    assert (order.filled, order.remaining, order.status) == (D(5), D(7), "resting")
    assert world.levels("bid") == [("0.50", "7.00")]


@pytest.mark.parametrize(
    ("held", "side", "asked", "filled"),
    [
        pytest.param("10", "ask", "25", "10", id="capped by the position"),
        pytest.param("10", "ask", "4", "4", id="less than the position"),
        pytest.param("10", "bid", "4", "0", id="the wrong way"),
        pytest.param("-10", "bid", "25", "10", id="a NO position"),
        pytest.param("-10", "ask", "25", "0", id="a NO position, the wrong way"),
        pytest.param("0", "ask", "5", "0", id="nothing held"),
        pytest.param("0.37", "ask", "5", "0.37", id="a fraction"),
    ],
)
def test_reduce_only_is_capped_by_the_position(held: str, side: str, asked: str, filled: str) -> None:
    """A reduce-only order never opens or flips a position."""
    world = World()
    world.hold(held)
    world.order(OTHER, "bid", "0.50", "100")
    world.order(OTHER, "ask", "0.51", "100")
    order = world.ioc(ME, side, "0.01" if side == "ask" else "0.99", asked, reduce_only=True)
    assert order.filled == D(filled)
    is_capped = D(filled) < D(asked)
    assert (order.status, order.reason) == (
        ("canceled", "ReduceOnlyCancel") if is_capped else ("executed", "Trade")
    )


@pytest.mark.parametrize(
    ("semantics", "code"),
    [
        pytest.param(Semantics(reduce_only_nothing="rejected"), "invalid_order", id="nothing to reduce"),
        pytest.param(Semantics(reduce_only_excess="rejected"), "invalid_order", id="too much"),
    ],
)
def test_reduce_only_may_be_rejected_instead(semantics: Semantics, code: str) -> None:
    """Other possible exchanges refuse."""
    world = World(semantics)
    world.order(OTHER, "bid", "0.50", "100")
    with refused(400, code):
        world.ioc(ME, "ask", "0.01", "5", reduce_only=True)


def test_reduce_only_may_be_ignored() -> None:
    """An exchange that ignores the flag flips the position."""
    world = World(Semantics(reduce_only="ignored"))
    world.hold("3")
    world.order(OTHER, "bid", "0.50", "100")
    world.ioc(ME, "ask", "0.01", "5", reduce_only=True)
    assert world.position() == D(-2)


@pytest.mark.parametrize("tif", ["good_till_canceled", "fill_or_kill"])
def test_reduce_only_needs_ioc(tif: str) -> None:
    """Anything else is refused."""
    with refused(400, "invalid_order"):
        World().order(ME, "ask", "0.50", "1", tif=tif, reduce_only=True)


def test_taker_at_cross_cancels_the_incoming_order() -> None:
    """It looks like no liquidity."""
    world = World()
    world.order(ME, "bid", "0.50", "5")
    order = world.ioc(ME, "ask", "0.50", "5", stp="taker_at_cross")
    assert (order.filled, order.reason) == (D(0), "SelfTradeCancel")
    assert world.levels("bid") == [("0.50", "5.00")]


def test_maker_prevention_removes_the_own_resting_order_and_goes_on() -> None:
    """The exit is not stopped by an own take-profit."""
    world = World()
    own = world.order(ME, "bid", "0.50", "5")
    world.order(OTHER, "bid", "0.49", "5")
    order = world.ioc(ME, "ask", "0.40", "5", stp="maker")
    assert (order.filled, own.status, own.reason) == (D(5), "canceled", "SelfTradeCancel")


def test_fill_or_kill_takes_all_or_nothing_and_burns_its_id() -> None:
    """A killed order's id is used up."""
    world = World()
    world.order(OTHER, "bid", "0.50", "5")
    with refused(409, "fill_or_kill_insufficient_resting_volume"):
        world.order(ME, "ask", "0.50", "6", tif="fill_or_kill", client_order_id="x")
    assert world.levels("bid") == [("0.50", "5.00")]
    with refused(409, "order_already_exists"):
        world.order(ME, "ask", "0.50", "5", tif="fill_or_kill", client_order_id="x")
    assert world.order(ME, "ask", "0.50", "5", tif="fill_or_kill").filled == D(5)


@pytest.mark.parametrize(
    ("prevention", "own_at", "outcome"),
    [
        pytest.param("taker_at_cross", "0.50", "killed", id="gives way before all was bought"),
        pytest.param("taker_at_cross", "0.52", "filled", id="would not come as far as the own order"),
        pytest.param("maker", "0.50", "filled", id="the own order gives way"),
    ],
)
def test_fill_or_kill_is_never_partly_filled_by_an_own_order(
    prevention: str, own_at: str, outcome: str
) -> None:
    """Self-trade prevention would stop it half way: then it does not begin."""
    world = World()
    for price in ("0.49", "0.51"):
        world.order(OTHER, "ask", price, "5")
    own = world.order(ME, "ask", own_at, "5")
    levels = world.levels("ask")
    if outcome == "killed":
        with refused(409, "fill_or_kill_insufficient_resting_volume"):
            world.order(ME, "bid", "0.60", "10", tif="fill_or_kill", stp=prevention)
        assert world.levels("ask") == levels
    else:
        assert world.order(ME, "bid", "0.60", "10", tif="fill_or_kill", stp=prevention).filled == D(10)
    assert own.status == ("resting" if prevention == "taker_at_cross" else "canceled")


def test_post_only_never_takes() -> None:
    """Crossing is refused."""
    world = World()
    world.order(OTHER, "ask", "0.52", "5")
    with refused(400, "invalid_order"):
        world.order(ME, "bid", "0.52", "5", post_only=True)
    assert world.order(ME, "bid", "0.51", "5", post_only=True).status == "resting"


@pytest.mark.parametrize(
    ("semantics", "outcome"),
    [
        pytest.param(Semantics(), "refused", id="for ever"),
        pytest.param(Semantics(dedupe="open_only"), "second", id="only while it rests"),
        pytest.param(Semantics(repeat_answer=201), "first", id="the first is answered again"),
    ],
)
def test_a_client_order_id_is_not_reused(semantics: Semantics, outcome: str) -> None:
    """The default: never, whatever became of the first."""
    world = World(semantics)
    first = world.ioc(ME, "bid", "0.50", "5", client_order_id="x")
    if outcome == "refused":
        with refused(409, "order_already_exists"):
            world.ioc(ME, "bid", "0.50", "5", client_order_id="x")
        return
    second = world.ioc(ME, "bid", "0.50", "5", client_order_id="x")
    assert (second is first) == (outcome == "first")


@pytest.mark.parametrize(
    ("label", "price", "is_valid"),
    [
        ("linear_cent", "0.50", True),
        ("linear_cent", "0.505", False),
        ("linear_cent", "0", False),
        ("linear_cent", "1", False),
        ("tapered_deci_cent", "0.055", True),
        ("tapered_deci_cent", "0.555", False),
        ("tapered_deci_cent", "0.955", True),
        ("tapered_deci_cent", "0.50", True),
        ("center_deci_edge_centi_cent", "0.0001", True),
        ("center_deci_edge_centi_cent", "0.5001", False),
    ],
)
def test_prices_lie_on_the_grid(label: str, price: str, is_valid: bool) -> None:
    """The price ranges are the only truth."""
    world = World(grid=GRIDS[label])
    if is_valid:
        assert world.order(ME, "bid", price, "1").status == "resting"
    else:
        with refused(400, "invalid_price"):
            world.order(ME, "bid", price, "1")


def test_cancel_is_404_when_there_is_nothing_left() -> None:
    """Cancelled, executed, unknown and wrong shard look the same."""
    world = World(exchange_index=2)
    world.exchange.deposit(ME, D(100), world.now, exchange_index=2)
    order = world.order(ME, "bid", "0.50", "5")
    state = world.exchange.state
    for arguments in ({}, {"exchange_index": 0}, {"subaccount": 1, "ticker": T}):
        with refused(404, "not_found"):
            changes.find_resting(state, ME, order.order_id, **arguments)  # type: ignore[arg-type]
    found = changes.find_resting(state, ME, order.order_id, ticker=T)
    assert world.exchange.cancel(found, world.now) == D(5)
    with refused(404, "not_found"):
        changes.find_resting(state, ME, order.order_id, ticker=T)


@pytest.mark.parametrize(
    ("price", "count", "keeps_place"),
    [("0.50", "3", True), ("0.50", "9", False), ("0.49", "5", False)],
)
def test_only_a_smaller_size_keeps_the_place(price: str, count: str, keeps_place: bool) -> None:
    """Amending the price or growing goes to the back."""
    world = World()
    mine = world.order(ME, "bid", "0.50", "5")
    world.order(OTHER, "bid", "0.50", "5")
    wish = Amendment(side=mine.side, price=D(price), count=D(count))
    changes.amend(world.exchange.state, mine, wish, world.now)
    assert (world.market.book.ahead_of(mine) == 0) == keeps_place


def test_decrease_keeps_the_place_and_zero_cancels() -> None:
    """Exactly what remains is given."""
    world = World()
    mine = world.order(ME, "bid", "0.50", "5")
    world.order(OTHER, "bid", "0.50", "5")
    changes.decrease(world.exchange.state, mine, D(2), world.now)
    assert (mine.remaining, world.market.book.ahead_of(mine)) == (D(2), D(0))
    changes.decrease(world.exchange.state, mine, D(0), world.now)
    assert mine.status == "canceled"


def test_changes_of_one_action_share_a_clock_and_clocks_only_grow() -> None:
    """A snapshot's clock covers all its changes."""
    world = World()
    for price in ("0.50", "0.51", "0.52"):
        world.order(OTHER, "ask", price, "5")
    world.exchange.take_events()
    world.order(ME, "bid", "0.52", "12")
    changed = [e for e in world.exchange.take_events() if isinstance(e, BookChanged)]
    assert len(changed) == 3
    assert {e.clock for e in changed} == {world.market.clock}


def test_the_house_reports_nothing_private() -> None:
    """Liquidity of the scenario has no fills or orders of its own to show."""
    world = World()
    world.exchange.set_level(T, world.order(ME, "bid", "0.10", "1").side.other, D("0.60"), D(5), world.now)
    world.ioc(ME, "bid", "0.60", "2")
    events = world.exchange.take_events()
    assert {e.account_id for e in events if isinstance(e, Filled | OrderChanged)} == {ME}
    assert HOUSE in world.exchange.state.accounts


def test_a_book_that_is_set_is_exactly_so() -> None:
    """More, less, none; what the member rests is left alone."""
    world = World()
    side = world.order(ME, "bid", "0.50", "3").side
    for count, total in (("10", "13.00"), ("4", "7.00"), ("6", "9.00"), ("0", "3.00")):
        world.exchange.set_level(T, side, D("0.50"), D(count), world.now)
        assert world.levels("bid") == [("0.50", total)]


def test_trading_elsewhere_is_a_real_fill() -> None:
    """It moves the position and leaves an order and a fill behind."""
    world = World()
    total = world.total()
    world.exchange.trade_elsewhere(ME, T, D(-7), D("0.30"), world.now)
    assert world.position() == D(-7)
    assert world.total() == total
    kinds = [type(e).__name__ for e in world.exchange.take_events()]
    assert {"Traded", "Filled", "OrderChanged", "HoldingChanged"} <= set(kinds)
