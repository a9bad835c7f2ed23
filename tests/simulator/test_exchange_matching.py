"""The matching engine: tables for the cases of rest.md §8, §10, §12, §14."""

from __future__ import annotations

import pytest

from base.simulator.engine import changes, groups, lifecycle
from base.simulator.engine.events import BookChanged, Filled, OrderChanged
from base.simulator.engine.refusal import Refused
from base.simulator.semantics import Semantics
from tests.simulator.exchange_world import GRIDS, HOUSE, ME, OTHER, D, T, World


def refused(status: int, code: str) -> pytest.RaisesExc[Refused]:
    """Expect a refusal with this status and code."""
    return pytest.RaisesExc(Refused, check=lambda r: (r.status, r.code) == (status, code))


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
    if not D(filled):
        assert order.reason == "ReduceOnlyCancel"


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


def test_collateral_is_per_shard() -> None:
    """Cash on another shard does not help."""
    world = World(exchange_index=2)
    with refused(400, "insufficient_balance"):
        world.order(ME, "bid", "0.50", "1")
    world.exchange.deposit(ME, D(1), world.now, exchange_index=2)
    assert world.order(ME, "bid", "0.50", "1").status == "resting"


def test_resting_orders_reserve_their_cost() -> None:
    """The same dollar is not spent twice."""
    world = World(cash="10")
    world.order(ME, "bid", "0.50", "15")
    with refused(400, "insufficient_balance"):
        world.order(ME, "bid", "0.50", "10")


def test_a_negative_balance_refuses_even_a_closing_order() -> None:
    """See: docs, settlement_bounds."""
    world = World()
    world.hold("5")
    world.exchange.deposit(ME, D("-10001"), world.now, exchange_index=0)
    with refused(400, "insufficient_balance"):
        world.ioc(ME, "ask", "0.01", "5", reduce_only=True)


@pytest.mark.parametrize(
    ("count", "price", "fee"),
    [
        pytest.param("1", "0.52", "0.0175", id="the demo exchange's fill"),
        pytest.param("100", "0.40", "1.68", id="the documented example"),
        pytest.param("0.01", "0.50", "0.0002", id="the smallest"),
    ],
)
def test_the_taker_pays_the_quadratic_fee(count: str, price: str, fee: str) -> None:
    """0.07 x count x price x (1 - price), rounded up to the balance's precision."""
    world = World()
    world.order(OTHER, "bid", price, count)
    order = world.ioc(ME, "ask", price, count)
    assert order.taker_fees == D(fee)


def test_makers_pay_only_where_the_series_says_so() -> None:
    """A quarter of the taker's fee."""
    for fee_type, fee in (("quadratic", "0"), ("quadratic_with_maker_fees", "0.42")):
        world = World(fee_type=fee_type)
        maker = world.order(OTHER, "bid", "0.40", "100")
        world.ioc(ME, "ask", "0.40", "100")
        assert maker.maker_fees == D(fee)


def test_rounding_is_kept_per_order_and_given_back() -> None:
    """Many small fills of one order cost no more than one large fill, to a step."""
    world = World()
    for _ in range(50):
        world.order(OTHER, "bid", "0.37", "0.01")
    order = world.ioc(ME, "ask", "0.37", "0.50")
    exact = D("0.07") * D("0.5") * D("0.37") * D("0.63")
    assert exact <= order.taker_fees <= exact + D("0.0002")


def test_yes_and_no_net_to_one_position() -> None:
    """Selling more YES than held leaves NO."""
    world = World()
    world.hold("5", "0.40")
    world.order(OTHER, "bid", "0.60", "100")
    world.ioc(ME, "ask", "0.60", "8")
    holding = world.exchange.state.account(ME).holding(0, T, 0)
    assert (holding.count, holding.cost, holding.realized) == (D(-3), D("1.20"), D("1.00"))


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
    changes.amend(
        world.exchange.state,
        mine,
        mine.side,
        D(price),
        D(count),
        world.now,
        expiration_ms=None,
        client_order_id=None,
    )
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
    """A possible exchange drops what comes within the tail."""
    world = World(Semantics(cancel_all_tail_s=60.0))
    first = world.order(ME, "bid", "0.50", "5")
    assert changes.cancel_all(world.exchange.state, ME, None, world.now) == 1
    assert first.status == "canceled"
    world.now += 59_000
    assert world.order(ME, "bid", "0.50", "5").status == "canceled"
    world.now += 1_000
    assert world.order(ME, "bid", "0.50", "5").status == "resting"


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
