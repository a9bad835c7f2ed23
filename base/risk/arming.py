"""From a holding to an armed stop, and from an armed stop to the decision to leave. Pure.

A stop never fires on the evidence that armed it: it must first be seen where it would not fire,
unless the journal shows that it was armed before. See stops-and-exits.md, sections 2 and 4.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from base.feed.watch import Sighting
from base.model import MarketStatus
from base.risk import deciding, endings, selling
from base.risk.decide import Decision, Exit, NoBid, Unknown, confirm, is_safe, missing_proof
from base.risk.exit_lifecycle import Event, State
from base.risk.guard import Context, Guard, level_text
from base.risk.messages import ConfirmPrice, ProbeFeed, ReadMarket, ReadPositions
from base.risk.rules import AlreadyBreached, Impossible, Stop, make_stop

BLIND_AFTER_S = 3.0
"""An armed holding whose evidence is missing this long alarms."""
PROBE_S = 1.0
CONFIRM_EVERY_S = 0.5
NEVER_HELD_AFTER_S = 10.0
PAUSED_READ_S = 5.0
NO_EVIDENCE_S = 4.0
"""What stays uncovered this long alarms: five seconds are promised, a look may be late."""


def watch(guard: Guard, ctx: Context) -> None:
    """Look at an UNPROTECTED or ARMED holding once. What stays uncovered is said, whatever the reasons."""
    _look(guard, ctx)
    is_chosen = guard.is_adopted and ctx.settings.already_breached is AlreadyBreached.HOLD
    is_said = bool(guard.alarms) or guard.reason == "market_state" or is_chosen
    if guard.state is not State.UNPROTECTED or is_said:
        guard.uncovered_s = None
        return
    if guard.uncovered_s is None:
        guard.uncovered_s = ctx.now.boot_s
    if ctx.now.boot_s - guard.uncovered_s >= NO_EVIDENCE_S:
        guard.unprotected("not_armed", ctx)  # the reasons alternate, and none of them lasted
    else:
        guard.wake_at(guard.uncovered_s + NO_EVIDENCE_S)  # the next sweep may be later


def _look(guard: Guard, ctx: Context) -> None:
    if ctx.market is not None and ctx.market.status.is_settling:
        endings.retire(guard, ctx)
        return
    if guard.is_gone:
        endings.gone(guard, ctx)
        return
    if guard.count == 0:
        return  # sold by its answers: the reports that say so are asked for
    if not _has_stop(guard, ctx):
        return
    if ctx.market is not None and not ctx.market.is_open_at(ctx.now.exchange_ms):
        if ctx.seen is not None and guard.stop is not None:
            deciding.anew(guard, ctx)
        _market_is_closed(guard, ctx)
        return
    if ctx.market is None or ctx.seen is None:
        guard.ask(ReadMarket(guard.key.ticker), ctx, every_s=2.0) if ctx.market is None else None
        _cannot_see(guard, ctx, "market" if ctx.market is None else ctx.freshness.missing or "ack")
        return
    if guard.is_outdated:
        guard.is_outdated = False
        remake(guard, ctx)
        if guard.stop is None:
            return
    seen = _take_over_pending(guard, ctx.seen, ctx)
    assert guard.stop is not None
    stop, decision = deciding.follow(guard, ctx, seen)
    _arm_target(guard, ctx)
    if guard.state is State.UNPROTECTED:
        guard.stop = stop
        _try_to_arm(guard, ctx, decision)
    else:
        _follow_armed(guard, ctx, stop, decision)


def remake(guard: Guard, ctx: Context) -> None:
    """Make the stop anew after the count or entry changed; the old one stays until the new is seen safe."""
    if guard.rule is None or guard.stop is None:
        return
    try:
        new = make_stop(guard.rule, guard.side, guard.count, guard.entry, ctx.grid_of(guard.side))
    except Impossible as e:
        if guard.state is State.ARMED:
            guard.move(Event.UNCOVERED, ctx, why=e.reason)
        guard.stop = None
        guard.unprotected(e.reason, ctx)
        return
    old = guard.stop
    guard.pending = _with_peak(new, old.peak)
    # Its entry stays too: a trail that a lower one activates would fire on the evidence that armed it.
    guard.stop = replace(old, count=guard.count)


def _with_peak(stop: Stop, peak: Decimal | None) -> Stop:
    return stop if peak is None else stop.ratcheted(peak)


def _market_is_closed(guard: Guard, ctx: Context) -> None:
    """Nothing can be sold and nothing fires: a closed market's silence is no blindness."""
    _sees(guard)
    if ctx.market is not None and ctx.market.status is MarketStatus.INACTIVE:
        # It may be activated any moment, and the event that says so may be lost.
        guard.ask(ReadMarket(guard.key.ticker), ctx, every_s=PAUSED_READ_S)
        guard.wake_at(ctx.now.boot_s + PAUSED_READ_S)
    if guard.state is State.ARMED:
        guard.reason = "MARKET_STATE"
    else:
        guard.unprotected("market_state", ctx, is_loud=False)


