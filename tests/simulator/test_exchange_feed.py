"""The WebSocket: every rule of websocket.md §3 to §8, over a real socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from base.simulator.clock import ManualClock, SystemClock
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, B, Client, Feed

C = "KXSIM-26DEC31-C"


def book_of(frames: list[dict[str, Any]], ticker: str) -> dict[tuple[str, str], float]:
    """Add up a market's snapshot and deltas."""
    levels: dict[tuple[str, str], float] = {}
    for frame in frames:
        msg = frame.get("msg")
        if not isinstance(msg, dict) or msg.get("market_ticker") != ticker:
            continue
        if frame["type"] == "orderbook_snapshot":
            levels = {
                (side, price): float(count)
                for side in ("yes", "no")
                for price, count in msg.get(f"{side}_dollars_fp", [])
            }
        elif frame["type"] == "orderbook_delta":
            key = (msg["side"], msg["price_dollars"])
            levels[key] = levels.get(key, 0) + float(msg["delta_fp"])
    return {key: count for key, count in levels.items() if count}


def test_acknowledgement_snapshot_deltas_share_one_sequence(sim: SimulatorServer, feed: Feed) -> None:
    """subscribed has no seq; ok, snapshots and deltas count together, across markets."""
    sim.add_market(B)
    assert feed.subscribe("orderbook_delta", tickers=[A])["msg"] == {"channel": "orderbook_delta", "sid": 1}
    sim.set_level(A, "bid", "0.51", "5")
    assert feed.subscribe("orderbook_delta", tickers=[A, B])["type"] == "ok"
    sim.set_level(B, "bid", "0.20", "7")
    feed.until(lambda f: f["type"] == "orderbook_delta" and f["msg"]["market_ticker"] == B)
    shapes = [(f["type"], f.get("seq")) for f in feed.seen]
    assert shapes == [
        ("subscribed", None),
        ("orderbook_snapshot", 1),
        ("orderbook_delta", 2),
        ("ok", 3),
        ("orderbook_snapshot", 4),
        ("orderbook_delta", 5),
    ]
    assert next(f for f in feed.seen if f["type"] == "ok")["msg"]["market_tickers"] == [A, B]


def test_snapshot_and_deltas_give_the_rest_book(sim: SimulatorServer, client: Client, feed: Feed) -> None:
    """Whatever the moment of the subscription."""
    feed.subscribe("orderbook_delta", tickers=[A])
    for step in range(30):
        sim.set_level(A, "bid", f"0.{30 + step % 7}", str(step))
        sim.set_level(A, "ask", f"0.{60 + step % 5}", str(2 * step))
    feed.reply("list_subscriptions")
    book = client.get(f"/markets/{A}/orderbook")["orderbook_fp"]
    expected = {("yes", p): float(c) for p, c in book["yes_dollars"]}
    expected |= {("no", p): float(c) for p, c in book["no_dollars"]}
    assert book_of(feed.seen, A) == expected


@pytest.mark.parametrize(("flag", "price"), [(True, "0.5200"), (False, "0.4800")])
def test_no_levels_are_priced_as_asked(sim: SimulatorServer, feed: Feed, flag: bool, price: str) -> None:
    """use_yes_price puts the NO side on the YES scale, in snapshots and deltas."""
    feed.subscribe("orderbook_delta", tickers=[A], use_yes_price=flag)
    assert feed.until_type("orderbook_snapshot")["msg"]["no_dollars_fp"] == [[price, "70.00"]]
    sim.set_level(A, "ask", "0.52", "60")
    delta = feed.until_type("orderbook_delta")["msg"]
    assert (delta["side"], delta["price_dollars"], delta["delta_fp"]) == ("no", price, "-10.00")


def test_the_key_of_an_empty_side_is_absent(sim: SimulatorServer, feed: Feed) -> None:
    """An unknown ticker is accepted and has an empty snapshot."""
    sim.set_book(A, yes=[("0.50", "1")])
    feed.subscribe("orderbook_delta", tickers=[A, C])
    msgs = [feed.until_type("orderbook_snapshot")["msg"] for _ in range(2)]
    assert "no_dollars_fp" not in msgs[0]
    assert not {"yes_dollars_fp", "no_dollars_fp"} & set(msgs[1])


