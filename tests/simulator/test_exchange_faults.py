"""What the exchange does wrong on request, as a client sees it."""

from __future__ import annotations

import time

import pytest
import requests
from websocket import (
    WebSocketBadStatusException,
    WebSocketConnectionClosedException,
    WebSocketTimeoutException,
    create_connection,
)

from base.simulator.server import SimulatorServer
from tests.simulator.loopback import FEED_PATH, A, Client, Feed, eventually, signed

ORDERS = "/portfolio/events/orders"


def test_a_dropped_reply_was_executed(sim: SimulatorServer, client: Client) -> None:
    """The connection is reset, the position has changed, the next call works."""
    sim.drop_reply(path_contains=ORDERS)
    with pytest.raises(requests.ConnectionError):
        client.order()
    assert sim.position(A) == 15
    assert client.order(count="1.00").status_code == 201


def test_a_hanging_reply_is_silence(sim: SimulatorServer, client: Client) -> None:
    """The client's own timeout ends it."""
    sim.drop_reply(path_contains=ORDERS, hang=True)
    with pytest.raises(requests.ReadTimeout):
        Client(sim, timeout_s=0.2).order(count="1.00")
    assert sim.position(A) == 24


def test_a_delayed_reply_is_executed_at_once(sim: SimulatorServer, client: Client) -> None:
    """Only the answer is late."""
    sim.delay_reply(0.2, path_contains=ORDERS)
    started = time.monotonic()
    assert client.order().status_code == 201
    assert time.monotonic() - started >= 0.2


def test_a_late_order_is_executed_after_its_sender_gave_up(sim: SimulatorServer) -> None:
    """Absence now does not mean absence later."""
    sim.delay_execute(0.3, path_contains=ORDERS)
    with pytest.raises(requests.ReadTimeout):
        Client(sim, timeout_s=0.1).order()
    assert sim.position(A) == 25
    eventually(lambda: sim.position(A) == 15)


def test_a_failure_before_and_one_after_execution(sim: SimulatorServer, client: Client) -> None:
    """The same answer; only the position tells them apart."""
    sim.fail_next(503, path_contains=ORDERS)
    assert client.order().status_code == 503
    assert sim.position(A) == 25
    sim.fail_after_execute(503, {"oops": 1}, path_contains=ORDERS)
    reply = client.order()
    assert (reply.status_code, reply.json()) == (503, {"oops": 1})
    assert sim.position(A) == 15


def test_a_fault_hits_only_what_it_names(sim: SimulatorServer, client: Client) -> None:
    """By path and method, as often as asked."""
    sim.fail_next(500, path_contains="/portfolio/positions", n=2)
    assert client.call("GET", "/portfolio/fills").status_code == 200
    codes = [client.call("GET", "/portfolio/positions").status_code for _ in range(3)]
    assert codes == [500, 500, 200]


def test_a_gap_and_a_repeat_in_the_sequence(sim: SimulatorServer, feed: Feed) -> None:
    """Each once."""
    feed.subscribe("orderbook_delta", tickers=[A])
    feed.until_type("orderbook_snapshot")
    sim.skip_seq()
    sim.set_level(A, "bid", "0.10", "1")
    assert feed.until_type("orderbook_delta")["seq"] == 3
    sim.duplicate_seq()
    sim.set_level(A, "bid", "0.10", "2")
    assert [feed.until_type("orderbook_delta")["seq"] for _ in range(2)] == [4, 4]


def test_acknowledgements_may_stay_away(sim: SimulatorServer, feed: Feed) -> None:
    """Data comes without them."""
    sim.drop_acks()
    feed.send("subscribe", channels=["orderbook_delta"], market_tickers=[A])
    assert feed.receive()["type"] == "orderbook_snapshot"


def test_a_muted_feed_is_open_and_silent(sim: SimulatorServer, feed: Feed) -> None:
    """What fell due is lost, and its number with it."""
    feed.subscribe("orderbook_delta", tickers=[A])
    feed.until_type("orderbook_snapshot")
    sim.mute()
    sim.set_level(A, "bid", "0.10", "1")
    feed.socket.settimeout(0.1)
    with pytest.raises(WebSocketTimeoutException):
        feed.receive()
    sim.unmute()
    feed.socket.settimeout(5)
    sim.set_level(A, "bid", "0.10", "2")
    assert feed.until_type("orderbook_delta")["seq"] == 3


def test_any_text_can_be_sent(sim: SimulatorServer, feed: Feed) -> None:
    """For the parser's sake."""
    sim.send_raw("not json")
    assert feed.socket.recv() == "not json"


