"""New settings while the monitor runs. Pure.

A rule is renewed, never swapped: the old stop stays armed until the new one has been seen where it would
not fire. A rule that is refused leaves the old one as it was, and an open exit keeps what it began with:
its quantity, floor and ladder. See stops-and-exits.md, section 2.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from base.risk.decide import is_safe, missing_proof
from base.risk.exit_lifecycle import Event, State
from base.risk.guard import Context, Guard
from base.risk.rules import Impossible, Renewal, Rule, Stop, StopSettings, make_stop


def announce(guard: Guard, before: StopSettings, after: StopSettings) -> None:
    """Note what ``after`` says of the holding; it takes over in its next look, or after its exit."""
    if guard.is_exiting and guard.exit_settings is None:
        guard.exit_settings = before
    rule = after.rule_for(guard.key.ticker)
    if guard.rule is None and not after.adopt_default:
        rule = None  # adopt.rule: null leaves what has no rule without one; it takes none away
    guard.renewal = None if _is_same(guard.rule, rule) else Renewal(rule=rule)


def renew(guard: Guard, ctx: Context) -> None:
    """Let a renewed rule take over, or refuse it, once it can be judged. Not while an exit is open."""
    guard.exit_settings = None
    if guard.renewal is None:
        return
    rule = guard.renewal.rule
    if rule is None:
        _remove(guard, ctx)
    elif ctx.market is None:
        return  # neither the old rule nor the new one can be held against the grid
    elif (old := _old_stop(guard, ctx)) is None:
        guard.was_armed = False  # nothing protects it: a rule that is new must first be seen safe
        _take(guard, rule)
    else:
        _replace(guard, ctx, old, rule)


def _old_stop(guard: Guard, ctx: Context) -> Stop | None:
    """The stop to keep until the new one is safe. After a restart it may not have been made yet."""
    if guard.stop is None and guard.rule is not None:
        with contextlib.suppress(Impossible):
            grid = ctx.grid_of(guard.side)
            guard.stop = make_stop(guard.rule, guard.side, guard.count, guard.entry, grid)
    return guard.stop


def _replace(guard: Guard, ctx: Context, old: Stop, rule: Rule) -> None:
    assert ctx.market is not None
    try:
        new = make_stop(rule, guard.side, guard.count, guard.entry, ctx.grid_of(guard.side))
    except Impossible as e:
        _refuse(guard, old, rule, e.reason)
        return
    if old.peak is not None:
        new = new.ratcheted(old.peak)
    if guard.state is State.UNPROTECTED and not guard.was_armed:
        _take(guard, rule)  # nothing is armed that the new rule could weaken
        guard.stop = new
    elif not _can_be_judged(new, ctx):
        return  # the old stop stays armed meanwhile; the sweep looks again
    elif ctx.seen is not None and is_safe(new, ctx.seen, ctx.market, ctx.now):
        _take(guard, rule)
        guard.pending = new  # takes over in this very look, which shows it safe
        _say_taken(guard, ctx, new)
    else:
        _refuse(guard, old, rule, "would_fire_now")


def _can_be_judged(stop: Stop, ctx: Context) -> bool:
    """Whether the evidence says if ``stop`` would fire now; an empty side says nothing of a stop."""
    if ctx.market is None or ctx.seen is None or not ctx.market.is_open_at(ctx.now.exchange_ms):
        return False
    has_bid = ctx.seen.quote.bid is not None
    return missing_proof(ctx.seen, ctx.now.boot_s) is None and (has_bid or not stop.rule.has_stop)


def _take(guard: Guard, rule: Rule) -> None:
    guard.rule, guard.renewal, guard.pending = rule, None, None
    guard.is_renewed = True


def _say_taken(guard: Guard, ctx: Context, new: Stop) -> None:
    if guard.state is not State.ARMED:
        return  # arming says it
    guard.is_renewed = False
    guard.move(Event.RESIZED, ctx, why="reloaded", rule=new.rule.name, trigger=new.trigger, target=new.target)
    assert ctx.seen is not None
    guard.say_armed(new, ctx.seen.quote.bid, "reloaded")


def _refuse(guard: Guard, old: Stop, rule: Rule, why: str) -> None:
    """The old version stays, whatever state it is in."""
    guard.renewal = None
    guard.line(
        guard.state.value, count=guard.count, trigger=old.trigger, target=old.target, rule=rule.name,
        reason="reload_refused", why=why,
    )  # fmt: skip


def _remove(guard: Guard, ctx: Context) -> None:
    """No rule is left for it: said as loudly as for a holding that never had one."""
    guard.rule = guard.stop = guard.pending = guard.renewal = None
    guard.was_armed = False
    if guard.state is State.ARMED:
        guard.move(Event.UNCOVERED, ctx, why="no_rule")


def _is_same(old: Rule | None, new: Rule | None) -> bool:
    """Whether two rules ask for the same; where they stand in the file does not matter."""
    if old is None or new is None:
        return old is new
    return replace(new, name=old.name, market=old.market) == old
