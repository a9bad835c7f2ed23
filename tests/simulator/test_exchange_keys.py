"""Keys while they are in use: scopes, restrictions, revocation, and the calls that manage them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from websocket import WebSocketBadStatusException, create_connection

from base.simulator.key_files import KeyPair
from base.simulator.server import SimulatorServer
from tests.simulator.loopback import FEED_PATH, A, Client, Feed, eventually, signed

ORDERS = "/portfolio/events/orders"
GROUPS = "/portfolio/order_groups"


def resting(client: Client, **fields: Any) -> str:
    """Rest a bid far from the market; return its id."""
    reply = client.order(side="bid", price="0.1000", time_in_force="good_till_canceled", **fields)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["order_id"])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("POST", ORDERS, {}, id="create"),
        pytest.param("DELETE", ORDERS, None, id="cancel all"),
        pytest.param("DELETE", f"{ORDERS}/x", None, id="cancel"),
        pytest.param("POST", f"{ORDERS}/x/amend", {}, id="amend"),
        pytest.param("POST", f"{ORDERS}/x/decrease", {}, id="decrease"),
        pytest.param("POST", f"{ORDERS}/batched", {"orders": []}, id="batch create"),
        pytest.param("DELETE", f"{ORDERS}/batched", {"orders": []}, id="batch cancel"),
        pytest.param("POST", f"{GROUPS}/create", {}, id="group"),
        pytest.param("PUT", f"{GROUPS}/x/trigger", None, id="trigger"),
        pytest.param("POST", "/portfolio/subaccounts", {}, id="sub-account"),
        pytest.param("POST", "/portfolio/subaccounts/transfer", {}, id="sub-account transfer"),
        pytest.param("POST", "/portfolio/intra_exchange_instance_transfer", {}, id="shard transfer"),
        pytest.param("POST", "/api_keys/generate", {"name": "x"}, id="new key"),
        pytest.param("DELETE", "/api_keys/x", None, id="delete key"),
    ],
)
def test_a_read_only_key_writes_nothing(sim: SimulatorServer, method: str, path: str, body: Any) -> None:
    """403 on every write, before the body is even looked at; reads go on."""
    sim.set_scopes("read")
    client = Client(sim)
    reply = client.call(method, path, json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "forbidden")
    assert client.call("GET", "/portfolio/balance").status_code == 200


@pytest.mark.parametrize(
    ("scopes", "allowed", "forbidden"),
    [
        pytest.param(("read", "write::trade"), "orders", "transfers", id="what a monitor needs"),
        pytest.param(("read", "write::transfer"), "transfers", "orders", id="transfers only"),
        pytest.param(("write::trade",), "orders", "reads", id="blind trading"),
        pytest.param(("read::portfolio_balance",), "balance", "reads", id="a child is not its parent"),
    ],
)
def test_a_child_scope_opens_its_own_group_only(
    sim: SimulatorServer, scopes: tuple[str, ...], allowed: str, forbidden: str
) -> None:
    """Parents grant everything below them, children nothing beside them."""
    client = Client(sim, sim.add_key(scopes=scopes))
    transfer = {"source": "event_contract", "destination": "event_contract", "amount": 10000}
    replies = {
        "orders": lambda: client.order(),
        "transfers": lambda: client.call(
            "POST",
            "/portfolio/intra_exchange_instance_transfer",
            json=transfer | {"destination_exchange_shard": 2},
        ),
        "reads": lambda: client.call("GET", "/portfolio/fills"),
        "balance": lambda: client.call("GET", "/portfolio/balance"),
    }
    assert replies[allowed]().status_code in (200, 201)
    assert replies[forbidden]().status_code == 403


def test_a_restricted_key_stays_in_its_subaccount(sim: SimulatorServer) -> None:
    """Others' orders and groups are not there, asking for another sub-account is 403."""
    free, locked = Client(sim), Client(sim, sim.add_key(subaccount=3))
    sim.deposit("100", exchange_index=2, subaccount=3)
    theirs, own = resting(free), resting(locked)
    group = free.call("POST", f"{GROUPS}/create", json={"contracts_limit": 5}).json()["order_group_id"]
    eventually(lambda: len(free.get("/portfolio/orders?status=resting")["orders"]) == 2)
    assert [o["order_id"] for o in locked.get("/portfolio/orders")["orders"]] == [own]
    assert locked.call("GET", "/portfolio/orders?subaccount=0").status_code == 403
    for path in (
        f"/portfolio/orders/{theirs}",
        f"/portfolio/orders/{theirs}/queue_position",
        f"{GROUPS}/{group}",
    ):
        assert locked.call("GET", path).status_code == 404, path
    assert locked.call("DELETE", f"{ORDERS}/{theirs}?market_ticker={A}").status_code == 404
    items = {
        "orders": [
            {"order_id": theirs, "subaccount": 0, "market_ticker": A},
            {"order_id": theirs, "market_ticker": A},
            {"order_id": own, "market_ticker": A},
        ]
    }
    answers = locked.call("DELETE", f"{ORDERS}/batched", json=items).json()["orders"]
    assert [a.get("error", {}).get("code") for a in answers] == ["forbidden", "not_found", None]
    made = locked.call("POST", f"{GROUPS}/create", json={"contracts_limit": 5}).json()
    assert made["subaccount"] == 3
    assert locked.call("PUT", f"{GROUPS}/{made['order_group_id']}/trigger").status_code == 200
    assert "balance_breakdown" not in locked.get("/portfolio/balance")
    assert locked.call("DELETE", ORDERS).status_code == 204
    assert free.get("/portfolio/orders?status=resting")["orders"][0]["order_id"] == theirs