def _take_over_pending(guard: Guard, seen: Sighting, ctx: Context) -> Sighting:
    """Let a remade stop take over once it is seen safe; what was seen before that does not fire it."""
    if guard.pending is None or ctx.market is None or not is_safe(guard.pending, seen, ctx.market, ctx.now):
        return seen
    old, new = guard.stop, guard.pending
    guard.stop, guard.pending, guard.target_is_armed = new, None, False
    is_resized = old is not None and old.rule is new.rule  # of another rule the reload speaks
    has_moved = old is None or (old.trigger, old.target) != (new.trigger, new.target)
    if is_resized and has_moved and guard.state is State.ARMED:
        guard.say_armed(new, seen.quote.bid, "resized")
    return replace(seen, lowest=seen.quote, highest=seen.quote, stop_touch=None, target_touch=None)


def _has_stop(guard: Guard, ctx: Context) -> bool:
    """Make the stop from its rule, once the market's grid is known; say so where that cannot be done."""
    if guard.stop is not None:
        return True
    if guard.rule is None:
        guard.unprotected("no_rule", ctx)
        return False
    if ctx.market is None:
        return True  # nothing can be checked against the grid yet; the market is being read
    try:
        stop = make_stop(guard.rule, guard.side, guard.count, guard.entry, ctx.grid_of(guard.side))
    except Impossible as e:
        guard.unprotected(e.reason, ctx)
        return False
    guard.stop = _with_peak(stop, guard.peak_before)
    return True


def _try_to_arm(guard: Guard, ctx: Context, decision: Decision) -> None:
    assert guard.stop is not None and ctx.seen is not None and ctx.market is not None
    if isinstance(decision, Unknown) and decision.reason != "age":
        _cannot_see(guard, ctx, decision.reason)
        return
    guard.unknown_since_s = None  # "age": the price is proven to stand, it only is no news to fire on
    # A rule that came with new settings is no adoption, nor is an exit that a person withdrew: neither
    # sells anything before it was seen safe.
    is_unseen = guard.is_renewed or guard.is_cancelled
    may_exit = ctx.settings.already_breached is AlreadyBreached.EXIT and not is_unseen
    if is_safe(guard.stop, ctx.seen, ctx.market, ctx.now):
        _arm(guard, ctx)
    elif isinstance(decision, Unknown) and (guard.was_armed or may_exit):
        guard.ask(ProbeFeed(guard.key.ticker), ctx, every_s=PROBE_S)
        guard.ask(ConfirmPrice(guard.key.ticker), ctx, every_s=PROBE_S)
    elif guard.was_armed:
        _arm(guard, ctx)
        _act(guard, ctx, decision)  # armed before the restart: the first fresh evidence may fire
    elif guard.is_cancelled:
        guard.unprotected("cancelled", ctx)
    elif isinstance(decision, NoBid) or ctx.seen.quote.bid is None:
        guard.unprotected("no_bid", ctx)
    elif may_exit:
        guard.target_is_armed = True  # the user wants what is breached when it is found sold, profits too
        _act(guard, ctx, decision)
    else:
        is_loud = ctx.settings.already_breached is AlreadyBreached.ASK or not guard.is_adopted
        guard.unprotected("would_fire_now", ctx, is_loud=is_loud)


def _arm(guard: Guard, ctx: Context) -> None:
    assert guard.stop is not None and ctx.seen is not None
    was_said = guard.said
    guard.reason = ""
    guard.protect()
    _sees(guard)
    guard.move(Event.SEEN_SAFE, ctx, trigger=guard.stop.trigger, bid=ctx.seen.quote.bid)
    reason = "reloaded" if guard.is_renewed else guard.stop.rule.name
    guard.say_armed(guard.stop, ctx.seen.quote.bid, reason)
    guard.is_renewed = guard.is_cancelled = False
    if was_said:
        guard.line("PROTECTED", count=guard.count, reason=was_said)


def _arm_target(guard: Guard, ctx: Context) -> None:
    """A target, too, must first be seen where it would not fire, by feed or by REST."""
    if guard.target_is_armed or guard.stop is None or ctx.seen is None:
        return
    target, bid = guard.stop.target, ctx.seen.quote.bid
    is_fresh = missing_proof(ctx.seen, ctx.now.boot_s) is None
    guard.target_is_armed = is_fresh and target is not None and bid is not None and bid < target


def _follow_armed(guard: Guard, ctx: Context, stop: Stop, decision: Decision) -> None:
    if stop is not guard.stop:
        guard.stop = stop
        if guard.pending is not None:
            guard.pending = _with_peak(guard.pending, stop.peak)
    if isinstance(decision, Unknown):
        _cannot_see(guard, ctx, decision.reason)
        return
    _sees(guard)
    _act(guard, ctx, decision)


