"""What a restart goes on with: from the journal to the guards. Pure.

A journal remembers, it does not know: an order without an answer is UNKNOWN until the exchange's
reports settle it, what is held is a guess until positions are read, and a price that was touched
before the restart fires nothing now. See stops-and-exits.md, sections 2 and 5.
"""

from __future__ import annotations

from decimal import Decimal

from base.model import ExitOrder, Side
from base.risk.counting import CREATED_MARGIN_MS, Attempt, Holding
from base.risk.decide import Moment
from base.risk.exit_lifecycle import Event, State
from base.risk.guard import Guard
from base.risk.guards import Buried, Guards
from base.risk.intent import NEVER_S, Intent
from base.risk.messages import Line, ReadOrders, ReadResting
from base.risk.recovered import OpenIntent, PastAttempt, PastOutcome, Recovered
from base.risk.rules import Rule, Stop
from base.units import ZERO

FORBIDDEN = (401, 403)
FORBIDDEN_RETRY_S = 60.0
SWEEP_AGAIN_MS = 10_000
"""An exit that ended so shortly before may not have had its late look at resting orders."""


def recover(guards: Guards, past: Recovered, now: Moment) -> None:
    """Take over what the journal remembers. Before anything else reaches ``guards``."""
    guards.armed_before = dict(past.armed)
    guards.peaks_before = dict(past.peaks)
    guards.cancelled_before = dict(past.cancelled)
    guards.held_before = dict(past.held)
    for key, sends in past.sends.items():
        pace = guards.pace_of(key)
        for at_ms, is_new_id in sends:
            pace.sent(_boot_s(at_ms, now), is_new_id=is_new_id)
    for key, ended_ms in past.closed_ms.items():
        guards.buried[key] = Buried(
            ended_ms=ended_ms,
            holding=Holding(ZERO, ended_ms),
            order_ids=frozenset(),
            had_intent=key in past.exited_ms,
        )
    for key, ended_ms in past.exited_ms.items():
        guards.latched_until_s[key] = _boot_s(ended_ms, now) + guards.terms.settings.reentry_cooldown_s
        if now.exchange_ms - ended_ms < SWEEP_AGAIN_MS:
            guards.out.put(ReadResting(key, now.boot_s))
    for intent in past.intents:
        _go_on(guards, intent, now)
    if past.kept_aside is not None:
        guards.ring("journal_corrupt", now, details=past.kept_aside)
    elif past.is_old:
        guards.ring("journal_old", now)


def _go_on(guards: Guards, past: OpenIntent, now: Moment) -> None:
    """Go on with an exit where the journal left it."""
    key, settings = past.key, guards.terms.settings
    attempts = [_attempt(past, attempt, now) for attempt in past.attempts]
    sold = sum((attempt.filled for attempt in attempts), ZERO)
    guard = Guard(
        key=key,
        side=past.side,
        # Until positions are read: what was held at the trigger, less the trades that are known since.
        holding=Holding.believed(past.quantity if past.side is Side.YES else -past.quantity, past.began_ms),
        entry=past.entry,
        rule=settings.rule_for(key.ticker),
        out=guards.out,
        began_ms=past.began_ms,
        state=past.state,
        reason=past.reason,
        stop=_stop(past, settings.rule_for(key.ticker)),
        is_outdated=True,
        target_is_armed=True,
        pace=guards.pace_of(key),
    )
    guard.intent = _intent(past, attempts, now)
    guards.armed_before.pop(key, None)
    guards.add(guard, now)
    guards.out.put(Line(event="RECOVERED", key=key, side=past.side, fields=_said(past, sold)))
    _settle_first(guards, guard, past, now)


