"""New settings while it runs: the old stop protects until the new one was seen safe, an open exit stays."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from base.model import Key, Side
from base.risk.messages import AlarmChanged, ElsewhereSeen, Line, MarketsSeen, Send, SettingsChanged
from base.risk.rules import AlreadyBreached, BelowFloor, Rule, StopSettings
from tests.risk.world import KEY, TICKER, World, armed

D = Decimal
OLD = Rule(name="default", stop=D("0.40"))
NEW = Rule(name="default", stop=D("0.45"))


def reload(world: World, rule: Rule | None, **settings: Any) -> World:
    """A person saves other settings; the monitor goes one round."""
    world.effects.clear()
    world.tell(SettingsChanged(settings=StopSettings(default=rule, **settings)))
    world.step()
    return world


def lines(world: World) -> list[tuple[str, object]]:
    """Event and reason of each line since the reload."""
    return [(e.event, e.fields.get("reason")) for e in world.effects if isinstance(e, Line)]


def trigger_of(world: World) -> Decimal | None:
    """The price at which the armed stop fires."""
    assert world.guard.stop is not None
    return world.guard.stop.trigger


@pytest.mark.parametrize("side", list(Side))
def test_a_safe_rule_takes_over_at_once(side: Side) -> None:
    """Proven evidence above the new trigger: one ARMED line that says reloaded; then it fires there."""
    world = reload(armed(side=side), NEW)
    assert lines(world) == [("ARMED", "reloaded")]
    assert world.line("ARMED")["trigger"] == D("0.45")
    assert (world.state, trigger_of(world)) == ("ARMED", D("0.45"))
    world.bid("0.45")
    assert len(world.sends) == 1


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        pytest.param(Rule(name="default", stop=D("0.52")), "would_fire_now", id="touched now"),
        pytest.param(Rule(name="default", stop=D("0.60")), "would_fire_now", id="above the bid"),
        pytest.param(Rule(name="default", stop=D("0.405")), "off_grid", id="off the grid"),
        pytest.param(Rule(name="default", take_profit=D("0.995")), "off_grid", id="target off the grid"),
        pytest.param(Rule(name="default", gain_percent=D(900)), "can_never_fire", id="never"),
        pytest.param(
            Rule(name="default", stop=D("0.50"), loss_percent=D(10), gain_percent=D("0.01"), take_profit=D("0.54")),
            "contradicts",
            id="stop above target",
        ),
    ],
)  # fmt: skip
def test_a_refused_rule_leaves_the_old_one_armed(rule: Rule, why: str) -> None:
    """Said once, in one line that names why; the old stop goes on and nothing was sold meanwhile."""
    world = reload(armed(), rule).quiet(3)
    assert lines(world) == [("ARMED", "reload_refused")]
    assert world.line("ARMED")["why"] == why
    assert (world.state, trigger_of(world), world.sends) == ("ARMED", D("0.40"), [])
    world.bid("0.40")
    assert len(world.sends) == 1


def test_a_rule_without_evidence_waits_and_the_old_one_stays() -> None:
    """Blind: nothing can be said of the new rule; the old one is armed until a proven price shows it safe."""
    world = armed()
    world.gap()
    reload(world, NEW)
    assert (lines(world), trigger_of(world)) == ([], D("0.40"))
    world.link()
    world.bid("0.50")
    assert (lines(world)[0], trigger_of(world)) == (("ARMED", "reloaded"), D("0.45"))
    assert world.state == "ARMED"


def test_a_rule_that_turns_out_breached_is_refused_when_the_evidence_comes() -> None:
    """The first proven price is under the new trigger: refused, the old one armed, nothing sold."""
    world = armed()
    world.gap()
    reload(world, NEW)
    world.link()
    world.bid("0.44").quiet(3)
    assert ("ARMED", "reload_refused") in lines(world)
    assert (trigger_of(world), world.sends) == (D("0.40"), [])


def test_what_was_seen_before_does_not_fire_the_new_rule() -> None:
    """A low between two looks belongs to the old rule: the new one counts from when it was armed."""
    world = armed()
    world.cache.put(world.quote("0.44"))
    world.now_s += 0.01
    world.cache.put(world.quote("0.52"))
    reload(world, NEW).quiet(3)
    assert (world.state, world.sends) == ("ARMED", [])


def test_an_open_exit_survives_untouched() -> None:
    """Quantity, floor and ladder are those of its trigger; after it the new settings hold."""
    world = armed().bid("0.40")
    intent = world.guard.intent
    assert intent is not None
    before = (intent.id, intent.quantity, intent.floor)
    reload(world, NEW, max_slippage=D("0.30"), below_floor=BelowFloor.CHASE, last_floor=D("0.05"))
    assert world.guard.intent is intent
    assert ((intent.id, intent.quantity, intent.floor), lines(world)) == (before, [])
    first = world.guard.intent.attempts[0].order
    world.effects.append(Send(key=KEY, intent_id=intent.id, attempt=1, order=first, evidence_s=0, loss=D(0)))
    world.bid("0.20").answer("0").quiet(3)
    assert min(send.order.price for send in world.sends) >= D("0.30")
    assert (world.state, intent.floor) == ("STUCK", D("0.30"))


def test_a_withdrawn_exit_is_armed_by_the_new_rule() -> None:
    """The buyers came back: ARMED again, and then renewed."""
    world = armed().bid(None, "0.60")
    assert world.guard.is_exiting
    reload(world, NEW)
    assert lines(world) == []
    world.bid("0.55").quiet(4)
    assert (world.state, trigger_of(world)) == ("ARMED", D("0.45"))
    assert ("ARMED", "reloaded") in lines(world)
    assert world.guard.exit_settings is None


def test_the_next_exit_has_the_new_slippage() -> None:
    """Settings without a rule change no stop and write no line; they hold from the next exit on."""
    world = reload(armed(), OLD, max_slippage=D("0.05"))
    assert lines(world) == []
    world.bid("0.40")
    assert world.guard.intent is not None
    assert world.guard.intent.floor == D("0.35")


def test_an_unguarded_position_gets_the_rule() -> None:
    """no_rule, then a rule: seen safe and ARMED, and what said otherwise is over."""
    world = World(OLD, adopt_default=False)
    world.hold().bid("0.52").quiet(6)
    assert (world.state, world.guard.reason) == ("UNPROTECTED", "no_rule")
    reload(world, OLD)
    assert lines(world) == [("ARMED", "reloaded"), ("PROTECTED", "no_rule")]
    assert (world.state, list(world.guard.alarms)) == ("ARMED", [])


def test_a_rule_for_an_unguarded_position_never_fires_on_the_evidence_that_would_arm_it() -> None:
    """Breached when it arrives: UNPROTECTED, even where adopted positions may be sold at once."""
    world = World(OLD, adopt_default=False, already_breached=AlreadyBreached.EXIT)
    world.hold().bid("0.35").quiet(6)
    reload(world, OLD, already_breached=AlreadyBreached.EXIT).quiet(3).rest("0.35")
    assert (world.state, world.guard.reason, world.sends) == ("UNPROTECTED", "would_fire_now", [])
    world.bid("0.50").bid("0.40")
    assert len(world.sends) == 1


def test_a_removed_rule_leaves_the_position_unprotected_loudly() -> None:
    """default: null is a person's word; it is said like any other gap."""
    world = reload(armed(), None)
    assert ("UNPROTECTED", "no_rule") in lines(world)
    assert ("ALARM", "unprotected_no_rule") in lines(world)
    assert world.bid("0.30").sends == []


