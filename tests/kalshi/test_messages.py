"""Frames of the WebSocket: what is understood, what is refused, what passes unknown."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import WireError
from base.kalshi.messages import (
    KNOWN_TYPES,
    MOST_BYTES,
    AccountFrame,
    BookDelta,
    BookSnapshot,
    ErrorFrame,
    EventFrame,
    Ok,
    Subscribed,
    Ticker,
    Trade,
    UnknownFrame,
    Unsubscribed,
    decode,
    refuse_type,
)
from base.model import Fill, LifecycleEvent, OrderReport, PositionPush
from tests.kalshi.frames import TICKER, delta, envelope, fill_msg, snapshot, ticker, user_order_msg

D = Decimal


def test_ticker_is_read_in_dollars():
    """A ticker says the best prices on the YES scale, as strings."""
    frame = decode(ticker())
    assert frame == Ticker(1, TICKER, D("0.5150"), D("0.5300"), D("120.00"), D("37.50"), 1795132800123, None)


@pytest.mark.parametrize(
    ("changes", "bid", "ask"),
    [
        pytest.param({"yes_bid_dollars": "0.0000", "yes_bid_size_fp": "0.00"}, None, "0.53", id="empty bid"),
        pytest.param({"yes_ask_dollars": "1.0000", "yes_ask_size_fp": "0.00"}, "0.515", None, id="empty ask"),
        pytest.param({"yes_bid_dollars": "", "yes_bid_size_fp": "0.00"}, None, "0.53", id="blank bid"),
        pytest.param({"yes_bid_dollars": None, "yes_bid_size_fp": "0.00"}, None, "0.53", id="null bid"),
        pytest.param({"yes_bid_size_fp": "0.00"}, None, "0.53", id="price without size"),
        pytest.param({"yes_bid_dollars": "0.0000"}, None, "0.53", id="size without price"),
        pytest.param({"price_dollars": ""}, "0.515", "0.53", id="never traded"),
        pytest.param({"a_new_member": {"x": [1]}}, "0.515", "0.53", id="unknown member"),
    ],
)
def test_side_without_orders_is_none(changes: dict[str, Any], bid: str | None, ask: str | None):
    """A side counts as quoted only with a size and a price strictly between 0 and 1."""
    frame = decode(ticker(**changes))
    assert isinstance(frame, Ticker)
    assert frame.bid == (None if bid is None else D(bid))
    assert frame.ask == (None if ask is None else D(ask))
    assert (frame.bid is None) == (frame.bid_size is None)
    assert (frame.ask is None) == (frame.ask_size is None)


@pytest.mark.parametrize("name", ["market_ticker", "yes_bid_dollars", "yes_ask_size_fp", "ts_ms"])
def test_missing_member_refuses_the_ticker(name: str):
    """A member that is missing has no default: the frame is refused whole."""
    with pytest.raises(WireError):
        decode(ticker(**{name: ...}))


BAD_NUMBERS = [
    pytest.param("56", id="cents"),
    pytest.param(0.56, id="a float"),
    pytest.param(56, id="an int"),
    pytest.param(True, id="a bool"),
    pytest.param("NaN", id="nan"),
    pytest.param("Infinity", id="infinity"),
    pytest.param("1e-2", id="exponent"),
    pytest.param("0.5600 ", id="space"),
    pytest.param("-0.1000", id="negative"),
    pytest.param("٠.٥", id="other digits"),
    pytest.param("0." + "5" * 5000, id="five thousand digits"),
    pytest.param(["0.56"], id="a list"),
]


@pytest.mark.parametrize("value", BAD_NUMBERS)
@pytest.mark.parametrize("name", ["yes_bid_dollars", "yes_ask_dollars"])
def test_malformed_price_is_refused(name: str, value: Any):
    """Doubt about a price ends at the border."""
    with pytest.raises(WireError):
        decode(ticker(**{name: value}))


@pytest.mark.parametrize("value", BAD_NUMBERS[1:-2])
def test_malformed_level_is_refused(value: Any):
    """The same for the levels of a book."""
    with pytest.raises(WireError):
        decode(delta(2, value, "1.00"))
    with pytest.raises(WireError):
        decode(snapshot(yes=[(value, "1.00")]))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(delta(2, "0.4000", "1.00", "maybe"), id="unknown side"),
        pytest.param(delta(2, "0.0000", "1.00"), id="level at 0"),
        pytest.param(delta(2, "1.0000", "1.00"), id="level at 1"),
        pytest.param(snapshot(yes=[("0.40", "-1.00")]), id="negative level"),
        pytest.param(snapshot(yes=[("0.40", "1.00"), ("0.4000", "2.00")]), id="one price twice"),
        pytest.param('{"type":"orderbook_delta","sid":2,"msg":{}}', id="delta without seq"),
        pytest.param("", id="nothing"),
        pytest.param("null", id="null"),
        pytest.param("[]", id="a list"),
        pytest.param('{"type":7}', id="type is a number"),
        pytest.param('{"sid":1}', id="no type"),
        pytest.param('{"type":"ticker","sid":NaN,"msg":{}}', id="NaN literal"),
        pytest.param("[" * 100_000, id="deep nesting"),
        pytest.param('{"type":"zzz","x":' + "[" * 100_000 + "]" * 100_000 + "}", id="deep unknown"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param(b" " * (MOST_BYTES + 1), id="too long"),
        pytest.param(envelope("fill", fill_msg(book_side="up"), sid=4), id="unknown book side"),
        pytest.param(envelope("fill", fill_msg(trade_id=...), sid=4), id="fill without trade id"),
        pytest.param(
            envelope("market_position", {"market_ticker": "A", "position": 3}, sid=4), id="old field"
        ),
    ],
)
def test_broken_frame_is_refused(raw: str | bytes):
    """Corrupt data is worse than none."""
    with pytest.raises(WireError):
        decode(raw)


def test_snapshot_and_delta():
    """Both sides, in any order; an absent key is an empty side; clock is optional."""
    frame = decode(snapshot(4, [("0.40", "1.00"), ("0.45", "2.50")], id=9, clock=77))
    assert isinstance(frame, BookSnapshot)
    assert (frame.seq, frame.id, frame.clock) == (4, 9, 77)
    assert frame.yes == ((D("0.40"), D("1.00")), (D("0.45"), D("2.50")))
    assert frame.no == ()
    change = decode(delta(5, "0.4700", "-12.50", "no", clock=78))
    assert change == BookDelta(2, 5, TICKER, D("0.4700"), D("-12.50"), False, 78, 1795132801500, None)


@pytest.mark.parametrize(
    ("book_side", "signed"),
    [pytest.param("bid", "2.50", id="buys YES"), pytest.param("ask", "-2.50", id="sells")],
)
def test_fill_moves_the_position_by_book_side(book_side: str, signed: str):
    """``book_side`` is the safe field: buying NO shows as a sale."""
    frame = decode(envelope("fill", fill_msg(book_side=book_side), sid=4))
    assert isinstance(frame, AccountFrame)
    assert isinstance(frame.event, Fill)
    assert frame.event.signed_count == D(signed)
    assert frame.event.post_position == D("-2.50")
    assert frame.event.subaccount == 0


def test_user_order_sums_taker_and_maker():
    """Cost and fees come in two halves."""
    frame = decode(envelope("user_order", user_order_msg(subaccount_number=3), sid=5))
    assert isinstance(frame, AccountFrame)
    report = frame.event
    assert isinstance(report, OrderReport)
    assert (report.fill_cost, report.fees) == (D("1.500000"), D("0.043000"))
    assert (report.is_yes_bid, report.subaccount, report.reason) == (False, 3, "Trade")


@pytest.mark.parametrize("kind", ["market_lifecycle_v2", "multivariate_market_lifecycle"])
def test_lifecycle_of_plain_and_combined_markets(kind: str):
    """Both kinds of market open and close in the same words."""
    frame = decode(envelope(kind, {"market_ticker": TICKER, "event_type": "deactivated"}, sid=7, seq=3))
    event = LifecycleEvent(ticker=TICKER, event="deactivated", close_ms=None, result=None, grid=None)
    assert frame == AccountFrame(kind, 7, 3, event, None)


def test_position_and_lifecycle():
    """Positions are signed; lifecycle times are seconds; a new grid comes with its bands."""
    frame = decode(envelope("market_position", {"market_ticker": TICKER, "position_fp": "-3.00"}, sid=6))
    assert isinstance(frame, AccountFrame)
    assert frame.event == PositionPush(ticker=TICKER, subaccount=0, signed_count=D("-3.00"))
    bands = [{"start": "0.1", "end": "1.0", "step": "0.01"}, {"start": "0.0", "end": "0.1", "step": "0.001"}]
    msg = {"market_ticker": TICKER, "event_type": "close_date_updated", "close_ts": 5, "price_ranges": bands}
    frame = decode(envelope("market_lifecycle_v2", msg, sid=7, seq=1))
    assert isinstance(frame, AccountFrame)
    assert isinstance(frame.event, LifecycleEvent)
    assert frame.event.close_ms == 5000
    assert frame.event.grid is not None
    assert frame.event.grid.lowest == D("0.001")


@pytest.mark.parametrize(
    ("msg", "tickers", "listed"),
    [
        pytest.param({"market_tickers": ["A", "B"]}, ("A", "B"), None, id="market list"),
        pytest.param({"index_ids": ["X"]}, None, None, id="index list"),
        pytest.param({}, None, None, id="empty"),
        pytest.param([{"channel": "ticker", "sid": 1}], None, (("ticker", 1),), id="array"),
        pytest.param(None, None, None, id="null"),
    ],
)
def test_ok_has_several_shapes(msg: Any, tickers: Any, listed: Any):
    """Code that expects a market list in every ``ok`` crashes."""
    frame = decode(envelope("ok", msg, id=3, sid=1, seq=8))
    assert isinstance(frame, Ok)
    assert (frame.market_tickers, frame.subscriptions) == (tickers, listed)


def test_replies():
    """``subscribed`` has its sid inside ``msg``; an error names what it is about."""
    assert decode('{"id":1,"msg":{"channel":"ticker","sid":7},"type":"subscribed"}') == Subscribed(
        1, "ticker", 7, None
    )
    assert decode('{"type":"unsubscribed","id":6,"sid":3,"seq":6}') == Unsubscribed(6, 3, 6, None)
    error = decode(envelope("error", {"code": 26, "msg": "limit", "market_ticker": "A"}, id=4, sid=2, seq=9))
    assert error == ErrorFrame(4, 2, 9, 26, "limit", ("A",), None)
    for kind in ("event_lifecycle", "event_fee_update"):
        event = decode(envelope(kind, {"event_ticker": "E"}, sid=7, seq=2))
        assert event == EventFrame(kind, 7, 2, "E", None)
    trade = {
        "trade_id": "t",
        "market_ticker": "A",
        "yes_price_dollars": "0.4",
        "count_fp": "1.00",
        "ts_ms": 1,
    }
    assert isinstance(decode(envelope("trade", trade, sid=3, seq=1)), Trade)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("tickers", "no frame of type 'tickers'"),
        ("multivariate_market_lifecycle", "no frame"),
        ("ticker_v2", "ticker"),
    ],
)
def test_a_handler_of_what_never_comes_is_refused(name: str, why: str):
    """It would wait for ever: the types that do come are named, or the channel's successor."""
    for known in KNOWN_TYPES - {"multivariate_market_lifecycle"}:
        refuse_type(known)
    with pytest.raises(ValueError, match=why):
        refuse_type(name)


