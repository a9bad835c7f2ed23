"""A stop is armed by evidence, never fires on the evidence that armed it, and says so when it cannot."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from base.model import Key, PositionPush, Side
from base.risk.guards import Guards, Terms
from base.risk.messages import Closed, Linked, PersonAsks, ReadFailed, ReadPositions
from base.risk.rules import AlreadyBreached, Rule, StopSettings
from tests.risk.world import KEY, TICKER, World, armed

D = Decimal
STOP = Rule(name="default", stop=D("0.40"))


@pytest.mark.parametrize("side", list(Side))
def test_an_adopted_position_gets_a_stop(side: Side) -> None:
    """(F) Found on the account, seen safe, armed by the default rule."""
    world = World(Rule(name="default", loss_percent=D(50)), side)
    world.hold("10", "0.60").bid("0.50")
    assert world.state == "ARMED"
    assert world.line("ARMED")["trigger"] == D("0.30")


def test_an_adopted_breached_stop_never_fires_unasked() -> None:
    """It waits for a person, loudly; once seen safe it is armed."""
    world = World(STOP)
    world.hold().bid("0.35").quiet(10)
    assert (world.state, world.sends) == ("UNPROTECTED", [])
    assert world.line("UNPROTECTED")["reason"] == "would_fire_now"
    assert "ALARM" in world.events
    world.bid("0.50")
    assert world.state == "ARMED"
    assert "PROTECTED" in world.events


def test_a_person_confirms_a_breached_stop() -> None:
    """`retry` is the word that sells what would fire now."""
    world = World(STOP)
    world.hold().bid("0.35").quiet(6)
    world.tell(PersonAsks(key=KEY, command="retry"))
    assert len(world.sends) == 1


def test_exit_policy_sells_a_breached_adoption() -> None:
    """`adopt.already_breached: exit` is a person's standing word."""
    world = World(STOP, already_breached=AlreadyBreached.EXIT)
    world.hold().bid("0.35").quiet(6).rest("0.35")
    assert len(world.sends) == 1


@pytest.mark.parametrize(
    ("rule", "entry", "reason"),
    [
        pytest.param(Rule(name="r", loss_percent=D(50)), None, "no_entry", id="no entry for a percent"),
        pytest.param(Rule(name="r", loss_percent=D(50)), "0.01", "can_never_fire", id="under the grid"),
        pytest.param(Rule(name="r", stop=D("0.405")), "0.60", "off_grid", id="typed off the grid"),
        pytest.param(
            Rule(name="r", stop=D("0.40"), gain_percent=D(1)), "0.30", "contradicts", id="stop above target"
        ),
        pytest.param(Rule(name="r"), "0.60", "no_rule", id="a rule that says nothing"),
    ],
)
def test_a_rule_that_cannot_protect_says_why(rule: Rule, entry: str | None, reason: str) -> None:
    """UNPROTECTED with the reason, never a silent gap."""
    world = World(rule)
    world.hold("10", entry).bid("0.50").quiet(1)
    assert world.state == "UNPROTECTED"
    assert world.line("UNPROTECTED")["reason"] == reason


def test_a_blind_feed_alarms_within_seconds_and_says_when_it_sees_again() -> None:
    """UNKNOWN on a protected position for more than 3 s rings, and clears."""
    world = armed()
    world.cut()
    for _ in range(8):
        world.pass_s(0.5)
    assert "BLIND" in world.events
    assert "ALARM" in world.events
    world.link(2)
    world.cache.put(world.quote("0.50").__class__(**{**_fields(world.quote("0.50")), "epoch": 2}))
    world.step()
    assert world.events[-1] == "SEEING"


def _fields(quote: object) -> dict[str, object]:
    return {name: getattr(quote, name) for name in quote.__slots__}  # type: ignore[attr-defined]


def test_rest_stands_in_while_the_feed_is_down() -> None:
    """The stop still fires on books read by REST."""
    world = armed()
    world.cut()
    world.pass_s(1).rest("0.45")
    world.pass_s(1).rest("0.40")
    world.pass_s(0.5).rest("0.40")
    assert len(world.sends) == 1


def test_a_sequence_gap_stops_decisions_until_the_book_is_back() -> None:
    """Nothing fires on a book whose counter skipped."""
    world = armed()
    world.gap()
    world.bid("0.30")
    assert (world.state, world.sends) == ("ARMED", [])
    assert world.guard.reason == "sequence"


