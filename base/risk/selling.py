"""From the decision to leave to an order on its way. Pure.

One attempt in flight per market; each is journalled before it leaves; the next one only when the
last is answered or settled by evidence. See stops-and-exits.md, section 5.
"""

from __future__ import annotations

from decimal import Decimal

from base.model import ExitOrder, Quote
from base.risk import deciding, endings, journal_rows, readiness
from base.risk.counting import Attempt
from base.risk.decide import Exit, confirm
from base.risk.exit_lifecycle import Event, State
from base.risk.guard import Context, Guard
from base.risk.intent import ALWAYS_S, NEVER_S, Intent, client_order_id, intent_id
from base.risk.ladder import floor_of, rungs
from base.risk.messages import ConfirmPrice, Send
from base.risk.rules import BelowFloor
from base.units import ZERO, PriceGrid


def begin(
    guard: Guard, ctx: Context, reason: str, evidence: Quote, touched_s: float, target: Decimal | None = None
) -> None:
    """Make the stop's intent.

    ``target`` is the price of a take profit: it sells there or better. Everything else has its floor
    at the stop's trigger minus the allowed slippage.
    """
    if target is None:
        level, floor, last_floor = _levels_of_stop(guard, ctx)
    else:
        level, floor, last_floor = target, target, None
    begin_at(guard, ctx, reason, evidence, touched_s, level=level, floor=floor, last_floor=last_floor)


def begin_at(
    guard: Guard, ctx: Context, reason: str, evidence: Quote, touched_s: float,
    *, level: Decimal, floor: Decimal, last_floor: Decimal | None = None, is_limited: bool = False,
) -> None:  # fmt: skip
    """Make the intent: quantity and floor are fixed now. Then try to send at once."""
    intent = guard.intent = Intent(
        id=intent_id(ctx.new_bits(), ctx.now.exchange_ms),
        reason=reason,
        quantity=guard.count,
        entry=guard.entry,
        level=level,
        floor=floor,
        last_floor=last_floor,
        evidence=evidence,
        began_s=ctx.now.boot_s,
        began_ms=ctx.now.exchange_ms,
        touched_s=touched_s,
        bid_touched_s=touched_s if evidence.bid is not None else NEVER_S,
        unlocked=reason != "NO_BID",
        is_limited=is_limited,
    )
    guard.put(journal_rows.intent(guard, intent))  # with the evidence
    guard.reason = reason
    guard.protect()
    guard.move(Event.TRIGGER, ctx, bid=evidence.bid)
    # On paper the same happens to orders that are not sent; the line must not look like a real exit.
    said = {"reason": reason} if ctx.is_live else {"reason": "would_execute", "decision": reason}
    guard.line(
        "TRIGGERED",
        count=intent.quantity,
        trigger=level,
        bid=evidence.bid,
        floor=floor,
        **said,
        intent=intent.id,
    )
    if reason == "NO_BID":
        guard.line("NO_BID", count=intent.quantity, trigger=level, ask=evidence.ask, intent=intent.id)
        guard.ring("no_bid", ctx)
    press(guard, ctx)


def press(guard: Guard, ctx: Context) -> None:
    """TRIGGERED: send the next order if everything allows it now; otherwise say what must happen first."""
    intent = guard.intent
    assert intent is not None
    if intent.cancels:
        return  # a person withdraws it: nothing more leaves; who asked is answered in the next step
    if endings.is_over(guard, ctx):
        return
    if ctx.market is None:
        readiness.want_market(guard, ctx)
        return
    if readiness.is_halted(guard, ctx):
        return
    if _is_overtaken(guard, ctx, intent) or not readiness.may_send_now(guard, ctx, intent):
        return
    if readiness.is_unsettled(guard, ctx):
        return
    heed_stop(guard, ctx, intent)
    if not readiness.is_decided(guard, ctx, intent):
        return
    assert ctx.market is not None and ctx.seen is not None
    grid = ctx.market.grid_of(guard.side)
    left = intent.left(guard.count)
    if left == ZERO:
        return  # the end is proven by fills or two reads; the reconciler is reading
    resend = _resend_if_it_fits(intent, left, grid)
    price = resend.order.price if resend is not None else _next_price(ctx, intent, left, grid)
    if price is None:
        _no_room(guard, ctx, intent)
        return
    if not readiness.has_evidence(guard, ctx, intent):
        return
    if not readiness.is_paced(guard, ctx, intent, is_new_id=resend is None):
        return
    if resend is None and not readiness.has_swept(guard, ctx, intent):
        return
    attempt = resend or _new_attempt(guard, ctx, intent, left, price)
    _send(guard, ctx, intent, attempt, is_new=resend is None)