def test_cut_connections_are_reset(sim: SimulatorServer, feed: Feed) -> None:
    """No close frame."""
    sim.cut_connections()
    with pytest.raises((ConnectionResetError, WebSocketConnectionClosedException)):
        feed.receive()
    eventually(lambda: sim.open_sockets == 0)


def test_connections_are_refused_until_accepted_again(sim: SimulatorServer, client: Client) -> None:
    """The socket alone, or everything."""
    sim.refuse_connections(503)
    headers = signed(sim.key_id, sim.private_key_path, "GET", FEED_PATH)
    with pytest.raises(WebSocketBadStatusException):
        create_connection(sim.websocket_url, header=headers, timeout=5)
    assert client.call("GET", "/portfolio/balance").status_code == 200
    sim.refuse_connections(502, rest=True)
    assert client.call("GET", "/portfolio/balance").status_code == 502
    sim.accept_connections()
    assert client.call("GET", "/portfolio/balance").status_code == 200


@pytest.mark.parametrize("shard", [0, 2])
def test_a_pause_is_per_shard(sim: SimulatorServer, client: Client, shard: int) -> None:
    """The status names the shard; a market elsewhere goes on."""
    sim.pause_trading(shard)
    listed = client.get("/exchange/status")["exchange_index_statuses"]
    assert [s["exchange_index"] for s in listed if not s["trading_active"]] == [shard]
    reply = client.order()
    assert reply.status_code == (409 if shard == 2 else 201)
    sim.resume_trading(shard)
    assert client.order().status_code == 201


def test_an_exchange_pause_refuses_cancels(sim: SimulatorServer, client: Client) -> None:
    """Nothing at all goes."""
    order = client.order(side="bid", time_in_force="good_till_canceled").json()["order_id"]
    sim.pause_exchange()
    path = f"{ORDERS}/{order}?market_ticker={A}"
    assert client.call("DELETE", path).json()["error"]["code"] == "exchange_is_paused"
    sim.resume_exchange()
    assert client.call("DELETE", path).json()["reduced_by"] == "10.00"
    assert client.call("DELETE", path).status_code == 404


def test_an_inactive_and_a_closed_market_refuse_in_their_own_way(
    sim: SimulatorServer, client: Client
) -> None:
    """One comes back, the other does not."""
    sim.deactivate(A)
    assert client.order().json()["error"]["code"] == "trading_is_paused"
    assert client.get(f"/markets/{A}")["market"]["status"] == "inactive"
    sim.activate(A)
    sim.set_book(A, yes=[("0.50", "100")])
    assert client.order().status_code == 201
    sim.close_market(A)
    assert client.order().json()["error"]["code"] == "MARKET_INACTIVE"
    eventually(lambda: client.get(f"/markets/{A}")["market"]["yes_bid_dollars"] == "0.0000")


def test_trading_elsewhere_shows_like_any_fill(sim: SimulatorServer, client: Client, feed: Feed) -> None:
    """The user sold on the web site."""
    feed.subscribe("fill")
    sim.external_fill(A, "-25", "0.50")
    assert feed.until_type("fill")["msg"]["post_position_fp"] == "0.00"
    assert client.get("/portfolio/positions?count_filter=position")["market_positions"] == []


def test_a_set_book_is_exactly_so(sim: SimulatorServer, client: Client) -> None:
    """Down, up, across the old prices, empty."""
    for yes, no in (
        ([("0.20", "5")], [("0.70", "6")]),
        ([("0.80", "5"), ("0.79", "1")], [("0.15", "6")]),
        ([], [("0.15", "2")]),
        ([], []),
    ):
        sim.set_book(A, yes=yes, no=no)
        book = client.get(f"/markets/{A}/orderbook")["orderbook_fp"]
        shown = {k: {(float(p), float(c)) for p, c in book[f"{k}_dollars"]} for k in ("yes", "no")}
        assert shown == {
            "yes": {(float(p), float(c)) for p, c in yes},
            "no": {(float(p), float(c)) for p, c in no},
        }


def test_a_new_grid_is_announced_and_used(sim: SimulatorServer, client: Client, feed: Feed) -> None:
    """Resting orders stay."""
    feed.subscribe("market_lifecycle_v2")
    assert client.order(price="0.0150").json()["error"]["code"] == "invalid_price"
    sim.set_grid(A, "tapered_deci_cent")
    frame = feed.until_type("market_lifecycle_v2")["msg"]
    assert frame["price_level_structure"] == "tapered_deci_cent"
    assert len(frame["price_ranges"]) == 3
    assert client.order(price="0.0150").status_code == 201
