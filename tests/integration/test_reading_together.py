"""What many positions ask for one by one is read together, and told one by one."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from decimal import Decimal

import pytest

from base.kalshi.rest_client import KalshiRest
from base.model import Accepted, EntryOrder, Key, Side
from base.risk.messages import (
    MarketsSeen,
    Message,
    ReadFailed,
    ReadMarket,
    ReadResting,
    RestingSeen,
    ShardsSeen,
)
from base.risk.reconciler import RESTING_AGAIN_S, Reconciler
from base.simulator.request_log import RecordedRequest
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.kalshi.rest_bench import client_of
from tests.support import FakeClock, eventually

TICKERS = [f"KXMANY-26DEC31-{n:03}" for n in range(250)]
TOLD_S = 10.0


@pytest.fixture
def sim() -> Iterator[SimulatorServer]:
    """An exchange with 250 markets."""
    with SimulatorServer(semantics=Semantics(read_lag_s=0.0)) as server:
        server.at_once(lambda: [server.add_market(ticker) for ticker in TICKERS])
        yield server


@pytest.fixture
def rest(sim: SimulatorServer) -> Iterator[KalshiRest]:
    """The real client."""
    client = client_of(sim)
    yield client
    client.close()


@pytest.fixture
def told() -> queue.SimpleQueue[Message]:
    """What the monitor was told."""
    return queue.SimpleQueue()


@pytest.fixture
def clock() -> FakeClock:
    """The reconciler's clock."""
    return FakeClock()


@pytest.fixture
def reconciler(rest: KalshiRest, told: queue.SimpleQueue[Message], clock: FakeClock) -> Iterator[Reconciler]:
    """A running reconciler."""
    reconciler = Reconciler(rest, clock, subaccounts=(0,), submit=told.put)
    reconciler.start()
    yield reconciler
    reconciler.stop(5)


def reads(sim: SimulatorServer, path: str) -> list[RecordedRequest]:
    return [r for r in sim.requests if r.method == "GET" and r.path.endswith(path)]


def rest_an_order(rest: KalshiRest, ticker: str) -> str:
    placed = rest.place_entry(
        EntryOrder(
            client_order_id=f"own-{ticker}", ticker=ticker, subaccount=0, exchange_index=0, side=Side.YES,
            is_buy=True, count=Decimal(5), price=Decimal("0.30"), time_in_force="good_till_canceled",
        )
    )  # fmt: skip
    assert isinstance(placed, Accepted)
    return placed.order_id


def test_markets_are_read_a_hundred_a_call_and_the_newest_question_first(
    sim: SimulatorServer, reconciler: Reconciler, told: queue.SimpleQueue[Message]
) -> None:
    """An exit that waits for its grid stands behind one call of a start's markets, not behind all."""
    sim.delay_execute(1.0, path_contains="/markets")
    reconciler.request(ReadMarket(TICKERS[0]))
    eventually(lambda: reads(sim, "/markets"))
    for ticker in TICKERS[1:]:
        reconciler.request(ReadMarket(ticker))
    found: set[str] = set()
    while len(found) < len(TICKERS):
        message = told.get(timeout=TOLD_S)
        assert isinstance(message, MarketsSeen | ShardsSeen)
        found |= set(message.markets) if isinstance(message, MarketsSeen) else set()
    asked = [request.query["tickers"][0].split(",") for request in reads(sim, "/markets")]
    assert [len(tickers) for tickers in asked] == [1, 100, 100, 49]
    assert TICKERS[-1] in asked[1]
    assert len(reads(sim, "/exchange/status")) <= len(asked)


def test_resting_orders_of_many_markets_are_listed_at_once_and_told_by_market(
    sim: SimulatorServer, rest: KalshiRest, reconciler: Reconciler, told: queue.SimpleQueue[Message]
) -> None:
    """Each market learns its own orders, most of them that there are none; few are listed one by one."""
    order_ids = {ticker: rest_an_order(rest, ticker) for ticker in (TICKERS[3], TICKERS[200])}
    rest_an_order(rest, TICKERS[249])  # nobody asks for this one
    sim.delay_execute(1.0, path_contains="/portfolio/orders")
    reconciler.request(ReadResting(Key(0, TICKERS[0]), 0.0))
    eventually(lambda: reads(sim, "/portfolio/orders"))
    for ticker in TICKERS[1:249]:
        reconciler.request(ReadResting(Key(0, ticker), 0.0))
    seen: dict[str, list[str]] = {}
    while len(seen) < 249:
        message = told.get(timeout=TOLD_S)
        assert isinstance(message, RestingSeen)
        seen[message.key.ticker] = [order.order_id for order in message.orders]
    assert {ticker: ids for ticker, ids in seen.items() if ids} == {t: [i] for t, i in order_ids.items()}
    assert ["ticker" in request.query for request in reads(sim, "/portfolio/orders")] == [True, False]


def test_a_listing_that_failed_changes_nothing_and_is_asked_again_for_what_is_held(
    sim: SimulatorServer, reconciler: Reconciler, told: queue.SimpleQueue[Message], clock: FakeClock
) -> None:
    """One refused call must not leave a thousand positions without their resting orders."""
    reconciler.held = frozenset(TICKERS[:20])
    sim.delay_execute(1.0, path_contains="/portfolio/orders")
    reconciler.request(ReadResting(Key(0, TICKERS[99]), 0.0))
    eventually(lambda: reads(sim, "/portfolio/orders"))
    sim.fail_next(403, path_contains="/portfolio/orders")
    for ticker in TICKERS[:21]:
        reconciler.request(ReadResting(Key(0, ticker), 0.0))
    assert isinstance(told.get(timeout=TOLD_S), RestingSeen)
    assert isinstance(told.get(timeout=TOLD_S), ReadFailed)
    eventually(lambda: len(reconciler._later) == 20)
    assert told.empty()
    clock.advance(RESTING_AGAIN_S)
    again = {told.get(timeout=TOLD_S).key.ticker for _ in range(20)}  # type: ignore[union-attr]
    assert again == reconciler.held
