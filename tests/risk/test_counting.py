"""Held and filled, from sources that lag, repeat and arrive in any order."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from base.model import ExitOrder, Fill, Key, OrderReport, Side
from base.risk.counting import AS_OF_MARGIN_MS, Attempt, Holding
from base.risk.intent import client_order_id

D = Decimal


def fill(trade: str, sold: str, at_ms: int, after: str | None) -> Fill:
    """A sale of YES contracts."""
    return Fill(
        trade_id=trade, order_id="o", client_order_id=None, ticker="T", subaccount=0, signed_count=-D(sold),
        yes_price=D("0.40"), fee=D("0.01"), ts_ms=at_ms, post_position=None if after is None else D(after),
    )  # fmt: skip


def attempt(count: str = "10") -> Attempt:
    """An attempt in flight."""
    order = ExitOrder(
        client_order_id="c", ticker="T", subaccount=0, exchange_index=0, side=Side.YES, count=D(count),
        price=D("0.30"),
    )  # fmt: skip
    return Attempt(number=1, order=order, written_ms=0)


def test_fills_win_over_positions_that_lag() -> None:
    """A read is believed only when its moment is later than the last fill by the margin."""
    held = Holding(D(10), 1_000)
    assert held.add_fill(fill("a", "4", 2_000, "6"))
    assert not held.report(D(10), 2_000 + AS_OF_MARGIN_MS)
    assert held.signed == D(6)
    assert held.report(D(5), 2_001 + AS_OF_MARGIN_MS)
    assert held.signed == D(5)


def test_zero_needs_two_reads_of_different_moments() -> None:
    """One empty answer proves nothing, nor the same one twice."""
    held = Holding(D(10), 1_000)
    assert not held.report(D(0), 10_000)
    assert not held.report(D(0), 10_000)
    assert held.signed == D(10)
    assert held.report(D(0), 10_001)
    assert held.signed == D(0)


def test_a_read_in_between_restarts_the_proof_of_zero() -> None:
    """Zero, ten, zero is not two agreeing reads."""
    held = Holding(D(10), 1_000)
    held.report(D(0), 10_000)
    held.report(D(10), 10_001)
    assert not held.report(D(0), 10_002)


def test_a_read_without_a_moment_changes_nothing() -> None:
    """When the exchange does not say up to when a read is good, it is no evidence."""
    held = Holding(D(10), 1_000)
    assert not held.report(D(5), None)
    assert held.signed == D(10)


@given(st.permutations([("a", "2", 10, "8"), ("b", "3", 20, "5"), ("c", "5", 30, "0")]), st.integers(0, 3))
def test_order_and_repetition_of_pushed_fills_do_not_matter(
    order: list[tuple[str, str, int, str]], twice: int
) -> None:
    """Pushed fills in any order, some twice: the newest one's position is what is held."""
    held = Holding(D(10), 0)
    for row in [*order, *order[:twice]]:
        held.add_fill(fill(*row))
    assert held.signed == D(0)


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
    one.add_report(
        OrderReport(
            order_id="o", client_order_id="c", ticker="T", subaccount=0, is_yes_bid=False, yes_price=D("0.3"),
            status="canceled", initial=D(10), filled=D(0), remaining=D(0), fill_cost=None, fees=None,
            created_ms=0, updated_ms=0, reason=None, exchange_index=0,
        )
    )  # fmt: skip
    assert (one.filled, one.is_terminal) == (D(0), True)


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
