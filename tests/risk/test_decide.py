"""When a position is closed: the table of rules, and what holds for any market."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.feed.freshness import Freshness, Proof
from base.feed.watch import MarketWatch, Sighting
from base.model import Market, MarketStatus, Quote, Side, Source
from base.risk.decide import Decision, Exit, Hold, Moment, NoBid, Unknown, confirm, decide, follow, is_safe
from base.risk.rules import Rule, Stop, make_stop
from base.units import PriceGrid

D = Decimal
PROVEN = Freshness(
    connection=Proof.PROVEN, ack=Proof.PROVEN, sequence=Proof.PROVEN, lag=Proof.PROVEN, life=Proof.PROVEN
)
GRID = PriceGrid.of([("0", "1", "0.01")])
MARKET = Market(
    ticker="T", status=MarketStatus.ACTIVE, open_ms=None, close_ms=2_000_000, grid=GRID, exchange_index=0
)
NOW = Moment(100.0, 1_000_000)
RULE = Rule(name="r", stop=D("0.40"), take_profit=D("0.80"))


def quote(
    bid: str | None,
    ask: str | None = "0.50",
    *,
    at_s: float = 100.0,
    size: str = "100",
    side: Side = Side.YES,
) -> Quote:
    """A quote from ``side``."""
    return Quote(
        ticker="T", side=side, bid=None if bid is None else D(bid), ask=None if ask is None else D(ask),
        bid_size=None if bid is None else D(size), ask_size=None if ask is None else D(size), bids=(), asks=(),
        source=Source.BOOK, exchange_ms=None, received_s=at_s, epoch=1,
    )  # fmt: skip


def stop_of(rule: Rule = RULE, entry: str = "0.60") -> Stop:
    """The rule made concrete for ten contracts."""
    return make_stop(rule, Side.YES, D(10), D(entry), GRID)


def look(
    *quotes: Quote, stop: Stop | None = None, now_s: float = 100.0, freshness: Freshness = PROVEN,
    confirmed_s: float | None = None, began_s: float = 0.0, rest: Quote | None = None, side: Side = Side.YES,
) -> Sighting:  # fmt: skip
    """What the watch makes of ``quotes``, oldest first."""
    chosen = stop or stop_of()
    watch = MarketWatch(began_s)
    for seen in quotes:
        watch.see(seen.seen_from(Side.YES))
    sighting = watch.look(
        side, trigger=chosen.trigger, target=chosen.target, dwell_s=chosen.rule.dwell_s,
        least_updates=chosen.rule.updates, now_s=now_s, confirmed_s=now_s if confirmed_s is None else confirmed_s,
        freshness=freshness, rest=rest,
    )  # fmt: skip
    assert sighting is not None
    return sighting


def outcome(decision: Decision) -> str:
    """The decision and its reason in one word."""
    return f"{type(decision).__name__.upper()}:{getattr(decision, 'reason', '')}"


@pytest.mark.parametrize(
    ("bid", "ask", "expected"),
    [
        pytest.param("0.41", "0.43", "HOLD:ABOVE_TRIGGER", id="a tick above holds"),
        pytest.param("0.40", "0.42", "EXIT:STOP", id="a touch fires: bid <= trigger"),
        pytest.param("0.39", "0.42", "EXIT:STOP", id="below fires"),
        pytest.param("0.79", "0.81", "HOLD:ABOVE_TRIGGER", id="a tick under the target holds"),
        pytest.param("0.80", "0.82", "EXIT:TAKE_PROFIT", id="the target fires: bid >= target"),
        pytest.param(None, "0.99", "NOBID:", id="an empty bid is not the ask and not a profit"),
        pytest.param(None, "0.42", "NOBID:", id="an empty bid is no price"),
        pytest.param(None, None, "UNKNOWN:NO_MARKET", id="nobody quotes"),
        pytest.param("0.01", "0.99", "HOLD:GHOST_BOOK", id="a ghost book sells nothing"),
        pytest.param("0.01", None, "HOLD:GHOST_BOOK", id="a cent against nothing is a ghost too"),
        pytest.param("0.01", "0.03", "EXIT:STOP", id="a real cent fires"),
    ],
)
def test_prices(bid: str | None, ask: str | None, expected: str) -> None:
    """The first row that matches decides, on prices of the side held."""
    assert outcome(decide(stop_of(), look(quote(bid, ask)), MARKET, NOW)) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"status": MarketStatus.INACTIVE}, "HOLD:MARKET_STATE", id="paused"),
        pytest.param({"status": MarketStatus.CLOSED}, "HOLD:MARKET_STATE", id="closed"),
        pytest.param({"status": MarketStatus.UNKNOWN}, "HOLD:MARKET_STATE", id="a status we do not know"),
        pytest.param({"close_ms": 1_000_000}, "HOLD:MARKET_STATE", id="closed by the clock"),
        pytest.param({"close_ms": 1_000_001}, "EXIT:STOP", id="a millisecond before the close"),
        pytest.param({"close_ms": None}, "EXIT:STOP", id="no close time known"),
    ],
)
def test_market_state(change: dict[str, object], expected: str) -> None:
    """A closed book's bid of 0 is not a crash."""
    assert outcome(decide(stop_of(), look(quote("0.20")), replace(MARKET, **change), NOW)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("proof", ["connection", "ack", "sequence", "lag", "life"])
def test_each_missing_proof_is_unknown(proof: str) -> None:
    """An old price is no price, whichever of the five proofs is missing."""
    shaky = replace(PROVEN, **{proof: Proof.NOT_PROVEN})
    assert decide(stop_of(), look(quote("0.20"), freshness=shaky), MARKET, NOW) == Unknown(proof)


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        pytest.param(0.5, "EXIT:STOP", id="fresh"),
        pytest.param(2.0, "EXIT:STOP", id="two seconds"),
        pytest.param(2.01, "UNKNOWN:age", id="older asks for a probe"),
    ],
)
def test_evidence_of_a_breach_is_at_most_two_seconds_old(age_s: float, expected: str) -> None:
    """A standing quote is as old as the newest proof that it stands."""
    seen = look(quote("0.40", at_s=90.0), confirmed_s=100.0 - age_s)
    assert outcome(decide(stop_of(), seen, MARKET, NOW)) == expected


