"""Held, from sources that lag, repeat and arrive in any order."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.model import Fill
from base.risk.counting import AS_OF_MARGIN_MS, Holding

D = Decimal


def fill(trade: str, sold: str, at_ms: int, after: str | None) -> Fill:
    """A sale of YES contracts."""
    return Fill(
        trade_id=trade, order_id="o", client_order_id=None, ticker="T", subaccount=0, signed_count=-D(sold),
        yes_price=D("0.40"), fee=D("0.01"), ts_ms=at_ms, post_position=None if after is None else D(after),
    )  # fmt: skip


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


SALES = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=300)
@given(sales=SALES, order=st.randoms(use_true_random=False))
def test_whatever_order_fills_come_in_what_is_certain_is_true(
    sales: list[tuple[int, int, bool]], order: Random
) -> None:
    """Pushed with what is held after them, or listed without, some in one millisecond: right, or in doubt."""
    held, at_ms, fills = 100, 20_000, []
    for n, (later_ms, count, is_pushed) in enumerate(sales):
        held, at_ms = held - count, at_ms + later_ms
        fills.append(fill(str(n), str(count), at_ms, str(held) if is_pushed else None))
    pushes = iter([one for one in fills if one.post_position is not None])  # these do come in order
    order.shuffle(fills)
    holding = Holding(D(100), 10_000)
    for one in fills:
        holding.add_fill(one if one.post_position is None else next(pushes))
    assert holding.signed == held or not holding.is_certain


# --- fills against reads ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until_ms", "at_ms", "held", "is_certain"),
    [
        pytest.param(None, 15_001, "6", True, id="later than the margin"),
        pytest.param(None, 15_000, "10", False, id="within it: the read may hold the fill"),
        pytest.param(13_000, 15_001, "6", True, id="answered long before"),
        pytest.param(14_000, 16_001, "6", True, id="later than the answer, and our clock may be off"),
        pytest.param(14_000, 16_000, "10", False, id="within that"),
        pytest.param(14_000, 15_500, "10", False, id="later than the moment, within the answer"),
    ],
)
def test_a_listed_fill_counts_where_the_read_cannot_hold_it(
    until_ms: int | None, at_ms: int, held: str, is_certain: bool
) -> None:
    """A read of 10_000 may show all that happened until it was answered; what is in doubt is not subtracted."""
    holding = Holding(D(10), 10_000, until_ms)
    assert holding.add_fill(fill("a", "4", at_ms, None))
    assert (holding.signed, holding.is_certain, holding.last_fill_ms) == (D(held), is_certain, at_ms)


def test_after_a_fill_in_doubt_only_a_report_says_what_is_held() -> None:
    """A later fill on top of a doubtful count is doubtful too; a push or a read ends it."""
    holding = Holding(D(10), 10_000)
    holding.add_fill(fill("a", "4", 12_000, None))
    holding.add_fill(fill("b", "1", 60_000, None))
    assert (holding.signed, holding.is_certain) == (D(10), False)
    holding.add_fill(fill("c", "1", 61_000, "4"))
    assert (holding.signed, holding.is_certain) == (D(4), True)
    holding.add_fill(fill("d", "1", 61_000, None))
    assert not holding.is_certain
    assert holding.report(D(3), 66_001)
    assert (holding.signed, holding.is_certain) == (D(3), True)


def test_a_read_that_agrees_ends_the_doubt() -> None:
    """It changes nothing and makes it certain."""
    holding = Holding(D(10), None)
    assert not holding.is_certain, "a claim"
    assert not holding.report(D(10), 10_000)
    assert (holding.is_certain, holding.basis_ms) == (True, 10_000)


@pytest.mark.parametrize(
    ("first_after", "at_ms", "held", "is_certain"),
    [
        pytest.param("6", 20_001, "5", True, id="after a push"),
        pytest.param("6", 20_000, "6", False, id="in one moment with a push that may hold it"),
        pytest.param("6", 19_999, "6", True, id="before a push that holds it"),
        pytest.param(None, 20_001, "5", True, id="after a listed fill"),
        pytest.param(None, 20_000, "5", True, id="in one moment with a listed fill"),
        pytest.param(
            None, 19_999, "6", False, id="listed after its successor, which did not say what is held"
        ),
    ],
)
def test_a_listed_fill_counts_after_another_fill(
    first_after: str | None, at_ms: int, held: str, is_certain: bool
) -> None:
    """Four of ten are sold at 20_000; then another one is listed."""
    holding = Holding(D(10), 10_000)
    holding.add_fill(fill("a", "4", 20_000, first_after))
    assert holding.add_fill(fill("b", "1", at_ms, None))
    assert (holding.signed, holding.is_certain) == (D(held), is_certain)
    assert holding.last_fill_ms == max(at_ms, 20_000)


@pytest.mark.parametrize(
    ("at_ms", "held", "is_certain"),
    [
        pytest.param(20_001, "6", True, id="later"),
        pytest.param(20_000, "6", True, id="in that moment"),
        pytest.param(19_999, "10", False, id="before: was it counted?"),
    ],
)
def test_what_a_journal_says_was_held_is_counted_on_from_its_moment(
    at_ms: int, held: str, is_certain: bool
) -> None:
    """After a restart: ten at the trigger, at 20_000; then a sale of four is listed."""
    holding = Holding.believed(D(10), 20_000)
    assert (holding.signed, holding.is_certain, holding.last_fill_ms) == (D(10), True, 20_000)
    holding.add_fill(fill("a", "4", at_ms, None))
    assert (holding.signed, holding.is_certain) == (D(held), is_certain)


@pytest.mark.parametrize(
    ("counts", "may_be_gone"),
    [
        pytest.param((), False, id="none"),
        pytest.param(("10",), True, id="a sale of all"),
        pytest.param(("4", "6"), True, id="two sales of all"),
        pytest.param(("4",), False, id="a sale of a part"),
        pytest.param(("-5",), False, id="a purchase"),
        pytest.param(("10", "-5"), False, id="a sale of all and a purchase"),
    ],
)
def test_only_sales_that_may_not_be_counted_yet_explain_that_nothing_is_held(
    counts: tuple[str, ...], may_be_gone: bool
) -> None:
    """Ten are held by a read at 10_000; fills of before are listed, which it may hold already."""
    holding = Holding(D(10), 10_000)
    for number, count in enumerate(counts):
        holding.add_fill(fill(str(number), count, 9_000 + number, None))
    assert holding.may_be_gone is may_be_gone
    holding.report(D(10), 20_000)
    assert not holding.may_be_gone, "a later read has said"


@pytest.mark.parametrize(
    ("at_ms", "held"), [(5_000, "6"), (4_999, "3")], ids=["within the margin", "long before it"]
)
def test_a_late_push_counts_unless_a_read_is_newer_by_the_margin(at_ms: int, held: str) -> None:
    """What is held after it was true at its moment."""
    holding = Holding(D(3), 10_000)
    assert holding.add_fill(fill("late", "4", at_ms, "6"))
    assert (holding.signed, holding.is_certain) == (D(held), True)


def test_a_push_after_a_push_is_the_newest_evidence() -> None:
    """No read stands between them, however far apart they are."""
    holding = Holding(D(10), None)
    holding.add_fill(fill("a", "4", 90_000, "6"))
    holding.add_fill(fill("b", "2", 90_000, "4"))
    assert (holding.signed, holding.is_certain) == (D(4), True)


@pytest.mark.parametrize(
    ("at_ms", "is_certain"), [(20_000, False), (20_001, True)], ids=["in one moment", "later"]
)
def test_a_push_after_a_listed_fill_says_what_is_held(at_ms: int, is_certain: bool) -> None:
    """Unless both are of one millisecond: the listed one may have come after it."""
    holding = Holding(D(10), 10_000)
    holding.add_fill(fill("a", "4", 20_000, None))
    holding.add_fill(fill("b", "2", at_ms, "4"))
    assert (holding.signed, holding.is_certain) == (D(4), is_certain)


def test_a_read_after_a_push_no_longer_names_its_position() -> None:
    """Two listed fills of one moment after it both count."""
    holding = Holding(D(10), 10_000)
    holding.add_fill(fill("a", "4", 20_000, "6"))
    holding.report(D(6), 30_000)
    holding.add_fill(fill("b", "1", 40_000, None))
    holding.add_fill(fill("c", "1", 40_000, None))
    assert holding.signed == D(4)


def test_a_fill_counts_once_whoever_tells_it() -> None:
    """Its trade id is what it is."""
    holding = Holding(D(10), 10_000)
    assert not holding.has_seen("a")
    assert holding.add_fill(fill("a", "4", 20_000, None))
    assert holding.has_seen("a")
    assert not holding.add_fill(fill("a", "4", 30_000, None))
    assert (holding.signed, holding.last_fill_ms) == (D(6), 20_000)


# --- reads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reads", "held"),
    [
        pytest.param([("7", 20_000)], "7", id="one read resizes"),
        pytest.param([("12", 20_000)], "12", id="upwards too"),
        pytest.param([("0", 20_000)], "10", id="one zero proves nothing"),
        pytest.param([("0", 20_000), ("0", 20_001)], "0", id="two of different moments do"),
        pytest.param([("0", 20_000), ("0", 19_999)], "10", id="an older one is no second"),
        pytest.param([("0", 20_000), ("0", 19_999), ("0", 20_001)], "0", id="nor does it spoil the first"),
        pytest.param([("-5", 20_000), ("-5", 20_001)], "-5", id="turned over"),
        pytest.param([("0", 20_000), ("-5", 20_001)], "10", id="two that disagree prove nothing"),
        pytest.param([("0", 20_000), ("-5", 20_001), ("-5", 20_002)], "-5", id="the later two agree"),
        pytest.param([("0", 20_000), ("-5", 20_001), ("0", 20_002)], "10", id="neither has a second"),
        pytest.param([("0", 20_000), ("10", 20_001), ("0", 20_002)], "10", id="held again in between"),
        pytest.param([("0", 20_000), ("8", 20_001), ("0", 20_002)], "8", id="resized in between"),
        pytest.param([("0", 20_000), ("0", 20_001), ("7", 20_002)], "0", id="back again needs two as well"),
        pytest.param([("0", 1), ("0", 2), ("7", 3), ("7", 4)], "7", id="and believes two"),
    ],
)
def test_what_reads_prove(reads: list[tuple[str, int]], held: str) -> None:
    """Ten are held; one read resizes, a zero or the other side needs two that agree, of different moments."""
    holding, before = Holding(D(10), None), D(10)
    for signed, as_of_ms in reads:
        has_changed = holding.report(D(signed), as_of_ms)
        assert has_changed is (holding.signed != before)
        before = holding.signed
    assert holding.signed == D(held)
    assert holding.is_in_doubt is (holding.signed != D(reads[-1][0]))


def test_a_turned_read_of_a_no_position_is_proven_the_same_way() -> None:
    """Minus ten is ten NO: the sign is not special."""
    holding = Holding(D(-10), 1)
    assert holding.report(D(-4), 2)
    assert not holding.report(D(4), 3)
    assert holding.report(D(4), 4)
    assert (holding.signed, holding.basis_ms, holding.is_certain) == (D(4), 4, True)


def test_a_fill_restarts_the_proof_of_zero() -> None:
    """What was traded in between may be what the second read shows."""
    holding = Holding(D(10), 1_000)
    holding.report(D(0), 10_000)
    holding.add_fill(fill("a", "4", 10_500, "6"))
    assert not holding.is_in_doubt
    assert not holding.report(D(0), 20_000)
    assert holding.report(D(0), 20_001)


@pytest.mark.parametrize(
    ("as_of_ms", "speaks"),
    [(None, False), (19_000, False), (25_000, False), (25_001, True)],
    ids=["no moment", "before", "margin", "later"],
)
def test_a_read_speaks_against_fills_only_past_the_margin(as_of_ms: int | None, speaks: bool) -> None:
    """``as_of`` is approximate: five seconds."""
    holding = Holding(D(10), 1_000)
    assert holding.is_eligible(1)
    assert not holding.is_eligible(None)
    holding.add_fill(fill("a", "4", 20_000, "6"))
    assert holding.is_eligible(as_of_ms) is speaks
    assert holding.report(D(5), as_of_ms) is speaks
    assert holding.signed == D(5 if speaks else 6)


def test_a_contradiction_lasts_until_the_next_read() -> None:
    """What a read misses is in doubt; one that lists it ends that, one without a moment as well."""
    for as_of_ms in (20_000, None):
        holding = Holding(D(10), 10_000)
        assert not holding.is_in_doubt
        holding.is_contradicted = True
        assert holding.is_in_doubt
        holding.report(D(10), as_of_ms)
        assert not holding.is_in_doubt


def test_the_answer_of_the_newest_read_counts() -> None:
    """A read by which something changed brings its own answer time along."""
    for reads in (("8",), ("0", "0")):
        holding = Holding(D(10), 10_000)
        for n, signed in enumerate(reads):
            holding.report(D(signed), 20_000 + n, 30_000)
        before = holding.signed
        holding.add_fill(fill("a", "1", 31_000, None))
        assert (holding.signed, holding.is_certain) == (before, False)
