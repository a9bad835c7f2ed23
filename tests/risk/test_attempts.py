"""How much one order filled and brought in, from sources that lag and repeat."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.model import ExitOrder, Fill, Key, OrderReport, Side
from base.risk.counting import AS_OF_MARGIN_MS, Attempt, Holding, attempt_of
from base.risk.intent import client_order_id
from tests.risk.test_counting import fill

D = Decimal


def attempt(count: str = "10") -> Attempt:
    """An attempt in flight."""
    order = ExitOrder(
        client_order_id="c", ticker="T", subaccount=0, exchange_index=0, side=Side.YES, count=D(count),
        price=D("0.30"),
    )  # fmt: skip
    return Attempt(number=1, order=order, written_ms=0)


def test_filled_is_the_maximum_of_sources_never_a_sum() -> None:
    """Answer, order read and fills speak of the same contracts."""
    one = attempt()
    one.answered = D(6)
    one.reported = D(6)
    one.fills["a"] = fill("a", "6", 1, None)
    assert one.filled == D(6)
    one.fills["b"] = fill("b", "2", 2, None)
    assert one.filled == D(8)


def test_remaining_zero_is_not_filled() -> None:
    """A cancelled order with nothing filled sold nothing, whatever remains."""
    one = attempt()
    one.add_report(report("canceled", "0"))
    assert (one.filled, one.is_terminal) == (D(0), True)


def report(status: str, filled: str) -> OrderReport:
    """What an order read says."""
    return OrderReport(
        order_id="o", client_order_id="c", ticker="T", subaccount=0, is_yes_bid=False, yes_price=D("0.3"),
        status=status, initial=D(10), filled=D(filled), remaining=D(0), fill_cost=None, fees=None, created_ms=0,
        updated_ms=0, reason=None, exchange_index=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reports", "filled", "is_terminal"),
    [
        pytest.param([("resting", "2")], "2", False, id="it rests: more may fill"),
        pytest.param([("canceled", "2")], "2", True, id="cancelled"),
        pytest.param([("executed", "10")], "10", True, id="executed"),
        pytest.param([("a_new_word", "2")], "2", False, id="a word we do not know"),
        pytest.param([("canceled", "4"), ("resting", "2")], "4", True, id="an older report comes late"),
    ],
)
def test_reports_of_an_order_never_take_back(
    reports: list[tuple[str, str]], filled: str, is_terminal: bool
) -> None:
    """Filled only grows, and what has ended stays ended."""
    one = attempt()
    for status, count in reports:
        one.add_report(report(status, count))
    assert (one.filled, one.is_terminal, one.order_id) == (D(filled), is_terminal, "o")
    assert (attempt().is_terminal, attempt().absences) == (False, 0)


SOLD = (fill("a", "4", 1, None), replace(fill("b", "2", 2, None), yes_price=D("0.25"), fee=D("0.03")))


@pytest.mark.parametrize(
    ("fills", "answered", "side", "expected"),
    [
        pytest.param((), {}, Side.YES, ("0", "0"), id="nothing sold"),
        pytest.param((), {"answered": D(0)}, Side.YES, ("0", "0"), id="nothing sold, and it was said"),
        pytest.param(SOLD, {}, Side.YES, ("2.10", "0.04"), id="by its fills"),
        pytest.param(SOLD, {}, Side.NO, ("3.90", "0.04"), id="seen from NO"),
        pytest.param(
            SOLD, {"answered": D(6), "answered_price": D("0.99")}, Side.YES, ("2.10", "0.04"), id="fills know best"
        ),
        pytest.param(
            SOLD[:1], {"answered": D(6), "answered_price": D("0.35"), "answered_fee": D("0.01")}, Side.YES,
            ("2.10", "0.06"), id="by its answer while fills lag",
        ),
        pytest.param(
            SOLD[:1], {"answered": D(6), "answered_price": D("0.35")}, Side.YES, ("2.10", None), id="the fee not told"
        ),
        pytest.param((), {"answered": D(6)}, Side.YES, (None, None), id="the price not told"),
        pytest.param((), {"reported": D(6), "answered_price": D("0.35")}, Side.YES, (None, None), id="never answered"),
        pytest.param(
            SOLD[:1], {"answered": D(5), "answered_price": D("0.35"), "reported": D(6)}, Side.YES, (None, None),
            id="the answer knows less than a report",
        ),
    ],
)  # fmt: skip
def test_what_an_order_brought_in(
    fills: tuple[Fill, ...], answered: dict[str, Decimal], side: Side, expected: tuple[str | None, str | None]
) -> None:
    """The sum of price times count and the fees, from the best source; what no source says is not made up."""
    one = attempt()
    for name, value in answered.items():
        setattr(one, name, value)
    one.fills = {one_fill.trade_id: one_fill for one_fill in fills}
    gross, fees = expected
    found = tuple(None if text is None else D(text) for text in (gross, fees))
    assert one.proceeds(side) == found


def test_fills_of_either_sign_were_sold() -> None:
    """A sale of NO shows as a purchase of YES."""
    one = attempt()
    one.fills["a"] = replace(fill("a", "4", 1, None), signed_count=D(4))
    assert (one.filled_by_fills, one.filled) == (D(4), D(4))


@pytest.mark.parametrize(
    ("answered", "fills", "counted_ms", "read_ms", "is_counted"),
    [
        pytest.param(None, [], None, None, True, id="sold nothing"),
        pytest.param("0", [], 2_000, None, True, id="answered: nothing"),
        pytest.param("6", [], 2_000, None, False, id="the answer alone"),
        pytest.param("6", ["2"], 2_000, None, False, id="one of its fills"),
        pytest.param("6", ["2", "4"], 2_000, None, True, id="all its fills"),
        pytest.param(None, ["2"], None, None, True, id="fills before the answer"),
        pytest.param("6", [], 2_000, 2_000 + AS_OF_MARGIN_MS, False, id="a read that need not show it"),
        pytest.param("6", [], 2_000, 2_001 + AS_OF_MARGIN_MS, True, id="a read of after it"),
        pytest.param("6", [], None, 90_000, False, id="nobody knows by when"),
    ],
)
def test_what_an_order_sold_is_off_what_is_held(
    answered: str | None, fills: list[str], counted_ms: int | None, read_ms: int | None, is_counted: bool
) -> None:
    """By its fills, or by a read that cannot be of before it."""
    one, held = attempt(), Holding(D(10), 1_000)
    one.answered, one.counted_ms = None if answered is None else D(answered), counted_ms
    after = D(10)
    for n, sold in enumerate(fills):
        after -= D(sold)
        seen = fill(f"t{n}", sold, 1_900 + n, str(after))
        one.fills[seen.trade_id] = seen
        held.add_fill(seen)
    if read_ms is not None:
        held.report(D(4), read_ms)
    assert held.has_counted(one) is is_counted


@pytest.mark.parametrize(
    ("answered", "is_terminal", "read_ms", "is_counted"),
    [
        pytest.param(None, False, None, False, id="nothing is known of it"),
        pytest.param("4", False, None, False, id="a part, and more may come"),
        pytest.param(None, True, None, True, id="it ended with nothing"),
        pytest.param("10", False, None, True, id="all of it"),
        pytest.param("11", False, None, True, id="more than all: nothing more can come"),
        pytest.param(None, False, 2_001 + AS_OF_MARGIN_MS, True, id="a read of after it"),
        pytest.param(None, False, 2_000 + AS_OF_MARGIN_MS, False, id="a read that need not show it"),
    ],
)
def test_an_order_that_a_person_gave_up_is_open_until_something_says_more(
    answered: str | None, is_terminal: bool, read_ms: int | None, is_counted: bool
) -> None:
    """Nobody waits for its answer, but what it did is not off what is held before that is known."""
    one, held = attempt(), Holding(D(10), 1_000)
    one.is_open, one.counted_ms, one.is_terminal = True, 2_000, is_terminal
    if answered is not None:
        one.answered = D(answered)
        one.fills["a"] = fill("a", answered, 1_900, None)
    if read_ms is not None:
        held.report(D(4), read_ms)
    assert held.has_counted(one) is is_counted


def test_orders_are_known_by_either_name() -> None:
    """Ours, or the exchange's once it was told; a name that is not there names nobody."""
    orders = [replace(attempt(), number=n, order_id=order_id) for n, order_id in enumerate(["b", None, "d"])]
    for one, name in zip(orders, "bcd", strict=True):
        one.order = replace(one.order, client_order_id=name)
    assert [attempt_of(orders, name, None) for name in "bcd"] == orders
    assert attempt_of(orders, None, "d") is orders[2]
    assert attempt_of(orders, "c", "b") is orders[0]
    for stranger in (None, "a", "cc", "e"):
        assert attempt_of(orders, stranger, stranger) is None
    assert attempt_of(orders, "x", "d") is orders[2]


