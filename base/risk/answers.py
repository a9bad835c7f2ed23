"""What an answer to an exit order means, and what is done about it. Pure.

The reaction is keyed on the exchange's word, never on the HTTP status alone. See
stops-and-exits.md, section 5, and rest.md, section 11, of the exchange's documentation.
"""

from __future__ import annotations

from base.model import Accepted, NotSent, Refused
from base.risk import journal_rows, readiness, selling
from base.risk.counting import Attempt
from base.risk.exit_lifecycle import Event, State
from base.risk.guard import Context, Guard
from base.risk.intent import Intent
from base.risk.messages import Answered, ReadMarket, ReadPositions, ReadResting, Sweep
from base.units import ZERO

POSITION_READ_S = 0.3
"""The positions read between two rungs holds the exit up no longer than this."""
MARKET_READ_S = 3.0
"""A refusal that a read may cure waits at most this long for the read."""
BACKOFF_S = (0.2, 5.0)
PAUSE_BACKOFF_S = (1.0, 30.0)
FORBIDDEN_RETRY_S = 60.0
PAUSED = frozenset({"trading_is_paused", "exchange_is_paused"})
CURABLE = frozenset(
    {"invalid_price", "market_not_found", "not_found", "insufficient_balance", "available_balance_too_low"}
)
"""Refusals that reading the grid or the shard again may cure, once each."""


def answered(guard: Guard, ctx: Context, word: Answered) -> None:
    """Take the executor's word on the attempt in flight."""
    intent = guard.intent
    if intent is None or intent.id != word.intent_id:
        return
    attempt = next((a for a in intent.attempts if a.number == word.attempt), None)
    if attempt is None:
        return
    guard.hush("answer_overdue")
    guard.put(journal_rows.outcome(ctx, attempt, word.outcome))
    outcome = word.outcome
    if isinstance(outcome, Accepted):
        attempt.order_id = outcome.order_id
        attempt.answered = outcome.filled
        attempt.answered_price, attempt.answered_fee = outcome.average_price, outcome.average_fee
        attempt.is_terminal = attempt.is_terminal or outcome.remaining == ZERO
    if guard.state is not State.IN_FLIGHT:
        return  # flipped meanwhile: the count above is what matters
    if isinstance(outcome, Accepted):
        _accepted(guard, ctx, intent, attempt, outcome)
    elif isinstance(outcome, Refused):
        _refused(guard, ctx, intent, attempt, outcome)
    elif isinstance(outcome, NotSent):
        if not outcome.has_left:
            guard.pace.not_sent()
        _not_sent(guard, ctx, intent, attempt, outcome.why)
    else:
        lost(guard, ctx, attempt, outcome.why)


def lost(guard: Guard, ctx: Context, attempt: Attempt, why: str) -> None:
    """No readable answer: only evidence leaves here."""
    guard.move(Event.LOST, ctx, why=why)
    intent = guard.intent
    assert intent is not None
    intent.next_read_s = ctx.now.boot_s
    guard.line("UNKNOWN", intent=intent.id, attempt=attempt.number, reason=why)
    guard.wake_at(ctx.now.boot_s)


def after_count(guard: Guard, ctx: Context, attempt: Attempt) -> None:
    """The attempt is answered or settled: log what it sold and go on, or wait for the confirmation."""
    intent = guard.intent
    assert intent is not None
    _place_fills(guard, intent)
    attempt.counted_ms = ctx.now.exchange_ms
    average, fee = attempt.proceeds(guard.side)
    word = "FILLED" if attempt.filled >= attempt.order.count else "PARTIAL" if attempt.filled else "NO_FILL"
    guard.line(
        word, count=attempt.filled, price=average / attempt.filled if average and attempt.filled else None,
        fee=fee, order=attempt.order_id or "-", attempt=attempt.number, intent=intent.id,
    )  # fmt: skip
    if intent.left(guard.count) == ZERO:
        intent.sold_s, intent.sold_ms = ctx.now.boot_s, ctx.now.exchange_ms
        guard.move(Event.SOLD, ctx, filled=intent.filled)
        guard.line("CONFIRMING", count=intent.filled, intent=intent.id)
        guard.wake_at(ctx.now.boot_s)
        return
    guard.move(Event.LEFT_OVER, ctx, filled=intent.filled)
    if attempt.filled == ZERO:
        guard.put(ReadResting(guard.key, ctx.now.boot_s))  # an order of ours that we do not know of?
    intent.position_until_s = ctx.now.boot_s + POSITION_READ_S
    guard.put(ReadPositions(guard.key.subaccount))
    selling.press(guard, ctx)