def test_an_unheld_claim_is_dropped() -> None:
    """A hook that nobody confirms within ten seconds is closed as never held."""
    world = World(STOP)
    world.opened().bid("0.50")
    assert world.state == "ARMED"
    world.quiet(12)
    world.tell(world.positions(None))
    assert world.state == "GONE"
    assert world.line("EXTERNAL")["reason"] == "never_held"


def test_a_closed_claim_is_believed_only_when_the_exchange_agrees() -> None:
    """Closed by the hook but still held: said loudly, and protected again."""
    world = armed()
    world.tell(Closed(key=KEY)).quiet(6)
    world.tell(world.positions("10"))
    assert "UNPROTECTED" in world.events
    assert world.line("UNPROTECTED")["reason"] == "closed_but_held"
    world.quiet(1)
    assert world.state == "ARMED"


def test_a_resize_makes_the_stop_anew_and_keeps_the_old_until_seen_safe() -> None:
    """More contracts at another price: a new trigger, armed once it would not fire at once."""
    world = World(Rule(name="default", loss_percent=D(50)))
    world.hold("10", "0.60").bid("0.45").quiet(6)
    fill = world.fill("-10", "20", trade="add", price="0.90", ours=False)
    world.tell(fill)
    assert world.guard.count == D(20)
    assert world.guard.entry == D("0.75")
    assert world.line("RESIZED")["trigger"] == D("0.30"), "still armed at that moment"
    world.quiet(1)
    assert world.guard.stop is not None
    assert world.guard.stop.trigger == D("0.375")
    assert world.line("ARMED")["trigger"] == D("0.375")
    assert world.line("ARMED")["reason"] == "resized"


@pytest.mark.parametrize("side", list(Side))
def test_a_trade_elsewhere_is_told_from_the_side_held(side: Side) -> None:
    """Three more contracts are three, two fewer are minus two, for NO as for YES."""
    world = World(Rule(name="default", loss_percent=D(50)), side)
    world.hold("10", "0.60").bid("0.45").quiet(6)
    for sold, held, told in (("-3", "13", "3"), ("2", "11", "-2")):
        world.tell(world.fill(sold, held, trade=told, price="0.50", ours=False))
        assert (world.line("EXTERNAL")["count"], world.line("EXTERNAL")["price"]) == (D(told), D("0.50"))


def test_a_take_profit_already_passed_does_not_sell_and_the_stop_protects() -> None:
    """A target, too, must first be seen where it would not fire."""
    world = World(Rule(name="default", stop=D("0.40"), take_profit=D("0.80")))
    world.hold().bid("0.85").quiet(6)
    assert (world.state, world.sends) == ("ARMED", [])
    world.bid("0.75").quiet(1).bid("0.80")
    assert len(world.sends) == 1


@pytest.mark.parametrize("is_live", [True, False])
def test_paper_and_live_decide_the_same(is_live: bool) -> None:
    """On paper the words say that nothing was sent; what is decided does not differ."""
    world = armed(is_live=is_live).bid("0.40").bid("0.39")
    assert [send.order.price for send in world.sends] == [D("0.39")]
    assert world.line("TRIGGERED")["reason"] == ("STOP" if is_live else "would_execute")


def test_what_the_journal_showed_armed_may_act_on_its_first_fresh_evidence() -> None:
    """After a restart an armed stop is armed, not adopted."""
    world = World(STOP)
    terms = world.guards.terms
    world.guards = Guards(
        Terms(
            settings=StopSettings(default=STOP), account=terms.account, is_live=True,
            subaccounts=terms.subaccounts, new_bits=terms.new_bits,
        ),
        armed_before={Key(0, TICKER): Side.YES},
    )  # fmt: skip
    world.hold().bid("0.35").quiet(6).rest("0.35")
    assert len(world.sends) == 1


def test_no_bid_makes_an_intent_that_sells_only_into_a_real_bid() -> None:
    """Nobody buys: alarm at once; the first bid inside the floor that passes the filters is taken."""
    world = armed()
    world.bid(None, "0.50")
    assert (world.state, world.sends) == ("STUCK", [])
    assert "NO_BID" in world.events
    world.bid("0.38").quiet(0.3, step_s=0.1)
    assert len(world.sends) == 1


def test_no_bid_withdraws_when_buyers_come_back_above_the_trigger() -> None:
    """An empty moment is not a reason to sell at a good price."""
    world = armed()
    world.bid(None, "0.60").bid("0.55").quiet(3)
    assert (world.state, world.sends) == ("ARMED", [])


