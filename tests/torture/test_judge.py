"""The battery's judge: what it calls lost, sold twice, turned over and failed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest

from tests.torture.judge import Case, Verdict, judge
from tests.torture.program import Intents
from tests.torture.witness import FillSeen, OrderSeen, Seen

TICKER = "KXJUDGED-26DEC31-A"
ORDER = OrderSeen(
    at_ns=1_000, client_id="sl-1", ticker=TICKER, count=D(10), held=D(10), is_journalled=True, executed_ns=1_100
)  # fmt: skip
FILL = FillSeen(at_ns=1_100, client_id="sl-1", ticker=TICKER, before=D(10), after=D(0))
SEEN = Seen(orders=(ORDER,), fills=(FILL,), held={TICKER: D(0)})
INTENTS = Intents(
    ids=frozenset({"i"}), open=frozenset(), quantities={TICKER: "10"}, attempts=frozenset({"sl-1"})
)
CASE = Case(began_with={TICKER: 10}, must_sell=(TICKER,))


def verdict_on(seen: Seen = SEEN, intents: Intents = INTENTS, case: Case = CASE) -> Verdict:
    """What it says of a round."""
    verdict = Verdict()
    judge(verdict, seen, intents, case)
    return verdict


def test_an_exit_that_went_as_it_should_breaks_nothing() -> None:
    """One order for all that was held, journalled, filled, ended."""
    assert verdict_on().broken == []


LATER = replace(ORDER, client_id="sl-2", at_ns=2_000, held=D(0), executed_ns=2_100)
WHILE_OPEN = replace(LATER, at_ns=1_050, held=D(10))
TURNED = replace(FILL, client_id="sl-2", before=D(0), after=D(-10))
KNOWN = replace(INTENTS, attempts=frozenset({"sl-1", "sl-2"}))


@pytest.mark.parametrize(
    ("seen", "intents", "kinds"),
    [
        pytest.param(replace(SEEN, held={TICKER: D(10)}), INTENTS, {"lost"}, id="still held"),
        pytest.param(SEEN, replace(INTENTS, open=frozenset({"i"})), {"lost"}, id="never ended"),
        pytest.param(SEEN, replace(INTENTS, attempts=frozenset()), {"lost"}, id="forgotten"),
        pytest.param(
            replace(SEEN, orders=(replace(ORDER, is_journalled=False),)), INTENTS, {"lost"}, id="not durable"
        ),
        pytest.param(replace(SEEN, orders=(ORDER, LATER)), KNOWN, {"duplicate"}, id="more than is held"),
        pytest.param(replace(SEEN, orders=(ORDER, WHILE_OPEN)), KNOWN, {"duplicate"}, id="two at once"),
        pytest.param(
            replace(SEEN, orders=(ORDER, replace(ORDER, at_ns=2_000, held=D(0)))), INTENTS, {"duplicate"},
            id="the same id again",
        ),
        pytest.param(
            replace(SEEN, fills=(FILL, TURNED), held={TICKER: D(0)}), KNOWN, {"duplicate", "flip"}, id="turned over"
        ),
    ],
)  # fmt: skip
def test_what_is_broken_is_called_by_its_name(seen: Seen, intents: Intents, kinds: set[str]) -> None:
    """Each kind of damage is told apart, and none is passed over."""
    assert {what.partition(":")[0] for what in verdict_on(seen, intents).broken} == kinds


def test_a_repeat_of_a_late_order_is_no_second_sale() -> None:
    """Where ids are unique for ever and orders come late, the same id again sells nothing."""
    again = replace(ORDER, at_ns=2_000, held=D(0), executed_ns=None)
    seen = replace(SEEN, orders=(ORDER, again))
    assert verdict_on(seen, case=replace(CASE, has_late_orders=True)).broken == []


def test_a_sale_that_nothing_asked_for_fails() -> None:
    """Its stop was not touched."""
    assert verdict_on(case=replace(CASE, must_sell=())).broken == [
        f"failed: {TICKER} was sold though its stop was not touched"
    ]


def test_a_damaged_journal_need_not_know_everything() -> None:
    """It may have forgotten the exit; what the exchange saw is judged all the same."""
    forgotten = replace(INTENTS, open=frozenset({"i"}), attempts=frozenset())
    assert verdict_on(intents=forgotten, case=replace(CASE, is_forgotten=True)).broken == []
