"""Collateral of NO positions in markets that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.simulator.engine import lifecycle, netting
from base.simulator.engine.market import MarketSpec
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.simulator.exchange_world import HOUR, ME, NOW, D, World
from tests.simulator.loopback import A, B, Client

C = "KXSIM-26DEC31-C"


@pytest.fixture(params=["needs_cash", "allowed"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Return a member with ten dollars beside two markets of one event; nobody pays fees."""
    semantics = Semantics(read_lag_s=0.0, netted_close=request.param)
    with SimulatorServer(semantics=semantics, cash="10") as sim:
        for ticker in (A, B):
            sim.add_market(ticker, mutually_exclusive=True, fee_multiplier="0")
            sim.set_book(ticker, yes=[("0.40", "100")], no=[("0.55", "100")])
        yield Client(sim)


def buy_no(client: Client, ticker: str, **fields: Any) -> Any:
    """Buy ten NO at 0.60."""
    return client.order(ticker=ticker, side="ask", price="0.4000", exchange_index=0, **fields)


def close_no(client: Client, ticker: str) -> Any:
    """Close ten NO at 0.55: ten YES at 0.45."""
    return client.order(ticker=ticker, side="bid", price="0.4500", reduce_only=True, exchange_index=0)


def balance(client: Client) -> str:
    """Return the cash on shard 0."""
    return str(client.get("/portfolio/balance?exchange_index=0")["balance_dollars"])


def test_the_second_leg_brings_its_dollar_back_and_closing_one_takes_it(client: Client) -> None:
    """One of two NO pays for certain. Whether closing a leg without cash is refused is not known."""
    assert buy_no(client, A).status_code == 201
    assert (balance(client), buy_no(client, B).json()["error"]["code"]) == ("4.0000", "insufficient_balance")
    client.sim.deposit("2")
    assert buy_no(client, B).status_code == 201
    assert balance(client) == "10.0000"  # 12 paid, 10 came back
    spent = client.order(ticker=B, side="bid", price="0.1000", count="100.00", subaccount=0, exchange_index=0)
    assert spent.status_code == 201
    client.sim.cancel_orders()
    client.sim.deposit("-8")
    reply = close_no(client, A)
    if client.sim.semantics.netted_close == "needs_cash":
        assert reply.json()["error"]["code"] == "insufficient_balance"
        client.sim.deposit("2.50")
        assert (close_no(client, A).json()["fill_count"], balance(client)) == ("10.00", "0.0000")
        return
    assert (reply.json()["fill_count"], balance(client)) == ("10.00", "-2.5000")
    assert close_no(client, B).json()["error"]["code"] == "insufficient_balance"  # in debt: no order at all


@pytest.mark.parametrize("winner", [A, B, None])
def test_settlement_changes_only_what_was_in_doubt(client: Client, winner: str | None) -> None:
    """Market after market: the balance never dips while the event settles."""
    client.sim.deposit("2")
    buy_no(client, A)
    buy_no(client, B)
    seen = [balance(client)]
    for ticker in (A, B):
        client.sim.determine(ticker, "yes" if ticker == winner else "no")
        client.sim.settle(ticker)
        seen.append(balance(client))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ("10.0000", "10.0000" if winner else "20.0000")


def test_netting_can_be_switched_off(client: Client) -> None:
    """For one sub-account; the collateral is called back at once."""
    client.sim.deposit("2")
    buy_no(client, A)
    buy_no(client, B)
    seen = [balance(client)]
    for enabled in (False, True):
        client.call(
            "PUT", "/portfolio/subaccounts/netting", json={"subaccount_number": 0, "enabled": enabled}
        )
        seen.append(balance(client))
    assert seen == ["10.0000", "0.0000", "10.0000"]


counts = st.integers(-5, 5).map(Decimal)


@settings(max_examples=200, deadline=None)
@given(held=st.tuples(counts, counts, counts), winner=st.sampled_from([None, 0, 1, 2]))
def test_what_comes_back_is_what_the_worst_outcome_pays(
    held: tuple[Decimal, ...], winner: int | None
) -> None:
    """Never more, so that no settlement leaves a debt."""
    world = World(mutually_exclusive=True)
    for ticker in (B, C):
        spec = MarketSpec(ticker=ticker, title="x", open_ms=0, close_ms=NOW + HOUR, mutually_exclusive=True)
        world.exchange.add_market(spec, NOW)
    for ticker, count in zip((A, B, C), held, strict=True):
        world.exchange.assign_position(ME, ticker, count, D("0.5"), NOW)
    state, account = world.exchange.state, world.exchange.state.account(ME)

    def payout(wins: int | None) -> Decimal:
        yes = sum(max(c, D(0)) for i, c in enumerate(held) if i == wins)
        return yes + sum(max(-c, D(0)) for i, c in enumerate(held) if i != wins)

    back = netting.returned(state, account, 0, 0)
    assert back == min(payout(wins) for wins in (None, 0, 1, 2))
    account.pay(0, 0, -account.cash[0, 0] - back)  # all is spent
    for index, ticker in enumerate((A, B, C)):
        market = state.market(ticker)
        lifecycle.determine(state, market, "yes" if index == winner else "no", NOW)
        lifecycle.settle(state, market, NOW)
        assert state.free(account, 0, 0) >= 0
