"""The guarded gateway: what holds an order, what is refused here, and that a bought position is told at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from base.errors import TransportError
from base.model import (
    Accepted,
    EntryOrder,
    Key,
    Market,
    MarketStatus,
    Outcome,
    Position,
    Refused,
    Side,
    Unanswered,
)
from base.strategy.entry_limits import EntryLimits
from base.strategy.gateway import GuardedGateway
from base.units import PriceGrid
from tests.support import FakeClock

D = Decimal
TICKER = "KXTEST-26DEC31-A"
MARKET = Market(
    ticker=TICKER,
    status=MarketStatus.ACTIVE,
    open_ms=None,
    close_ms=1_795_000_600_000,
    grid=PriceGrid.of([("0.0000", "0.1000", "0.0010"), ("0.1000", "1.0000", "0.0100")]),
    exchange_index=2,
)


class World:
    """An exchange that accepts, markets that are listed, and guards that hold what they are told to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sent: list[EntryOrder] = []
        self.cancelled: list[tuple[str, str, int, int]] = []
        self.opened: list[Position] = []
        self.listed: dict[str, Market] = {TICKER: MARKET}
        self.reads = 0
        self.held: str | None = None
        self.filled = D("10")
        self.gateway = GuardedGateway(self, self, self, self.opened.append, self.clock)

    def place_entry(self, order: EntryOrder) -> Outcome:
        """Accept."""
        self.sent.append(order)
        return Accepted(
            client_order_id=order.client_order_id,
            order_id="o1",
            filled=self.filled,
            remaining=D(0),
            average_price=order.price if self.filled else None,
            average_fee=None,
            ts_ms=None,
        )

    def cancel(self, order_id: str, ticker: str, exchange_index: int, subaccount: int) -> Outcome:
        """Cancel."""
        self.cancelled.append((order_id, ticker, exchange_index, subaccount))
        return Refused(client_order_id="", status=404, code="not_found", details="")

    def markets(self, tickers: Collection[str]) -> Mapping[str, Market]:
        """List."""
        self.reads += 1
        return {ticker: self.listed[ticker] for ticker in tickers if ticker in self.listed}

    def open_markets(self, series: str) -> Collection[Market]:
        """List."""
        return tuple(self.listed.values())

    def balance(self, subaccount: int | None = None) -> Decimal:
        """Cash."""
        return D(100)

    def holds(self, key: Key) -> str | None:
        """Hold."""
        return self.held

    def buy(self, **changes: Any) -> Outcome:
        """Buy ten at 0.46, or otherwise."""
        order = {"ticker": TICKER, "side": Side.YES, "count": D(10), "price": D("0.46"), **changes}
        return self.gateway.buy(**order)


def test_order_carries_the_shard_of_its_market_and_an_id_of_its_own() -> None:
    """What is sent is what was asked for, on the market's own matching engine, each with a new id."""
    world = World()
    world.buy()
    world.buy(rests=True, subaccount=3)
    first, second = world.sent
    assert (first.ticker, first.side, first.is_buy, first.count, first.price) == (
        TICKER,
        Side.YES,
        True,
        D(10),
        D("0.46"),
    )
    assert (first.exchange_index, first.time_in_force, first.subaccount) == (2, "immediate_or_cancel", 0)
    assert (second.time_in_force, second.subaccount) == ("good_till_canceled", 3)
    assert first.client_order_id != second.client_order_id


def test_filled_buy_is_told_to_the_monitor_at_once() -> None:
    """Protection does not wait for the exchange's reports; nothing filled is nothing opened."""
    world = World()
    world.buy(side=Side.NO, price=D("0.54"))
    assert world.opened == [Position(ticker=TICKER, side=Side.NO, count=D(10), entry=D("0.54"))]
    world.filled = D(0)
    world.buy()
    assert len(world.opened) == 1


def test_sale_opens_nothing() -> None:
    """Selling is not entering."""
    world = World()
    assert isinstance(world.gateway.sell(TICKER, Side.YES, D(1), D("0.40")), Accepted)
    assert world.sent[0].is_buy is False
    assert world.opened == []


