"""Recordings as plays: their books are the liquidity that orders hit."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from base.simulator.clock import ManualClock
from base.simulator.engine.events import MarketChanged, TopChanged, Traded
from base.simulator.engine.orders import OrderRequest, Side, TimeInForce
from base.simulator.rate_limits import UNLIMITED
from base.simulator.scenarios.catalogue import find
from base.simulator.scenarios.stage import Stage
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from base.simulator.venue import MEMBER, Venue
from tests.simulator.exchange_world import NOW, D
from tests.simulator.loopback import Client, eventually
from tests.simulator.published_spec import REFERENCE
from tests.simulator.show import Show, needs_recordings


def _capture(folder: Path, *, broken: bool = False) -> Path:
    ticker = "KXREC-26DEC31-T1.50"
    frames = [
        {"type": "orderbook_snapshot", "sid": 2, "seq": 1, "msg": {
            "market_ticker": ticker, "yes_dollars_fp": [["0.4100", "25.00"]], "no_dollars_fp": [["0.5500", "40.00"]]}},
        {"type": "orderbook_delta", "sid": 2, "seq": 2, "msg": {
            "market_ticker": ticker, "price_dollars": "0.4200", "delta_fp": "13.00", "side": "yes"}},
        {"type": "orderbook_delta", "sid": 2, "seq": 3, "msg": {
            "market_ticker": ticker, "price_dollars": "0.5500", "delta_fp": "-40.00", "side": "no"}},
        {"type": "orderbook_delta", "sid": 2, "seq": 4, "msg": {
            "market_ticker": ticker, "price_dollars": "0.5050", "delta_fp": "7.00", "side": "no"}},
    ]  # fmt: skip
    lines = [json.dumps({"recv_ns": NOW * 10**6 + i * 10**9, "frame": f}) for i, f in enumerate(frames)]
    if broken:
        lines[2:2] = ["{", json.dumps({"recv_ns": NOW * 10**6, "frame": {"type": "orderbook_delta", "msg": {
            "market_ticker": ticker, "side": "yes"}}})]  # fmt: skip
    path = folder / "capture.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines))
    return path


@pytest.mark.parametrize("broken", [False, True])
def test_a_capture_becomes_the_book(tmp_path: Path, broken: bool) -> None:
    """Recorded levels are liquidity; broken lines are skipped; a finer grid is recognised."""
    show = Show(str(_capture(tmp_path, broken=broken)), 4.0)
    market = next(iter(show.venue.exchange.state.markets.values()))
    assert market.grid.label == "deci_cent"
    assert market.book.bids.levels() == [(D("0.41"), D(25)), (D("0.42"), D(13))]
    assert market.book.asks.levels() == [(D("0.495"), D(7))]
    assert show.venue.exchange.state.account(MEMBER).holding(0, market.ticker, 2).count == 25


@pytest.mark.parametrize("speed", [1.0, 50.0])
@pytest.mark.parametrize(
    ("yes", "no", "result", "paid"), [("0.9700", "0.0100", "yes", 25), ("0.0200", "0.9600", "no", 0)]
)
def test_a_recorded_market_ends_as_its_last_prices_say(
    tmp_path: Path, yes: str, no: str, result: str, paid: int, speed: float
) -> None:
    """After its close: empty book, result, money; at any speed."""
    ticker = "KXREC-26DEC31-T1.50"
    close = datetime.fromtimestamp(NOW / 1000 + 3, UTC).isoformat()
    book = {"market_ticker": ticker, "yes_dollars_fp": [[yes, "9.00"]], "no_dollars_fp": [[no, "9.00"]]}
    lines: list[dict[str, object]] = [
        {"note": "watch_market", "data": {"market_ticker": ticker, "close_time": close}},
        {"frame": {"type": "orderbook_snapshot", "msg": book}},
    ]
    path = tmp_path / "capture.jsonl"
    path.write_text("\n".join(json.dumps({"recv_ns": NOW * 10**6} | line) for line in lines))
    # The book is cleared one real second after the close; at speed 50 that is long after it.
    show = Show(str(path), 20.0 if speed == 1 else 80.0, speed=speed)
    market = show.venue.exchange.state.market(ticker)
    assert (market.status, market.result) == ("finalized", result)
    kinds = [e.kind for _, e in show.events if isinstance(e, MarketChanged)]
    assert kinds == ["determined", "settled"]
    holding = show.venue.exchange.state.account(MEMBER).holding(0, ticker, 2)
    assert holding.count == 0
    assert holding.realized + 25 * (1 - D(no)) == paid
    assert "as recorded" in find(str(path)).notice


def test_recorded_trades_are_reported_and_move_nothing_of_ours(tmp_path: Path) -> None:
    """Last price, volume and the trades themselves, in their order; broken and foreign ones are skipped."""
    ticker = "KXREC-26DEC31-T1.50"
    trade = {
        "market_ticker": ticker,
        "yes_price_dollars": "0.4100",
        "no_price_dollars": "0.5900",
        "count_fp": "3.00",
    }
    trades = [
        trade | {"taker_outcome_side": "no", "taker_side": "no", "is_block_trade": False},
        trade | {"count_fp": "NaN", "taker_side": "yes"},
        trade | {"taker_side": "yes", "market_ticker": "KXREC-26DEC31-OTHER"},
        trade
        | {"taker_side": "yes", "yes_price_dollars": "0.4550", "count_fp": "2.50", "is_block_trade": True},
    ]
    path = _capture(tmp_path)
    with gzip.open(path, "at") as file:
        for at, msg in enumerate(trades):
            line = {
                "recv_ns": NOW * 10**6 + (at + 4) * 10**9,
                "frame": {"type": "trade", "sid": 3, "msg": msg},
            }
            file.write("\n" + json.dumps(line))
    show = Show(str(path), 8.0)
    told = [
        (round(at), e.taker_side, e.price, e.count, e.is_block)
        for at, e in show.events
        if isinstance(e, Traded)
    ]
    assert told == [(4, Side.ASK, D("0.41"), D(3), False), (7, Side.BID, D("0.455"), D("2.5"), True)]
    _, last = show.tops(ticker)[-1]
    assert (last.top.last, last.top.last_size, last.top.volume) == (D("0.455"), D("2.5"), D("5.5"))
    assert [t.price for t in show.venue.history.trades_of([ticker])] == [D("0.455"), D("0.41")]
    state = show.venue.exchange.state
    assert state.account(MEMBER).holding(0, ticker, 2).count == 25
    assert state.market(ticker).book.bids.levels() == [(D("0.41"), D(25)), (D("0.42"), D(13))]


def test_orders_hit_the_recorded_book(tmp_path: Path) -> None:
    """A sale takes what was recorded; the recording's next frames go on from there."""
    clock = ManualClock(NOW)
    venue = Venue(Semantics(), clock, UNLIMITED, salt=0)
    stage, play = Stage(venue, 0), find(str(_capture(tmp_path)))
    play.open(stage)
    play.play(stage, 1.5)
    request = OrderRequest(
        ticker="KXREC-26DEC31-T1.50", side=Side.ASK, count=D(20), price=D("0.40"),
        time_in_force=TimeInForce.IOC, reduce_only=True,
    )  # fmt: skip
    order = venue.exchange.submit(MEMBER, request, NOW)
    assert (order.filled, order.average_price) == (D(20), D("0.4165"))
    book = venue.exchange.state.market("KXREC-26DEC31-T1.50").book
    assert book.bids.levels() == [(D("0.41"), D(18))]
    play.play(stage, 9.0)
    assert book.asks.levels() == [(D("0.495"), D(7))]


