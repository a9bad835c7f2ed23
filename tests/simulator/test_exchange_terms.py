"""What a market's terms say: fees, waivers, floors, attestation; and its last days."""

from __future__ import annotations

import pytest

from base.simulator.clock import ManualClock, SystemClock
from base.simulator.engine import lifecycle
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.simulator.exchange_world import ME, OTHER, D, World, refused
from tests.simulator.loopback import A, B, Client, Feed


def test_an_events_fees_take_the_place_of_its_series() -> None:
    """At once, for makers too, until they are cleared."""
    world = World()
    event = world.market.spec.event

    def fees() -> tuple[object, object]:
        maker = world.order(OTHER, "bid", "0.50", "100")
        return world.ioc(ME, "ask", "0.50", "100").fees, maker.fees

    assert fees() == (D("1.75"), D(0))
    lifecycle.set_event_fees(world.exchange.state, event, "quadratic_with_maker_fees", D("0.5"))
    assert fees() == (D("0.875"), D("0.2188"))
    lifecycle.set_event_fees(world.exchange.state, event, None, None)
    assert fees() == (D("1.75"), D(0))


def test_fees_are_waived_until_their_time() -> None:
    """Shown on the market, gone afterwards."""
    world = World()
    waived = World(fee_waiver_until_ms=world.now + 1000)
    waived.order(OTHER, "bid", "0.50", "200")
    assert waived.ioc(ME, "ask", "0.50", "100").fees == 0
    waived.now += 1000
    assert waived.ioc(ME, "ask", "0.50", "100").fees == D("1.75")


def test_fee_changes_are_told_on_the_feed_and_by_the_event(
    sim: SimulatorServer, client: Client, feed: Feed
) -> None:
    """Null is a cleared override."""
    feed.subscribe("market_lifecycle_v2")
    for kind, multiplier in (("quadratic", 2), (None, None)):
        sim.set_event_fees("KXSIM-26DEC31", kind, str(multiplier or 1))
        msg = feed.until_type("event_fee_update")["msg"]
        event = client.get("/events/KXSIM-26DEC31")["event"]
        for shown in (msg, event):
            assert (shown["fee_type_override"], shown["fee_multiplier_override"]) == (kind, multiplier)


def test_an_event_is_told_before_its_first_market_and_once(sim: SimulatorServer, feed: Feed) -> None:
    """A combo's goes to the channel of combos."""
    feed.subscribe("market_lifecycle_v2", "multivariate_market_lifecycle")
    sim.add_market("KXNEW-26DEC31-A", mutually_exclusive=True)
    sim.add_market("KXNEW-26DEC31-B", mutually_exclusive=True)
    sim.add_market("KXMVENEW-26DEC31-A")
    frames = [feed.until(lambda f: "seq" in f) for _ in range(5)]
    assert [(f["sid"], f["type"]) for f in frames] == [
        (1, "event_lifecycle"),
        (1, "market_lifecycle_v2"),
        (1, "market_lifecycle_v2"),
        (2, "event_lifecycle"),
        (2, "multivariate_market_lifecycle"),
    ]
    assert frames[0]["msg"]["collateral_return_type"] == "MECNET"
    assert [f["seq"] for f in frames] == [1, 2, 3, 1, 2]


def test_prices_lie_above_a_settlement_floor(sim: SimulatorServer, client: Client) -> None:
    """What rests at or below it is cancelled, with its own reason."""
    low = client.order(side="bid", price="0.1000", time_in_force="good_till_canceled").json()["order_id"]
    with Feed(sim) as feed:
        feed.subscribe("user_orders")
        sim.set_settlement_floor(A, "0.1000")
        ended = feed.until_type("user_order")["msg"]
        assert (ended["order_id"], ended["last_update_reason"]) == (low, "SettlementBoundsCancel")
    assert client.order(price="0.1000").json()["error"]["code"] == "invalid_price"
    assert client.order(price="0.1100").json()["fill_count"] == "10.00"
    market = client.get(f"/markets/{A}")["market"]
    assert (market["settlement_bounds_type"], market["settlement_floor_dollars"]) == ("floor", "0.1000")