def test_adoption_switched_off_takes_no_protection_away() -> None:
    """adopt.rule: null is about positions yet to be found."""
    world = reload(armed(), OLD, adopt_default=False)
    assert (world.state, lines(world)) == ("ARMED", [])


def test_the_same_rule_elsewhere_in_the_file_is_no_change() -> None:
    """A rule moved from the default to the list asks for the same."""
    moved = replace(OLD, name="rules[0]", market="KXTEST-*")
    world = reload(armed(), None, rules=(moved,))
    assert (world.state, lines(world)) == ("ARMED", [])


def test_changing_back_before_it_took_over_changes_nothing() -> None:
    """The newest file counts, also for what still waits."""
    world = armed()
    world.gap()
    reload(world, NEW)
    reload(world, OLD)
    world.link()
    world.bid("0.50")
    assert trigger_of(world) == D("0.40")
    assert ("ARMED", "reloaded") not in lines(world)


def test_a_trail_keeps_its_peak() -> None:
    """A trailing stop made anew follows the high that was seen, and never loosens below the same distance."""
    world = armed(Rule(name="default", trail_cents=D(20)))
    world.bid("0.62").bid("0.60")
    reload(world, Rule(name="default", trail_cents=D(10)))
    assert (lines(world), trigger_of(world)) == ([("ARMED", "reloaded")], D("0.52"))


