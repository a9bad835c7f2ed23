"""Orders over the wire: every refusal by its code, batches, routing, self-trades, group's limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from base.simulator.clock import ManualClock, SystemClock
from base.simulator.rate_limits import BASIC
from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, B, Client, Feed
from tests.simulator.published_spec import check_answer, needs_spec

ORDERS = "/portfolio/events/orders"
REST = {"side": "bid", "price": "0.1000", "time_in_force": "good_till_canceled"}


def code_of(reply: Any) -> tuple[int, str, str]:
    """Return (status, code, details) of an error in either shape."""
    error = reply.json().get("error", reply.json())
    return reply.status_code, error["code"], error.get("details", "")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"count": "0.00"}, (400, "invalid_order_size", ""), id="nothing"),
        pytest.param({"price": "0.0000"}, (400, "invalid_price", None), id="price 0"),
        pytest.param({"price": "1.0000"}, (400, "invalid_price", None), id="price 1"),
        pytest.param({"time_in_force": "gtc"}, (400, "bad_request", None), id="unknown time in force"),
        pytest.param({"self_trade_prevention_type": ""}, (400, "bad_request", None), id="no prevention"),
        pytest.param({"client_order_id": "a.b"}, (400, "invalid_parameters", None), id="dot in the id"),
        pytest.param({"client_order_id": "x" * 65}, (400, "invalid_parameters", None), id="long id"),
        pytest.param({"subaccount": 64}, (400, "invalid_parameters", None), id="sub-account 64"),
        pytest.param({"order_group_id": "none"}, (404, "not_found", ""), id="unknown group"),
        pytest.param({"ticker": "NONE"}, (404, "market_not_found", ""), id="unknown market"),
        pytest.param({"exchange_index": 1}, (404, "market_not_found", ""), id="wrong shard"),
        pytest.param(
            {"time_in_force": "fill_or_kill", "count": "9000.00"},
            (409, "fill_or_kill_insufficient_resting_volume", ""),
            id="fill or kill",
        ),
        pytest.param(
            {"time_in_force": "fill_or_kill", "reduce_only": True},
            (400, "invalid_order", None),
            id="reduce-only fill or kill",
        ),
        pytest.param(
            {"time_in_force": "good_till_canceled", "post_only": True, "price": "0.5000"},
            (400, "invalid_order", "post only cross"),
            id="post-only that crosses",
        ),
        pytest.param({"post_only": True}, (400, "invalid_order", None), id="post-only, immediate"),
        pytest.param({"expiration_time": 1}, (400, "invalid_order", None), id="expires in the past"),
    ],
)
def test_a_refused_order_says_why(
    client: Client, fields: dict[str, Any], expected: tuple[int, str, str | None]
) -> None:
    """Clients key on the code; nothing traded."""
    status, code, details = code_of(client.order(**fields))
    assert (status, code) == expected[:2]
    assert expected[2] is None or details == expected[2]
    assert client.sim.position(A) == 25


@needs_spec
def test_every_conflict_of_a_resting_order(client: Client) -> None:
    """Amend, decrease and cancel compare what they are told with the order."""
    order = client.order(**REST, client_order_id="first").json()["order_id"]
    path, amend = f"{ORDERS}/{order}", {"ticker": A, "side": "bid", "price": "0.1000", "count": "5.00"}
    calls = [
        ("POST", f"{path}/amend", amend | {"side": "ask"}, (400, "order_side_mismatch")),
        ("POST", f"{path}/amend", amend | {"ticker": B, "exchange_index": 2}, (400, "order_ticker_mismatch")),
        (
            "POST",
            f"{path}/amend",
            amend | {"client_order_id": "other"},
            (400, "order_id_and_client_order_id_mismatch"),
        ),
        ("POST", f"{path}/amend", amend | {"count": "0.00"}, (400, "invalid_order_size")),
        (
            "POST",
            f"{path}/amend",
            amend | {"updated_client_order_id": "first"},
            (409, "order_already_exists"),
        ),
        ("POST", f"{path}/decrease", {"market_ticker": A}, (400, "invalid_order")),
        ("POST", f"{path}/decrease", {"reduce_by": "1.00", "reduce_to": "1.00"}, (400, "invalid_order")),
        ("POST", f"{path}/decrease", {"reduce_to": "11.00", "market_ticker": A}, (400, "invalid_order")),
        ("POST", f"{path}/decrease", {"reduce_by": "1.00"}, (404, "not_found")),
        ("DELETE", path, None, (404, "not_found")),
        ("DELETE", "/portfolio/orders/x", None, (410, "deprecated_v1_order_endpoint")),
        ("POST", "/portfolio/orders/x/amend", {}, (410, "deprecated_v1_order_endpoint")),
        ("POST", "/portfolio/orders/batched", {}, (410, "deprecated_v1_order_endpoint")),
        ("POST", "/portfolio/orders", {}, (410, "deprecated_v1_order_endpoint")),
    ]
    client.sim.add_market(B, exchange_index=2)
    for method, where, body, expected in calls:
        reply = client.call(method, where, json=body)
        assert code_of(reply)[:2] == expected, where
        if "/portfolio/events" in where:
            check_answer(method, f"/trade-api/v2{where}", reply.status_code, reply.json())
    assert client.order(client_order_id="first").json()["error"]["code"] == "order_already_exists"
    assert client.call("DELETE", f"{path}?market_ticker={A}").json()["reduced_by"] == "10.00"


def test_an_id_alone_is_looked_up_on_shard_0(client: Client) -> None:
    """With the ticker or the shard it is found."""
    for suffix in (f"?market_ticker={A}", "?exchange_index=2", f"?market_ticker={A}&exchange_index=-1"):
        order = client.order(**REST).json()["order_id"]
        assert client.call("DELETE", f"{ORDERS}/{order}").status_code == 404
        assert client.call("DELETE", f"{ORDERS}/{order}{suffix}").status_code == 200, suffix


@pytest.mark.parametrize(
    ("prevention", "filled", "kept"),
    [("taker_at_cross", "0.00", "resting"), ("maker", "10.00", "canceled")],
)
def test_self_trade_prevention_both_ways(
    sim: SimulatorServer, client: Client, prevention: str, filled: str, kept: str
) -> None:
    """The incoming order gives way and looks like no liquidity, or the resting one does."""
    own = client.order(side="bid", price="0.5100", time_in_force="good_till_canceled").json()["order_id"]
    with Feed(sim) as feed:
        feed.subscribe("user_orders")
        reply = client.order(self_trade_prevention_type=prevention, reduce_only=True)
        assert (reply.status_code, reply.json()["fill_count"]) == (201, filled)
        ended = feed.until(lambda f: f["type"] == "user_order" and f["msg"]["status"] == "canceled")["msg"]
        assert ended["last_update_reason"] == "SelfTradeCancel"
        assert (ended["order_id"] == own) == (kept == "canceled")
    assert client.get(f"/portfolio/orders/{own}")["order"]["status"] == kept


def test_a_batch_fits_into_the_bucket_or_is_refused_whole(sim: SimulatorServer, client: Client) -> None:
    """Ten tokens an item, two for a cancel, from the unscoped bucket alone."""
    item = {
        "ticker": A, "count": "1.00", "self_trade_prevention_type": "maker", "exchange_index": 2, **REST
    }  # fmt: skip
    sim.set_tier(BASIC)
    reply = client.call("POST", f"{ORDERS}/batched", json={"orders": [item] * 11})
    assert (reply.status_code, reply.json()) == (429, {"error": "too many requests"})
    assert client.get("/portfolio/orders")["orders"] == []
    made = client.call("POST", f"{ORDERS}/batched", json={"orders": [item] * 10}).json()["orders"]
    assert client.order(exchange_index=2).status_code == 201  # the shard's own bucket is full
    assert client.order(exchange_index=0).status_code in (429, 404)
    sim.set_tier(BASIC)
    items = [{"order_id": o["order_id"], "market_ticker": A} for o in made] + [{"order_id": "none"}]
    gone = client.call("DELETE", f"{ORDERS}/batched", json={"orders": items}).json()["orders"]
    assert [o["reduced_by"] for o in gone] == ["1.00"] * 10 + ["0.00"]
    assert gone[-1]["error"]["code"] == "not_found"


def test_cancel_all_covers_every_shard_and_may_spare_subaccounts(
    sim: SimulatorServer, client: Client
) -> None:
    """Without a sub-account it is all of them."""
    sim.add_market(B, exchange_index=0)
    sim.deposit("100", exchange_index=0, subaccount=1)

    def resting() -> int:
        return len(client.get("/portfolio/orders?status=resting")["orders"])

    for fields in ({}, {"ticker": B}, {"ticker": B, "subaccount": 1}):
        assert client.order(**REST | fields).status_code == 201
    assert client.call("DELETE", f"{ORDERS}?subaccount=1").status_code == 204
    assert resting() == 2
    assert client.call("DELETE", ORDERS).status_code == 204
    assert resting() == 0


def test_a_triggered_group_refuses_until_it_is_reset(sim: SimulatorServer, client: Client) -> None:
    """Its orders are cancelled; the feed tells each step."""
    groups = "/portfolio/order_groups"
    with Feed(sim) as feed:
        feed.subscribe("order_group_updates")
        made = client.call(
            "POST", f"{groups}/create", json={"contracts_limit": 5, "exchange_index": 2}
        ).json()
        group, where = made["order_group_id"], f"{groups}/{made['order_group_id']}"
        order = client.order(**REST, order_group_id=group).json()["order_id"]
        assert client.get(where)["orders"] == [order]
        assert client.call("PUT", f"{where}/trigger").status_code == 404  # shard 0 does not know it
        assert client.call("PUT", f"{where}/trigger?exchange_index=2").status_code == 200
        assert client.get(where) == {
            "is_auto_cancel_enabled": False, "contracts_limit_fp": "5.00", "orders": [], "exchange_index": 2
        }  # fmt: skip
        assert client.order(**REST, order_group_id=group).json()["error"]["code"] == "invalid_order"
        client.call("PUT", f"{where}/reset?exchange_index=2")
        assert client.order(**REST, order_group_id=group).status_code == 201
        client.call("DELETE", f"{where}?exchange_index=2")
        kinds = [feed.until_type("order_group_updates")["msg"]["event_type"] for _ in range(4)]
    assert kinds == ["created", "triggered", "reset", "deleted"]
    assert client.get("/portfolio/orders?status=resting")["orders"] == []


def test_a_groups_two_limits_must_match(client: Client) -> None:
    """Whole contracts, or a decimal string, or both with one meaning."""
    for limits, status in (
        ({}, 400),
        ({"contracts_limit": 5, "contracts_limit_fp": "5.50"}, 400),
        ({"contracts_limit": 5, "contracts_limit_fp": "5.00"}, 201),
        ({"contracts_limit_fp": "5.50"}, 201),
    ):
        reply = client.call("POST", "/portfolio/order_groups/create", json=limits)
        assert reply.status_code == status, limits


def test_endpoint_costs_are_what_is_billed(sim: SimulatorServer, client: Client) -> None:
    """A cancel is cheap: fifty of them fit where ten orders do."""
    costs = client.get("/account/endpoint_costs")
    listed = {(c["method"], c["path"]): c["cost"] for c in costs["endpoint_costs"]}
    events, legacy = "/trade-api/v2/portfolio/events/orders", "/trade-api/v2/portfolio/orders"
    assert costs["default_cost"] == 10
    assert listed == {
        ("DELETE", events): 2,
        ("DELETE", f"{events}/batched"): 2,
        ("DELETE", f"{events}/:order_id"): 2,
        ("GET", f"{legacy}/:order_id"): 2,
        ("POST", legacy): 100,
        ("POST", f"{legacy}/batched"): 100,
        ("POST", f"{legacy}/:order_id/amend"): 100,
        ("POST", f"{legacy}/:order_id/decrease"): 100,
        ("DELETE", f"{legacy}/batched"): 20,
        ("DELETE", f"{legacy}/:order_id"): 20,
    }
    sim.set_tier(BASIC)
    path = f"{ORDERS}/none?exchange_index=0"
    assert [client.call("DELETE", path).status_code for _ in range(50)] == [404] * 50


SLOW = replace(BASIC, write_rate=1)  # so that nothing comes back while the test runs


@pytest.mark.parametrize(
    ("fields", "own_left", "unscoped_left"),
    [
        pytest.param({"exchange_index": 2}, 5, 10, id="the shard's own bucket"),
        pytest.param({}, 5, 5, id="routed by ticker: both"),
        pytest.param({"exchange_index": -1}, 5, 5, id="routed on demand: both"),
        pytest.param({"exchange_index": 0}, 10, 5, id="shard 0, though the market is elsewhere"),
    ],
)
def test_an_order_is_billed_where_its_shard_says(
    sim: SimulatorServer, client: Client, fields: dict[str, Any], own_left: int, unscoped_left: int
) -> None:
    """Five orders of ten tokens; then what each bucket of a hundred still takes."""
    sim.set_tier(SLOW)
    for _ in range(5):
        client.order(count="0.01", **fields)
    for shard, left in ((2, own_left), (0, unscoped_left)):
        replies = [client.order(count="0.01", exchange_index=shard) for _ in range(left + 1)]
        assert [reply.status_code == 429 for reply in replies] == [False] * left + [True], shard
    assert (replies[-1].json(), replies[-1].headers.get("Retry-After")) == (
        {"error": "too many requests"},
        None,
    )


def test_the_balance_has_a_bucket_of_its_own() -> None:
    """Once a second; other reads go on, and have no part in it."""
    clock = ManualClock(SystemClock().now_ms())
    with SimulatorServer(tier=BASIC, clock=clock) as sim:
        client = Client(sim)

        def statuses(path: str, n: int) -> list[int]:
            return [client.call("GET", path).status_code for _ in range(n)]

        assert statuses("/portfolio/balance", 3) == [200, 429, 429]
        assert statuses("/portfolio/positions", 61) == [200] * 60 + [429]
        clock.advance(1.0)
        assert statuses("/portfolio/balance", 2) == [200, 429]


@needs_spec
def test_an_amend_reports_its_own_fills_and_keeps_what_was_promised(client: Client) -> None:
    """Averages of this request alone; post-only stays post-only; an expiry lies in the future."""
    rests = {"side": "bid", "price": "0.5100", "time_in_force": "good_till_canceled"}
    order = client.order(**rests, post_only=True).json()["order_id"]

    def amend(**fields: Any) -> Any:
        body = {"ticker": A, "side": "bid", "price": "0.5100", "count": "10.00", **fields}
        reply = client.call("POST", f"{ORDERS}/{order}/amend", json=body)
        check_answer("POST", f"/trade-api/v2{ORDERS}/x/amend", reply.status_code, reply.json())
        return reply

    assert code_of(amend(price="0.5200"))[1:] == ("invalid_order", "post only cross")
    assert code_of(amend(expiration_time=1))[1] == "invalid_order"
    later = client.sim.clock.now_ms() // 1000 + 3600
    assert set(amend(expiration_time=later).json()) == {"order_id", "client_order_id", "ts_ms"}
    assert client.get(f"/portfolio/orders/{order}")["order"]["expiration_time"] is not None
    amend(expiration_time=0)
    shown = client.get(f"/portfolio/orders/{order}")["order"]
    assert shown["expiration_time"] is None
    assert client.call("DELETE", f"{ORDERS}/{order}?market_ticker={A}").status_code == 200

    order = client.order(**rests).json()["order_id"]
    client.sim.set_level(A, "ask", "0.51", "4")  # fills four of it
    reply = amend(price="0.5200").json()
    assert (reply["fill_count"], reply["remaining_count"]) == ("6.00", "0.00")
    assert reply["average_fill_price"] == "0.5200"
