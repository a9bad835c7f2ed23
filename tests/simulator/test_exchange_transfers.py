"""Cash between shards and between sub-accounts."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from base.simulator.clock import ManualClock, SystemClock
from base.simulator.rate_limits import BASIC
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, Client

SHARDS = "/portfolio/intra_exchange_instance_transfer"
WITHIN = "/portfolio/subaccounts/transfer"


def between_shards(client: Client, amount: int, origin: int, to: int, **fields: Any) -> Any:
    """Move centi-cents; return the answer."""
    body = {
        "source": "event_contract",
        "destination": "event_contract",
        "amount": amount,
        "source_exchange_shard": origin,
        "destination_exchange_shard": to,
        **fields,
    }
    return client.call("POST", SHARDS, json=body)


def between_subaccounts(client: Client, cents: int, source: int, to: int, **fields: Any) -> Any:
    """Move cents; return the answer."""
    body = {
        "client_transfer_id": str(uuid.uuid4()),
        "from_subaccount": source,
        "to_subaccount": to,
        "amount_cents": cents,
        **fields,
    }
    return client.call("POST", WITHIN, json=body)


def test_an_order_is_short_on_one_shard_until_cash_was_moved_there(
    sim: SimulatorServer, client: Client
) -> None:
    """The whole balance does not count, only that of the market's shard."""
    sim.deposit("-9990", exchange_index=2)
    order = {"side": "bid", "price": "0.4000", "count": "100.00", "time_in_force": "good_till_canceled"}
    assert client.order(**order).json()["error"]["code"] == "insufficient_balance"
    reply = between_shards(client, 1_000_000, 0, 2)  # $100
    assert reply.status_code == 200
    assert client.order(**order).status_code == 201
    breakdown = {
        b["exchange_index"]: b["balance"] for b in client.get("/portfolio/balance")["balance_breakdown"]
    }
    assert breakdown == {0: "9900.0000", 1: "10000.0000", 2: "70.0000", 3: "10000.0000"}
    shown = client.get(f"{SHARDS}s/{reply.json()['transfer_id']}")["transfer"]
    assert (shown["amount"], shown["status"]) == ("100.0000", "complete")
    resting = client.get("/portfolio/summary/total_resting_order_value")
    assert resting["total_resting_order_value"] == 4000
    assert resting["resting_order_value_breakdown"][2] == {"exchange_index": 2, "balance": "40.0000"}


def test_cash_between_shards_may_take_its_time() -> None:
    """It has left and has not arrived: neither shard can spend it."""
    clock = ManualClock(SystemClock().now_ms())
    semantics = Semantics(read_lag_s=0.0, shard_transfer_s=3.0)
    with SimulatorServer(clock=clock, semantics=semantics) as sim:
        client = Client(sim)
        assert between_shards(client, 500_000, 0, 2).status_code == 200
        assert (sim.cash(), sim.cash(exchange_index=2)) == (9950, 10000)
        assert client.get(f"{SHARDS}s")["transfers"][0]["status"] == "pending"
        clock.advance(3.0)
        sim.advance_engine()
        assert (sim.cash(), sim.cash(exchange_index=2)) == (9950, 10050)
        assert client.get(f"{SHARDS}s")["transfers"][0]["status"] == "complete"


def test_a_subaccount_is_opened_funded_and_traded(sim: SimulatorServer, client: Client) -> None:
    """They are numbered from 1, each with its own cash on each shard."""
    assert [client.call("POST", "/portfolio/subaccounts").json()["subaccount_number"] for _ in range(2)] == [
        1,
        2,
    ]
    buy = {"side": "bid", "price": "0.5200", "count": "5.00", "subaccount": 2}
    assert client.order(**buy).json()["error"]["code"] == "insufficient_balance"
    assert between_subaccounts(client, 2000, 0, 2, exchange_index=2).json() == {}
    assert client.order(**buy).json()["fill_count"] == "5.00"
    assert sim.position(A, subaccount=2) == 5
    balances = client.get("/portfolio/subaccounts/balances")["subaccount_balances"]
    shown = {(b["subaccount_number"], b["exchange_index"]): b["balance"] for b in balances}
    assert shown[0, 2] == "9980.0000"
    assert shown[1, 0] == "0.0000"
    assert 17.3 < float(shown[2, 2]) < 17.4
    listed = client.get("/portfolio/subaccounts/transfers")["transfers"]
    assert [(t["from_subaccount"], t["to_subaccount"], t["amount_cents"]) for t in listed] == [(0, 2, 2000)]


