"""Every answer and every frame against Kalshi's own openapi.yaml and asyncapi.yaml."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import serialization

from base.simulator.clock import ManualClock, SystemClock
from base.simulator.rate_limits import BASIC
from base.simulator.rest.routes import RULES
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, B, Client, Feed, eventually
from tests.simulator.published_spec import (
    FRAME_SCHEMAS,
    check_answer,
    check_error,
    check_frame,
    needs_spec,
    operation_of,
)

pytestmark = needs_spec


ANSWERED: set[str] = set()  # operations that succeeded, with an answer that was judged


class Judge:
    """A client whose every answer is held against the document."""

    def __init__(self, sim: SimulatorServer) -> None:
        self.client = Client(sim)

    def __call__(self, method: str, path: str, status: int, **options: Any) -> Any:
        """Send, check, return the body."""
        reply = self.client.call(method, path, **options)
        assert reply.status_code == status, (path, reply.status_code, reply.text)
        body = reply.json() if reply.content else None
        whole = urlsplit(f"/trade-api/v2{path}").path
        check_answer(method, whole, status, body)
        if status < 400:
            ANSWERED.add(operation_of(method, whole)["operationId"])
        return body


ORDER = {
    "ticker": A,
    "side": "bid",
    "count": "5.00",
    "price": "0.1000",
    "time_in_force": "good_till_canceled",
    "self_trade_prevention_type": "taker_at_cross",
    "exchange_index": 2,
}
ORDERS = "/portfolio/events/orders"


def test_public_answers(sim: SimulatorServer) -> None:
    """Markets, books, events, series, trades, candles, the exchange itself."""
    judge = Judge(sim)
    sim.external_fill(A, "3", "0.51")
    eventually(lambda: bool(judge("GET", "/markets/trades", 200)["trades"]))
    for path in (
        "/exchange/status",
        "/exchange/schedule",
        "/exchange/user_data_timestamp",
        "/account/endpoint_costs",
        f"/markets?tickers={A}&status=open",
        f"/markets/{A}",
        f"/markets/{A}/orderbook?depth=5",
        f"/markets/orderbooks?tickers={A}&tickers=NONE",
        f"/markets/trades?ticker={A}&limit=1",
        "/events?with_nested_markets=true",
        "/events/KXSIM-26DEC31",
        "/events/KXSIM-26DEC31/metadata",
        "/events/fee_changes",
        "/events/multivariate",
        "/series",
        "/series/KXSIM",
        "/series/fee_changes",
        "/historical/cutoff",
        f"/historical/markets?tickers={A}",
        "/historical/trades",
        "/historical/fills",
        "/historical/orders",
        "/historical/positions",
    ):
        judge("GET", path, 200)
    judge("GET", f"/historical/markets/{A}", 404)
    window = "start_ts=0&end_ts=60&period_interval=1"
    judge("GET", f"/historical/markets/{A}/candlesticks?{window}", 404)


def test_candlestick_answers(sim: SimulatorServer) -> None:
    """Alone, in batches, of an event, and with the one before the first."""
    judge = Judge(sim)
    sim.external_fill(A, "3", "0.51")
    now_s = sim.clock.now_ms() // 1000
    window = f"start_ts={now_s}&end_ts={now_s + 86_400}&period_interval=1440"
    own = f"/series/KXSIM/markets/{A}/candlesticks"
    assert judge("GET", f"{own}?{window}", 200)["candlesticks"][0]["volume_fp"] == "3.00"
    assert judge("GET", f"/series/KXSIM/events/KXSIM-26DEC31/candlesticks?{window}", 200)[
        "market_tickers"
    ] == [A]
    judge("GET", "/series/KXSIM/events/NONE/candlesticks?" + window, 404)
    assert judge("GET", f"/markets/candlesticks?market_tickers={A}&{window}", 200)["markets"]
    later = f"start_ts={now_s + 999}&end_ts={now_s + 1999}&period_interval=1&include_latest_before_start=true"
    [before] = judge("GET", f"{own}?{later}", 200)["candlesticks"]
    assert before["end_period_ts"] % 60 == 0
    assert 0 <= before["end_period_ts"] - (now_s + 999) < 60
    assert (before["price"]["open_dollars"], before["price"]["previous_dollars"]) == (None, "0.5100")
    assert before["volume_fp"] == "0.00"
    judge("GET", f"{own}?start_ts=0&end_ts=1900000000&period_interval=1", 400)
    judge("GET", f"{own}?{window.replace('1440', '5')}", 400)


def test_private_answers(sim: SimulatorServer) -> None:
    """Orders in every way, and what they leave behind."""
    judge = Judge(sim)
    resting = judge("POST", ORDERS, 201, json=ORDER)["order_id"]
    sale = {**ORDER, "side": "ask", "price": "0.0100", "time_in_force": "immediate_or_cancel"}
    assert judge("POST", ORDERS, 201, json=sale | {"reduce_only": True})["fill_count"] == "5.00"
    for path in (
        "/portfolio/balance",
        "/portfolio/balance?exchange_index=2",
        "/portfolio/positions?count_filter=position",
        "/portfolio/fills",
        "/portfolio/orders?status=resting",
        f"/portfolio/orders/{resting}",
        "/portfolio/orders/queue_positions",
        f"/portfolio/orders/{resting}/queue_position",
        "/portfolio/settlements",
        "/portfolio/order_groups",
        "/account/limits",
        "/api_keys",
    ):
        judge("GET", path, 200)
    amended = {"ticker": A, "side": "bid", "price": "0.1100", "count": "4.00"}
    judge("POST", f"{ORDERS}/{resting}/amend", 200, json=amended)
    judge("POST", f"{ORDERS}/{resting}/decrease", 200, json={"reduce_to": "2.00", "market_ticker": A})
    judge("DELETE", f"{ORDERS}/{resting}?market_ticker={A}", 200)
    batch = judge("POST", f"{ORDERS}/batched", 201, json={"orders": [ORDER, ORDER | {"price": "0.105"}]})
    assert batch["orders"][1]["error"]["code"] == "invalid_price"
    items = [{"order_id": o.get("order_id", "none"), "market_ticker": A} for o in batch["orders"]]
    judge("DELETE", f"{ORDERS}/batched", 200, json={"orders": items})
    judge("DELETE", ORDERS, 204)


def test_order_group_answers(sim: SimulatorServer) -> None:
    """Create, read, trigger, reset, limit, delete."""
    judge = Judge(sim)
    groups = "/portfolio/order_groups"
    group = judge("POST", f"{groups}/create", 201, json={"contracts_limit": 10})["order_group_id"]
    judge("GET", f"{groups}/{group}", 200)
    judge("PUT", f"{groups}/{group}/trigger", 200)
    judge("PUT", f"{groups}/{group}/reset", 200)
    judge("PUT", f"{groups}/{group}/limit", 200, json={"contracts_limit_fp": "20.00"})
    assert judge("GET", groups, 200)["order_groups"][0]["contracts_limit_fp"] == "20.00"
    judge("DELETE", f"{groups}/{group}", 200)
    judge("GET", f"{groups}/{group}", 404)


def test_subaccount_and_transfer_answers(sim: SimulatorServer) -> None:
    """Opened, funded, listed."""
    judge = Judge(sim)
    within = {
        "client_transfer_id": str(uuid.uuid4()),
        "from_subaccount": 0,
        "to_subaccount": 1,
        "amount_cents": 5,
    }
    judge("POST", "/portfolio/subaccounts", 201, json={"exchange_index": 0})
    judge("POST", "/portfolio/subaccounts/transfer", 200, json=within)
    judge("POST", "/portfolio/subaccounts/transfer", 409, json=within)
    across = {"source": "event_contract", "destination": "event_contract", "amount": 7}
    across |= {
        "source_exchange_shard": 0,
        "destination_exchange_shard": 2,
        "client_transfer_id": str(uuid.uuid4()),
    }
    transfer = "/portfolio/intra_exchange_instance_transfer"
    made = judge("POST", transfer, 200, json=across)["transfer_id"]
    judge("POST", transfer, 400, json=across | {"amount": 0})
    judge("GET", f"{transfer}s/{made}", 200)
    judge("GET", f"{transfer}s/none", 404)
    judge("PUT", "/portfolio/subaccounts/netting", 200, json={"subaccount_number": 1, "enabled": True})
    for path in (
        f"{transfer}s",
        "/portfolio/subaccounts/transfers",
        "/portfolio/subaccounts/balances",
        "/portfolio/subaccounts/netting",
        "/portfolio/summary/total_resting_order_value",
    ):
        judge("GET", path, 200)


def test_key_answers(sim: SimulatorServer) -> None:
    """Listed, made, deleted; a restricted key's balance; a revoked one's 401."""
    judge = Judge(sim)
    made = judge("POST", "/api_keys/generate", 201, json={"name": "x", "key_type": "ed25519"})["api_key_id"]
    judge("POST", "/api_keys", 400, json={"name": "x", "public_key": "none"})
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    public = sim.ed25519.public_key.public_bytes(*form).decode()
    judge("POST", "/api_keys", 201, json={"name": "x", "public_key": public, "subaccount": 1})
    judge("GET", "/api_keys", 200)
    judge("DELETE", f"/api_keys/{made}", 204)
    judge("DELETE", f"/api_keys/{made}", 404)
    sim.lock_key(0)
    judge("GET", "/portfolio/balance", 200)
    judge("GET", "/portfolio/positions?subaccount=1", 403)
    sim.set_scopes("read")
    judge("POST", ORDERS, 403, json=ORDER)
    sim.revoke_key()
    judge("GET", "/portfolio/balance", 401)


def test_settled_answers(sim: SimulatorServer) -> None:
    """A market at its end, and what it paid."""
    judge = Judge(sim)
    sim.determine(A, "yes")
    judge("GET", f"/markets/{A}", 200)
    sim.settle(A)
    assert judge("GET", "/portfolio/settlements", 200)["settlements"][0]["revenue"] == 2500
    assert judge("GET", "/markets?status=settled", 200)["markets"][0]["result"] == "yes"
    assert judge("GET", "/portfolio/positions", 200)["market_positions"] == []
    assert judge("GET", "/portfolio/positions?settlement_status=settled", 200)["market_positions"]


def test_archived_answers() -> None:
    """A market that was settled more than two weeks ago."""
    clock = ManualClock(SystemClock().now_ms())
    window = f"start_ts={clock.now_ms() // 1000}&end_ts={clock.now_ms() // 1000 + 60}&period_interval=1"
    with SimulatorServer(clock=clock, semantics=Semantics(skew_window_s=1e9)) as sim:
        sim.add_market(A)
        sim.external_fill(A, "3", "0.51")
        sim.determine(A, "yes")
        sim.settle(A)
        clock.advance(15 * 86_400)
        judge = Judge(sim)
        assert judge("GET", "/historical/markets", 200)["markets"]
        judge("GET", f"/historical/markets/{A}", 200)
        assert judge("GET", f"/historical/markets/{A}/candlesticks?{window}", 200)["candlesticks"]


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "shape"),
    [
        pytest.param("GET", "/markets/NONE", 404, None, "market_not_found", id="unknown market"),
        pytest.param("GET", "/markets?limit=1001", 400, None, "msg", id="limit over the maximum"),
        pytest.param("GET", "/markets?status=active", 400, None, "msg", id="unknown status"),
        pytest.param("GET", "/markets/orderbooks", 400, None, "msg", id="no tickers"),
        pytest.param("GET", "/portfolio/orders/none", 404, None, "not_found", id="unknown order"),
        pytest.param("POST", ORDERS, 400, b"{", "bad_request", id="not JSON"),
        pytest.param("POST", ORDERS, 400, b'{"ticker": "\xff"}', "bad_request", id="not UTF-8"),
        pytest.param("POST", ORDERS, 400, ORDER | {"count": 5}, "bad_request", id="a number for a count"),
        pytest.param("POST", ORDERS, 400, ORDER | {"price": 0.1}, "bad_request", id="a float for a price"),
        pytest.param("POST", ORDERS, 400, ORDER | {"count": "1.001"}, "bad_request", id="three decimals"),
        pytest.param("POST", ORDERS, 400, ORDER | {"price": "0.105"}, "invalid_price", id="off the grid"),
        pytest.param("POST", ORDERS, 400, ORDER | {"side": "yes"}, "bad_request", id="unknown side"),
        pytest.param("POST", ORDERS, 404, ORDER | {"exchange_index": 0}, "market_not_found", id="shard"),
        pytest.param(
            "POST",
            ORDERS,
            400,
            ORDER | {"count": "90000.00", "price": "0.2000"},
            "insufficient_balance",
            id="too little cash",
        ),
        pytest.param("POST", ORDERS, 400, ORDER | {"reduce_only": True}, "invalid_order", id="reduce, GTC"),
        pytest.param("DELETE", f"{ORDERS}/none", 404, None, "not_found", id="nothing to cancel"),
    ],
)
def test_errors(sim: SimulatorServer, method: str, path: str, status: int, body: Any, shape: str) -> None:
    """Each error has its own body, in one of the wire's shapes."""
    options = {"data": body} if isinstance(body, bytes) else {"json": body}
    reply = Judge(sim)(method, path, status, **options)
    assert shape in (*reply, reply.get("code"), (reply.get("error") or {}).get("code"))


