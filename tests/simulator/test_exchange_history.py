"""Public history against the trades that made it, and what leaves the live data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from base.simulator.clock import ManualClock
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, B, Client
from tests.simulator.published_spec import check_answer, needs_spec

MINUTE_MS = 1_795_000_020_000  # a whole minute
NOON_S = MINUTE_MS // 1000
DAY_S = 86_400


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock one second into a minute."""
    return ManualClock(MINUTE_MS + 1000)


@pytest.fixture
def client(clock: ManualClock) -> Iterator[Client]:
    """Return a member of an exchange whose clock stands still; 25 YES of A are held."""
    semantics = Semantics(read_lag_s=0.0, close_clear_s=0.0, skew_window_s=1e12)
    with SimulatorServer(clock=clock, semantics=semantics) as sim:
        sim.add_market(A, exchange_index=2, close_in_s=40 * DAY_S)
        sim.set_book(A, yes=[("0.50", "100"), ("0.40", "50")], no=[("0.48", "70")])
        sim.set_position(A, "25", "0.40")
        yield Client(sim)


def candles(client: Client, minutes: int = 1, until_s: int = NOON_S + DAY_S) -> list[dict[str, Any]]:
    """Return the candles of market A."""
    window = f"start_ts={NOON_S - DAY_S}&end_ts={until_s}&period_interval={minutes}"
    found: list[dict[str, Any]] = client.get(f"/series/KXSIM/markets/{A}/candlesticks?{window}")[
        "candlesticks"
    ]
    return found


def prices(candle: dict[str, Any], name: str) -> list[str | None]:
    """Return open, high, low, close."""
    return [candle[name][f"{part}_dollars"] for part in ("open", "high", "low", "close")]


def test_public_trades_are_those_of_the_fills(client: Client) -> None:
    """One trade for each resting order met: same id, price, count and direction."""
    client.order(count="25.00", reduce_only=True)
    client.order(side="bid", price="0.5200", count="3.00")
    fills = {f["trade_id"]: f for f in client.get("/portfolio/fills")["fills"]}
    trades = client.get(f"/markets/trades?ticker={A}")["trades"]
    assert [(t["yes_price_dollars"], t["count_fp"]) for t in trades] == [
        ("0.5200", "3.00"),
        ("0.5000", "25.00"),
    ]
    assert {t["trade_id"] for t in trades} == set(fills)
    for trade in trades:
        fill = fills[trade["trade_id"]]
        for name in ("count_fp", "yes_price_dollars", "no_price_dollars"):
            assert trade[name] == fill[name]
        assert (trade["taker_outcome_side"], trade["taker_book_side"]) == (
            fill["outcome_side"],
            fill["book_side"],
        )


def test_a_candle_holds_the_trades_of_its_own_minute(client: Client, clock: ManualClock) -> None:
    """It opens at the quote that stood, knows the trade before it, and its end belongs to it."""
    client.order(side="bid", price="0.5200", count="3.00")
    clock.advance(58.999)  # the last millisecond before the end
    client.order(count="1.00", price="0.5000")
    clock.advance(0.001)  # the end itself
    client.order(count="2.00", price="0.5000")
    clock.advance(60.0)  # a minute without anything, then a trade before any quote changed
    clock.advance(1.0)
    client.order(count="99.00", price="0.4000")
    first, second = candles(client)
    assert (first["end_period_ts"], second["end_period_ts"]) == (NOON_S + 60, NOON_S + 180)
    assert (first["volume_fp"], second["volume_fp"]) == ("6.00", "99.00")
    assert prices(first, "price") == ["0.5200", "0.5200", "0.5000", "0.5000"]
    assert prices(second, "price") == ["0.5000", "0.5000", "0.4000", "0.4000"]
    assert (first["price"]["previous_dollars"], second["price"]["previous_dollars"]) == (None, "0.5000")
    assert first["price"]["mean_dollars"] == "0.5100"
    assert second["price"]["mean_dollars"] == "0.4980"  # 97 at 0.50 and 2 at 0.40
    assert prices(second, "yes_bid") == ["0.5000", "0.5000", "0.4000", "0.4000"]
    [hour] = candles(client, 60)
    assert (hour["volume_fp"], prices(hour, "price")) == ("105.00", ["0.5200", "0.5200", "0.4000", "0.4000"])


