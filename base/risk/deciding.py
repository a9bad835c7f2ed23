"""Decides, and journals a decision that is another one than before, with everything it was made on. Pure.

Called for every look of every holding: what has not changed costs one comparison.
"""

from __future__ import annotations

from decimal import Decimal

from base.feed.watch import Sighting, Touch
from base.risk import decide, journal_rows
from base.risk.decide import Decision, Exit, confirm
from base.risk.filters import has_history_filter
from base.risk.guard import Context, Decided, Guard
from base.risk.rules import Rule, Stop


def follow(guard: Guard, ctx: Context, seen: Sighting) -> tuple[Stop, Decision]:
    """Decide on ``seen`` and let a trailing stop follow it."""
    stop, market = guard.stop, ctx.market
    assert stop is not None and market is not None
    raised, decision = decide.follow(stop, seen, market, ctx.now, ctx.resumed_s)
    _note(guard, ctx, "follow", seen, decision, raised.peak)
    return raised, decision


def anew(guard: Guard, ctx: Context) -> Decision:
    """Decide on what is seen now; the stop stays as it is."""
    stop, seen, market = guard.stop, ctx.seen, ctx.market
    assert stop is not None and seen is not None and market is not None
    decision = decide.decide(stop, seen, market, ctx.now, ctx.resumed_s)
    _note(guard, ctx, "decide", seen, decision, stop.peak)
    return decision


def _note(
    guard: Guard, ctx: Context, call: str, seen: Sighting, decision: Decision, peak: Decimal | None
) -> None:
    assert guard.stop is not None
    told = Decided(
        kind=type(decision).__name__,
        reason=getattr(decision, "reason", ""),
        peak=peak,
        counters=counters_of(guard.stop.rule, seen),
        confirmed=isinstance(confirm(decision, seen, ctx.now), Exit) if isinstance(decision, Exit) else None,
    )
    guard.looked_ms, guard.bid = ctx.now.exchange_ms, seen.quote.bid
    if told != guard.decided:
        guard.decided, guard.decided_ms = told, ctx.now.exchange_ms
        guard.put(journal_rows.decision(guard, ctx, call, guard.stop, seen, decision, told))


def counters_of(rule: Rule, seen: Sighting) -> tuple[object, ...]:
    """What the filters that wait have counted; more updates than a rule waits for change nothing."""
    if not has_history_filter(rule):
        return ()
    return tuple(_counter(rule, touch) for touch in (seen.stop_touch, seen.target_touch))


def _counter(rule: Rule, touch: Touch | None) -> tuple[float, int] | None:
    return None if touch is None else (touch.since_s, min(touch.updates, rule.updates))