def test_a_restricted_keys_socket_shows_its_subaccount_only(sim: SimulatorServer) -> None:
    """Private channels are limited, the book is whole."""
    free = Client(sim, sim.add_key())
    sim.lock_key(3)
    with Feed(sim) as feed:
        feed.subscribe("fill")
        feed.subscribe("order_group_updates")
        made = [
            free.call("POST", f"{GROUPS}/create", json={"contracts_limit": 5, "subaccount": n}).json()
            for n in (0, 3)
        ]
        shown = feed.until_type("order_group_updates")["msg"]["order_group_id"]
        assert shown == made[1]["order_group_id"]
        feed.subscribe("orderbook_delta", tickers=[A])
        resting(free)
        assert "client_order_id" not in feed.until_type("orderbook_delta")["msg"]
        sim.external_fill(A, "1", "0.50")
        sim.external_fill(A, "2", "0.50", subaccount=3)
        fill = feed.until_type("fill")["msg"]
        assert (fill["count_fp"], fill["subaccount"]) == ("2.00", 3)
        assert any(f["type"] == "orderbook_snapshot" for f in feed.seen)


@pytest.mark.parametrize("cuts_sockets", [True, False])
def test_a_key_revoked_while_running(sim: SimulatorServer, cuts_sockets: bool) -> None:
    """Every request is 401 NOT_FOUND from then on, and so is every new socket."""
    client = Client(sim)
    with Feed(sim) as feed:
        assert client.order().status_code == 201
        feed.subscribe("ticker", tickers=[A])
        sim.revoke_key(cuts_sockets=cuts_sockets)
        reply = client.order()
        assert (reply.status_code, reply.json()["error"]["details"]) == (401, "NOT_FOUND")
        if cuts_sockets:
            eventually(lambda: sim.open_sockets == 0)
        else:
            sim.set_level(A, "bid", "0.50", "77")
            assert feed.until_type("ticker")["msg"]["yes_bid_size_fp"] == "77.00"
    headers = signed(sim.key_id, sim.private_key_path, "GET", FEED_PATH)
    with pytest.raises(WebSocketBadStatusException) as refused:
        create_connection(sim.websocket_url, header=headers, timeout=5)
    assert b"NOT_FOUND" in bytes(refused.value.resp_body or b"")
    assert sim.position(A) == 15


def test_a_channel_that_the_key_may_not_read_is_error_9(sim: SimulatorServer, feed: Feed) -> None:
    """Also when the scope was taken away after the socket opened."""
    assert feed.subscribe("ticker", tickers=[A])["type"] == "subscribed"
    sim.set_scopes("write::trade")
    assert feed.subscribe("orderbook_delta", tickers=[A])["msg"]["code"] == 9
    sim.set_scopes("read")
    assert feed.subscribe("orderbook_delta", tickers=[A])["type"] == "subscribed"


@pytest.mark.parametrize("key_type", ["rsa", "ed25519"])
def test_a_generated_key_works_until_it_is_deleted(
    sim: SimulatorServer, client: Client, tmp_path: Path, key_type: str
) -> None:
    """The private half is in the answer and nowhere else."""
    wish = {"name": "second", "key_type": key_type, "scopes": ["read"], "subaccount": 2}
    made = client.call("POST", "/api_keys/generate", json=wish).json()
    path = tmp_path / "second.pem"
    path.write_text(made["private_key"])
    other = Client(sim)
    other.key_id, other.key_path = made["api_key_id"], str(path)
    assert other.call("GET", "/portfolio/balance").status_code == 200
    listed = {key["api_key_id"]: key for key in client.get("/api_keys")["api_keys"]}
    assert listed[other.key_id] == {
        "api_key_id": other.key_id, "name": "second", "scopes": ["read"], "subaccount": 2
    }  # fmt: skip
    assert client.call("DELETE", f"/api_keys/{other.key_id}").status_code == 204
    assert other.call("GET", "/portfolio/balance").status_code == 401
    assert client.call("DELETE", f"/api_keys/{other.key_id}").status_code == 404


def test_a_key_of_ones_own_is_registered(sim: SimulatorServer, client: Client, tmp_path: Path) -> None:
    """By its public half."""
    private = ed25519.Ed25519PrivateKey.generate()
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    public = private.public_key().public_bytes(*form).decode()
    made = client.call("POST", "/api_keys", json={"name": "own", "public_key": public}).json()
    path = tmp_path / "own.pem"
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    own = Client(sim, KeyPair(made["api_key_id"], str(path), private.public_key()))
    assert own.order().status_code == 201


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        pytest.param("/api_keys/generate", {"name": "x", "scopes": ["write"]}, "scopes", id="write alone"),
        pytest.param("/api_keys/generate", {"name": "x", "scopes": ["admin"]}, "scopes", id="unknown"),
        pytest.param("/api_keys/generate", {"name": "x", "subaccount": 64}, "subaccount", id="sub-account"),
        pytest.param("/api_keys", {"name": "x", "public_key": "no key"}, "public_key", id="not PEM"),
    ],
)
def test_a_key_that_cannot_be(client: Client, path: str, body: Any, field: str) -> None:
    """400 says which field."""
    reply = client.call("POST", path, data=json.dumps(body))
    assert (reply.status_code, reply.json()["error"]["details"]) == (400, field)