def test_a_book_read_by_rest_stands_in_for_a_dead_feed() -> None:
    """Not proven means REST; its book may fire within two seconds."""
    dead = replace(PROVEN, connection=Proof.NOT_PROVEN)
    rest = replace(quote("0.40", at_s=99.0), source=Source.REST)
    assert (
        outcome(decide(stop_of(), look(rest, freshness=dead, confirmed_s=99.0), MARKET, NOW)) == "EXIT:STOP"
    )
    old = replace(rest, received_s=94.0)
    seen = look(old, freshness=dead, confirmed_s=94.0)
    assert decide(stop_of(), seen, MARKET, NOW) == Unknown("connection")


def test_a_touch_between_two_looks_fires() -> None:
    """The lowest bid since the last look counts for two seconds even if the price is back up."""
    touched = look(quote("0.45", at_s=99.0), quote("0.40", at_s=99.5), quote("0.47", at_s=99.9))
    decision = decide(stop_of(), touched, MARKET, NOW)
    assert isinstance(decision, Exit)
    assert decision.evidence.bid == D("0.40")
    late = look(quote("0.45", at_s=96.0), quote("0.40", at_s=97.0), quote("0.47", at_s=99.9))
    assert outcome(decide(stop_of(), late, MARKET, NOW)) == "HOLD:ABOVE_TRIGGER"


@pytest.mark.parametrize(
    ("rule", "quotes", "expected"),
    [
        pytest.param({"max_spread": D("0.05")}, [("0.40", "0.46")], "HOLD:MAX_SPREAD", id="spread too wide"),
        pytest.param({"max_spread": D("0.06")}, [("0.40", "0.46")], "EXIT:STOP", id="spread just right"),
        pytest.param({"max_spread": D("0.05")}, [("0.40", None)], "HOLD:MAX_SPREAD", id="spread unknown"),
        pytest.param({"min_size": D(101)}, [("0.40", "0.42")], "HOLD:MIN_SIZE", id="too few bid"),
        pytest.param({"min_size": D(100)}, [("0.40", "0.42")], "EXIT:STOP", id="enough bid"),
        pytest.param({"updates": 2}, [("0.40", "0.42")], "HOLD:UPDATES", id="one update of two"),
        pytest.param({"updates": 2}, [("0.40", "0.42"), ("0.39", "0.42")], "EXIT:STOP", id="two updates"),
        pytest.param(
            {"updates": 2}, [("0.40", "0.42"), ("0.41", "0.42"), ("0.40", "0.42")], "HOLD:UPDATES", id="interrupted"
        ),
        pytest.param({"dwell_s": 5.0}, [("0.40", "0.42")], "HOLD:DWELL", id="dwell not over"),
        pytest.param(
            {"dwell_s": 5.0, "catastrophe": D("0.20")}, [("0.19", "0.22")], "EXIT:CATASTROPHE", id="skips dwell"
        ),
        pytest.param(
            {"updates": 3, "catastrophe": D("0.20")}, [("0.20", "0.22")], "EXIT:CATASTROPHE", id="skips updates"
        ),
        pytest.param(
            {"catastrophe": D("0.20"), "max_spread": D("0.05")}, [("0.10", "0.40")], "HOLD:MAX_SPREAD",
            id="never skips the spread",
        ),
        pytest.param({"catastrophe": D("0.20")}, [("0.01", "0.99")], "HOLD:GHOST_BOOK", id="never a ghost book"),
    ],
)  # fmt: skip
def test_filters(rule: dict[str, object], quotes: list[tuple[str, str | None]], expected: str) -> None:
    """A touched trigger waits for its filters; a catastrophe skips time and repetition only."""
    stop = stop_of(Rule(name="r", stop=D("0.40"), **rule))  # type: ignore[arg-type]
    count = len(quotes)
    seen = look(*[quote(b, a, at_s=100 - 0.1 * (count - n)) for n, (b, a) in enumerate(quotes)], stop=stop)
    assert outcome(decide(stop, seen, MARKET, NOW)) == expected


