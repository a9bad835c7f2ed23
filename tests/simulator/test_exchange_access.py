"""Signatures, rate limits, paging, read lag: the front door of the REST side."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from base.simulator.clock import ManualClock, OffsetClock, SystemClock
from base.simulator.rate_limits import BASIC, Bucket, Budget
from base.simulator.semantics import STRICT, Semantics
from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, B, Client, Feed, eventually, load_key, signed

BALANCE = "/portfolio/balance"
FULL = "/trade-api/v2/portfolio/balance"


def ask(sim: SimulatorServer, headers: dict[str, str], path: str = BALANCE) -> tuple[int, dict[str, Any]]:
    """Send a GET with these headers; return (status, error)."""
    reply = requests.get(sim.rest_url + path, headers=headers, timeout=5)
    return reply.status_code, reply.json().get("error", {})


def test_both_key_types_are_accepted(sim: SimulatorServer) -> None:
    """RSA-PSS and, since September 2026, Ed25519."""
    rsa = signed(sim.key_id, sim.private_key_path, "GET", FULL)
    edwards = signed(sim.ed25519_key_id, sim.ed25519_private_key_path, "GET", FULL)
    assert [ask(sim, rsa)[0], ask(sim, edwards)[0]] == [200, 200]


@pytest.mark.parametrize(
    ("skew_s", "path", "change", "code", "details"),
    [
        pytest.param(
            0, FULL, {"KALSHI-ACCESS-SIGNATURE": ""}, "signature_is_missing_from_headers", "", id="none"
        ),
        pytest.param(
            0, FULL, {"KALSHI-ACCESS-KEY": "x"}, "authentication_error", "NOT_FOUND", id="unknown key"
        ),
        pytest.param(
            0,
            FULL + "?subaccount=0",
            {},
            "authentication_error",
            "INCORRECT_API_KEY_SIGNATURE",
            id="query signed",
        ),
        pytest.param(
            0, BALANCE, {}, "authentication_error", "INCORRECT_API_KEY_SIGNATURE", id="prefix not signed"
        ),
        pytest.param(
            0,
            FULL,
            {"KALSHI-ACCESS-SIGNATURE": "AAAA"},
            "authentication_error",
            "INCORRECT_API_KEY_SIGNATURE",
            id="rubbish",
        ),
        pytest.param(-30, FULL, {}, "header_timestamp_expired", "", id="too old"),
        pytest.param(30, FULL, {}, "header_timestamp_expired", "", id="too new"),
    ],
)
def test_a_bad_signature_is_401(
    sim: SimulatorServer, skew_s: float, path: str, change: dict[str, str], code: str, details: str
) -> None:
    """Each fault has its own code."""
    headers = signed(sim.key_id, sim.private_key_path, "GET", path, skew_s=skew_s) | change
    status, error = ask(sim, headers)
    assert (status, error["code"], error.get("details", "")) == (401, code, details)


@pytest.mark.parametrize("skew_s", [-8, 8])
def test_a_skew_within_the_window_is_accepted(sim: SimulatorServer, skew_s: float) -> None:
    """The window is symmetric."""
    assert ask(sim, signed(sim.key_id, sim.private_key_path, "GET", FULL, skew_s=skew_s))[0] == 200


def signed_with(sim: SimulatorServer, scheme: padding.AsymmetricPadding) -> dict[str, str]:
    """Return the headers of a balance read, signed with the RSA key in another way."""
    headers = signed(sim.key_id, sim.private_key_path, "GET", FULL)
    key = load_key(sim.private_key_path)
    assert isinstance(key, rsa.RSAPrivateKey)
    text = (headers["KALSHI-ACCESS-TIMESTAMP"] + "GET" + FULL).encode()
    signature = base64.b64encode(key.sign(text, scheme, hashes.SHA256())).decode()
    return headers | {"KALSHI-ACCESS-SIGNATURE": signature}


def test_pkcs1_padding_is_refused(sim: SimulatorServer) -> None:
    """The right key with the older RSA scheme does not open the door."""
    assert ask(sim, signed_with(sim, padding.PKCS1v15()))[1]["details"] == "INCORRECT_API_KEY_SIGNATURE"


@pytest.mark.parametrize(("semantics", "status"), [(Semantics(), 200), (STRICT, 401)], ids=["any", "strict"])
def test_the_salt_of_a_signature_may_be_longer_than_the_digest(semantics: Semantics, status: int) -> None:
    """Some published clients sign so; the documentation asks for 32 bytes, and so does STRICT."""
    longest = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.MAX_LENGTH)
    with SimulatorServer(semantics=semantics) as sim:
        assert ask(sim, signed_with(sim, longest))[0] == status


def test_public_reads_need_no_signature(sim: SimulatorServer) -> None:
    """Markets and the exchange are public, orders are not."""
    for path in ("/markets", "/exchange/status", f"/markets/{A}/orderbook"):
        assert requests.get(sim.rest_url + path, timeout=5).status_code == 200
    assert ask(sim, {})[0] == 401


def test_a_key_without_the_write_scope_cannot_trade(sim: SimulatorServer) -> None:
    """403, and nothing happens."""
    client = Client(sim, sim.add_key(scopes=("read",)))
    assert client.order().status_code == 403
    assert client.call("GET", BALANCE).status_code == 200
    assert sim.position(A) == 25


def test_a_key_locked_to_a_subaccount_sees_and_trades_only_that(sim: SimulatorServer) -> None:
    """Its sub-account is shown by GET /api_keys."""
    pair = sim.add_key(subaccount=3)
    sim.set_position(A, "7", "0.40", subaccount=3)
    client = Client(sim, pair)
    assert client.get("/portfolio/positions")["market_positions"][0]["position_fp"] == "7.00"
    assert client.order(subaccount=0).status_code == 403
    assert client.order(count="3.00", reduce_only=True).json()["fill_count"] == "3.00"  # its own, unnamed
    assert client.order(subaccount=3, reduce_only=True).json()["fill_count"] == "4.00"
    assert (sim.position(A), sim.position(A, subaccount=3)) == (25, 0)
    sim.attest_until(1_800_000_000)
    listed = client.get("/api_keys")
    assert {k["api_key_id"]: k["subaccount"] for k in listed["api_keys"]}[pair.key_id] == 3
    assert listed["api_key_region_expiration_ts"] == 1_800_000_000


def test_answers_carry_the_exchanges_date() -> None:
    """The clock offset is measured from Date and ts_ms."""
    with SimulatorServer(clock=OffsetClock(SystemClock(), 5.0)) as sim:
        sim.add_market(A)
        reply = Client(sim).order(side="bid")
        local_ms = SystemClock().now_ms()
        assert 4000 < reply.json()["ts_ms"] - local_ms < 6000
        assert reply.headers["Date"].endswith("GMT")


def test_a_clock_far_off_refuses_every_signature() -> None:
    """The client's clock is the one that is wrong."""
    with SimulatorServer(clock=OffsetClock(SystemClock(), 60.0)) as sim:
        reply = Client(sim).call("GET", BALANCE)
        assert reply.json()["error"]["code"] == "header_timestamp_expired"


