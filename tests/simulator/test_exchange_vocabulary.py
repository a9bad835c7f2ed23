"""Every word that asyncapi.yaml has for what is simulated is said, and no other."""

from __future__ import annotations

from typing import Any

from base.simulator.clock import ManualClock, SystemClock
from base.simulator.engine.grid import GRIDS
from base.simulator.rate_limits import UNLIMITED
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from base.simulator.stream.commands import TEXTS
from base.simulator.stream.subscription import CHANNELS
from tests.simulator.loopback import A, Client, Feed
from tests.simulator.published_spec import ASYNCAPI, document, needs_spec

pytestmark = needs_spec

COMBO = "KXMVESIM-26DEC31-A"
GROUPS = "/portfolio/order_groups"
ORDERS = "/portfolio/events/orders"
MATCH_IDS_REQUIRED = 23  # of a channel that is documented nowhere
REFUSED_INSTEAD = {"PostOnlyCrossCancel"}  # a post-only order that crosses is 400 here


def words(payload: str, *way: str) -> set[str]:
    """Return the values that a payload's member may have."""
    node: Any = document(ASYNCAPI)["components"]["schemas"][payload]
    for name in way:
        node = node["properties"][name]
    return set(node["enum"])


def until_listed(feed: Feed) -> list[dict[str, Any]]:
    """Return all frames of what happened before now."""
    feed.reply("list_subscriptions")
    return feed.seen


def test_error_codes_and_channels_are_the_documented_ones() -> None:
    """Numbers, texts and names."""
    documented = {row["code"]: row["name"] for row in document(ASYNCAPI)["x-error-codes"]["codes"]}
    documented.pop(MATCH_IDS_REQUIRED)
    assert documented == TEXTS
    subscribe = document(ASYNCAPI)["components"]["schemas"]["subscribeCommandPayload"]
    channels = subscribe["properties"]["params"]["properties"]["channels"]["items"]["enum"]
    assert set(channels) == CHANNELS


def test_grids_have_documented_names() -> None:
    """A client may look the label up."""
    assert set(GRIDS) <= set(
        document(ASYNCAPI)["components"]["schemas"]["lifecyclePriceLevelStructure"]["enum"]
    )


def test_a_market_and_a_combo_live_through_every_lifecycle_event(sim: SimulatorServer, feed: Feed) -> None:
    """From their listing to their settlement, each on its channel."""
    feed.subscribe("market_lifecycle_v2", "multivariate_market_lifecycle")
    for ticker in ("KXSIM-27JAN31-A", COMBO):
        sim.add_market(ticker)
        sim.rename(ticker, "Above")
        sim.set_grid(ticker, "deci_cent")
        sim.move_close(ticker, 3600)
        sim.deactivate(ticker)
        sim.activate(ticker)
        sim.determine(ticker, "yes")
        sim.settle(ticker)
    said: dict[str, set[str]] = {"market_lifecycle_v2": set(), "multivariate_market_lifecycle": set()}
    for frame in until_listed(feed):
        if frame["type"] in said:
            said[frame["type"]].add(frame["msg"]["event_type"])
    plain = words("marketLifecycleV2Payload", "msg", "event_type") | {"metadata_updated"}
    assert said["market_lifecycle_v2"] == plain
    combos = words("multivariateMarketLifecyclePayload", "msg", "event_type")
    assert said["multivariate_market_lifecycle"] == combos


def test_an_order_group_lives_through_every_event(client: Client, feed: Feed) -> None:
    """Created, limited anew, triggered, reset, deleted."""
    feed.subscribe("order_group_updates")
    body = {"contracts_limit": 10}
    group = client.call("POST", f"{GROUPS}/create", json=body).json()["order_group_id"]
    for act in ("limit", "trigger", "reset"):
        sent = {"json": body} if act == "limit" else {}
        assert client.call("PUT", f"{GROUPS}/{group}/{act}", **sent).status_code == 200
    client.call("DELETE", f"{GROUPS}/{group}")
    updates = [f["msg"]["event_type"] for f in until_listed(feed) if f["type"] == "order_group_updates"]
    assert set(updates) == words("orderGroupUpdatesPayload", "msg", "event_type")
    assert len(updates) == 5


def live_through(sim: SimulatorServer, client: Client, clock: ManualClock) -> None:
    """Let an order end, or change, in every way there is."""
    rest = {"side": "bid", "price": "0.1000", "time_in_force": "good_till_canceled"}

    def resting(**fields: Any) -> str:
        reply = client.order(**rest | fields)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["order_id"])

    order = resting()
    amended = {"ticker": A, "side": "bid", "price": "0.1100", "count": "10.00"}
    client.call("POST", f"{ORDERS}/{order}/amend", json=amended)  # Amend
    client.call("DELETE", f"{ORDERS}/{order}?market_ticker={A}")  # Decrease
    resting(price="0.5100", count="2.00")
    client.order(count="5.00", self_trade_prevention_type="maker")  # SelfTradeCancel, Trade
    resting(expiration_time=clock.now_ms() // 1000 + 60)
    clock.advance(61)
    sim.advance_engine()  # ExpiryCancel
    backed = resting(side="ask", price="0.5000", count="20.00")
    assert client.order(count="20.00", price="0.0100", reduce_only=True).json()["fill_count"] == "20.00"
    sim.set_book(A, yes=[("0.50", "100")], no=[])  # MarginCancel: the cash for ``backed`` is not there
    assert client.get(f"/portfolio/orders/{backed}")["order"]["status"] == "canceled"
    assert client.order(reduce_only=True).json()["fill_count"] == "0.00"  # ReduceOnlyCancel
    resting(count="1.00")
    sim.deactivate(A)
    sim.activate(A)  # HaltCancel
    resting(count="1.00")
    sim.set_settlement_floor(A, "0.1000")  # SettlementBoundsCancel
    resting(count="1.00", price="0.2000")
    sim.close_market(A)
    clock.advance(2)
    sim.advance_engine()  # CloseCancel


def test_orders_end_for_every_documented_reason() -> None:
    """Each reason, each status that an order can have here."""
    clock = ManualClock(SystemClock().now_ms())
    semantics = Semantics(read_lag_s=0.0, skew_window_s=1e9)
    with (
        SimulatorServer(clock=clock, semantics=semantics, tier=UNLIMITED, cash="3") as sim,
        Feed(sim) as feed,
    ):
        sim.add_market(A)
        sim.set_book(A, yes=[("0.05", "100")], no=[("0.02", "70")])
        sim.set_position(A, "25", "0.40")
        feed.subscribe("user_orders")
        live_through(sim, Client(sim), clock)
        updates = [frame["msg"] for frame in until_listed(feed) if frame["type"] == "user_order"]
    reasons = {update["last_update_reason"] for update in updates if "last_update_reason" in update}
    documented = set(document(ASYNCAPI)["components"]["schemas"]["lastUpdateReason"]["enum"])
    assert reasons == documented - REFUSED_INSTEAD
    assert {update["status"] for update in updates} == {"resting", "canceled", "executed"}