def test_dwell_counts_from_the_first_touch_without_a_break() -> None:
    """The trigger fires once the bid has stood at or under it for the whole dwell."""
    stop = stop_of(Rule(name="r", stop=D("0.40"), dwell_s=5.0))
    quotes = [quote("0.45", at_s=90.0), quote("0.40", at_s=95.1), quote("0.38", at_s=97.0)]
    assert outcome(decide(stop, look(*quotes, stop=stop), MARKET, NOW)) == "HOLD:DWELL"
    quotes[1] = quote("0.40", at_s=95.0)
    assert outcome(decide(stop, look(*quotes, stop=stop), MARKET, NOW)) == "EXIT:STOP"


@pytest.mark.parametrize(
    ("quotes", "began_s", "is_suspicious"),
    [
        pytest.param(
            [quote("0.50", "0.52", at_s=99), quote("0.40", "0.42")], 0, False, id="a fall of ten cents"
        ),
        pytest.param(
            [quote("0.56", "0.58", at_s=99), quote("0.40", "0.42")], 0, True, id="sixteen cents at once"
        ),
        pytest.param([quote("0.40", "0.42", size="9")], 0, True, id="top smaller than held"),
        pytest.param([quote("0.40", "0.51")], 0, True, id="spread above ten cents"),
        pytest.param([quote("0.40", None)], 0, True, id="no ask"),
        pytest.param([quote("0.40", "0.42")], 96, True, id="within five seconds of a resync"),
        pytest.param([quote("0.40", "0.42")], 94, False, id="settled"),
    ],
)
def test_suspicion(quotes: list[Quote], began_s: float, is_suspicious: bool) -> None:
    """A price that may not be real is marked, not refused: one REST book settles it."""
    decision = decide(stop_of(), look(*quotes, began_s=began_s), MARKET, NOW)
    assert isinstance(decision, Exit)
    assert decision.suspicious is is_suspicious


@pytest.mark.parametrize(
    ("bid", "at_s", "passes"),
    [
        pytest.param("0.40", 99.5, True, id="shows the breach"),
        pytest.param("0.41", 99.5, False, id="does not show it"),
        pytest.param("0.40", 98.9, False, id="begun before the evidence"),
        pytest.param(None, 99.5, False, id="shows no bid"),
    ],
)
def test_confirmation(bid: str | None, at_s: float, passes: bool) -> None:
    """Only a REST book begun after the suspicious evidence lets it through."""
    rest = replace(quote(bid, at_s=at_s), source=Source.REST)
    seen = look(quote("0.60", at_s=98.0), quote("0.40", "0.42", at_s=99.0), rest=rest)
    decision = decide(stop_of(), seen, MARKET, NOW)
    assert isinstance(decision, Exit)
    assert confirm(decision, seen, NOW) == (decision if passes else Hold("UNCONFIRMED"))


def test_a_confirmation_is_good_for_two_seconds() -> None:
    """An old REST book confirms nothing."""
    rest = replace(quote("0.40", at_s=97.5), source=Source.REST)
    seen = look(quote("0.60", at_s=96.0), quote("0.40", "0.42", at_s=97.0), rest=rest)
    decision = decide(stop_of(), seen, MARKET, NOW)
    assert isinstance(decision, Exit)
    assert confirm(decision, seen, NOW) == Hold("UNCONFIRMED")


