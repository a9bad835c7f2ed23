"""What is wanted against what is acknowledged: commands out, replies in, any order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from base.kalshi import commands
from base.kalshi.channel import COMMAND_TIMEOUT_S, LARGEST_BATCH, MOST_SENDS
from base.kalshi.messages import ErrorFrame, Ok, Subscribed, Unsubscribed
from base.kalshi.subscriptions import Subscriptions

A, B, C = "KXA", "KXB", "KXC"
ACCOUNT = {"fill", "user_orders", "market_positions", "market_lifecycle_v2"}


class Desk:
    """Subscriptions with a clock and parsed commands."""

    def __init__(self, held: str = "", watched: str = "") -> None:
        self.now_s = 100.0
        self.subscriptions = Subscriptions()
        self.subscriptions.connected()
        self.want(held, watched)

    def want(self, held: str, watched: str = "") -> None:
        books = set(held.split())
        self.subscriptions.want(books | set(watched.split()), books)

    def due(self, after_s: float = 0.0) -> list[dict[str, Any]]:
        self.now_s += after_s
        return [json.loads(text) for text in self.subscriptions.due(self.now_s)]

    def of(self, channel: str, after_s: float = 0.0) -> list[dict[str, Any]]:
        """The due commands about one price channel."""
        name = {"ticker": self.subscriptions.ticker, "orderbook_delta": self.subscriptions.book}[channel]
        return [
            c
            for c in self.due(after_s)
            if c["params"].get("channels") == [channel]
            or (
                name.sid is not None
                and (c["params"].get("sid") == name.sid or c["params"].get("sids") == [name.sid])
            )
        ]

    def ok(self, command: dict[str, Any], tickers: str | None = None, sid: int | None = 2) -> None:
        listed = None if tickers is None else tuple(tickers.split())
        self.subscriptions.on_ok(Ok(command["id"], sid, 5, listed, None, None), self.now_s)

    def error(
        self, code: int, command_id: int | None = None, sid: int | None = None, named: str = ""
    ) -> str | None:
        frame = ErrorFrame(command_id, sid, None, code, "", tuple(named.split()), None)
        return self.subscriptions.on_error(frame, self.now_s)

    def subscribed(self, command: dict[str, Any], sid: int) -> None:
        channel = command["params"]["channels"][0]
        self.subscriptions.on_subscribed(Subscribed(command["id"], channel, sid, None))


def acked_book(held: str = f"{A} {B}") -> Desk:
    """A desk whose books are acknowledged as sid 2."""
    desk = Desk(held)
    (command,) = desk.of("orderbook_delta")
    desk.subscribed(command, 2)
    return desk


def test_first_commands_of_a_connection():
    """Held markets: ticker and book, flags sent explicitly; account channels once."""
    sent = Desk(held=A, watched=B).due()
    assert [c["id"] for c in sent] == list(range(1, 7))
    by_channel = {c["params"]["channels"][0]: c["params"] for c in sent}
    assert by_channel["ticker"]["market_tickers"] == [A, B]
    assert by_channel["ticker"]["send_initial_snapshot"] is True
    assert by_channel["orderbook_delta"]["market_tickers"] == [A]
    assert by_channel["orderbook_delta"]["use_yes_price"] is True
    assert set(by_channel) == ACCOUNT | {"ticker", "orderbook_delta"}
    for name in ACCOUNT:
        assert by_channel[name] == {"channels": [name]}


def test_nothing_is_asked_without_a_market():
    """An empty list could mean every market: such a command does not exist."""
    assert {c["params"]["channels"][0] for c in Desk().due()} == ACCOUNT
    for write in (
        lambda: commands.subscribe(1, "ticker", []),
        lambda: commands.add_markets(1, "ticker", 1, []),
        lambda: commands.delete_markets(1, 1, []),
        lambda: commands.get_snapshot(1, 1, []),
        lambda: commands.get_snapshot(1, 1, "KXA"),
    ):
        with pytest.raises(ValueError, match="name at least one market"):
            write()


@pytest.mark.parametrize(("old", "new"), [("ticker_v2", "ticker"), ("multivariate", "multivariate_market")])
def test_retired_channel_names_its_successor(old: str, new: str):
    """Asking for it would only give error 8."""
    with pytest.raises(ValueError, match=new):
        commands.subscribe(1, old, [A])


def test_later_markets_are_added_to_the_same_sid():
    """One subscription per channel and connection; the ack of an addition is ``ok`` with the whole list."""
    desk = acked_book(A)
    desk.want(f"{A} {B}")
    (command,) = desk.of("orderbook_delta")
    assert command["cmd"] == "update_subscription"
    assert command["params"] == {"sid": 2, "action": "add_markets", "market_tickers": [B]}
    assert desk.of("orderbook_delta") == []  # one change at a time
    assert not desk.subscriptions.book.is_acked(B)
    desk.ok(command, f"{A} {B}")
    assert desk.subscriptions.book.is_acked(B)


def test_merged_subscribe_is_acknowledged_by_ok():
    """A second subscribe of a channel is answered ``ok``, with the sid outside ``msg``."""
    desk = Desk(A)
    (command,) = desk.of("orderbook_delta")
    desk.ok(command, A, sid=9)
    assert desk.subscriptions.book.sid == 9
    assert desk.subscriptions.book.is_acked(A)


def test_last_market_is_removed_by_unsubscribe():
    """An emptied list might widen to everything."""
    desk = acked_book()
    desk.want(A)
    (command,) = desk.of("orderbook_delta")
    assert command["params"] == {"sid": 2, "action": "delete_markets", "market_tickers": [B]}
    desk.ok(command, A)
    desk.want("")
    (command,) = desk.of("orderbook_delta")
    assert (command["cmd"], command["params"]) == ("unsubscribe", {"sids": [2]})
    desk.subscriptions.on_unsubscribed(Unsubscribed(command["id"], 2, 9, None))
    assert desk.subscriptions.book.sid is None
    assert desk.of("orderbook_delta") == []


def test_markets_are_added_before_others_are_deleted():
    """So that the list never runs empty in between."""
    desk = acked_book()
    desk.want(C)
    (first,) = desk.of("orderbook_delta")
    assert first["params"]["action"] == "add_markets"
    desk.ok(first, f"{A} {B} {C}")
    (second,) = desk.of("orderbook_delta")
    assert (second["params"]["action"], second["params"]["market_tickers"]) == ("delete_markets", [A, B])


def test_many_markets_come_in_batches():
    """A thousand markets are several commands, one after another."""
    names = [f"KX{n:04d}" for n in range(LARGEST_BATCH + 10)]
    desk = Desk(" ".join(names))
    (first,) = desk.of("orderbook_delta")
    assert len(first["params"]["market_tickers"]) == LARGEST_BATCH
    desk.subscribed(first, 2)
    (second,) = desk.of("orderbook_delta")
    assert second["params"]["market_tickers"] == names[LARGEST_BATCH:]


def test_lost_ack_is_asked_for_again_a_bounded_number_of_times():
    """Without its ack nothing is acknowledged; the reply to any of the sendings counts."""
    desk = Desk(A)
    ids = [desk.of("orderbook_delta")[0]["id"]]
    for _ in range(MOST_SENDS - 1):
        assert desk.of("orderbook_delta", COMMAND_TIMEOUT_S - 0.1) == []
        (again,) = desk.of("orderbook_delta", 0.1)
        ids.append(again["id"])
    assert len(set(ids)) == MOST_SENDS
    assert desk.of("orderbook_delta", COMMAND_TIMEOUT_S) == []
    assert desk.subscriptions.unanswered >= 1
    assert not desk.subscriptions.book.is_acked(A)
    assert desk.of("orderbook_delta", 60.0) != []  # and after a pause once more


def test_late_reply_to_the_first_sending_counts():
    """Replies come in any order; they are matched by id."""
    desk = Desk(A)
    (first,) = desk.of("orderbook_delta")
    desk.of("orderbook_delta", COMMAND_TIMEOUT_S)
    desk.subscribed(first, 2)
    assert desk.subscriptions.book.is_acked(A)
    assert desk.of("orderbook_delta") == []


@pytest.mark.parametrize("code", [7, 10, 25])
def test_dead_subscription_is_opened_anew_with_a_pause(code: int):
    """The socket is fine, the sid is dead; a repeat at once would kill it again."""
    desk = acked_book()
    desk.error(code, sid=2)
    assert desk.subscriptions.book.sid is None
    assert not desk.subscriptions.book.is_acked(A)
    assert desk.of("orderbook_delta") == []
    (command,) = desk.of("orderbook_delta", 1.0)
    assert command["cmd"] == "subscribe"
    desk.subscribed(command, 3)
    desk.error(code, sid=3)
    assert desk.of("orderbook_delta", 0.9) == []


@pytest.mark.parametrize("code", [8, 9])
def test_refused_channel_rests(code: int):
    """The book refused: the ticker becomes the quote, and the book is asked for again a minute later."""
    desk = Desk(A)
    (command,) = desk.of("orderbook_delta")
    desk.error(code, command["id"])
    assert desk.subscriptions.book.is_refused(A, desk.now_s)
    assert not desk.subscriptions.ticker.is_refused(A, desk.now_s)
    assert desk.of("orderbook_delta", 59.0) == []
    assert desk.of("orderbook_delta", 1.0) != []


def test_market_limit_is_found_by_halving():
    """Error 26 says that the list is too long, not which markets fit."""
    names = [f"KX{n}" for n in range(8)]
    desk = Desk(" ".join(names))
    sizes = []
    for _ in range(3):
        (command,) = desk.of("orderbook_delta")
        sizes.append(len(command["params"]["market_tickers"]))
        desk.error(26, command["id"])
    assert sizes == [8, 4, 2]
    (command,) = desk.of("orderbook_delta")
    desk.error(26, command["id"])
    assert desk.subscriptions.book.is_refused("KX0", desk.now_s)
    (command,) = desk.of("orderbook_delta")
    assert command["params"]["market_tickers"] == ["KX1"]


def test_named_market_is_left_out():
    """One bad market must not keep the others from being subscribed."""
    desk = Desk(f"{A} {B}")
    (command,) = desk.of("orderbook_delta")
    desk.error(16, command["id"], named=B)
    (command,) = desk.of("orderbook_delta")
    assert command["params"]["market_tickers"] == [A]


@pytest.mark.parametrize("code", [1, 17, 18, 27, 99])
def test_other_errors_are_tried_again_with_growing_pauses(code: int):
    """A time-out over there, too many commands, or a number we don't know."""
    desk = Desk(A)
    pauses = []
    for _ in range(3):
        waited = 0.0
        while not (found := desk.of("orderbook_delta")):
            desk.now_s += 0.5
            waited += 0.5
        pauses.append(waited)
        desk.error(code, found[0]["id"])
    assert pauses == [0.0, 1.0, 2.0]