def test_fills_in_doubt_are_not_counted() -> None:
    """The read before it may hold the listed fill already: only another read says what is held."""
    one, held = attempt(), Holding(D(10), 1_000, until_ms=2_000)
    one.fills["a"] = fill("a", "6", 2_000, None)
    held.add_fill(one.fills["a"])
    assert (held.has_counted(one), held.unseen(one)) == (False, D(6))
    held.report(D(4), 2_001 + AS_OF_MARGIN_MS)
    assert (held.has_counted(one), held.unseen(one)) == (True, D(0))


def test_an_attempt_is_made_by_its_own_parts_only() -> None:
    """A misspelt part would be a count that nobody reads."""
    with pytest.raises(AttributeError):
        attempt().anwsered = D(10)  # type: ignore[attr-defined]


@given(
    account=st.text(max_size=40),
    ticker=st.text(max_size=60),
    intent=st.text(max_size=40),
    number=st.integers(1, 99),
)
def test_client_order_ids_are_short_safe_and_the_same_again(
    account: str, ticker: str, intent: str, number: int
) -> None:
    """A restart names the same order the same; the alphabet is what the exchange takes."""
    key = Key(0, ticker)
    name = client_order_id(account, key, intent, number)
    assert name == client_order_id(account, key, intent, number)
    assert name != client_order_id(account, key, intent, number + 1)
    assert len(name) <= 64
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