@pytest.mark.parametrize("side", ["yes", "no"])
def test_a_side_may_be_written_as_a_word(side: str) -> None:
    """What is bought, and claimed, is the side that was written, not the other one."""
    world = World()
    world.buy(side=side, price=D("0.46"))
    assert world.sent[0].side is Side(side)
    assert world.opened[0].side is Side(side)


def test_a_sale_at_once_only_reduces() -> None:
    """The exchange caps it at what is held; what opens the other side is a buy of that side."""
    world = World()
    world.gateway.sell(TICKER, Side.YES, D(50), D("0.40"))
    world.buy()
    world.buy(rests=True)
    assert [order.only_reduces for order in world.sent] == [True, False, False]


@pytest.mark.parametrize(
    ("held", "side", "code"),
    [
        pytest.param("50", Side.YES, None, id="all that is held"),
        pytest.param("49.99", Side.YES, "not_held", id="more than is held"),
        pytest.param("0", Side.YES, "not_held", id="nothing is held"),
        pytest.param("50", Side.NO, "not_held", id="the other side is held"),
        pytest.param("-50", Side.NO, None, id="NO is held"),
    ],
)
def test_a_sale_that_rests_is_of_what_is_held(held: str, side: Side, code: str | None) -> None:
    """The exchange takes reduce-only at once or not at all, so what rests is held against the position here."""
    world = World()
    world.gateway = GuardedGateway(
        world, world, world, world.opened.append, world.clock, held=lambda key: D(held)
    )
    outcome = world.gateway.sell(TICKER, side, D(50), D("0.40"), rests=True)
    assert (outcome.code if isinstance(outcome, Refused) else None) == code


@pytest.mark.parametrize(("held", "claims"), [("-10", 0), ("-25", 0), ("0", 1), ("10", 1)])
def test_a_buy_that_closes_the_other_side_claims_nothing(held: str, claims: int) -> None:
    """YES bought while NO is held makes that smaller: a claim of ten YES would guard what nobody holds."""
    world = World()
    world.gateway = GuardedGateway(
        world, world, world, world.opened.append, world.clock, held=lambda key: D(held)
    )
    assert isinstance(world.buy(), Accepted)
    assert len(world.opened) == claims


@pytest.mark.parametrize("why", ["halted", "latched", "not_guarded"])
def test_held_order_never_leaves(why: str) -> None:
    """Halt, an exit in that market, a sub-account nobody guards: refused here, nothing was sent."""
    world = World()
    world.held = why
    outcome = world.buy()
    assert isinstance(outcome, Refused)
    assert (outcome.status, outcome.code) == (0, why)
    assert world.sent == []


def test_cancel_is_never_held_back() -> None:
    """Taking an order away only lowers the risk."""
    world = World()
    world.held = "halted"
    world.gateway.cancel("o1", TICKER)
    assert world.cancelled == [("o1", TICKER, 2, 0)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"count": D(0)}, "count", id="nothing"),
        pytest.param({"count": D(-1)}, "count", id="negative count"),
        pytest.param({"count": D("0.005")}, "count", id="finer than the step"),
        pytest.param({"count": D("NaN")}, "count", id="no number"),
        pytest.param({"count": D("1e30")}, "count", id="more than there can be"),
        pytest.param({"count": 10.0}, "not_decimal", id="float count"),
        pytest.param({"price": 0.46}, "not_decimal", id="float price"),
        pytest.param({"price": D("46")}, "off_grid", id="cents"),
        pytest.param({"price": D(0)}, "off_grid", id="zero price"),
        pytest.param({"price": D("0.465")}, "off_grid", id="between two steps"),
        pytest.param({"price": D("NaN")}, "off_grid", id="price is no number"),
        pytest.param({"price": D("1e30")}, "off_grid", id="price without end"),
        pytest.param({"side": "YES"}, "not_readable", id="no side"),
        pytest.param({"side": None}, "not_readable", id="no side at all"),
        pytest.param({"ticker": 5}, "not_readable", id="ticker is no text"),
        pytest.param({"ticker": "A,B"}, "not_readable", id="two tickers"),
        pytest.param({"side": Side.NO, "price": D("0.955")}, None, id="fine step seen from NO"),
        pytest.param({"ticker": "OTHER"}, "market_not_found", id="unknown market"),
    ],
)
def test_wrong_order_is_refused_here(changes: dict[str, Any], code: str | None) -> None:
    """An order the exchange could not take does not use up the budget."""
    outcome = World().buy(**changes)
    assert (outcome.code if isinstance(outcome, Refused) else None) == code


