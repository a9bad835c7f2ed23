"""The matching engine: what holds for any sequence of orders."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.simulator.engine.book import Ladder
from base.simulator.engine.events import BookChanged, Filled, TopChanged, Traded
from base.simulator.engine.fees import charge, model_fee
from base.simulator.engine.grid import GRIDS
from base.simulator.engine.money import BALANCE_STEP, ZERO
from base.simulator.engine.orders import Side
from base.simulator.engine.refusal import Refused
from tests.simulator.exchange_world import ME, OTHER, D, T, World

FAST = settings(max_examples=120, deadline=None)

prices = st.integers(1, 99).map(lambda cents: str(Decimal(cents) / 100))
counts = st.integers(1, 3000).map(lambda hundredths: str(Decimal(hundredths) / 100))
orders = st.fixed_dictionaries(
    {
        "account": st.sampled_from([ME, OTHER]),
        "side": st.sampled_from(["bid", "ask"]),
        "price": prices,
        "count": counts,
        "tif": st.sampled_from(["good_till_canceled", "immediate_or_cancel", "fill_or_kill"]),
        "stp": st.sampled_from(["taker_at_cross", "maker"]),
        "reduce_only": st.booleans(),
    }
)
sequences = st.lists(orders, max_size=25)


def enter(world: World, order: dict[str, object]) -> None:
    """Enter one drawn order; refusals are part of the game."""
    try:
        world.order(**order)  # type: ignore[arg-type]
    except Refused:
        return


@FAST
@given(sequence=sequences, held=st.integers(-30, 30))
def test_contracts_and_dollars_are_conserved(sequence: list[dict[str, object]], held: int) -> None:
    """Positions sum to zero; cash, collateral and fees sum to what was paid in."""
    world = World(cash="200")
    world.hold(str(held))
    total = world.total()
    for order in sequence:
        enter(world, order)
        assert world.net_contracts() == 0
        assert world.total() == total


@FAST
@given(sequence=sequences)
def test_no_member_is_lent_money(sequence: list[dict[str, object]]) -> None:
    """Cash never goes below zero, fees included, to a step of rounding."""
    world = World(cash="20")
    for order in sequence:
        enter(world, order)
        assert min(world.cash(ME), world.cash(OTHER)) > D("-0.05")


@FAST
@given(sequence=sequences, held=st.integers(-30, 30))
def test_reduce_only_never_flips_or_grows_a_position(sequence: list[dict[str, object]], held: int) -> None:
    """After a reduce-only order the position is smaller, or the same."""
    world = World()
    world.hold(str(held))
    for order in sequence:
        before = world.position(str(order["account"]))
        enter(world, order)
        after = world.position(str(order["account"]))
        if order["reduce_only"]:
            assert abs(after) <= abs(before)
            assert after * before >= 0


@FAST
@given(sequence=sequences)
def test_the_book_never_crosses_and_iocs_never_rest(sequence: list[dict[str, object]]) -> None:
    """Whatever rests is good till cancelled, and best bid < best ask."""
    world = World()
    for order in sequence:
        enter(world, order)
        bid, ask = world.market.book.best(Side.BID), world.market.book.best(Side.ASK)
        assert bid is None or ask is None or bid[0] < ask[0]
        assert all(o.request.time_in_force.value == "good_till_canceled" for o in world.market.book)


@FAST
@given(sequence=sequences)
def test_snapshot_and_deltas_give_the_book(sequence: list[dict[str, object]]) -> None:
    """Adding up every delta since the start gives every level; clocks never go down."""
    world = World()
    levels: dict[tuple[Side, Decimal], Decimal] = {}
    clock = 0
    for order in sequence:
        enter(world, order)
        for event in world.exchange.take_events():
            if isinstance(event, BookChanged):
                assert event.clock >= clock
                clock = event.clock
                key = (event.side, event.price)
                levels[key] = levels.get(key, ZERO) + event.delta
                assert levels[key] >= 0
            elif isinstance(event, TopChanged):
                assert event.top == world.market.top()
    shown = {(side, p): c for side in Side for p, c in world.market.book.ladder(side).levels()}
    assert {key: count for key, count in levels.items() if count} == shown


@FAST
@given(sequence=sequences)
def test_fills_agree_with_trades_and_positions(sequence: list[dict[str, object]]) -> None:
    """Each trade has two fills at its price; positions are the sum of the fills."""
    world = World()
    for order in sequence:
        enter(world, order)
    events = world.exchange.take_events()
    trades = {e.trade_id: e for e in events if isinstance(e, Traded)}
    fills = [e for e in events if isinstance(e, Filled)]
    assert len(fills) == 2 * len(trades)
    for fill in fills:
        trade = trades[fill.trade_id]
        assert (fill.price, fill.count) == (trade.price, trade.count)
        assert fill.is_taker == (fill.side is trade.taker_side)
    for account in (ME, OTHER):
        total = sum((f.count * f.side.sign for f in fills if f.account_id == account), ZERO)
        assert total == world.position(account)


@FAST
@given(sequence=sequences)
def test_the_same_orders_give_the_same_events(sequence: list[dict[str, object]]) -> None:
    """The engine is a function of its calls."""
    runs = []
    for _ in range(2):
        world = World()
        for order in sequence:
            enter(world, order)
        runs.append(repr(world.exchange.take_events()))
    assert runs[0] == runs[1]


@FAST
@given(ids=st.lists(st.sampled_from("abcd"), max_size=20), stays=st.booleans())
def test_a_client_id_is_accepted_once(ids: list[str], stays: bool) -> None:
    """The first order has the id for ever."""
    world = World()
    accepted: set[str] = set()
    for client_order_id in ids:
        tif = "good_till_canceled" if stays else "immediate_or_cancel"
        if client_order_id in accepted:
            with pytest.raises(Refused, match="order_already_exists"):
                world.order(ME, "bid", "0.01", "1", tif=tif, client_order_id=client_order_id)
        else:
            world.order(ME, "bid", "0.01", "1", tif=tif, client_order_id=client_order_id)
            accepted.add(client_order_id)


@FAST
@given(fills=st.lists(st.tuples(prices, counts, st.booleans()), min_size=1, max_size=20), taker=st.booleans())
def test_fees_are_never_negative_and_balances_move_in_steps(
    fills: list[tuple[str, str, bool]], taker: bool
) -> None:
    """Rounding takes less than one step per order over its life."""
    kept = exact = paid = ZERO
    for price, count, buys in fills:
        fee = model_fee(
            D(count),
            D(price),
            is_taker=taker,
            fee_type="quadratic_with_maker_fees",
            multiplier=D(1),
        )
        gross = D(count) * D(price) * (-1 if buys else 1)
        net, kept = charge(gross, fee, kept)
        assert net >= 0
        assert (gross - net) % BALANCE_STEP == 0
        exact, paid = exact + fee, paid + net
    assert exact <= paid
    assert paid - exact == kept


@FAST
@given(label=st.sampled_from(sorted(GRIDS)), millionths=st.integers(0, 1_000_000))
def test_snapping_gives_a_valid_price_at_or_below(label: str, millionths: int) -> None:
    """Every price has a neighbour on every grid."""
    grid, price = GRIDS[label], Decimal(millionths) / 1_000_000
    snapped = grid.snap(price)
    assert grid.holds(snapped)
    assert snapped <= max(price, grid.lowest)


@FAST
@given(sequence=st.lists(st.tuples(prices, counts), max_size=30))
def test_a_ladder_is_sorted_and_sums_its_orders(sequence: list[tuple[str, str]]) -> None:
    """Levels ascend, and each level's total is what its orders hold."""
    world = World()
    for price, count in sequence:
        world.order(OTHER, "bid", price, count)
    ladder: Ladder = world.market.book.bids
    assert ladder.prices == sorted(set(ladder.prices))
    for price_, total in ladder.levels():
        assert total == sum((o.remaining for o in ladder.orders_at(price_)), ZERO)
    assert world.market.ticker == T