def test_the_read_bucket_refuses_and_refills() -> None:
    """Continuous refill; a refused call costs nothing."""
    bucket = Bucket(rate=100, capacity=100)
    for _ in range(10):
        assert bucket.covers(10, 0)
        bucket.take(10)
    assert not bucket.covers(10, 99)
    assert bucket.covers(10, 100)
    assert not bucket.covers(11, 100)


@pytest.mark.parametrize(
    ("exchange_index", "routed", "spends"),
    [
        pytest.param(2, False, {2}, id="explicit shard"),
        pytest.param(0, False, {0}, id="explicit shard 0"),
        pytest.param(None, True, {0, 1, 2, 3}, id="routed by ticker bills everything"),
        pytest.param(None, False, {0}, id="no ticker"),
    ],
)
def test_writes_are_billed_per_shard(exchange_index: int | None, routed: bool, spends: set[int]) -> None:
    """See: docs, exchange_sharding."""
    budget = Budget(BASIC, range(4))
    assert budget.spend_write(100, 0, exchange_index, routed=routed)
    buckets = {0: budget.write, **budget.by_shard}
    assert {shard for shard, bucket in buckets.items() if not bucket.covers(1, 0)} == spends


def test_a_burst_is_refused_with_429() -> None:
    """Basic: 100 write tokens, 10 each."""
    with SimulatorServer(tier=BASIC) as sim:
        sim.add_market(A, exchange_index=2)
        client = Client(sim)
        replies = [client.order(exchange_index=2).status_code for _ in range(14)]
        assert replies[:10] == [201] * 10
        assert 429 in replies
        assert client.get("/account/limits")["write"] == {"refill_rate": 100, "bucket_capacity": 100}


