"""The client for programs of one's own, against the embedded exchange on real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from base.app.live_prices import LivePrices as ConfiguredPrices
from base.errors import ConfigError, RequestRefused
from base.kalshi.auth import load_signer
from base.kalshi.best_prices import BestPrices
from base.kalshi.live_prices import LivePrices
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.support import eventually

pytestmark = pytest.mark.wide

D = Decimal
A, B, C = (f"KXT-26DEC31-{name}" for name in "ABC")


@pytest.fixture
def sim() -> Iterator[SimulatorServer]:
    """Three open markets: 0.40 bid, 0.45 asked."""
    with SimulatorServer(semantics=Semantics(read_lag_s=0.0)) as server:
        for ticker in (A, B, C):
            server.add_market(ticker)
            server.set_book(ticker, yes=[("0.40", "50"), ("0.39", "20")], no=[("0.55", "70")])
        yield server


def client(sim: SimulatorServer, **settings: Any) -> LivePrices:
    return LivePrices(
        sim.rest_url, sim.websocket_url, load_signer(sim.key_id, sim.private_key_path), **settings
    )


def sent(frames: list[bytes]) -> set[str]:
    """The types of the frames that the exchange sent."""
    return {json.loads(frame)["type"] for frame in list(frames)}


def test_prices_from_both_sides(sim: SimulatorServer) -> None:
    """The best bid on the side asked for; NO is one minus the YES ask."""
    with client(sim) as prices:
        prices.subscribe_market(A)
        eventually(lambda: prices.get_price(A) == D("0.40"))
        assert prices.get_price(A, "no") == D("0.55")
        quote = prices.quote(A, "no")
        assert quote is not None
        assert (quote.bid, quote.ask, quote.bid_size) == (D("0.55"), D("0.60"), D("70"))
        age_s = prices.age_s(A)
        assert age_s is not None
        assert age_s < 1
        assert prices.freshness(A).is_proven
        assert prices.get_price(B) is None
        with pytest.raises(ValueError, match="maybe"):
            prices.quote(A, "maybe")


def test_an_old_price_is_no_price(sim: SimulatorServer) -> None:
    """With every line down the newest quote is still shown, and get_price says nothing."""
    with client(sim) as prices:
        prices.subscribe_market(A)
        eventually(lambda: prices.get_price(A) == D("0.40"))
        sim.refuse_connections(503, rest=True)
        sim.cut_connections()
        eventually(lambda: prices.get_price(A) is None)
        quote = prices.quote(A)
        assert quote is not None
        assert quote.bid == D("0.40")
        assert prices.get_stats()["connected"] is False
        assert prices.subscribed_markets == {A}


def test_orderbook_callback(sim: SimulatorServer) -> None:
    """Best prices of both sides and the time, each time the book changes, frozen."""
    got: list[BestPrices] = []
    with client(sim, on_orderbook=got.append) as prices:
        prices.subscribe_market(A)
        eventually(lambda: got)
        sim.set_level(A, "bid", "0.42", "5")
        eventually(lambda: got[-1].yes_bid == D("0.42"))
    seen = got[-1]
    assert (seen.ticker, seen.yes_ask, seen.no_bid, seen.no_ask) == (A, D("0.45"), D("0.55"), D("0.58"))
    assert (seen.yes_bid_size, seen.yes_ask_size) == (D("5"), D("70"))
    assert seen.time is not None
    assert abs((datetime.now(UTC) - seen.time).total_seconds()) < 5
    with pytest.raises(FrozenInstanceError):
        seen.yes_bid = D("0.99")  # type: ignore[misc]


def test_ticker_only_has_no_book(sim: SimulatorServer) -> None:
    """subscribe_to_ticker asks for the ticker channel alone; its callback gets the prices."""
    got: list[BestPrices] = []
    books: list[BestPrices] = []
    frames = sim.record_frames()
    with client(sim, on_ticker=got.append, on_orderbook=books.append) as prices:
        prices.subscribe_to_ticker([A, B])
        eventually(lambda: {seen.ticker for seen in got} == {A, B})
        eventually(lambda: prices.get_price(B) == D("0.40"))
        assert prices.subscribed_markets == {A, B}
    assert "ticker" in sent(frames)
    assert "orderbook_snapshot" not in sent(frames)
    assert books == []
    assert (got[0].yes_bid, got[0].no_bid) == (D("0.40"), D("0.55"))


def test_subscriptions_come_back_after_a_cut(sim: SimulatorServer) -> None:
    """A new connection asks for the same markets; the cut is counted."""
    with client(sim) as prices:
        prices.subscribe_market(A)
        prices.subscribe_to_ticker([B])
        eventually(lambda: prices.get_price(A) == D("0.40") == prices.get_price(B))
        sim.cut_connections()
        eventually(lambda: prices.get_stats()["reconnects"] == 1)
        eventually(lambda: prices.get_price(A) == D("0.40") == prices.get_price(B), 10)
        prices.unsubscribe_from_markets([A])
        assert prices.subscribed_markets == {B}
        eventually(lambda: prices.quote(A) is None)


def test_a_raising_callback_is_isolated_and_counted(sim: SimulatorServer) -> None:
    """Its neighbour on the same message is called, and so is it itself the next time."""
    got: list[object] = []

    def fails(prices: BestPrices) -> None:
        raise KeyError(prices.ticker)

    with client(sim, on_orderbook=fails) as prices:
        prices.register_handler("orderbook_delta", lambda frame: 1 / 0)
        prices.register_handler("orderbook_delta", got.append)
        prices.subscribe_market(A)
        eventually(lambda: prices.get_price(A) == D("0.40"))
        for n in range(3):
            sim.set_level(A, "bid", "0.41", str(10 + n))
        eventually(lambda: len(got) == 3)
        eventually(lambda: int(str(prices.get_stats()["callback_errors"])) >= 5)
        assert prices.get_stats()["dead"] == []
        eventually(lambda: prices.get_price(A) == D("0.41"))


def test_a_callback_that_hangs_holds_up_no_price(sim: SimulatorServer) -> None:
    """The feed reads on while it hangs; of what came meanwhile it gets the newest."""
    got: list[BestPrices] = []
    go_on = threading.Event()

    def hangs(prices: BestPrices) -> None:
        got.append(prices)
        go_on.wait(5)

    with client(sim, on_orderbook=hangs) as prices:
        prices.subscribe_market(A)
        eventually(lambda: got)
        for n in range(200):
            sim.set_level(A, "bid", "0.41", str(n + 1))
        eventually(lambda: (quote := prices.quote(A)) is not None and quote.bid_size == D("200"))
        assert len(got) == 1
        go_on.set()
        eventually(lambda: got[-1].yes_bid_size == D("200"))
        assert len(got) <= 4


def test_own_fills_reach_the_handler(sim: SimulatorServer) -> None:
    """Private messages: every one, in order."""
    got: list[Any] = []
    with client(sim) as prices:
        prices.register_handler("fill", got.append)
        eventually(lambda: prices.get_stats()["connected"])
        prices.subscribe_market(A)
        eventually(lambda: prices.get_price(A) == D("0.40"))
        for count in range(1, 6):
            sim.external_fill(A, str(count), "0.45")
        eventually(lambda: len(got) == 5)
    assert [frame.event.signed_count for frame in got] == [1, 2, 3, 4, 5]


def test_trades_come_to_who_asks_for_them(sim: SimulatorServer) -> None:
    """Only then they are subscribed: of every market, now, later, and after a cut."""
    got: list[Any] = []
    frames = sim.record_frames()
    with client(sim) as prices:
        prices.subscribe_market(A)
        eventually(lambda: prices.get_price(A) == D("0.40"), 10)
        sim.external_fill(A, "1", "0.45")
        eventually(lambda: "fill" in sent(frames), 10)
        assert "trade" not in sent(frames)
        prices.register_handler("trade", got.append)
        prices.subscribe_to_ticker([B])
        eventually(lambda: _has_trade(sim, got, A), 10)
        eventually(lambda: _has_trade(sim, got, B), 10)
        sim.cut_connections()
        got.clear()
        eventually(lambda: _has_trade(sim, got, A), 15)
        assert {frame.ticker for frame in got} <= {A, B}


def _has_trade(sim: SimulatorServer, got: list[Any], ticker: str) -> bool:
    """Trade once more, and say whether that or an earlier trade came."""
    sim.external_fill(ticker, "0.01", "0.45")
    return ticker in {frame.ticker for frame in list(got)}


@pytest.mark.parametrize(
    "name", ["order_book", "", "orderbook", "user_orders", "multivariate_market_lifecycle"]
)
def test_a_type_that_never_comes_is_refused(sim: SimulatorServer, name: str) -> None:
    """A slip of the pen would otherwise wait for ever; what there is, is named."""
    with pytest.raises(ValueError, match=r"no frame of type .* comes here, only .*orderbook_delta"):
        client(sim).register_handler(name, print)


@pytest.mark.parametrize(
    ("channel", "successor"),
    [("ticker_v2", "ticker"), ("multivariate", "multivariate_market_lifecycle")],
)
def test_retired_channel_names_its_successor(sim: SimulatorServer, channel: str, successor: str) -> None:
    """Both ways of asking for it."""
    prices = client(sim)
    with pytest.raises(ValueError, match=f"{channel} was removed; use {successor}$"):
        prices.subscribe(channel, [A])
    with pytest.raises(ValueError, match=f"use {successor}$"):
        prices.register_handler(channel, print)
    with pytest.raises(ValueError, match="register_handler"):
        prices.subscribe("trade", [A])


@pytest.mark.parametrize("nothing", [[], (), "", "KXT-26DEC31-A"], ids=repr)
def test_empty_lists_are_refused(sim: SimulatorServer, nothing: Any) -> None:
    """No market named could mean all of them; a bare text is a list of letters."""
    prices = client(sim)
    for ask in (
        prices.subscribe_to_ticker,
        prices.unsubscribe_from_markets,
        lambda tickers: prices.subscribe("orderbook_delta", tickers),
    ):
        with pytest.raises(ValueError, match="name the markets in a list"):
            ask(nothing)
    assert prices.subscribed_markets == frozenset()


@pytest.mark.parametrize("name", ["", 5, None, ["A"], b"A", "A B", "A,B", "\ud800", "X" * 201], ids=ascii)
def test_what_is_no_name_is_refused(sim: SimulatorServer, name: Any) -> None:
    """Where it is said: the threads that would have to work with it go on."""
    with client(sim) as prices:
        for ask in (
            prices.subscribe_market,
            prices.subscribe_series,
            lambda name: prices.subscribe_to_ticker([A, name]),
            lambda name: prices.unsubscribe_from_markets([name]),
        ):
            with pytest.raises(ValueError, match="no name of a market or series"):
                ask(name)
        prices.subscribe_market(A)
        eventually(lambda: prices.get_price(A) == D("0.40"), 10)
        assert prices.subscribed_markets == {A}
        assert prices.get_stats()["dead"] == []


def test_stats(sim: SimulatorServer) -> None:
    """Connection, counts, ages, latencies and refusals by reason, as plain values."""
    prices = client(sim)
    assert prices.get_stats()["connected"] is False
    with prices:
        prices.subscribe("orderbook_delta", [A])
        eventually(lambda: prices.get_price(A) == D("0.40"))
        for n in range(20):
            sim.set_level(A, "bid", "0.41", str(n + 1))
        sim.skip_seq("orderbook_delta")
        sim.set_level(A, "bid", "0.41", "99")
        sim.send_raw('{"type":"orderbook_delta","sid":1}')
        eventually(lambda: prices.get_stats()["gaps"] == 1 and prices.get_stats()["refused"] == 1)
        stats: Any = prices.get_stats()
    assert stats["connected"] is True
    assert stats["messages"] >= 22
    assert stats["reconnects"] == 0
    assert 0 <= stats["last_message_age_s"] < 5
    assert sum(stats["refused_by_reason"].values()) == 1
    latency = stats["latency_ms"]
    assert latency["samples"] > 0
    assert latency["median"] <= latency["p95"] <= latency["p99"]
    assert stats["clock_error_ms"] <= 2000
    assert stats["subscribed"] == 1
    json.dumps(stats)


def test_a_key_that_is_not_known_is_refused_at_the_start(sim: SimulatorServer) -> None:
    """Said where it was asked for, not in a log."""
    signer = load_signer("00000000-0000-4000-8000-000000000000", sim.private_key_path)
    prices = LivePrices(sim.rest_url, sim.websocket_url, signer)
    with pytest.raises(RequestRefused, match="401"):
        prices.start()
    assert prices.stop() == []


def test_it_starts_before_the_exchange_does(sim: SimulatorServer) -> None:
    """REST and WebSocket are down at the start: it comes up when they do."""
    sim.refuse_connections(503, rest=True)
    with client(sim) as prices:
        prices.subscribe_market(A)
        assert prices.get_stats()["connected"] is False
        sim.accept_connections()
        eventually(lambda: prices.get_price(A) == D("0.40"), 15)


def test_it_ends_at_once_and_only_once(sim: SimulatorServer) -> None:
    """Every thread ends; stopped prices cannot be started again."""
    before = {thread.name for thread in threading.enumerate()}
    prices = client(sim)
    prices.start()
    prices.start(series="KXT")
    eventually(lambda: len(prices.subscribed_markets) == 3)
    assert prices.stop() == []
    assert {thread.name for thread in threading.enumerate()} <= before
    with pytest.raises(RuntimeError, match="make new ones"):
        prices.start()


def test_from_config_on_another_exchange(sim: SimulatorServer, tmp_path: Any) -> None:
    """Addresses and key come from the file."""
    path = tmp_path / "config.yaml"
    path.write_text(
        f"exchange:\n  environment: custom\n  rest_url: {sim.rest_url}\n"
        f"  websocket_url: {sim.websocket_url}\n  key_id: {sim.key_id}\n"
        f"  private_key_path: {sim.private_key_path}\n"
    )
    with ConfiguredPrices.from_config(path, environ={}) as prices:
        prices.subscribe_market(A)
        eventually(lambda: prices.get_price(A) == D("0.40"))
    with pytest.raises(ConfigError, match=r"missing\.yaml"):
        ConfiguredPrices.from_config(tmp_path / "missing.yaml")


def test_from_config_brings_the_embedded_exchange_along(tmp_path: Any) -> None:
    """``simulated`` needs no key and leaves nothing behind."""
    path = tmp_path / "config.yaml"
    path.write_text("exchange: {environment: simulated}\n")
    with ConfiguredPrices.from_config(path) as prices:
        prices.start(series="KXDEMO")
        eventually(lambda: len(prices.subscribed_markets) == 5, 10)
        eventually(lambda: prices.get_price("KXDEMO-26DEC31-CALM") is not None, 10)
    assert list(tmp_path.iterdir()) == [path]
