"""Sub-accounts: what is meant where none is named, and money that is short in one of them."""

from __future__ import annotations

from typing import Any

import pytest

from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, Client

ORDERS = "/portfolio/events/orders"
GROUPS = "/portfolio/order_groups"
RESTS = {"side": "bid", "price": "0.1000", "time_in_force": "good_till_canceled"}


@pytest.fixture
def two(sim: SimulatorServer) -> Client:
    """Return a client whose sub-account 1 has cash and a position beside those of 0."""
    sim.deposit("100", exchange_index=2, subaccount=1)
    sim.set_position(A, "7", "0.40", subaccount=1)
    return Client(sim)


def resting(client: Client, subaccount: int) -> str:
    """Rest an order; return its id."""
    return str(client.order(**RESTS, subaccount=subaccount).json()["order_id"])


def test_orders_fills_settlements_and_groups_are_read_of_all_subaccounts(two: Client) -> None:
    """Where none is named; with a number only of that one."""
    for subaccount in (0, 1):
        resting(two, subaccount)
        two.order(count="1.00", subaccount=subaccount)
        two.call("POST", f"{GROUPS}/create", json={"contracts_limit": 5, "subaccount": subaccount})
    two.sim.determine(A, "yes")
    two.sim.settle(A)

    def count(path: str, name: str) -> tuple[int, int]:
        return len(two.get(path)[name]), len(two.get(f"{path}?subaccount=1")[name])

    assert count("/portfolio/orders", "orders") == (4, 2)
    assert count("/portfolio/fills", "fills") == (2, 1)
    assert count("/portfolio/settlements", "settlements") == (2, 1)
    assert count(GROUPS, "order_groups") == (2, 1)


def test_positions_balance_and_queues_are_read_of_the_primary(two: Client) -> None:
    """A trap: the list looks complete."""
    theirs = resting(two, 1)

    def held(query: str = "") -> list[str]:
        return [p["position_fp"] for p in two.get(f"/portfolio/positions{query}")["market_positions"]]

    assert (held(), held("?subaccount=1")) == (["25.00"], ["7.00"])
    assert two.get("/portfolio/balance")["balance_dollars"] == "40000.0000"
    assert two.get("/portfolio/balance?subaccount=1")["balance_dollars"] == "99.0000"  # 10 at 0.10 wait
    assert two.get("/portfolio/orders/queue_positions")["queue_positions"] == []
    found = two.get("/portfolio/orders/queue_positions?subaccount=1")["queue_positions"]
    assert [q["order_id"] for q in found] == [theirs]


@pytest.mark.parametrize("query", ["", "?subaccount=1"])
def test_changes_look_for_the_order_in_the_primary(two: Client, query: str) -> None:
    """Cancel, amend, decrease and the group calls: 404 for an order or a group of another one."""
    theirs = resting(two, 1)
    made = two.call("POST", f"{GROUPS}/create", json={"contracts_limit": 5, "subaccount": 1}).json()
    group, expected = f"{GROUPS}/{made['order_group_id']}", 200 if query else 404
    amended = {"ticker": A, "side": "bid", "price": "0.1100", "count": "5.00"}
    calls: list[tuple[str, str, Any]] = [
        ("POST", f"{ORDERS}/{theirs}/amend", amended),
        ("POST", f"{ORDERS}/{theirs}/decrease", {"reduce_to": "4.00", "market_ticker": A}),
        ("PUT", f"{group}/trigger", None),
        ("PUT", f"{group}/reset", None),
        ("PUT", f"{group}/limit", {"contracts_limit": 9}),
        ("DELETE", group, None),
    ]
    for method, path, body in calls:
        assert two.call(method, path + query, json=body).status_code == expected, path
    cancel = f"{ORDERS}/{theirs}?market_ticker={A}{query.replace('?', '&')}"
    assert two.call("DELETE", cancel).status_code == expected


def test_cancel_all_means_every_subaccount(two: Client) -> None:
    """Where none is named."""
    ids = [resting(two, subaccount) for subaccount in (0, 1)]
    assert two.call("DELETE", ORDERS).status_code == 204
    assert {two.get(f"/portfolio/orders/{i}")["order"]["status"] for i in ids} == {"canceled"}


def test_a_subaccount_in_debt_may_not_even_close(two: Client) -> None:
    """Every order of it is refused, exits too; the other one trades on."""
    two.sim.deposit("-101", exchange_index=2, subaccount=1)
    for fields in ({"reduce_only": True}, {"side": "bid", "price": "0.0100", "count": "0.01"}):
        reply = two.order(subaccount=1, **fields)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "insufficient_balance")
    assert (two.sim.position(A, subaccount=1), two.order(reduce_only=True).json()["fill_count"]) == (
        7,
        "10.00",
    )
    two.sim.deposit("1", exchange_index=2, subaccount=1)
    assert two.order(subaccount=1, reduce_only=True).json()["fill_count"] == "7.00"