def test_already_subscribed_asks_for_the_list():
    """Code 6 is retired, but a server that still sends it holds a sid we don't know."""
    desk = Desk(A)
    (command,) = desk.of("orderbook_delta")
    text = desk.error(6, command["id"])
    assert text is not None
    listing = json.loads(text)
    assert listing["cmd"] == "list_subscriptions"
    reply = Ok(listing["id"], None, None, None, (("orderbook_delta", 4), ("unknown_channel", 9)), None)
    desk.subscriptions.on_ok(reply, desk.now_s)
    assert desk.subscriptions.book.sid == 4
    (command,) = desk.of("orderbook_delta")
    assert command["params"]["action"] == "add_markets"
    assert desk.error(6, command["id"]) is None  # not listed again at once


def test_unsupported_addition_falls_back_to_subscribe():
    """add_markets is only documented for some channels."""
    desk = acked_book(A)
    desk.want(f"{A} {B}")
    (command,) = desk.of("orderbook_delta")
    desk.error(13, command["id"])
    (command,) = desk.of("orderbook_delta")
    assert (command["cmd"], command["params"]["market_tickers"]) == ("subscribe", [B])


def test_market_missing_from_the_acknowledged_list_is_not_live():
    """The list in the reply is the truth, not what we asked for."""
    desk = acked_book(A)
    desk.want(f"{A} {B}")
    (command,) = desk.of("orderbook_delta")
    desk.ok(command, A)
    assert not desk.subscriptions.book.is_acked(B)
    assert desk.subscriptions.book.is_refused(B, desk.now_s)