def test_unknown_type_passes_with_its_number():
    """New types arrive weekly; they still count in their subscription."""
    assert decode('{"type":"new_thing","sid":3,"seq":12,"msg":[1]}') == UnknownFrame("new_thing", 3, 12, None)


@given(raw=st.binary(max_size=300))
def test_any_bytes_give_a_frame_or_a_refusal(raw: bytes):
    """The parser is total."""
    with contextlib.suppress(WireError):
        decode(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("0.5"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = [
    "market_ticker",
    "yes_bid_dollars",
    "yes_bid_size_fp",
    "price_dollars",
    "delta_fp",
    "side",
    "clock",
]


@given(
    kind=st.sampled_from(sorted(KNOWN_TYPES)),
    msg=st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=7) | JSON,
    top=st.dictionaries(st.sampled_from(["sid", "seq", "id"]), JSON, max_size=3),
)
def test_any_json_gives_a_frame_or_a_refusal(kind: str, msg: Any, top: dict[str, Any]):
    """So is it for frames that look nearly right."""
    with contextlib.suppress(WireError):
        decode(json.dumps({"type": kind, "msg": msg, **top}))


@given(
    members=st.dictionaries(
        st.sampled_from(sorted(json.loads(ticker())["msg"])), JSON, min_size=1, max_size=3
    )
)
def test_ticker_with_any_members_never_yields_a_bad_price(members: dict[str, Any]):
    """Whatever is put into a ticker, what comes out is a price inside (0, 1) or nothing."""
    try:
        frame = decode(ticker(**members))
    except WireError:
        return
    assert isinstance(frame, Ticker)
    for price in (frame.bid, frame.ask):
        assert price is None or 0 < price < 1
    for size in (frame.bid_size, frame.ask_size):
        assert size is None or size > 0