def test_get_snapshot_answers_with_its_id_and_a_sequence_number(sim: SimulatorServer, feed: Feed) -> None:
    """No ok follows by default."""
    feed.subscribe("orderbook_delta", tickers=[A])
    reply = feed.reply("update_subscription", sids=[1], action="get_snapshot", market_tickers=[A])
    assert (reply["type"], reply["seq"]) == ("orderbook_snapshot", 2)


def test_markets_join_and_leave(sim: SimulatorServer, feed: Feed) -> None:
    """ok carries the whole sorted list; a market that left is silent."""
    sim.add_market(B)
    feed.subscribe("orderbook_delta", tickers=[B])
    added = feed.reply("update_subscription", sid=1, action="add_markets", market_tickers=[A])
    assert added["msg"]["market_tickers"] == [A, B]
    removed = feed.reply("update_subscription", sid=1, action="delete_markets", market_tickers=[B])
    assert removed["msg"]["market_tickers"] == [A]
    sim.set_level(B, "bid", "0.10", "1")
    sim.set_level(A, "bid", "0.10", "1")
    assert feed.until_type("orderbook_delta")["msg"]["market_ticker"] == A


def test_deleting_the_last_market_keeps_a_silent_sid(sim: SimulatorServer, feed: Feed) -> None:
    """It does not widen to everything."""
    feed.subscribe("ticker", tickers=[A])
    feed.reply("update_subscription", sid=1, action="delete_markets", market_tickers=[A])
    sim.set_level(A, "bid", "0.51", "1")
    listed = feed.reply("list_subscriptions")
    assert listed["msg"] == [{"channel": "ticker", "sid": 1}]
    assert not [f for f in feed.seen if f["type"] == "ticker"]


def test_unsubscribe_names_each_sid_and_numbers_start_anew(sim: SimulatorServer, feed: Feed) -> None:
    """A new subscription has a new sid and counts from 1."""
    feed.subscribe("orderbook_delta", tickers=[A])
    gone = feed.reply("unsubscribe", sids=[1])
    assert (gone["type"], gone["sid"], gone["seq"]) == ("unsubscribed", 1, 2)
    assert "msg" not in gone
    assert feed.subscribe("orderbook_delta", tickers=[A])["msg"]["sid"] == 2
    assert feed.until_type("orderbook_snapshot")["seq"] in (1, 1)
    assert feed.seen[-1]["sid"] == 2


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param("{", 1, id="not JSON"),
        pytest.param(b"\xff", 1, id="binary, not JSON"),
        pytest.param(b'{"id": "\xff"}', 1, id="binary, not UTF-8"),
        pytest.param("[" * 100_000, 1, id="nested without end"),
        pytest.param({"id": "x", "cmd": "subscribe"}, 1, id="wrong type"),
        pytest.param({"id": 9, "cmd": "subscribe"}, 2, id="no params"),
        pytest.param({"id": 9, "cmd": "subscribe", "params": {}}, 3, id="no channels"),
        pytest.param({"id": 9, "cmd": "unsubscribe", "params": {}}, 4, id="no sids"),
        pytest.param({"id": 9, "cmd": "login", "params": {}}, 5, id="unknown command"),
        pytest.param({"id": 9, "cmd": "unsubscribe", "params": {"sids": [77]}}, 7, id="unknown sid"),
        pytest.param({"id": 9, "cmd": "subscribe", "params": {"channels": ["ticker_v2"]}}, 8, id="removed"),
        pytest.param(
            {"id": 9, "cmd": "subscribe", "params": {"channels": ["ticker"], "market_id": "x"}}, 11, id="uuid"
        ),
        pytest.param({"id": 9, "cmd": "update_subscription", "params": {"action": "x"}}, 12, id="no sid"),
        pytest.param(
            {"id": 9, "cmd": "update_subscription", "params": {"sid": 1, "sids": [1], "action": "x"}},
            12,
            id="sid and sids",
        ),
        pytest.param(
            {"id": 9, "cmd": "update_subscription", "params": {"sid": 1, "action": "x"}}, 13, id="action"
        ),
        pytest.param(
            {"id": 9, "cmd": "subscribe", "params": {"channels": ["orderbook_delta"]}}, 14, id="no market"
        ),
        pytest.param(
            {"id": 9, "cmd": "update_subscription", "params": {"sid": 1, "action": "add_markets"}},
            14,
            id="none",
        ),
        pytest.param({"id": 9, "cmd": "update_subscription", "params": {"sid": 1}}, 15, id="no action"),
        pytest.param(
            {"id": 9, "cmd": "subscribe", "params": {"channels": ["communications"], "shard_factor": 0}},
            19,
            id="19",
        ),
        pytest.param(
            {"id": 9, "cmd": "subscribe", "params": {"channels": ["communications"], "shard_key": 0}},
            20,
            id="20",
        ),
        pytest.param(
            {
                "id": 9,
                "cmd": "subscribe",
                "params": {"channels": ["communications"], "shard_factor": 4, "shard_key": 4},
            },
            21,
            id="21",
        ),
        pytest.param(
            {"id": 9, "cmd": "subscribe", "params": {"channels": ["communications"], "shard_factor": 101}},
            22,
            id="22",
        ),
        pytest.param(
            {"id": 9, "cmd": "subscribe", "params": {"channels": ["communications"], "user_filter": "me"}},
            11,
            id="unknown user filter",
        ),
    ],
)
def test_error_codes(feed: Feed, command: Any, code: int) -> None:
    """Each mistake has its number; the connection goes on."""
    feed.subscribe("ticker", tickers=[A])
    if isinstance(command, bytes):
        feed.socket.send_binary(command)
    else:
        feed.socket.send(command if isinstance(command, str) else json.dumps(command))
    error = feed.until_type("error")
    assert error["msg"]["code"] == code
    assert feed.reply("list_subscriptions")["type"] == "ok"


