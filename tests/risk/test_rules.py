"""From what a user asked for to the stop of one position."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from base.model import Side
from base.risk.rules import Impossible, Rule, Stop, StopSettings, make_stop
from base.units import PriceGrid

D = Decimal
CENT = PriceGrid.of([("0", "1", "0.01")])
FINE = PriceGrid.of([("0", "1", "0.001")])


def stop_of(entry: str | None = "0.60", grid: PriceGrid | None = CENT, **parts: Any) -> Stop:
    """The stop of ten contracts."""
    rule = Rule(name="r", **{name: D(value) for name, value in parts.items()})
    return make_stop(rule, Side.YES, D(10), None if entry is None else D(entry), grid)


@pytest.mark.parametrize(
    ("parts", "trigger", "target"),
    [
        pytest.param({"stop": "0.40"}, "0.40", None, id="a price"),
        pytest.param({"loss_percent": "50"}, "0.30", None, id="percent of the entry"),
        pytest.param({"stop": "0.40", "loss_percent": "50"}, "0.40", None, id="the nearer of two stops"),
        pytest.param({"take_profit": "0.80"}, None, "0.80", id="a target alone"),
        pytest.param(
            {"take_profit": "0.80", "gain_percent": "20"}, None, "0.72", id="the nearer of two targets"
        ),
        pytest.param(
            {"stop": "0.40", "gain_percent": "100"}, "0.40", None, id="a gain beyond a dollar never comes"
        ),
        pytest.param({"stop": "0.01"}, "0.01", None, id="the lowest price there is"),
        pytest.param({"loss_percent": "33"}, "0.402", None, id="computed triggers need not lie on the grid"),
    ],
)
def test_make_stop(parts: dict[str, str], trigger: str | None, target: str | None) -> None:
    """Each part alone, and two of a kind together."""
    stop = stop_of(**parts)
    assert stop.trigger == (None if trigger is None else D(trigger))
    assert stop.target == (None if target is None else D(target))


@pytest.mark.parametrize(
    ("entry", "parts", "reason"),
    [
        pytest.param(None, {"loss_percent": "50"}, "no_entry", id="percent of nothing"),
        pytest.param(
            None, {"stop": "0.40", "trail_activation_cents": "5"}, "no_entry", id="gain from nothing"
        ),
        pytest.param("0.60", {"stop": "0.405"}, "off_grid", id="typed stop"),
        pytest.param("0.60", {"take_profit": "0.805"}, "off_grid", id="typed target"),
        pytest.param("0.60", {"stop": "0.40", "catastrophe": "0.205"}, "off_grid", id="typed catastrophe"),
        pytest.param("0.60", {"loss_percent": "100"}, "can_never_fire", id="all of it"),
        pytest.param("0.60", {"loss_percent": "99"}, "can_never_fire", id="under the lowest price"),
        pytest.param("0.60", {"loss_percent": "-70"}, "can_never_fire", id="above a dollar"),
        pytest.param("0.60", {"gain_percent": "90"}, "can_never_fire", id="a target beyond a dollar alone"),
        pytest.param("0.60", {"stop": "0.60", "take_profit": "0.60"}, "contradicts", id="stop at the target"),
        pytest.param("0.60", {}, "no_rule", id="nothing asked for"),
        pytest.param("0.60", {"catastrophe": "0.20"}, "no_rule", id="a level that only hurries another"),
    ],
)
def test_what_cannot_protect_says_why(entry: str | None, parts: dict[str, str], reason: str) -> None:
    """In one word, as it stands in the log."""
    with pytest.raises(Impossible) as said:
        stop_of(entry, **parts)
    assert said.value.reason == reason


def test_without_the_grid_only_what_the_price_range_forbids_is_refused() -> None:
    """The market is not read yet: a price off every grid is found out later, zero and a dollar at once."""
    assert stop_of(grid=None, stop="0.405").trigger == D("0.405")
    for never in ("0", "1"):
        with pytest.raises(Impossible, match="can_never_fire"):
            stop_of(grid=None, stop=never)
    assert stop_of(grid=FINE, stop="0.405").trigger == D("0.405")


@pytest.mark.parametrize(
    ("parts", "peak", "trigger"),
    [
        pytest.param({"trail_cents": "10"}, None, None, id="nothing seen yet"),
        pytest.param({"trail_cents": "10"}, "0.70", "0.60", id="cents under the peak"),
        pytest.param({"trail_percent": "10"}, "0.70", "0.63", id="percent of the peak"),
        pytest.param({"trail_cents": "10", "trail_percent": "10"}, "0.70", "0.63", id="the nearer of both"),
        pytest.param({"trail_cents": "10", "stop": "0.65"}, "0.70", "0.65", id="never under the fixed stop"),
        pytest.param({"trail_cents": "10", "stop": "0.40"}, "0.70", "0.60", id="nor over it in vain"),
        pytest.param({"trail_cents": "10"}, "0.10", None, id="zero is no price"),
        pytest.param(
            {"trail_cents": "10", "trail_activation_cents": "20"}, "0.79", None, id="gain too small"
        ),
        pytest.param(
            {"trail_cents": "10", "trail_activation_cents": "20"}, "0.80", "0.70", id="gain reached"
        ),
    ],
)
def test_a_trail_follows_the_peak(parts: dict[str, str], peak: str | None, trigger: str | None) -> None:
    """The trigger is the higher of the fixed and the trailing one."""
    stop = stop_of(**parts)
    followed = stop if peak is None else stop.ratcheted(D(peak))
    assert followed.trigger == (None if trigger is None else D(trigger))
    assert peak is None or followed.ratcheted(D(peak) - D("0.01")) is followed


def test_a_gain_from_an_unknown_entry_activates_nothing() -> None:
    """A stop from a journal may not know what was paid."""
    rule = Rule(name="r", stop=D("0.40"), trail_cents=D(10), trail_activation_cents=D(5))
    stop = Stop(
        rule=rule,
        side=Side.YES,
        count=D(10),
        entry=None,
        fixed_trigger=D("0.40"),
        target=None,
        peak=D("0.90"),
    )
    assert stop.trigger == D("0.40")


@pytest.mark.parametrize(
    ("parts", "has_stop", "has_target"),
    [
        ({"stop": "0.40"}, True, False), ({"loss_percent": "50"}, True, False), ({"trail_cents": "5"}, True, False),
        ({"trail_percent": "5"}, True, False), ({"take_profit": "0.80"}, False, True),
        ({"gain_percent": "50"}, False, True), ({"catastrophe": "0.20", "trail_activation_cents": "5"}, False, False),
    ],
)  # fmt: skip
def test_which_parts_get_out_and_which_take_a_profit(
    parts: dict[str, str], has_stop: bool, has_target: bool
) -> None:
    """The rest only says when."""
    rule = Rule(name="r", **{name: D(value) for name, value in parts.items()})  # type: ignore[arg-type]
    assert (rule.has_stop, rule.has_target) == (has_stop, has_target)


@pytest.mark.parametrize(
    ("ticker", "name"),
    [("KXBTC-1", "rules[1]"), ("KXETH-1", "rules[2]"), ("KXSOL-1", "default")],
)
def test_the_first_rule_that_matches_counts(ticker: str, name: str) -> None:
    """Patterns in the order of the file, then the default."""
    patterns = ["KXBTC15M*", "KXBTC*", "KXETH*", "KXBTC-1"]
    rules = tuple(Rule(name=f"rules[{n}]", market=market) for n, market in enumerate(patterns))
    found = StopSettings(default=Rule(name="default"), rules=rules).rule_for(ticker)
    assert found is not None
    assert found.name == name