def test_a_play_that_is_too_fast_slows_down_and_loses_nothing(tmp_path: Path) -> None:
    """Thirty seconds of recording in the time of none: the last frame still comes before the close."""
    ticker = "KXREC-26DEC31-T1.50"
    close = datetime.fromtimestamp(NOW / 1000 + 30, UTC).isoformat()
    book = {
        "market_ticker": ticker,
        "yes_dollars_fp": [["0.02", "9.00"]],
        "no_dollars_fp": [["0.96", "9.00"]],
    }
    lines: list[dict[str, object]] = [
        {"note": "watch_market", "data": {"market_ticker": ticker, "close_time": close}},
        {"frame": {"type": "orderbook_snapshot", "msg": book}},
    ]
    level = {"market_ticker": ticker, "side": "yes", "price_dollars": "0.0200"}
    lines += [
        {"frame": {"type": "orderbook_delta", "msg": level | {"delta_fp": f"{1 - step % 2 * 2}.00"}}}
        for step in range(6000)
    ]
    won = {"market_ticker": ticker, "yes_dollars_fp": [["0.97", "9.00"]], "no_dollars_fp": [["0.01", "9.00"]]}
    lines.append({"frame": {"type": "orderbook_snapshot", "msg": won}})
    path = tmp_path / "capture.jsonl"
    path.write_text(
        "\n".join(
            json.dumps({"recv_ns": (NOW * 1000 + i * 4800) * 1000} | line) for i, line in enumerate(lines)
        )
    )
    with SimulatorServer(scenario=str(path), speed=1000) as sim:
        client = Client(sim)
        eventually(lambda: client.get(f"/markets/{ticker}")["market"]["status"] == "finalized", 30.0)
        assert client.get(f"/markets/{ticker}")["market"]["result"] == "yes"


@needs_recordings
def test_a_recorded_session_plays() -> None:
    """Two minutes of the real feed; the book never crosses."""
    show = Show(str(REFERENCE / "data" / "kxbtc15m_ws_20260514T0109Z.jsonl.gz"), 60.0)
    tops = [e.top for _, e in show.events if isinstance(e, TopChanged)]
    assert len(tops) > 100
    assert all(t.bid < t.ask for t in tops if t.bid is not None and t.ask is not None)