def test_a_command_in_a_binary_frame_is_read(feed: Feed) -> None:
    """Clients whose JSON encoder returns bytes send those as they are."""
    feed.socket.send_binary(b'{"id": 5, "cmd": "subscribe", "params": {"channels": ["fill"]}}')
    assert feed.until_type("subscribed")["id"] == 5


@pytest.mark.parametrize(("code", "text"), [(18, "Command timeout"), (27, "Too many requests")])
def test_a_command_may_fail_for_no_fault_of_its_own(
    sim: SimulatorServer, feed: Feed, code: int, text: str
) -> None:
    """Nothing was done; the same command works afterwards."""
    sim.fail_command(code)
    assert feed.subscribe("ticker", tickers=[A])["msg"] == {"code": code, "msg": text}
    assert feed.subscribe("ticker", tickers=[A])["msg"] == {"channel": "ticker", "sid": 1}


def test_too_many_commands_in_a_second() -> None:
    """Code 27 for those above the limit, and the second after is free."""
    clock = ManualClock(SystemClock().now_ms())
    with SimulatorServer(clock=clock, semantics=Semantics(commands_per_s=3)) as sim, Feed(sim) as feed:
        replies = [feed.reply("list_subscriptions") for _ in range(5)]
        assert [r["msg"]["code"] for r in replies if r["type"] == "error"] == [27, 27]
        clock.advance(1.0)
        assert feed.reply("list_subscriptions")["type"] == "ok"


def test_an_error_of_a_subscription_counts_in_its_sequence(sim: SimulatorServer, feed: Feed) -> None:
    """Sequenced channels only; what is skipped leaves a gap."""
    feed.subscribe("orderbook_delta", "ticker", tickers=[A])
    errors = [feed.reply("update_subscription", sid=sid, action="x") for sid in (1, 2)]
    assert [(e["sid"], e.get("seq"), e["msg"]["code"]) for e in errors] == [(1, 2, 13), (2, None, 13)]
    sim.set_level(A, "bid", "0.51", "1")
    assert feed.until_type("orderbook_delta")["seq"] == 3


@pytest.mark.parametrize("code", [10, 25])
def test_a_terminal_error_ends_the_subscription_only(sim: SimulatorServer, feed: Feed, code: int) -> None:
    """The socket lives; subscribing again gives a new sid and a fresh snapshot."""
    feed.subscribe("orderbook_delta", tickers=[A])
    sim.overflow("orderbook_delta", code)
    error = feed.until_type("error")
    assert (error["sid"], error["seq"], error["msg"]["code"]) == (1, 2, code)
    assert feed.subscribe("orderbook_delta", tickers=[A])["msg"]["sid"] == 2
    assert feed.until_type("orderbook_snapshot")["seq"] == 1