@pytest.mark.parametrize(
    "market",
    [
        pytest.param(replace(MARKET, status=MarketStatus.INACTIVE), id="by status"),
        pytest.param(replace(MARKET, close_ms=1_794_999_999_999), id="by the clock"),
    ],
)
def test_closed_market_is_refused_here(market: Market) -> None:
    """A market that is not open takes no order, whatever its last status was."""
    world = World()
    world.listed[TICKER] = market
    outcome = world.buy()
    assert isinstance(outcome, Refused)
    assert outcome.code == "market_not_open"


def test_market_is_read_again_when_what_is_known_is_old() -> None:
    """Grid and status are read once and again after half a minute."""
    world = World()
    world.buy()
    world.buy()
    assert world.reads == 1
    world.clock.advance(31)
    world.buy()
    assert world.reads == 2


def test_market_that_cannot_be_read_refuses_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """No market data, no entry: the reason is in the answer, nothing is raised into the strategy."""
    world = World()

    def fails(tickers: Collection[str]) -> Mapping[str, Market]:
        raise TransportError("no route")

    monkeypatch.setattr(world, "markets", fails)
    outcome = world.buy()
    assert isinstance(outcome, Refused)
    assert outcome.code == "market_not_read"


def test_lost_answer_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of the order is unknown: it is handed back as such and nothing is claimed or repeated."""
    world = World()
    calls: list[EntryOrder] = []

    def loses(order: EntryOrder) -> Outcome:
        calls.append(order)
        return Unanswered(client_order_id=order.client_order_id, why="timeout")

    monkeypatch.setattr(world, "place_entry", loses)
    assert isinstance(world.buy(), Unanswered)
    assert len(calls) == 1
    assert world.opened == []


def test_an_order_that_names_no_subaccount_goes_to_the_guarded_one() -> None:
    """Buy, sell and cancel; what is named is left alone, the primary one too."""
    world = World()
    world.gateway = GuardedGateway(world, world, world, world.opened.append, world.clock, subaccount=3)
    world.buy()
    world.gateway.sell(TICKER, Side.YES, D(5), D("0.40"))
    world.buy(subaccount=0)
    world.gateway.cancel("o1", TICKER)
    world.gateway.cancel("o1", TICKER, subaccount=0)
    assert [order.subaccount for order in world.sent] == [3, 3, 0]
    assert [position.subaccount for position in world.opened] == [3, 0]
    assert [subaccount for *_, subaccount in world.cancelled] == [3, 0]


def test_a_buy_over_its_limit_is_refused_here_and_a_sale_is_not() -> None:
    """Limits hold entries only, and count what the monitor guards already."""
    world = World()
    limits = EntryLimits(max_contracts_per_market=D(15))
    world.gateway = GuardedGateway(
        world, world, world, world.opened.append, world.clock, limits, held=lambda key: D(6)
    )
    refused = world.buy()
    assert isinstance(refused, Refused)
    assert (refused.status, refused.code) == (0, "max_contracts_per_market")
    assert isinstance(world.buy(count=D(9)), Accepted)
    assert isinstance(world.gateway.sell(TICKER, Side.YES, D(50), D("0.40")), Accepted)
    assert [order.is_buy for order in world.sent] == [True, False]