def test_a_trailing_stop_follows_highs_and_fires_on_the_way_down() -> None:
    """The trigger is the highest bid minus the distance."""
    stop = stop_of(Rule(name="r", trail_cents=D(10)))
    stop, decision = follow(stop, look(quote("0.60", "0.62"), stop=stop), MARKET, NOW)
    assert (stop.trigger, outcome(decision)) == (D("0.50"), "HOLD:ABOVE_TRIGGER")
    stop, _ = follow(stop, look(quote("0.70", "0.72"), stop=stop), MARKET, NOW)
    assert stop.trigger == D("0.60")
    stop, decision = follow(stop, look(quote("0.60", "0.62"), stop=stop), MARKET, NOW)
    assert outcome(decision) == "EXIT:TRAIL"


def test_a_peak_from_a_ghost_book_does_not_count() -> None:
    """Trailing peaks pass the same filters as triggers."""
    stop = stop_of(Rule(name="r", trail_cents=D(10), max_spread=D("0.05")))
    stop, _ = follow(stop, look(quote("0.60", "0.62"), stop=stop), MARKET, NOW)
    after, _ = follow(stop, look(quote("0.90", "0.99"), stop=stop), MARKET, NOW)
    assert after.trigger == stop.trigger


def test_a_low_before_a_new_high_does_not_fire_the_raised_trigger() -> None:
    """Between two looks: first 0.55, then 0.75. The trigger that 0.75 makes was not touched by 0.55."""
    stop = stop_of(Rule(name="r", trail_cents=D(15)))
    stop, _ = follow(stop, look(quote("0.60", "0.62"), stop=stop), MARKET, NOW)
    seen = look(quote("0.55", "0.57", at_s=99.8), quote("0.75", "0.77", at_s=99.9), stop=stop)
    raised, decision = follow(stop, seen, MARKET, NOW)
    assert raised.trigger == D("0.60")
    assert outcome(decision) == "HOLD:ABOVE_TRIGGER"


cents = st.integers(min_value=1, max_value=99).map(lambda n: D(n) / 100)


@given(bids=st.lists(cents, min_size=1, max_size=60))
def test_a_trailing_trigger_never_loosens(bids: list[Decimal]) -> None:
    """Whatever the bids do, the trigger never moves down."""
    stop, trigger = stop_of(Rule(name="r", trail_cents=D(10))), D(0)
    for bid in bids:
        stop = stop.ratcheted(bid)
        assert (stop.trigger or D(0)) >= trigger
        trigger = stop.trigger or D(0)


@given(
    bid=st.none() | cents, ask=st.none() | cents, trigger=cents, dwell=st.sampled_from([0.0, 3.0]),
    moves=st.lists(st.tuples(st.none() | cents, st.none() | cents), max_size=6),
    catastrophe=st.none() | cents, target=st.none() | cents,
)  # fmt: skip
def test_no_is_the_mirror_of_yes(
    bid: Decimal | None, ask: Decimal | None, trigger: Decimal, dwell: float,
    moves: list[tuple[Decimal | None, Decimal | None]], catastrophe: Decimal | None, target: Decimal | None,
) -> None:  # fmt: skip
    """A mirrored book and a mirrored position make the mirrored decision, always."""
    rule = Rule(name="r", stop=trigger, catastrophe=catastrophe, take_profit=target, dwell_s=dwell)
    yes = Stop(rule=rule, side=Side.YES, count=D(10), entry=None, fixed_trigger=trigger, target=target)
    no = replace(yes, side=Side.NO)
    steps = [*moves, (bid, ask)]
    as_yes = [
        quote(None if b is None else str(b), None if a is None else str(a), at_s=100 - 0.5 * (len(steps) - n))
        for n, (b, a) in enumerate(steps, 1)
    ]
    as_no = [replace(seen, side=Side.NO) for seen in as_yes]
    seen_yes = look(*as_yes, stop=yes)
    seen_no = look(*as_no, stop=no, side=Side.NO)
    decision, mirrored = follow(yes, seen_yes, MARKET, NOW)[1], follow(no, seen_no, MARKET, NOW)[1]
    assert type(decision) is type(mirrored)
    assert outcome(decision) == outcome(mirrored)
    if isinstance(decision, Exit) and isinstance(mirrored, Exit):
        assert replace(mirrored, evidence=replace(mirrored.evidence, side=Side.YES)) == decision


@given(bid=st.none() | cents, ask=st.none() | cents)
def test_a_safe_sighting_never_fires_the_stop(bid: Decimal | None, ask: Decimal | None) -> None:
    """What arms a stop would not have fired it."""
    stop = stop_of(Rule(name="r", stop=D("0.40")))
    seen = look(quote(None if bid is None else str(bid), None if ask is None else str(ask)), stop=stop)
    decision = decide(stop, seen, MARKET, NOW)
    assert not (is_safe(stop, seen, MARKET, NOW) and isinstance(decision, Exit | NoBid))