def test_too_many_markets_on_one_subscription() -> None:
    """Code 26; the number is not published."""
    with SimulatorServer(semantics=Semantics(markets_per_subscription=1)) as sim, Feed(sim) as feed:
        assert feed.subscribe("ticker", tickers=[A, B])["msg"]["code"] == 26


def test_a_ticker_comes_on_every_change_and_at_once_when_asked(sim: SimulatorServer, feed: Feed) -> None:
    """Size-only changes count; an empty side is 0.0000 or 1.0000 with size 0.00."""
    feed.subscribe("ticker", tickers=[A], send_initial_snapshot=True)
    assert feed.until_type("ticker")["msg"]["yes_bid_dollars"] == "0.5000"
    sim.set_level(A, "bid", "0.50", "99")
    assert feed.until_type("ticker")["msg"]["yes_bid_size_fp"] == "99.00"
    sim.set_book(A)
    msg = feed.until(lambda f: f["type"] == "ticker" and f["msg"]["yes_ask_size_fp"] == "0.00")["msg"]
    assert (msg["yes_bid_dollars"], msg["yes_ask_dollars"]) == ("0.0000", "1.0000")


def test_a_fill_reaches_all_private_channels(sim: SimulatorServer, client: Client, feed: Feed) -> None:
    """Selling YES shows as outcome no, book side ask, at the YES price."""
    for channel in ("fill", "user_orders", "market_positions"):
        feed.subscribe(channel)
    client.order(client_order_id="sl-9")
    fill = feed.until_type("fill")["msg"]
    assert (fill["outcome_side"], fill["book_side"], fill["action"]) == ("no", "ask", "sell")
    assert (fill["yes_price_dollars"], fill["count_fp"], fill["post_position_fp"]) == (
        "0.5000",
        "10.00",
        "15.00",
    )
    assert fill["client_order_id"] == "sl-9"
    position = next(f for f in [*feed.seen, feed.receive()] if f["type"] == "market_position")
    assert position["msg"]["position_fp"] == "15.00"
    order = next((f for f in feed.seen if f["type"] == "user_order"), None) or feed.until_type("user_order")
    assert order["msg"]["status"] == "executed"


def test_own_orders_are_marked_in_deltas(sim: SimulatorServer, client: Client, feed: Feed) -> None:
    """Others' are not."""
    feed.subscribe("orderbook_delta", tickers=[A])
    sim.set_level(A, "bid", "0.10", "3")
    assert "client_order_id" not in feed.until_type("orderbook_delta")["msg"]
    client.order(side="bid", time_in_force="good_till_canceled", price="0.1000", client_order_id="mine")
    assert feed.until_type("orderbook_delta")["msg"]["client_order_id"] == "mine"


def test_the_close_sends_one_empty_ticker_and_an_empty_snapshot(sim: SimulatorServer, feed: Feed) -> None:
    """The snapshot's seq continues; there is no lifecycle event."""
    feed.subscribe("orderbook_delta", "ticker", tickers=[A])
    feed.subscribe("market_lifecycle_v2")
    seq = max(f.get("seq", 0) for f in feed.seen)
    sim.close_market(A)
    snapshot = feed.until(lambda f: f["type"] == "orderbook_snapshot" and f["seq"] > 1)
    ticker = feed.until_type("ticker")["msg"]
    assert (snapshot["seq"], "yes_dollars_fp" in snapshot["msg"]) == (seq + 1, False)
    shown = [ticker[k] for k in ("yes_bid_dollars", "yes_ask_dollars", "yes_bid_size_fp", "yes_ask_size_fp")]
    assert shown == ["0.0000", "1.0000", "0.00", "0.00"]
    assert not [f for f in feed.seen if f["type"] == "market_lifecycle_v2"]


def test_market_ids_select_tickers(sim: SimulatorServer, feed: Feed) -> None:
    """Only on the ticker channel."""
    market_id = sim.running.venue.exchange.state.market(A).market_id
    feed.subscribe("ticker", market_ids=[market_id], send_initial_snapshot=True)
    assert feed.until_type("ticker")["msg"]["market_id"] == market_id
    assert feed.subscribe("trade", market_ids=[market_id])["msg"]["code"] == 11