def test_reentry_is_latched_after_an_exit() -> None:
    """Entries in the market wait for the exit and its cool-down."""
    world = armed().bid("0.40")
    assert world.guards.is_latched(KEY, world.now_s)
    world.answer("10").tell(world.fill("10", "0"))
    assert world.guards.is_latched(KEY, world.now_s + 59)
    assert not world.guards.is_latched(KEY, world.now_s + 61)


def test_a_fill_in_an_unknown_market_is_guarded_at_once() -> None:
    """A trade made elsewhere is seen by its push and protected by the default rule."""
    world = World(STOP)
    world.side = Side.YES
    world.tell(world.fill("-7", "7", price="0.55", ours=False))
    assert world.guard.count == D(7)
    assert world.guard.entry == D("0.55")


def test_a_position_in_another_subaccount_alarms() -> None:
    """What we may not sell is said loudly."""
    world = World(STOP)
    fill = world.fill("-7", "7", ours=False)
    world.tell(fill.__class__(**{**_fields(fill), "subaccount": 3}))
    assert world.line("ALARM")["reason"] == "unprotected_subaccount_3"


def test_a_read_that_says_gone_is_followed_by_another_soon() -> None:
    """An external close that no push told of is believed after seconds, not after two slow rounds."""
    world = armed()
    world.quiet(1).tell(world.positions(None))
    world.effects.clear()
    world.quiet(2.5)
    assert ReadPositions(0) in world.effects


def test_reads_catch_up_with_a_new_connection() -> None:
    """What was traded just before pushes began is asked for until a read speaks for that moment."""
    world = armed()
    world.tell(Linked(True))
    world.tell(world.positions("10", lag_ms=3000))
    world.effects.clear()
    world.guards.sweep(world.moment())
    world.step()
    assert ReadPositions(0) in world.effects
    world.quiet(6).tell(world.positions("10"))
    world.effects.clear()
    world.guards.sweep(world.moment())
    world.step()
    assert ReadPositions(0) not in world.effects


def test_catching_up_does_not_hammer_an_exchange_that_refuses_us() -> None:
    """Every two seconds however often we sweep; every ten once the reads fail."""
    world = armed()
    world.tell(Linked(True))
    world.effects.clear()

    def reads(seconds: float) -> int:
        world.effects.clear()
        for _ in range(round(seconds / 0.1)):
            world.now_s += 0.1
            world.guards.sweep(world.moment())
            world.tell(Linked(False))  # takes what was asked for
        return sum(isinstance(effect, ReadPositions) for effect in world.effects)

    assert 9 <= reads(20) <= 11
    world.tell(ReadFailed(what="ReadPositions", why="401"))
    assert 1 <= reads(20) <= 3


def test_reads_catch_up_with_a_position_that_was_pushed() -> None:
    """One that came without a trade is asked for until a read shows it: the first one lags."""
    world = World(STOP)
    world.tell(PositionPush(ticker=TICKER, subaccount=0, signed_count=D(10)))
    assert ReadPositions(0) in world.effects
    world.tell(world.positions(None, lag_ms=3000))
    assert not world.guards.by_key
    world.effects.clear()
    world.guards.sweep(world.moment())
    world.step()
    assert ReadPositions(0) in world.effects
    world.tell(world.positions("10"))
    assert world.guard.count == D(10)


def test_a_position_that_turned_over_keeps_the_entry_its_read_told() -> None:
    """The other side begins anew with what was paid for it, and no false alarm."""
    world = armed()
    for _ in range(2):
        world.quiet(1).tell(world.positions("-9", "0.40"))
    assert world.guard.entry == D("0.40")
    assert world.guard.side is world.side.other


def test_a_target_is_armed_by_a_rest_book_as_well() -> None:
    """While the feed is down a take profit is armed, and fires, on books read by REST."""
    world = World(Rule(name="default", stop=D("0.40"), take_profit=D("0.70")))
    world.cut()
    world.hold().pass_s(1)
    world.rest("0.55")
    assert world.state == "ARMED"
    world.pass_s(5.5)
    world.rest("0.55")
    world.pass_s(1)
    world.rest("0.72")
    world.pass_s(0.5)
    world.rest("0.72")
    assert [send.order.price for send in world.sends] == [D("0.71")]


def test_what_stays_unarmed_for_ever_other_reasons_is_said() -> None:
    """A filter holds the exit that the user wants at once: nothing covers the contracts meanwhile."""
    world = World(replace(STOP, max_spread=D("0.05")), already_breached=AlreadyBreached.EXIT).hold()
    for _ in range(8):
        world.bid("0.35", "0.60").quiet(1)
    assert world.state == "UNPROTECTED"
    assert "unprotected_not_armed" in world.guard.alarms