def _place_fills(guard: Guard, intent: Intent) -> None:
    """Fills that came before their order was known find it now; the rest is somebody else's trade."""
    unplaced, guard.unplaced = guard.unplaced, []
    for fill in unplaced:
        attempt = intent.attempt_of(fill.client_order_id, fill.order_id)
        if attempt is not None:
            attempt.fills[fill.trade_id] = fill
        else:
            guard.line(
                "EXTERNAL",
                count=fill.count_for(guard.side),
                price=fill.price_for(guard.side),
                order=fill.order_id,
            )


def _accepted(guard: Guard, ctx: Context, intent: Intent, attempt: Attempt, outcome: Accepted) -> None:
    intent.backoff_s = 0.0
    guard.hush("not_sent")
    if outcome.remaining > ZERO:  # an immediate-or-cancel that rests: cancel it, then count
        assert ctx.market is not None
        guard.put(
            Sweep(
                key=guard.key, exchange_index=ctx.market.exchange_index, order_ids=(outcome.order_id,)
            )
        )  # fmt: skip
        guard.ring("order_rests", ctx)
        lost(guard, ctx, attempt, "remainder_rests")
        return
    after_count(guard, ctx, attempt)


def _refused(guard: Guard, ctx: Context, intent: Intent, attempt: Attempt, said: Refused) -> None:
    """React to the exchange's word, never to the HTTP status alone."""
    code = said.code
    if code == "order_already_exists":
        lost(guard, ctx, attempt, code)  # the first one arrived: evidence says what it did
    elif code in PAUSED:
        intent.not_before_s = ctx.now.boot_s + _longer(intent, PAUSE_BACKOFF_S)
        intent.resend = None
        readiness.wait(guard, ctx, code)
    elif "inactive" in code.lower() or code.lower() in ("market_closed", "market_not_active"):
        intent.not_before_s = float("inf")  # only a lifecycle event or a change of status reopens
        readiness.wait(guard, ctx, "market_inactive")
    elif code == "header_timestamp_expired":
        _not_sent(guard, ctx, intent, attempt, code)
    elif code in CURABLE and code not in intent.read_again:
        intent.read_again |= {code}
        guard.put(ReadMarket(guard.key.ticker))
        guard.move(Event.NOT_SENT, ctx, why=code)
        # The read decides: with what it says a new id goes, from rung 1.
        intent.tried, intent.awaits_market = None, True
        intent.not_before_s = ctx.now.boot_s + MARKET_READ_S
        guard.wake_at(intent.not_before_s)
    else:
        _denied(guard, ctx, intent, attempt, said)


def _denied(guard: Guard, ctx: Context, intent: Intent, attempt: Attempt, said: Refused) -> None:
    is_scope = said.status in (401, 403)
    intent.not_before_s = ctx.now.boot_s + FORBIDDEN_RETRY_S if is_scope else 0.0
    guard.reason = said.code or f"http_{said.status}"
    guard.move(Event.DENIED, ctx, status=said.status, code=said.code)
    guard.line(
        "REFUSED", count=attempt.order.count, intent=intent.id, attempt=attempt.number,
        reason=guard.reason, details=said.details or "-",
    )  # fmt: skip
    guard.ring("refused", ctx)
    guard.wake_at(ctx.now.boot_s + 1.0)


def _not_sent(guard: Guard, ctx: Context, intent: Intent, attempt: Attempt, why: str) -> None:
    """Nothing happened at the exchange: the same id and bytes may go again, after a growing pause."""
    guard.move(Event.NOT_SENT, ctx, why=why)
    intent.resend = attempt
    intent.not_before_s = ctx.now.boot_s + _longer(intent, BACKOFF_S)
    guard.reason = "not_sent"
    guard.ring("not_sent", ctx)
    guard.wake_at(intent.not_before_s)


def _longer(intent: Intent, bounds_s: tuple[float, float]) -> float:
    least_s, most_s = bounds_s
    intent.backoff_s = min(most_s, max(least_s, intent.backoff_s * 2))
    return intent.backoff_s