@pytest.mark.parametrize(
    ("attestation", "category", "is_over", "status"),
    [
        pytest.param("enforced", "Sports", True, 403, id="lapsed"),
        pytest.param("enforced", "Sports", False, 201, id="valid"),
        pytest.param("enforced", "Crypto", True, 201, id="not needed for this category"),
        pytest.param("shown", "Sports", True, 201, id="an exchange that only shows it"),
    ],
)
def test_a_lapsed_attestation_refuses_trading_of_some_categories(
    attestation: str, category: str, is_over: bool, status: int
) -> None:
    """Orders and amends are refused, cancels are not."""
    with SimulatorServer(semantics=Semantics(attestation=attestation)) as sim:  # type: ignore[arg-type]
        sim.add_market(A, category=category)
        client = Client(sim)
        rests = {"side": "bid", "price": "0.1000", "time_in_force": "good_till_canceled"}
        order = client.order(**rests).json()["order_id"]
        sim.attest_until(sim.clock.now_ms() // 1000 + (-1 if is_over else 3600))
        assert client.order(**rests).status_code == status
        amend = {"ticker": A, "side": "bid", "price": "0.1100", "count": "5.00"}
        path = f"/portfolio/events/orders/{order}"
        assert client.call("POST", f"{path}/amend", json=amend).status_code == (403 if status == 403 else 200)
        batch = client.call("POST", "/portfolio/events/orders/batched", json={"orders": [{
            "ticker": A, "side": "bid", "count": "1.00", "price": "0.1000",
            "time_in_force": "good_till_canceled", "self_trade_prevention_type": "maker",
        }]})  # fmt: skip
        assert ("error" in batch.json()["orders"][0]) == (status == 403)
        assert client.call("DELETE", f"{path}?market_ticker={A}").status_code == 200


def test_a_result_may_be_disputed_and_amended(sim: SimulatorServer, client: Client) -> None:
    """Nobody is paid before, and what is paid is the last word."""
    sim.close_market(A)
    seen = [client.get(f"/markets/{A}")["market"]["status"]]
    for step in (lambda: sim.determine(A, "no"), lambda: sim.dispute(A), lambda: sim.determine(A, "yes")):
        step()
        seen.append(client.get(f"/markets/{A}")["market"]["status"])
        assert client.order().json()["error"]["code"] == "MARKET_INACTIVE"
        assert [m["ticker"] for m in client.get("/markets?status=closed")["markets"]] == [A]
    cash = sim.cash(exchange_index=2)
    sim.settle(A)
    seen.append(client.get(f"/markets/{A}")["market"]["status"])
    assert seen == ["closed", "determined", "disputed", "amended", "finalized"]
    assert sim.cash(exchange_index=2) == cash + 25


@pytest.mark.parametrize(("held", "revenue"), [("10", 370), ("-10", 630)])
def test_a_scalar_result_pays_each_side_its_part(
    sim: SimulatorServer, client: Client, feed: Feed, held: str, revenue: int
) -> None:
    """One YES pays the value, one NO the rest of the dollar."""
    feed.subscribe("market_lifecycle_v2")
    sim.set_position(A, held, "0.40")
    cash = sim.cash(exchange_index=2)
    sim.determine(A, "scalar", "0.37")
    told = feed.until(lambda f: f["msg"].get("event_type") == "determined")["msg"]
    assert (told["result"], told["settlement_value"]) == ("scalar", "0.3700")
    sim.settle(A)
    [paid] = client.get("/portfolio/settlements")["settlements"]
    assert (paid["market_result"], paid["value"], paid["revenue"]) == ("scalar", 37, revenue)
    assert sim.cash(exchange_index=2) == cash + D(revenue) / 100
    assert client.get(f"/markets/{A}")["market"]["settlement_value_dollars"] == "0.3700"


def test_a_determined_market_is_settled_by_its_timer() -> None:
    """Unless it is disputed; the settlement shows cost, revenue and fees."""
    clock = ManualClock(SystemClock().now_ms())
    semantics = Semantics(settlement_timer_s=60.0, read_lag_s=0.0, skew_window_s=1e9)
    with SimulatorServer(clock=clock, semantics=semantics) as sim:
        for ticker in (A, B):
            sim.add_market(ticker)
            sim.set_position(ticker, "-10", "0.40")
            sim.determine(ticker, "no")
        sim.dispute(B)
        client = Client(sim)
        for seconds, status in ((59.0, "determined"), (1.0, "finalized")):
            clock.advance(seconds)
            assert client.get(f"/markets/{A}")["market"]["status"] == status
        assert client.get(f"/markets/{B}")["market"]["status"] == "disputed"
        [paid] = client.get("/portfolio/settlements")["settlements"]
        assert (paid["ticker"], paid["no_count_fp"], paid["revenue"]) == (A, "10.00", 1000)
        assert paid["no_total_cost_dollars"] == "4.000000"


def test_an_order_in_a_finalized_market_is_refused() -> None:
    """So is a cancel; there is nothing left to cancel."""
    world = World()
    lifecycle.determine(world.exchange.state, world.market, "yes", world.now)
    lifecycle.settle(world.exchange.state, world.market, world.now)
    with refused(409, "MARKET_INACTIVE"):
        world.ioc(ME, "ask", "0.50", "5")
