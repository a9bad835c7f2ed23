"""Answers by REST, one by one: what they become, and what is refused. No network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from base.errors import RequestRefused, WireError
from base.kalshi import pages
from base.kalshi.pages import each_page, in_batches
from base.kalshi.rest_errors import refusal_of
from base.kalshi.rest_markets import BookRow, MarketRow, StatusBody
from base.kalshi.rest_messages import FillRow, OrderRow, PositionRow, read
from base.model import MarketStatus, ShardStatus, Side, Source

D = Decimal
BANDS = [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]


def body(row: Mapping[str, Any], **changes: Any) -> bytes:
    """A row as JSON; a change to ``...`` takes the member away."""
    return json.dumps(
        {name: value for name, value in ({**row} | changes).items() if value is not ...}
    ).encode()


# --- orders, fills, positions -----------------------------------------------------------------

ORDER = {
    "order_id": "o-1", "ticker": "KXA", "status": "canceled", "book_side": "ask", "yes_price_dollars": "0.3800",
    "initial_count_fp": "10.00", "fill_count_fp": "2.50", "remaining_count_fp": "0.00",
    "taker_fill_cost_dollars": "1.000000", "maker_fill_cost_dollars": "0.500000",
    "taker_fees_dollars": "0.042000", "maker_fees_dollars": "0.001000", "client_order_id": "sl-1",
    "created_time": "2026-11-20T00:00:00.123Z", "subaccount_number": 3,
}  # fmt: skip
FILL = {
    "trade_id": "t-1", "order_id": "o-1", "ticker": "KXA", "book_side": "ask", "count_fp": "2.50",
    "yes_price_dollars": "0.4000", "fee_cost": "0.042000", "created_time": "2026-11-20T00:00:00.123Z",
}  # fmt: skip


def test_an_order_sums_its_two_halves():
    """Cost and fees come as taker and maker; times are milliseconds."""
    report = read(body(ORDER), OrderRow).report(0)
    assert (report.fill_cost, report.fees) == (D("1.500000"), D("0.043000"))
    assert (report.created_ms, report.updated_ms) == (1795132800123, None)
    assert (report.is_yes_bid, report.initial, report.filled) == (False, D(10), D("2.50"))


@pytest.mark.parametrize(
    ("named", "subaccount"),
    [pytest.param(3, 3, id="named"), pytest.param(..., 7, id="the one that was asked for")],
)
def test_a_row_belongs_to_the_subaccount_it_names(named: Any, subaccount: int):
    """Where a row names none, it is of the sub-account that was asked for."""
    assert read(body(ORDER, subaccount_number=named), OrderRow).report(7).subaccount == subaccount
    assert read(body(FILL, subaccount_number=named), FillRow).report(7).subaccount == subaccount


@pytest.mark.parametrize(
    ("book_side", "signed"),
    [pytest.param("bid", "2.50", id="buys YES"), pytest.param("ask", "-2.50", id="sells")],
)
def test_a_fill_moves_the_position_by_book_side(book_side: str, signed: str):
    """As it does in a pushed fill; a listed one names no order of ours and no position after it."""
    fill = read(body(FILL, book_side=book_side), FillRow).report(0)
    assert (fill.signed_count, fill.ts_ms) == (D(signed), 1795132800123)
    assert (fill.client_order_id, fill.post_position) == (None, None)


def test_a_fill_without_a_moment_is_refused():
    """Seconds do where the exact moment is missing; without either nothing says what came first."""
    assert read(body(FILL, created_time=..., ts=1795132800), FillRow).report(0).ts_ms == 1795132800000
    with pytest.raises(WireError, match="created_time"):
        read(body(FILL, created_time=...), FillRow).report(0)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"created_time": "2026-11-20T00:00:00.123"}, id="a time without a zone"),
        pytest.param({"yes_price_dollars": "38"}, id="cents"),
        pytest.param({"yes_price_dollars": 0.38}, id="a float"),
        pytest.param({"fill_count_fp": "-1.00"}, id="less than nothing"),
        pytest.param({"book_side": "up"}, id="no side"),
        pytest.param({"order_id": ...}, id="without its id"),
    ],
)
def test_a_broken_order_is_refused(broken: dict[str, Any]):
    """Corrupt data is worse than none."""
    with pytest.raises(WireError):
        read(body(ORDER, **broken), OrderRow).report(0)


@pytest.mark.parametrize(
    ("row", "side", "count", "entry"),
    [
        pytest.param(("10.00", "6.0000"), Side.YES, "10", "0.60", id="YES"),
        pytest.param(("-10.00", "4.0000"), Side.NO, "10", "0.40", id="NO"),
        pytest.param(("10.00", "-6.0000"), Side.YES, "10", "0.60", id="the sign of the cost says nothing"),
        pytest.param(("10.00", ...), Side.YES, "10", None, id="cost not told"),
        pytest.param(("10.00", "0.0000"), Side.YES, "10", None, id="free is no price"),
        pytest.param(("10.00", "10.0000"), Side.YES, "10", None, id="a dollar is no price"),
    ],
)
def test_a_position_has_a_side_and_what_it_cost(
    row: tuple[str, Any], side: Side, count: str, entry: str | None
):
    """Negative is NO; the entry is the cost of one contract, where that is a price."""
    found = read(
        body({"ticker": "KXA", "position_fp": row[0], "market_exposure_dollars": row[1]}), PositionRow
    )
    position = found.position(2)
    assert position is not None
    assert (position.side, position.count, position.subaccount) == (side, D(count), 2)
    assert position.entry == (None if entry is None else D(entry))


def test_nothing_held_is_no_position():
    """A row of zero says that all is gone."""
    assert read(body({"ticker": "KXA", "position_fp": "0.00"}), PositionRow).position(0) is None


# --- markets, books, shards -------------------------------------------------------------------

MARKET = {"ticker": "KXA", "status": "active", "price_ranges": BANDS, "close_time": "2026-11-20T00:00:01Z"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("active", MarketStatus.ACTIVE),
        ("determined", MarketStatus.DETERMINED),
        ("brand_new", MarketStatus.UNKNOWN),
    ],
)
def test_a_market_with_an_unknown_status_is_never_open(status: str, expected: MarketStatus):
    """A word we do not know is no permission to trade."""
    market = read(body(MARKET, status=status), MarketRow).market()
    assert (market.status, market.open_ms, market.close_ms) == (expected, None, 1795132801000)
    assert market.is_open_at(1795132800000) is (status == "active")


def book(yes: Any, no: Any) -> BookRow:
    """A book as REST writes it: NO prices in NO terms."""
    return read(body({"ticker": "KXA", "orderbook_fp": {"yes_dollars": yes, "no_dollars": no}}), BookRow)


def test_a_book_is_seen_from_yes():
    """Levels in any order, empty ones left out; a NO bid at 0.55 is a YES ask at 0.45."""
    quote = book(
        [["0.38", "5.00"], ["0.40", "10.00"], ["0.39", "0.00"]], [["0.50", "1.00"], ["0.55", "7.00"]]
    ).quote(3.0)
    assert quote is not None
    assert quote.bids == ((D("0.40"), D(10)), (D("0.38"), D(5)))
    assert (quote.ask, quote.ask_size, quote.source, quote.received_s) == (D("0.45"), D(7), Source.REST, 3.0)


@pytest.mark.parametrize("empty", [None, []])
def test_an_empty_side_of_a_book_is_none(empty: Any):
    """No orders, no price."""
    quote = book(empty, empty).quote(3.0)
    assert quote is not None
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (None, None, None, None)


@pytest.mark.parametrize(("no", "is_price"), [("0.59", True), ("0.60", False), ("0.61", False)])
def test_a_crossed_book_is_no_price(no: str, is_price: bool):
    """A bid at or above the ask: nobody trades there."""
    assert (book([["0.40", "1.00"]], [[no, "1.00"]]).quote(3.0) is not None) is is_price


def test_shards_that_are_not_listed_speak_through_the_flags_on_top():
    """From before the shards: one engine, number 0."""
    flags = {"exchange_active": True, "trading_active": False}
    assert read(body(flags), StatusBody).shards() == (ShardStatus(exchange_index=0, **flags),)
    listed = [{"exchange_index": 2, "exchange_active": True, "trading_active": True}]
    (shard,) = read(body(flags, exchange_index_statuses=listed), StatusBody).shards()
    assert (shard.exchange_index, shard.takes_orders) == (2, True)


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "details"),
    [
        pytest.param('{"error":{"code":"invalid_price","details":"off grid"}}', "invalid_price", "off grid", id="nested"),
        pytest.param('{"error":{"code":"x","message":"m"}}', "x", "m", id="message for details"),
        pytest.param('{"code":"bad_json","msg":"line 1"}', "bad_json", "line 1", id="flat"),
        pytest.param('{"error":"too many requests"}', "too many requests", "", id="one sentence"),
        pytest.param('{"error":{"code":7,"details":[]}}', "", "", id="words that are none"),
        pytest.param('{"error":[1]}', "", "", id="a list for an error"),
        pytest.param("[1]", "", "", id="a list"),
        pytest.param("<html>", "", "", id="no JSON"),
        pytest.param("", "", "", id="nothing"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_the_exchanges_words(answer: str, code: str, details: str):
    """Whatever its body looks like, a 4xx is a refusal; words that cannot be read are left empty."""
    refusal = refusal_of(400, answer.encode())
    assert (refusal.status, refusal.code, refusal.details) == (400, code, details)


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (
            RequestRefused(400, "invalid_price", "off grid"),
            "the exchange refused (400: invalid_price off grid)",
        ),
        (RequestRefused(403, "", ""), "the exchange refused (403)"),
    ],
)
def test_a_refusal_reads_as_a_sentence(refusal: RequestRefused, sentence: str):
    """What a person reads says the status and the exchange's own words, where it gave any."""
    assert str(refusal) == sentence


# --- lists, page by page ----------------------------------------------------------------------


@dataclass
class Page:
    """Some rows and where the next ones are."""

    rows: list[int]
    cursor: str | None


def test_a_list_is_read_to_its_last_page():
    """The cursor of one page asks for the next; an empty one is the end."""
    answers = {None: Page([1, 2], "b"), "b": Page([3], "")}
    assert each_page(lambda more: answers[more.get("cursor")], lambda page: page.rows) == [1, 2, 3]


def test_a_list_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    """A cursor that comes twice is a loop, and a thousand pages are one as well: nothing read so far counts."""
    with pytest.raises(WireError, match="the same page again"):
        each_page(lambda _: Page([1], "again"), lambda page: page.rows)
    monkeypatch.setattr(pages, "MOST_PAGES", 3)
    with pytest.raises(WireError, match="more than 3 pages"):
        each_page(lambda more: Page([1], more.get("cursor", "") + "x"), lambda page: page.rows)


def test_tickers_are_asked_for_in_batches():
    """Each once, in order, never more than the exchange takes."""
    assert list(in_batches(["b", "a", "c", "a"], 2)) == [["a", "b"], ["c"]]