@needs_spec
def test_what_is_done_moves_to_history_after_two_weeks(client: Client, clock: ManualClock) -> None:
    """From each live list to its historical one, never in both; what rests or is open stays."""
    sim = client.sim
    sim.add_market(B, exchange_index=2, close_in_s=40 * DAY_S)  # same event, stays open
    sim.add_market("KXOLD-26DEC31-X", exchange_index=2, close_in_s=40 * DAY_S)
    sim.set_book("KXOLD-26DEC31-X", yes=[("0.50", "100")], no=[("0.48", "70")])
    old = "KXOLD-26DEC31-X"
    client.order(ticker=old, side="bid", price="0.5200", count="2.00")
    for ticker in (A, old):
        sim.determine(ticker, "yes")
        sim.settle(ticker)
    rests = {"ticker": B, "side": "bid", "price": "0.1000", "time_in_force": "good_till_canceled"}
    waiting = client.order(**rests).json()["order_id"]

    def shown(path: str, name: str, ticker: str = old) -> int:
        body = client.get(path)
        check_answer("GET", f"/trade-api/v2{path.partition('?')[0]}", 200, body)
        return sum(row["ticker"] == ticker for row in body[name])

    pairs = [
        ("/markets", "/historical/markets", "markets"),
        ("/markets/trades", "/historical/trades", "trades"),
        ("/portfolio/orders", "/historical/orders", "orders"),
        ("/portfolio/fills", "/historical/fills", "fills"),
        ("/portfolio/positions?settlement_status=settled", "/historical/positions", "market_positions"),
    ]
    cutoff = client.get("/historical/cutoff")["market_settled_ts"]
    for expected in (1, 0):
        for live, historical, name in pairs:
            assert (shown(live, name), shown(historical, name)) == (expected, 1 - expected), live
        assert shown("/portfolio/settlements", "settlements") == expected
        clock.advance(14 * DAY_S + 1)
    assert client.get("/historical/cutoff")["market_settled_ts"] > cutoff
    window = f"?start_ts={NOON_S}&end_ts={NOON_S + 60}&period_interval=1"
    for path in (
        f"/markets/{old}",
        f"/markets/{old}/orderbook",
        f"/series/KXOLD/markets/{old}/candlesticks{window}",
    ):
        assert client.call("GET", path).json()["error"]["code"] == "market_not_found"
    assert client.get(f"/historical/markets/{old}")["market"]["result"] == "yes"
    path = f"/historical/markets/{old}/candlesticks"
    [candle] = client.get(path + window)["candlesticks"]
    check_answer("GET", f"/trade-api/v2{path}", 200, {"ticker": old, "candlesticks": [candle]})
    assert (candle["volume"], candle["price"]["close"]) == ("2.00", "0.5200")
    # A settled with it, but B of the same event is still open: the positions move together.
    assert shown("/portfolio/positions?settlement_status=settled", "market_positions", A) == 1
    assert client.get(f"/portfolio/orders/{waiting}")["order"]["status"] == "resting"
    assert client.call("GET", f"/historical/markets/{B}").status_code == 404
    assert client.call("GET", f"/historical/markets?event_ticker=X&tickers={B}").status_code == 400


@pytest.mark.parametrize(
    ("query", "status"),
    [
        pytest.param("status=open&min_created_ts=1", 200, id="created, open"),
        pytest.param("status=closed&min_created_ts=1", 400, id="created, closed"),
        pytest.param("status=closed&max_close_ts=1", 200, id="close, closed"),
        pytest.param("status=open&max_close_ts=1", 400, id="close, open"),
        pytest.param("status=settled&min_settled_ts=1", 200, id="settled"),
        pytest.param("min_created_ts=1&min_close_ts=1", 400, id="two times"),
        pytest.param("min_updated_ts=1&max_updated_ts=2&mve_filter=exclude", 200, id="updated"),
        pytest.param("min_updated_ts=1&series_ticker=KXSIM", 400, id="updated, series"),
        pytest.param("min_updated_ts=1&series_ticker=KXSIM&mve_filter=exclude", 200, id="no combos"),
        pytest.param(f"min_updated_ts=1&tickers={A}", 400, id="updated, tickers"),
        pytest.param("mve_filter=some", 400, id="unknown filter"),
    ],
)
def test_filters_of_markets_that_exclude_each_other(client: Client, query: str, status: int) -> None:
    """As the document's table has it."""
    assert client.call("GET", f"/markets?{query}").status_code == status


def test_combos_are_apart(client: Client) -> None:
    """Among markets by a filter, among events never."""
    client.sim.add_market("KXMVESIM-26DEC31-A")
    for choice, tickers in (("only", {"KXMVESIM-26DEC31-A"}), ("exclude", {A})):
        assert {m["ticker"] for m in client.get(f"/markets?mve_filter={choice}")["markets"]} == tickers
    assert [e["event_ticker"] for e in client.get("/events")["events"]] == ["KXSIM-26DEC31"]


def test_a_block_trade_is_marked_and_touches_no_book(client: Client) -> None:
    """It moves the last price and the volume; lists can leave it out."""
    book = client.get(f"/markets/{A}/orderbook")
    client.sim.block_trade(A, "0.10", "500")
    client.order(count="1.00", price="0.5000")
    trades = {
        query: client.get(f"/markets/trades{query}")["trades"]
        for query in ("", "?is_block_trade=true", "?is_block_trade=false")
    }
    assert [[t["is_block_trade"] for t in found] for found in trades.values()] == [
        [False, True],
        [True],
        [False],
    ]
    assert client.get(f"/markets/{A}")["market"]["volume_fp"] == "501.00"
    assert (
        client.get(f"/markets/{A}/orderbook")["orderbook_fp"]["no_dollars"]
        == book["orderbook_fp"]["no_dollars"]
    )
