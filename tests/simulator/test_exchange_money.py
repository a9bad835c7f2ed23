"""The matching engine: collateral, fees, positions."""

from __future__ import annotations

import pytest

from tests.simulator.exchange_world import ME, OTHER, D, T, World, refused


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
    """A quarter of the taker's fee, or half of it for combos; the multiplier counts for both."""
    for fee_type, fee in (
        ("quadratic", "0"),
        ("quadratic_with_maker_fees", "0.42"),
        ("quadratic_with_combo_maker_fees", "0.84"),
    ):
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