def _act(guard: Guard, ctx: Context, decision: Decision) -> None:
    """Begin to exit where the decision says so; a suspicious price is confirmed by REST first."""
    assert ctx.seen is not None
    if isinstance(decision, NoBid):
        selling.begin(guard, ctx, "NO_BID", decision.evidence, ctx.now.boot_s)
        return
    if not isinstance(decision, Exit):
        guard.reason = getattr(decision, "reason", "")
        if guard.reason == "ABOVE_TRIGGER":
            guard.hush("unconfirmed")
        return
    if decision.reason == "TAKE_PROFIT" and not guard.target_is_armed:
        guard.reason = "target_not_seen_below"
        return
    confirmed = confirm(decision, ctx.seen, ctx.now)
    if not isinstance(confirmed, Exit):
        _want_confirmation(guard, ctx, decision)
        return
    guard.hush("unconfirmed")
    selling.begin(guard, ctx, confirmed.reason, confirmed.evidence, confirmed.at_s, _target_of(confirmed))


def _target_of(decision: Exit) -> Decimal | None:
    return decision.level if decision.reason == "TAKE_PROFIT" else None


def _want_confirmation(guard: Guard, ctx: Context, decision: Exit) -> None:
    guard.reason = "UNCONFIRMED"
    guard.ask(ConfirmPrice(guard.key.ticker), ctx, every_s=CONFIRM_EVERY_S)
    guard.wake_at(ctx.now.boot_s + CONFIRM_EVERY_S)
    rest = ctx.seen.rest if ctx.seen is not None else None
    answered = rest is not None and ctx.now.boot_s - rest.received_s <= 2 * BLIND_AFTER_S
    if not answered and ctx.now.boot_s - decision.since_s > BLIND_AFTER_S:
        guard.ring("unconfirmed", ctx)  # REST is dead too: hold and say so


def _cannot_see(guard: Guard, ctx: Context, missing: str) -> None:
    """The evidence is missing: ask for it, and say so when it lasts."""
    now_s, ticker = ctx.now.boot_s, guard.key.ticker
    guard.reason = missing
    if guard.unknown_since_s is None:
        guard.unknown_since_s = now_s
    lasted_s = now_s - guard.unknown_since_s
    if missing == "age":
        guard.ask(ProbeFeed(ticker), ctx, every_s=PROBE_S)
        if lasted_s >= PROBE_S:
            guard.ask(ConfirmPrice(ticker), ctx, every_s=PROBE_S)
        guard.wake_at(now_s + PROBE_S)
    elif missing == "NO_MARKET":
        guard.ask(ReadMarket(ticker), ctx, every_s=2.0)
    limit_s = BLIND_AFTER_S if guard.state is State.ARMED else NO_EVIDENCE_S
    if lasted_s < limit_s:
        guard.wake_at(guard.unknown_since_s + limit_s)
        return
    if guard.state is State.UNPROTECTED:
        guard.unprotected("no_evidence", ctx)
    elif not guard.is_blind:
        guard.is_blind = True
        guard.line("BLIND", reason=missing, trigger=None if guard.stop is None else guard.stop.trigger)
    if guard.state is State.ARMED:
        guard.ring("blind", ctx)


def _sees(guard: Guard) -> None:
    guard.unknown_since_s = None
    guard.hush("blind")
    if guard.is_blind:
        guard.is_blind = False
        guard.line("SEEING", trigger=level_text(None if guard.stop is None else guard.stop.trigger))


def check_claims(guard: Guard, ctx: Context, listed: bool, as_of_ms: int | None) -> None:
    """Hold a hook's claim against a positions read: never held, or closed though it is held."""
    if as_of_ms is None:
        return
    if guard.claimed_s is not None:
        if listed:
            guard.claimed_s = None
        elif ctx.now.boot_s - guard.claimed_s >= NEVER_HELD_AFTER_S and as_of_ms > guard.claimed_ms + 5_000:
            guard.holding.signed, guard.holding.is_certain, guard.claimed_s = Decimal(0), True, None
            if guard.is_exiting:
                return  # its exit ends by itself: nothing is left to sell
            guard.reason = "never_held"
            guard.move(Event.GONE, ctx)
            guard.line("EXTERNAL", count=0, reason="never_held")
            return
    if listed and guard.close_claimed_ms is not None and as_of_ms > guard.close_claimed_ms + 5_000:
        guard.close_claimed_ms = None
        if guard.state is State.ARMED:
            guard.move(Event.UNCOVERED, ctx, why="closed_but_held")
            guard.unprotected("closed_but_held", ctx)


def claim_timer(guard: Guard, ctx: Context) -> None:
    """While a claim is open, or a read contradicts what is held, keep the reports coming."""
    if guard.claimed_s is not None or guard.close_claimed_ms is not None or guard.holding.is_in_doubt:
        guard.ask(ReadPositions(guard.key.subaccount), ctx, every_s=2.0)
        guard.wake_at(ctx.now.boot_s + 2.0)