def restart_ladder(guard: Guard) -> None:
    """Begin again at rung 1, at once."""
    intent = guard.intent
    assert intent is not None
    intent.tried, intent.not_before_s, intent.backoff_s = None, 0.0, 0.0
    intent.read_again = frozenset()
    for reason in ("stuck", "refused", "no_bid"):
        guard.hush(reason)


# --- what may stand in the way, in the order in which it is asked ----------------------------------


def _is_overtaken(guard: Guard, ctx: Context, intent: Intent) -> bool:
    """A stop takes the market's exit over from a take profit, with its own floor and a new intent."""
    if not intent.is_take_profit or guard.state is not State.TRIGGERED:
        return False
    if (decision := stop_in_wait(guard, ctx, intent)) is None:
        return False
    endings.withdraw(guard, ctx, "stop_overtakes")
    begin(guard, ctx, decision.reason, decision.evidence, decision.at_s)
    return True


def heed_stop(guard: Guard, ctx: Context, intent: Intent) -> None:
    """A flatten that would not go so low goes as low as the stop, once that asks to leave too.

    Who wants out now must not end with less than who leaves it to the stop, unless they named a price.
    """
    if intent.is_limited or not intent.is_flatten or stop_in_wait(guard, ctx, intent) is None:
        return
    level, floor, last_floor = _levels_of_stop(guard, ctx)
    floor = floor if last_floor is None else min(floor, last_floor)
    if floor < intent.floor:
        guard.move(Event.FLATTEN, ctx, floor=floor, before=intent.floor, level=level)
        intent.floor = floor


def _levels_of_stop(guard: Guard, ctx: Context) -> tuple[Decimal, Decimal, Decimal | None]:
    """The stop's trigger, the floor of its exit, and the price that a chase goes down to."""
    assert guard.stop is not None and ctx.market is not None
    settings, grid = ctx.settings, ctx.market.grid_of(guard.side)
    trigger = guard.stop.trigger or guard.stop.rule.catastrophe
    assert trigger is not None
    last_floor = settings.last_floor if settings.below_floor is BelowFloor.CHASE else None
    return trigger, floor_of(trigger, settings.max_slippage, grid), last_floor


def stop_in_wait(guard: Guard, ctx: Context, intent: Intent) -> Exit | None:
    """Return what the stop decides while another wish has the market's exit, if it asks to leave."""
    is_other = intent.is_take_profit or intent.is_flatten
    if not is_other or guard.stop is None or ctx.seen is None or ctx.market is None:
        return None
    decision = deciding.anew(guard, ctx)
    if not isinstance(decision, Exit) or decision.reason == "TAKE_PROFIT":
        return None
    if not isinstance(confirm(decision, ctx.seen, ctx.now), Exit):
        guard.ask(ConfirmPrice(guard.key.ticker), ctx, every_s=0.5)
        return None
    return decision


def _next_price(ctx: Context, intent: Intent, left: Decimal, grid: PriceGrid) -> Decimal | None:
    """The next rung of the ladder under what was tried; ``None``: no bid inside the floor, or it ended."""
    assert ctx.seen is not None
    if not intent.unlocked:
        return None  # a NO_BID sells nothing before a bid has passed the filters
    for price in rungs(ctx.seen.quote, left, intent.floor, intent.last_floor, grid):
        if intent.tried is None or price < intent.tried:
            return price
    return None