def test_what_the_journal_showed_armed_keeps_its_old_rule_until_the_new_one_is_safe() -> None:
    """A reload in the seconds after a restart takes nothing away from a stop that may act at once."""
    world = World(OLD, armed_before={Key(0, TICKER): Side.YES})
    world.hold()
    reload(world, NEW)
    world.bid("0.39").quiet(6).rest("0.39")
    assert [send.order.count for send in world.sends] == [D(10)]
    assert world.line("TRIGGERED")["trigger"] == D("0.40")


def test_alarms_of_other_parts_ring_and_end() -> None:
    """Once when it begins, every minute while it lasts, never after its end."""
    world = armed()
    world.effects.clear()
    world.tell(AlarmChanged(reason="config_refused", is_on=True))
    world.tell(AlarmChanged(reason="config_refused", is_on=True))
    assert lines(world) == [("ALARM", "config_refused")]
    world.now_s += 61
    world.guards.sweep(world.moment())
    world.tell(AlarmChanged(reason="config_refused", is_on=False))
    assert lines(world) == [("ALARM", "config_refused")] * 2
    assert world.guards.alarms == {}


def test_positions_elsewhere_ring_until_they_are_gone() -> None:
    """A read of a sub-account that is not guarded: its positions are nobody's business but must be known."""
    world = armed()
    world.tell(ElsewhereSeen(subaccount=3, tickers=frozenset({TICKER, "KXOTHER"})))
    assert world.line("ALARM")["reason"] == "unprotected_subaccount_3"
    assert Key(3, TICKER) not in world.guards.by_key
    world.tell(ElsewhereSeen(subaccount=3, tickers=frozenset({TICKER})))
    assert "unprotected_subaccount_3" in world.guards.alarms
    world.tell(ElsewhereSeen(subaccount=3, tickers=frozenset()))
    assert world.guards.alarms == {}


def test_a_rule_replaces_one_that_never_protected() -> None:
    """Breached when it was found, so nothing is armed that the new rule could weaken: it is taken at once."""
    world = World(OLD).hold().bid("0.35").quiet(6)
    reload(world, Rule(name="default", stop=D("0.30")))
    assert (lines(world), trigger_of(world)) == (
        [("ARMED", "reloaded"), ("PROTECTED", "would_fire_now")],
        D("0.30"),
    )


def test_a_rule_waits_for_the_market_it_must_be_held_against() -> None:
    """Nothing was read of the market yet: neither rule can be judged, and neither is lost."""
    world = World(OLD)
    world.tell(world.positions("10"))
    reload(world, NEW).bid("0.52")
    assert (world.state, world.guard.rule) == ("UNPROTECTED", OLD)
    world.tell(MarketsSeen(markets={TICKER: world.market})).bid("0.53")
    assert (world.state, trigger_of(world)) == ("ARMED", D("0.45"))


def test_what_has_no_rule_gets_none_where_adoption_is_off() -> None:
    """adopt.rule: null leaves what was found without a rule, whatever the default says."""
    world = World(OLD, adopt_default=False).hold().bid("0.52")
    reload(world, NEW, adopt_default=False)
    assert (world.state, world.guard.rule, world.guard.reason) == ("UNPROTECTED", None, "no_rule")


def test_a_rule_taken_from_what_was_not_armed_leaves_it_unprotected() -> None:
    """It was breached; now it has no rule: the reason changes, the state does not."""
    world = World(OLD).hold().bid("0.35").quiet(6)
    reload(world, None)
    assert (world.state, world.guard.reason) == ("UNPROTECTED", "no_rule")
    assert list(world.guard.alarms) == ["unprotected_no_rule"]


def test_what_the_journal_showed_armed_takes_a_safe_rule_by_arming() -> None:
    """Armed before the restart and not seen yet: the new rule is seen safe, and arming says so, once."""
    world = World(OLD, armed_before={KEY: Side.YES})
    world.tell(world.positions("10"))
    world.cache.put(world.quote("0.52"))
    reload(world, NEW)
    world.tell(MarketsSeen(markets={TICKER: world.market})).step()
    assert (lines(world), trigger_of(world)) == ([("ARMED", "reloaded")], D("0.45"))