def test_new_connection_knows_nothing():
    """Sids, acks and ids start over; what is wanted stays."""
    desk = acked_book()
    desk.subscriptions.connected()
    assert desk.subscriptions.book.sid is None
    sent = desk.due()
    assert sent[0]["id"] == 1
    assert {c["cmd"] for c in sent} == {"subscribe"}


def test_snapshot_commands_are_batched_and_matched():
    """Snapshots are asked for a hundred at a time; an ``ok`` to them changes nothing."""
    desk = acked_book()
    texts = desk.subscriptions.snapshot_commands([f"KX{n}" for n in range(150)])
    found = [json.loads(text) for text in texts]
    assert [len(c["params"]["market_tickers"]) for c in found] == [100, 50]
    desk.ok(found[0], "KX0")
    assert desk.subscriptions.book.is_acked(A)
    assert desk.error(7, found[1]["id"]) is None
    assert desk.subscriptions.book.sid is None


def test_unanswerable_frames_are_ignored():
    """Replies to nobody, errors about nothing."""
    desk = acked_book()
    desk.ok({"id": 999}, C)
    desk.error(10, sid=77)
    desk.error(1)
    desk.subscriptions.on_unsubscribed(Unsubscribed(None, 77, 1, None))
    desk.subscriptions.on_subscribed(Subscribed(None, "unheard_of", 5, None))
    assert desk.subscriptions.book.is_acked(A)
    assert not desk.subscriptions.book.is_acked(C)