def test_every_documented_rule_is_known_to_the_document() -> None:
    """No path of ours is invented; the legacy ones, which answer 410, are the exception."""
    for rule in RULES:
        if "/portfolio/orders" in rule.path and rule.method != "GET":
            continue
        operation_of(rule.method, "/trade-api/v2" + rule.path)


def test_a_drained_bucket_answers_429(sim: SimulatorServer) -> None:
    """The body is the only thing that says so: no headers."""
    sim.set_tier(BASIC)
    sim.drain_budget()
    reply = Client(sim).order(exchange_index=2)
    assert reply.status_code == 429
    check_error(429, reply.json())
    assert not [name for name in reply.headers if "ratelimit" in name.lower() or "retry" in name.lower()]


def test_every_frame(sim: SimulatorServer) -> None:
    """All channels, all replies, a market from its listing to its settlement."""
    frames = sim.record_frames()
    client = Client(sim)
    with Feed(sim) as feed:
        channels = ["ticker", "orderbook_delta", "trade", "fill", "user_orders", "market_positions"]
        feed.subscribe(*channels, tickers=[A], send_initial_snapshot=True)
        feed.subscribe("market_lifecycle_v2", "multivariate_market_lifecycle", "order_group_updates")
        assert feed.subscribe("ticker", tickers=[A, B])["type"] == "ok"
        feed.reply("list_subscriptions")
        feed.reply("update_subscription", sid=2, action="get_snapshot", market_tickers=[A])
        assert feed.subscribe("ticker_v2")["msg"]["code"] == 8
        assert client.order().status_code == 201
        client.call("POST", ORDERS, json=ORDER)
        client.call("DELETE", ORDERS)
        client.call("POST", "/portfolio/order_groups/create", json={"contracts_limit": 10})
        sim.add_market(B)
        sim.add_market("KXSIM-27JAN31-A", mutually_exclusive=True)
        sim.add_market("KXMVESIM-26DEC31-A")
        sim.set_event_fees("KXSIM-26DEC31", "quadratic_with_maker_fees", "0.5")
        sim.set_event_fees("KXSIM-26DEC31", None)
        sim.rename(A, "Above")
        sim.set_grid(A, "deci_cent")
        sim.move_close(A, 3600)
        sim.deactivate(A)
        sim.activate(A)
        sim.close_market(A)
        eventually(lambda: any(b'"yes_ask_dollars":"1.0000"' in f for f in frames))
        sim.determine(A, "no")
        sim.dispute(A)
        sim.determine(A, "yes")
        sim.settle(A)
        assert feed.reply("update_subscription", sid=2, action="x", market_tickers=[A])["seq"] > 1
        feed.reply("unsubscribe", sids=[1])
    decoded = [json.loads(frame) for frame in frames]
    for frame in decoded:
        check_frame(frame)
    assert {frame["type"] for frame in decoded} == {*FRAME_SCHEMAS, "ok"}


def test_every_endpoint_succeeded_and_was_judged(request: pytest.FixtureRequest) -> None:
    """None is left out above. Says nothing when only some of this file's tests are run."""
    names = {item.name.partition("[")[0] for item in request.session.items if item.path == request.path}
    if not {name for name in globals() if name.startswith("test_")} <= names:
        pytest.skip("only a part of this file was run")
    rules = [r for r in RULES if r.method == "GET" or not r.path.startswith("/portfolio/orders")]
    wanted = {operation_of(r.method, f"/trade-api/v2{r.path}")["operationId"] for r in rules}
    assert wanted - ANSWERED == set()