def _settle_first(guards: Guards, guard: Guard, past: OpenIntent, now: Moment) -> None:
    """An order that may have reached the exchange is settled before anything else goes there."""
    is_open = bool(past.attempts) and past.attempts[-1].is_unresolved
    if is_open and guard.state is State.TRIGGERED:
        guard.state = State.IN_FLIGHT  # the row of its sending was lost, the order was not
    if guard.state is State.IN_FLIGHT:
        guard.move(Event.LOST, guards.context(guard, guards.blind, now, glance=True), why="restart")
    if past.attempts:
        guards.out.put(ReadOrders(guard.key, past.began_ms - CREATED_MARGIN_MS))


def _intent(past: OpenIntent, attempts: list[Attempt], now: Moment) -> Intent:
    retries_itself = past.state is State.REFUSED and past.denied_status in FORBIDDEN
    return Intent(
        id=past.intent_id,
        reason=past.reason,
        quantity=past.quantity,
        level=past.level,
        entry=past.entry,
        floor=past.floor,
        last_floor=past.last_floor,
        evidence=past.evidence,
        began_s=now.boot_s,
        began_ms=past.began_ms,
        touched_s=NEVER_S,  # no breach is remembered: it must be seen again
        bid_touched_s=NEVER_S,
        attempts=attempts,
        tried=past.tried,
        resend=_resend(past, attempts),
        not_before_s=now.boot_s + FORBIDDEN_RETRY_S if retries_itself else 0.0,
        sold_ms=past.sold_ms,
        sold_s=None if past.sold_ms is None else now.boot_s,
        unlocked=past.unlocked,
        is_joined=past.is_joined,
        is_limited=past.is_joined or past.reason == "FLATTEN",  # nobody remembers: they may have
    )


def _attempt(past: OpenIntent, attempt: PastAttempt, now: Moment) -> Attempt:
    found = Attempt(
        number=attempt.number,
        order=ExitOrder(
            client_order_id=attempt.client_order_id,
            ticker=past.key.ticker,
            subaccount=past.key.subaccount,
            exchange_index=attempt.exchange_index,
            side=past.side,
            count=attempt.count,
            price=attempt.price,
        ),
        written_ms=attempt.written_ms,
        sent_s=now.boot_s,
        sent_ms=attempt.sent_ms,
        reported=attempt.settled,
        counted_ms=now.exchange_ms,
    )
    accepted = [outcome for outcome in attempt.outcomes if outcome.kind == "Accepted"]
    if accepted:
        _take_answer(found, accepted[-1])
    return found


def _take_answer(attempt: Attempt, said: PastOutcome) -> None:
    attempt.order_id, attempt.answered = said.order_id, said.filled
    attempt.answered_price, attempt.answered_fee = said.price, said.fee
    attempt.is_terminal, attempt.counted_ms = said.remaining == ZERO, said.at_ms


def _resend(past: OpenIntent, attempts: list[Attempt]) -> Attempt | None:
    """The same id and bytes go again if the exchange is known not to have taken them."""
    is_open = past.state in (State.TRIGGERED, State.STUCK, State.WAITING)
    return attempts[-1] if attempts and is_open and past.attempts[-1].goes_again else None


def _stop(past: OpenIntent, rule: Rule | None) -> Stop | None:
    """The stop that made the intent, as far as an exit needs it; it is made anew once the exit ends."""
    if past.reason == "FLATTEN":
        return None  # none made it
    is_target = past.reason == "TAKE_PROFIT"
    made_by = rule or Rule(name=past.rule or "recovered", stop=None if is_target else past.level)
    return Stop(
        rule=made_by,
        side=past.side,
        count=past.quantity,
        entry=past.entry,
        fixed_trigger=None if is_target else past.level,
        target=past.level if is_target else None,
    )


def _said(past: OpenIntent, sold: Decimal) -> dict[str, object]:
    return {
        "count": past.quantity,
        "sold": sold,
        "state": past.state.value,
        "reason": past.reason,
        "intent": past.intent_id,
        "attempts": len(past.attempts),
    }


def _boot_s(at_ms: int, now: Moment) -> float:
    return now.boot_s - max(0, now.exchange_ms - at_ms) / 1000