def test_pages_are_complete_and_a_garbage_cursor_is_the_first_page(
    sim: SimulatorServer, client: Client
) -> None:
    """Newest first, no repeats; the last cursor is empty."""
    for _ in range(7):
        client.order(side="bid", price="0.0100")
    seen: list[str] = []
    cursor = ""
    while True:
        body = client.get(f"/portfolio/orders?limit=3&cursor={cursor}")
        seen += [order["order_id"] for order in body["orders"]]
        cursor = body["cursor"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 7
    garbage = client.get("/portfolio/orders?limit=3&cursor=%21%21")
    assert [o["order_id"] for o in garbage["orders"]] == seen[:3]


def test_reads_trail_writes_and_the_timestamp_says_so() -> None:
    """An order shows once as_of_time has passed it."""
    clock = ManualClock(SystemClock().now_ms())
    with SimulatorServer(clock=clock, semantics=Semantics(read_lag_s=0.5)) as sim:
        sim.add_market(A)
        sim.set_book(A, yes=[("0.50", "100")])
        sim.set_position(A, "25", "0.40")
        client = Client(sim)
        assert client.order().json()["fill_count"] == "10.00"
        clock.advance(0.4)
        assert client.get("/portfolio/fills")["fills"] == []
        assert client.get("/portfolio/positions")["market_positions"][0]["position_fp"] == "25.00"
        before = client.get("/exchange/user_data_timestamp")["as_of_time"]
        clock.advance(0.1)
        assert len(client.get("/portfolio/fills")["fills"]) == 1
        assert client.get("/portfolio/positions")["market_positions"][0]["position_fp"] == "15.00"
        assert client.get("/exchange/user_data_timestamp")["as_of_time"] > before


def test_positions_may_trail_further(sim: SimulatorServer, client: Client) -> None:
    """A lag of their own."""
    sim.lag_reads(0.0, positions=30.0)
    client.order()
    assert len(client.get("/portfolio/fills")["fills"]) == 1
    assert client.get("/portfolio/positions")["market_positions"][0]["position_fp"] == "25.00"
    assert sim.position(A) == 15


def test_a_socket_without_a_valid_signature_gets_a_json_401(sim: SimulatorServer) -> None:
    """On the upgrade, not as a frame."""
    from websocket import WebSocketBadStatusException, create_connection

    headers = signed(sim.key_id, sim.private_key_path, "GET", "/wrong")
    with pytest.raises(WebSocketBadStatusException) as refused:
        create_connection(sim.websocket_url, header=headers, timeout=5)
    assert refused.value.status_code == 401
    assert b"INCORRECT_API_KEY_SIGNATURE" in bytes(refused.value.resp_body or b"")


def test_requests_are_recorded_without_their_signature(sim: SimulatorServer, client: Client) -> None:
    """Evidence keeps no proof of identity."""
    client.order(client_order_id="sl-1")
    with Feed(sim):
        eventually(lambda: any(r.is_upgrade for r in sim.requests))
    recorded = sim.requests[0]
    assert sim.orders_received == [recorded.json]
    assert recorded.json["client_order_id"] == "sl-1"
    assert not any("signature" in name for r in sim.requests for name in r.headers)
    assert B not in recorded.path
