"""Orders as they are written, answers as they are understood."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.kalshi.order_writes import cancelled, created, entry_body, exit_body
from base.model import Accepted, EntryOrder, ExitOrder, NotSent, Refused, Side, Unanswered

D = Decimal


def make_exit(side: Side = Side.YES, price: str = "0.31", count: str = "25") -> ExitOrder:
    return ExitOrder(
        client_order_id="sl-1",
        ticker="KXA",
        subaccount=3,
        exchange_index=2,
        side=side,
        count=D(count),
        price=D(price),
    )


def make_entry(side: Side, *, is_buy: bool) -> EntryOrder:
    return EntryOrder(
        client_order_id="e-1",
        ticker="KXA",
        subaccount=0,
        exchange_index=0,
        side=side,
        is_buy=is_buy,
        count=D("5"),
        price=D("0.30"),
        time_in_force="good_till_canceled",
    )


@pytest.mark.parametrize(
    ("side", "wire_side", "wire_price"),
    [
        pytest.param(Side.YES, "ask", "0.3100", id="sell YES"),
        pytest.param(Side.NO, "bid", "0.6900", id="sell NO"),
    ],
)
def test_exit_is_written_on_the_yes_book(side: Side, wire_side: str, wire_price: str):
    """The only order that cannot flip: immediate-or-cancel, reduce-only, strings, explicit shard."""
    assert json.loads(exit_body(make_exit(side))) == {
        "ticker": "KXA",
        "client_order_id": "sl-1",
        "side": wire_side,
        "count": "25.00",
        "price": wire_price,
        "time_in_force": "immediate_or_cancel",
        "reduce_only": True,
        "self_trade_prevention_type": "maker",
        "subaccount": 3,
        "exchange_index": 2,
    }


@pytest.mark.parametrize(
    ("side", "is_buy", "wire_side", "wire_price"),
    [
        pytest.param(Side.YES, True, "bid", "0.3000", id="buy YES"),
        pytest.param(Side.YES, False, "ask", "0.3000", id="sell YES"),
        pytest.param(Side.NO, True, "ask", "0.7000", id="buy NO"),
        pytest.param(Side.NO, False, "bid", "0.7000", id="sell NO"),
    ],
)
def test_entry_is_written_on_the_yes_book(side: Side, is_buy: bool, wire_side: str, wire_price: str):
    """Buying NO at q is selling YES at 1 − q."""
    body = json.loads(entry_body(make_entry(side, is_buy=is_buy)))
    assert (body["side"], body["price"], body["post_only"]) == (wire_side, wire_price, False)
    assert body["reduce_only"] is False


def test_a_sale_at_once_can_only_reduce():
    """The exchange refuses reduce-only with any other time in force."""
    at_once = {"time_in_force": "immediate_or_cancel"}
    sale, buy = (replace(make_entry(Side.NO, is_buy=is_buy), **at_once) for is_buy in (False, True))
    assert json.loads(entry_body(sale))["reduce_only"] is True
    assert json.loads(entry_body(buy))["reduce_only"] is False


@pytest.mark.parametrize(
    ("price", "count"),
    [
        pytest.param("0.31005", "1", id="five decimals"),
        pytest.param("0", "1", id="price 0"),
        pytest.param("1", "1", id="price 1"),
        pytest.param("0.5", "0.005", id="count below a hundredth"),
        pytest.param("0.5", "0", id="nothing"),
        pytest.param("0.5", "-1", id="negative"),
    ],
)
def test_order_that_cannot_be_written_exactly_is_refused(price: str, count: str):
    """Rounding here could cross the floor."""
    with pytest.raises(ValueError, match="is no order"):
        exit_body(make_exit(price=price, count=count))


@given(price=st.integers(1, 9999), count=st.integers(1, 10**8), side=st.sampled_from(Side))
def test_numbers_survive_the_wire(price: int, count: int, side: Side):
    """From Decimal to string and back, exactly."""
    order = make_exit(side, str(D(price) / 10000), str(D(count) / 100))
    body = json.loads(exit_body(order))
    assert D(body["count"]) == order.count
    assert (D(body["price"]) if side is Side.YES else 1 - D(body["price"])) == order.price


def answer(**changes: Any) -> bytes:
    body = {
        "order_id": "o-1",
        "client_order_id": "sl-1",
        "fill_count": "10.00",
        "remaining_count": "0.00",
        "average_fill_price": "0.3975",
        "average_fee_paid": "0.0168",
        "ts_ms": 1795186800123,
    }
    return json.dumps({k: v for k, v in (body | changes).items() if v is not ...}).encode()


@pytest.mark.parametrize(("side", "price"), [(Side.YES, "0.3975"), (Side.NO, "0.6025")])
def test_fill_price_is_seen_from_the_side_sold(side: Side, price: str):
    """The exchange says it on the YES scale."""
    outcome = created(make_exit(side), 201, answer())
    assert isinstance(outcome, Accepted)
    assert (outcome.filled, outcome.remaining, outcome.average_price) == (D(10), D(0), D(price))
    assert (outcome.average_fee, outcome.ts_ms) == (D("0.0168"), 1795186800123)


def test_nothing_filled_has_no_price():
    """An immediate-or-cancel that finds nothing is accepted and over."""
    outcome = created(
        make_exit(), 201, answer(fill_count="0.00", average_fill_price=..., average_fee_paid=...)
    )
    assert isinstance(outcome, Accepted)
    assert (outcome.filled, outcome.average_price, outcome.average_fee) == (D(0), None, None)


NESTED = b'{"error":{"code":"invalid_price","message":"bad","details":"off grid"}}'


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(200, b"{}", Unanswered, id="2xx without an order"),
        pytest.param(201, answer(order_id=""), Unanswered, id="empty order id"),
        pytest.param(201, answer(client_order_id="sl-2"), Unanswered, id="another order"),
        pytest.param(201, answer(fill_count=10), Unanswered, id="a number for a string"),
        pytest.param(201, answer(fill_count="ten"), Unanswered, id="no number"),
        pytest.param(201, answer()[:40], Unanswered, id="cut off"),
        pytest.param(201, b"<html>", Unanswered, id="no JSON"),
        pytest.param(201, b"", Unanswered, id="empty"),
        pytest.param(301, b"", Unanswered, id="redirect"),
        pytest.param(408, b"", Unanswered, id="time-out of a box in between"),
        pytest.param(500, NESTED, Unanswered, id="500"),
        pytest.param(503, b"", Unanswered, id="bare 503"),
        pytest.param(400, NESTED, Refused, id="400"),
        pytest.param(401, b"", Refused, id="401 without a body"),
        pytest.param(409, b'{"error":{"code":"order_already_exists"}}', Refused, id="409"),
        pytest.param(410, b'{"error":{"code":"deprecated_v1_order_endpoint"}}', Refused, id="410"),
        pytest.param(429, b'{"error":"too many requests"}', NotSent, id="429"),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, kind: type):
    """Only a readable yes is a yes, only a 4xx is a no; the rest is unknown."""
    outcome = created(make_exit(), status, body)
    assert type(outcome) is kind
    assert outcome.client_order_id == "sl-1"


@pytest.mark.parametrize(
    ("body", "code", "details"),
    [
        pytest.param(NESTED, "invalid_price", "off grid", id="nested"),
        pytest.param(b'{"code":"bad_request","message":"no json"}', "bad_request", "no json", id="flat"),
        pytest.param(b'{"msg":"limit too large"}', "", "limit too large", id="msg"),
        pytest.param(b'{"error":"too many requests"}', "too many requests", "", id="text"),
        pytest.param(b'{"error":[1]}', "", "", id="a list"),
        pytest.param(b"[" * 100_000, "", "", id="deep nesting"),
        pytest.param(b'{"error":{"code":7,"details":null,"message":"m"}}', "", "m", id="wrong types"),
    ],
)
def test_error_bodies_have_four_shapes(body: bytes, code: str, details: str):
    """All of them are read; none of them breaks us."""
    outcome = created(make_exit(), 400, body)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.details) == (code, details)


def test_cancel_answers():
    """A 404 says little; an answer about another order says nothing."""
    good = b'{"order_id":"o-1","client_order_id":"x","reduced_by":"5.00","ts_ms":1}'
    assert isinstance(cancelled("o-1", 200, good), Accepted)
    assert isinstance(cancelled("o-2", 200, good), Unanswered)
    assert isinstance(cancelled("o-1", 200, b"{}"), Unanswered)
    assert isinstance(cancelled("o-1", 404, b'{"error":{"code":"not_found"}}'), Refused)


@given(status=st.integers(100, 599), body=st.binary(max_size=200))
def test_any_answer_has_a_meaning(status: int, body: bytes):
    """Never an exception, never a yes out of noise."""
    outcome = created(make_exit(), status, body)
    assert not isinstance(outcome, Accepted)