def test_a_reply_that_nobody_waits_for_acknowledges_no_market():
    """The sid is news, the markets are not: only the reply to our own command says what was taken."""
    desk = Desk(A)
    desk.due()
    desk.subscriptions.on_subscribed(Subscribed(999, "orderbook_delta", 5, None))
    assert (desk.subscriptions.book.sid, desk.subscriptions.book.is_acked(A)) == (5, False)
    desk = acked_book(A)
    desk.subscriptions.on_ok(Ok(None, 2, 5, (B,), None, None), desk.now_s)
    assert desk.subscriptions.book.is_acked(A)


@pytest.mark.parametrize(("want", "sid"), [(A, 2), ("", None)], ids=["a market less", "all of it"])
def test_a_bare_ok_means_that_the_command_was_carried_out(want: str, sid: int | None):
    """Where the reply has no list, what we asked for holds; an unsubscription may be answered so, too."""
    desk = acked_book()
    desk.want(want)
    (command,) = desk.of("orderbook_delta")
    desk.ok(command)
    assert (desk.subscriptions.book.sid, desk.subscriptions.book.acked) == (sid, set(want.split()))


def test_a_refused_snapshot_leaves_the_subscription_alone():
    """Only an unknown sid says that it is dead; the books are asked for again by themselves."""
    desk = acked_book()
    (text,) = desk.subscriptions.snapshot_commands([A])
    assert desk.error(18, json.loads(text)["id"]) is None
    assert desk.subscriptions.book.is_acked(A)


def test_trades_are_subscribed_for_every_market_once_somebody_wants_them():
    """Of the markets of now, and of those that come later; nobody pays for them before."""
    desk = Desk(A, B)
    assert not [c for c in desk.due() if c["params"].get("channels") == ["trade"]]
    desk.subscriptions.follow_trades()
    (command,) = [c for c in desk.due() if c["params"].get("channels") == ["trade"]]
    assert command["params"]["market_tickers"] == [A, B]
    desk.subscribed(command, 9)
    desk.want(A, f"{B} {C}")
    (command,) = [c for c in desk.due() if c["params"].get("sid") == 9]
    assert command["params"]["market_tickers"] == [C]
