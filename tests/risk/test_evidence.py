"""Which evidence arms, fires, is doubted and confirmed, and which highs a trail follows: edge by edge."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from decimal import Decimal
from typing import Any

import pytest

from base.feed.freshness import Proof
from base.model import MarketStatus, Quote, Source
from base.risk.decide import Exit, Hold, Moment, NoBid, Unknown, confirm, decide, follow, is_safe
from base.risk.rules import Rule
from tests.risk.test_decide import MARKET, NOW, PROVEN, RULE, look, outcome, quote, stop_of

D = Decimal
UNPROVEN = replace(PROVEN, sequence=Proof.NOT_PROVEN)
CLOSED = replace(MARKET, status=MarketStatus.CLOSED)


# --- what fires -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("touching", "between", "back", "fired"),
    [
        pytest.param("0.40", "0.40", "0.47", "EXIT:STOP", id="stop"),
        pytest.param("0.33", "0.33", "0.47", "EXIT:STOP", id="under the stop"),
        pytest.param("0.80", "0.80", "0.75", "EXIT:TAKE_PROFIT", id="target"),
        pytest.param("0.87", "0.87", "0.75", "EXIT:TAKE_PROFIT", id="over the target"),
    ],
)
def test_a_touch_between_two_looks_fires_for_two_seconds(
    touching: str, between: str, back: str, fired: str
) -> None:
    """And is no touch any more after them; one that stands must be proven to stand."""
    for at_s, expected in ((99.0, fired), (98.0, fired), (97.99, "HOLD:ABOVE_TRIGGER")):
        seen = look(
            quote("0.60", "0.62", at_s=96.0), quote(between, at_s=at_s), quote(back, "0.90", at_s=99.9)
        )
        assert outcome(decide(stop_of(), seen, MARKET, NOW)) == expected
    for age_s, expected in ((2.0, fired), (2.01, "UNKNOWN:age")):
        seen = look(quote(touching, "0.90", at_s=90.0), confirmed_s=100.0 - age_s)
        assert outcome(decide(stop_of(), seen, MARKET, NOW)) == expected


@pytest.mark.parametrize(
    ("source", "age_s", "expected"),
    [
        pytest.param(Source.REST, 2.0, "EXIT:STOP", id="a book by REST"),
        pytest.param(Source.REST, 5.0, "UNKNOWN:age", id="too old to fire, still a price"),
        pytest.param(Source.REST, 5.01, "UNKNOWN:sequence", id="no price any more"),
        pytest.param(Source.BOOK, 0.0, "UNKNOWN:sequence", id="the feed's book"),
        pytest.param(Source.TICKER, 0.0, "UNKNOWN:sequence", id="the feed's ticker"),
    ],
)
def test_only_a_recent_book_by_rest_stands_in_for_the_feed(
    source: Source, age_s: float, expected: str
) -> None:
    """What the feed said before it broke proves nothing, whichever channel it was."""
    standing = replace(quote("0.40", at_s=100.0 - age_s), source=source)
    seen = look(standing, freshness=UNPROVEN, confirmed_s=100.0 - age_s)
    assert outcome(decide(stop_of(), seen, MARKET, NOW)) == expected


# --- what arms ------------------------------------------------------------------------------------

TARGET = {"stop": None, "take_profit": D("0.80")}
BOTH = {"stop": D("0.40"), "take_profit": D("0.80")}


@pytest.mark.parametrize(
    ("rule", "bid", "is_armed"),
    [
        pytest.param({"stop": D("0.40")}, "0.41", True, id="above the stop"),
        pytest.param({"stop": D("0.40")}, "0.40", False, id="at the stop"),
        pytest.param({"stop": D("0.40")}, None, False, id="nobody bids: a stop may fire"),
        pytest.param({"stop": D("0.40"), "catastrophe": D("0.45")}, "0.46", True, id="above both levels"),
        pytest.param(
            {"stop": D("0.40"), "catastrophe": D("0.45")}, "0.45", False, id="at the higher of them"
        ),
        pytest.param({"trail_cents": D(10)}, "0.50", True, id="a trail that follows nothing yet"),
        pytest.param({"trail_cents": D(10)}, None, False, id="a trail is a stop"),
        pytest.param(TARGET, "0.79", True, id="under the target"),
        pytest.param(TARGET, "0.80", False, id="at the target"),
        pytest.param(TARGET, "0.95", False, id="over the target"),
        pytest.param(TARGET, None, True, id="nobody bids: no profit to take"),
        pytest.param(BOTH, "0.80", True, id="a stop is armed even where its target is passed"),
        pytest.param(BOTH, "0.40", False, id="and not where it would fire itself"),
    ],
)
def test_is_safe(rule: dict[str, Any], bid: str | None, is_armed: bool) -> None:
    """Where it would not fire now, on proven evidence, in an open market; else nothing arms it."""
    stop = stop_of(Rule(name="r", **rule))
    assert is_safe(stop, look(quote(bid, "0.97"), stop=stop), MARKET, NOW) is is_armed
    assert not is_safe(stop, look(quote(bid, "0.97"), stop=stop), CLOSED, NOW)
    assert not is_safe(stop, look(quote(bid, "0.97"), stop=stop, freshness=UNPROVEN), MARKET, NOW)


# --- what is doubted --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quotes", "market", "times", "is_suspicious"),
    [
        pytest.param([quote("0.40", "0.50")], {}, {}, False, id="spread of ten cents"),
        pytest.param([quote("0.40", "0.501")], {}, {}, True, id="a tenth of a cent more"),
        pytest.param([quote("0.40", "0.42", size="10")], {}, {}, False, id="just as many bid as held"),
        pytest.param([quote("0.40", "0.42", size="9.99")], {}, {}, True, id="a hundredth less"),
        pytest.param([quote("0.40", "0.42")], {}, {"began_s": 95.0}, False, id="watched for five seconds"),
        pytest.param([quote("0.40", "0.42")], {}, {"began_s": 95.01}, True, id="watched for less"),
        pytest.param([quote("0.40", "0.42")], {}, {"resumed_s": 95.0}, False, id="resumed five seconds ago"),
        pytest.param([quote("0.40", "0.42")], {}, {"resumed_s": 95.01}, True, id="resumed later"),
        pytest.param([quote("0.40", "0.42")], {"open_ms": 995_000}, {}, False, id="open for five seconds"),
        pytest.param([quote("0.40", "0.42")], {"open_ms": 995_001}, {}, True, id="open for less"),
        pytest.param([quote("0.40", "0.42")], {"open_ms": 0}, {}, False, id="open for long"),
        pytest.param(
            [quote("0.80", "0.82", at_s=95), quote("0.60", "0.62", at_s=96), quote("0.40", "0.42", at_s=99)], {}, {},
            True, id="the fall that touched it was a jump",
        ),
        pytest.param(
            [
                quote("0.80", "0.82", at_s=95), quote("0.60", "0.62", at_s=96), quote("0.50", "0.52", at_s=98),
                quote("0.40", "0.42", at_s=99),
            ],
            {}, {}, False, id="a jump long before the touch",
        ),
        pytest.param(
            [quote("0.50", "0.52", at_s=97), quote("0.40", "0.42", at_s=98), quote("0.20", "0.22", at_s=99)], {}, {},
            True, id="a jump while it is touched",
        ),
    ],
)  # fmt: skip
def test_signs_that_a_price_may_not_be_real(
    quotes: list[Quote], market: dict[str, Any], times: dict[str, float], is_suspicious: bool
) -> None:
    """One fall of more than 15 cents, less bid than held, a spread over ten cents, within 5 s of a beginning."""
    seen = look(*quotes, began_s=times.get("began_s", 0.0))
    decision = decide(stop_of(), seen, replace(MARKET, **market), NOW, times.get("resumed_s", 0.0))
    assert isinstance(decision, Exit)
    assert decision.suspicious is is_suspicious


def test_a_machine_that_just_started_is_not_new_to_a_market_for_ever() -> None:
    """The boot clock may stand at few seconds: five of them are enough."""
    for now_s, is_suspicious in ((5.0, False), (4.99, True)):
        seen = look(quote("0.40", "0.42", at_s=now_s), now_s=now_s)
        decision = decide(stop_of(), seen, MARKET, Moment(now_s, NOW.exchange_ms))
        assert isinstance(decision, Exit)
        assert decision.suspicious is is_suspicious
        assert follow(stop_of(), seen, MARKET, Moment(now_s, NOW.exchange_ms))[1] == decision


# --- what confirms ----------------------------------------------------------------------------------


def doubted(reason: str, level: str, since_s: float = 98.5) -> Exit:
    """A suspicious exit."""
    return Exit(
        reason=reason, evidence=quote(level), level=D(level), since_s=since_s, at_s=99.0, suspicious=True
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "level", "bid", "is_shown"),
    [
        pytest.param("STOP", "0.40", "0.40", True, id="at the stop"),
        pytest.param("STOP", "0.40", "0.39", True, id="under it"),
        pytest.param("STOP", "0.40", "0.41", False, id="above it"),
        pytest.param("TRAIL", "0.40", "0.39", True, id="under a trail"),
        pytest.param("TRAIL", "0.40", "0.41", False, id="above a trail"),
        pytest.param("CATASTROPHE", "0.20", "0.19", True, id="under the catastrophe level"),
        pytest.param("CATASTROPHE", "0.20", "0.21", False, id="above it: the stop fires by itself"),
        pytest.param("TAKE_PROFIT", "0.80", "0.80", True, id="at the target"),
        pytest.param("TAKE_PROFIT", "0.80", "0.81", True, id="over it"),
        pytest.param("TAKE_PROFIT", "0.80", "0.79", False, id="under it"),
        pytest.param("STOP", "0.40", None, False, id="nobody bids"),
    ],
)
def test_a_rest_book_shows_the_breach_or_does_not(
    reason: str, level: str, bid: str | None, is_shown: bool
) -> None:
    """In the sense of the rule that fired."""
    decision, rest = doubted(reason, level), quote(bid, "0.90", at_s=99.0)
    assert confirm(decision, look(quote("0.50"), rest=rest), NOW) == (
        decision if is_shown else Hold("UNCONFIRMED")
    )


@pytest.mark.parametrize(
    ("since_s", "jumped_s", "read_s", "counts"),
    [
        pytest.param(98.0, None, 98.01, True, id="begun after the touch"),
        pytest.param(98.0, None, 98.0, False, id="begun with it"),
        pytest.param(90.0, None, 98.0, True, id="two seconds old"),
        pytest.param(90.0, None, 97.99, False, id="older"),
        pytest.param(90.0, 98.5, 98.6, True, id="begun after the jump"),
        pytest.param(90.0, 98.5, 98.5, False, id="begun with it"),
        pytest.param(98.5, 90.0, 98.6, True, id="a jump before the touch"),
        pytest.param(98.5, 90.0, 98.4, False, id="between jump and touch"),
    ],
)
def test_a_rest_book_counts_that_was_begun_after_the_doubt(
    since_s: float, jumped_s: float | None, read_s: float, counts: bool
) -> None:
    """After the touch and after the jump, and at most two seconds ago."""
    seen = replace(look(quote("0.40"), rest=quote("0.40", at_s=read_s)), jumped_s=jumped_s)
    decision = doubted("STOP", "0.40", since_s)
    assert confirm(decision, seen, NOW) == (decision if counts else Hold("UNCONFIRMED"))
    assert confirm(decision, replace(seen, rest=None), NOW) == Hold("UNCONFIRMED")
    sure = replace(decision, suspicious=False)
    assert confirm(sure, replace(seen, rest=None), NOW) is sure


# --- what a trail follows -----------------------------------------------------------------------------


def trail(**parts: Any):  # type: ignore[no-untyped-def]
    """A trail ten cents under a peak of 0.60: its trigger is 0.50."""
    return stop_of(Rule(name="r", trail_cents=D(10), **parts)).ratcheted(D("0.60"))


@pytest.mark.parametrize(
    ("rule", "quotes", "peak"),
    [
        pytest.param({}, [("0.70", 99.0), ("0.65", 99.9)], "0.70", id="the highest since the last look"),
        pytest.param({}, [("0.58", 99.9)], "0.60", id="never down"),
        pytest.param({}, [(None, 99.9)], "0.60", id="nobody bids"),
        pytest.param(
            {"dwell_s": 2.0}, [("0.64", 95.0), ("0.70", 99.5)], "0.64", id="what stood for the dwell"
        ),
        pytest.param({"updates": 2}, [("0.64", 99.0), ("0.70", 99.5)], "0.64", id="what was said twice"),
        pytest.param({"dwell_s": 2.0}, [("0.70", 99.5)], "0.60", id="nothing stood so long"),
        pytest.param({"min_size": D(101)}, [("0.70", 99.5)], "0.60", id="too few bid for it"),
    ],
)
def test_a_peak_passes_the_filters_of_its_trigger(
    rule: dict[str, Any], quotes: list[tuple[str | None, float]], peak: str
) -> None:
    """A high that could not have fired is no high to follow."""
    stop = trail(**rule)
    seen = look(*(quote(bid, "0.71", at_s=at_s) for bid, at_s in quotes), stop=stop)
    assert follow(stop, seen, MARKET, NOW)[0].peak == D(peak)


def test_a_sustained_high_counts_only_while_the_newest_quote_passes() -> None:
    """The spread opened: nothing says that the high still stands."""
    stop = trail(dwell_s=2.0, max_spread=D("0.05"))
    for ask, peak in (("0.66", "0.64"), ("0.80", "0.60")):
        seen = look(quote("0.64", "0.66", at_s=95.0), quote("0.64", ask, at_s=99.0), stop=stop)
        assert follow(stop, seen, MARKET, NOW)[0].peak == D(peak)


@pytest.mark.parametrize(
    ("market", "freshness"), [(CLOSED, PROVEN), (MARKET, UNPROVEN)], ids=["closed market", "unproven"]
)
def test_no_high_is_followed_where_nothing_can_be_decided(market: Any, freshness: Any) -> None:
    """The quotes of a closed book or a broken feed are no prices."""
    stop = trail()
    followed, decision = follow(
        stop, look(quote("0.70", "0.72"), stop=stop, freshness=freshness), market, NOW
    )
    assert followed is stop
    assert isinstance(decision, Hold | Unknown)


@pytest.mark.parametrize(
    ("low", "high", "expected", "level"),
    [
        pytest.param(
            ("0.50", 99.0), ("0.80", 99.5), "EXIT:TRAIL", "0.50", id="touched, then higher than ever"
        ),
        pytest.param(
            ("0.65", 99.5), ("0.80", 99.0), "EXIT:TRAIL", "0.70", id="a new high, then under its trigger"
        ),
        pytest.param(("0.65", 99.0), ("0.80", 99.5), "HOLD:ABOVE_TRIGGER", "", id="a low, then a new high"),
        pytest.param(("0.65", 99.0), ("0.80", 99.0), "HOLD:ABOVE_TRIGGER", "", id="both in one moment"),
    ],
)
def test_a_low_counts_against_the_trigger_that_stood_when_it_came(
    low: tuple[str, float], high: tuple[str, float], expected: str, level: str
) -> None:
    """Between two looks the bid goes up and down; at the second one it stands at 0.75."""
    stop, moves = trail(), sorted((low, high), key=lambda move: move[1])
    seen = look(*(quote(bid, "0.83", at_s=at_s) for bid, at_s in (*moves, ("0.75", 99.9))), stop=stop)
    decision = follow(stop, seen, MARKET, NOW)[1]
    assert outcome(decision) == expected
    assert not isinstance(decision, Exit) or decision.level == D(level)


# --- facts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fact", [NOW, Hold("x"), Unknown("x"), NoBid(quote(None)), doubted("STOP", "0.40"), RULE, stop_of()]
)
def test_what_was_decided_cannot_be_changed(fact: Any) -> None:
    """It goes from thread to thread and into the journal as it was made."""
    name = fields(fact)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(fact, name, getattr(fact, name))
    assert not hasattr(fact, "__dict__"), "thousands of them are made: they stay small"