def test_a_transfer_is_made_once_for_one_client_id(sim: SimulatorServer, client: Client) -> None:
    """A repeat is 409 and moves nothing."""
    client.call("POST", "/portfolio/subaccounts")
    once = str(uuid.uuid4())
    replies = [between_subaccounts(client, 100, 0, 1, client_transfer_id=once).status_code for _ in range(2)]
    replies += [between_shards(client, 100, 0, 1, client_transfer_id=once).status_code]
    assert replies == [200, 409, 409]
    assert sim.cash() == 9999


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        pytest.param({"amount": 0}, 400, "invalid_parameters", id="nothing"),
        pytest.param({"amount": -5}, 400, "invalid_parameters", id="less than nothing"),
        pytest.param({"amount": 100_000_001}, 400, "insufficient_balance", id="more than there is"),
        pytest.param({"destination_exchange_shard": 0}, 400, "invalid_parameters", id="to itself"),
        pytest.param({"destination_exchange_shard": 9}, 400, "invalid_parameters", id="no such shard"),
        pytest.param({"destination_subaccount": 7}, 400, "invalid_parameters", id="no such sub-account"),
        pytest.param({"source": "margined"}, 400, "invalid_parameters", id="margin account"),
        pytest.param({"source": "elsewhere"}, 400, "bad_request", id="no such instance"),
    ],
)
def test_a_transfer_that_cannot_be(client: Client, fields: dict[str, Any], status: int, code: str) -> None:
    """Refused, and no cash moves."""
    reply = between_shards(client, fields.pop("amount", 100), 0, 2, **fields)
    error = reply.json().get("error", reply.json())
    assert (reply.status_code, error["code"]) == (status, code)
    assert client.sim.cash() == 10000


def test_no_cash_moves_while_the_exchange_is_paused(sim: SimulatorServer, client: Client) -> None:
    """A trading pause alone does not hold it up."""
    sim.pause_trading(2)
    assert between_shards(client, 100, 0, 2).status_code == 200
    sim.pause_exchange()
    assert between_shards(client, 100, 0, 2).json()["error"]["code"] == "exchange_is_paused"
    assert client.get("/exchange/status")["intra_exchange_transfers_active"] is False


def test_subaccounts_need_a_tier_and_an_unrestricted_key(sim: SimulatorServer, client: Client) -> None:
    """A restricted key neither opens them nor moves cash between them."""
    locked = Client(sim, sim.add_key(subaccount=1))
    assert locked.call("POST", "/portfolio/subaccounts").status_code == 403
    client.call("POST", "/portfolio/subaccounts")
    between_subaccounts(client, 100, 0, 1)
    assert between_subaccounts(locked, 100, 1, 0).status_code == 403
    assert between_shards(locked, 100, 0, 2).status_code == 403
    own = {"source_subaccount": 1, "destination_subaccount": 1}
    assert between_shards(locked, 5000, 0, 2, **own).status_code == 200
    numbers = {
        b["subaccount_number"] for b in locked.get("/portfolio/subaccounts/balances")["subaccount_balances"]
    }
    assert numbers == {1}
    sim.set_tier(BASIC)
    assert client.call("POST", "/portfolio/subaccounts").status_code == 403


def test_there_are_63_subaccounts(client: Client) -> None:
    """And no more."""
    numbers = [
        client.call("POST", "/portfolio/subaccounts").json().get("subaccount_number") for _ in range(64)
    ]
    assert numbers == [*range(1, 64), None]


def test_netting_is_a_setting(client: Client) -> None:
    """Kept per sub-account."""
    change = {"subaccount_number": 0, "enabled": False}
    assert client.call("PUT", "/portfolio/subaccounts/netting", json=change).status_code == 200
    shown = client.get("/portfolio/subaccounts/netting")["netting_configs"]
    assert shown == [{"subaccount_number": 0, "enabled": False, "exchange_index": 0}]
    assert (
        client.call(
            "PUT", "/portfolio/subaccounts/netting", json=change | {"subaccount_number": 9}
        ).status_code
        == 400
    )