def _resend_if_it_fits(intent: Intent, left: Decimal, grid: PriceGrid) -> Attempt | None:
    """The same id and bytes go again, unless grid or holding no longer fit: then a new id."""
    attempt = intent.resend
    if attempt is None:
        return None
    if attempt.order.count <= left and grid.contains(attempt.order.price):
        return attempt
    intent.resend = None
    return None


def _no_room(guard: Guard, ctx: Context, intent: Intent) -> None:
    if intent.is_take_profit:
        endings.withdraw(guard, ctx, "missed")
        return
    if _nobody_bids_what_was_named(guard, ctx, intent):
        endings.withdraw(guard, ctx, "nobody_bids_floor")
        return
    guard.reason = "no_bid_inside_floor" if intent.tried is None else "ladder_ended"
    guard.move(Event.NO_ROOM, ctx, why=guard.reason)
    guard.line(
        "STUCK", count=intent.left(guard.count), floor=intent.floor,
        bid=ctx.seen.quote.bid if ctx.seen else None, intent=intent.id, reason=guard.reason,
    )  # fmt: skip
    guard.ring("stuck", ctx)
    guard.wake_at(ctx.now.boot_s + 0.2)


def _nobody_bids_what_was_named(guard: Guard, ctx: Context, intent: Intent) -> bool:
    """A flatten at a price above what was proven later: the stop must not wait behind it."""
    is_hopeless = intent.reason == "FLATTEN" and intent.is_limited and not intent.attempts
    return is_hopeless and guard.stop is not None and ctx.seen is not None and ctx.seen.quote.bid is not None


# --- sending -------------------------------------------------------------------------------------


def _new_attempt(guard: Guard, ctx: Context, intent: Intent, left: Decimal, price: Decimal) -> Attempt:
    assert ctx.market is not None
    number = len(intent.attempts) + 1
    order = ExitOrder(
        client_order_id=client_order_id(ctx.account, guard.key, intent.id, number),
        ticker=guard.key.ticker,
        subaccount=guard.key.subaccount,
        exchange_index=ctx.market.exchange_index,
        side=guard.side,
        count=left,
        price=price,
    )
    attempt = Attempt(number=number, order=order, written_ms=ctx.now.exchange_ms)
    intent.attempts.append(attempt)
    return attempt


def _send(guard: Guard, ctx: Context, intent: Intent, attempt: Attempt, *, is_new: bool) -> None:
    """Journal the attempt, then hand it over. The outbox keeps this order."""
    order = attempt.order
    if is_new:
        guard.put(journal_rows.attempt(intent, attempt))
    attempt.sent_s, attempt.sent_ms = ctx.now.boot_s, ctx.now.exchange_ms
    intent.resend, intent.tried = None, order.price
    guard.pace.sent(ctx.now.boot_s, is_new_id=is_new)
    guard.move(Event.SEND, ctx, price=order.price, count=order.count, is_new_id=is_new)
    entry, bid = guard.entry or ZERO, (ctx.seen.quote.bid if ctx.seen else None) or ZERO
    guard.put(
        Send(
            key=guard.key, intent_id=intent.id, attempt=attempt.number, order=order,
            evidence_s=_evidence_s(ctx, intent),
            loss=(entry - bid) * order.count,
        )
    )  # fmt: skip
    guard.line(
        "SENT", count=order.count, price=order.price, floor=intent.floor, intent=intent.id,
        attempt=attempt.number,
    )  # fmt: skip


def _evidence_s(ctx: Context, intent: Intent) -> float:
    """When the evidence of this order is known to have stood: a person's word does not grow old."""
    if intent.is_flatten:
        return ALWAYS_S
    if intent.is_ordered and ctx.seen is not None:
        return ctx.seen.confirmed_s  # it confirms what the stop asks for at a price that is proven
    return intent.bid_touched_s
