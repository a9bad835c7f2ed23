"""What the exchange's reports mean for a holding and its exit: fills, orders, positions. Pure.

A report wins over what we believed; a failed, empty or lagging one proves nothing. A lost answer
is settled, in this order, by our id in a pushed fill or order, by the order list and fills, and by
proof of absence. See stops-and-exits.md, sections 1 and 5.
"""

from __future__ import annotations

from decimal import Decimal

from base.model import Fill, OrderReport, OrdersRead, Position, Side
from base.risk import answers, endings
from base.risk.arming import check_claims, remake
from base.risk.counting import AS_OF_MARGIN_MS, CREATED_MARGIN_MS, Attempt, attempt_of
from base.risk.exit_lifecycle import Event, State
from base.risk.guard import Context, Guard
from base.risk.messages import ReadOrders, ReadPositions, Sweep
from base.units import ZERO

READ_EVERY_S = 1.0
UNRESOLVED_S = 10.0
EMPTY_BELIEVED_S = 60.0
"""A holding that is not listed is gone after this, even if no trade explains it."""
ABSENCES_NEEDED = 2


def settle(guard: Guard, ctx: Context) -> None:
    """UNKNOWN: keep asking until evidence says what became of the attempt."""
    intent = guard.intent
    assert intent is not None and intent.last is not None
    attempt = intent.last
    if ctx.market is not None and ctx.market.status.is_settling:
        endings.retire(guard, ctx)
        return
    if _resolve_found(guard, ctx, attempt):
        return
    since_s = attempt.sent_s if attempt.sent_s is not None else intent.began_s
    if ctx.now.boot_s - since_s > 3.0:
        guard.ring("unknown", ctx)
    if ctx.now.boot_s >= intent.next_read_s:
        intent.next_read_s = ctx.now.boot_s + READ_EVERY_S
        guard.put(ReadOrders(guard.key, attempt.written_ms - CREATED_MARGIN_MS))
    guard.wake_at(intent.next_read_s)


def count_past(guard: Guard, ctx: Context) -> None:
    """Have counted what orders of exits that ended here sold: their answers came, their fills did not yet."""
    guard.forget_counted()
    if guard.past:
        written_ms = min(attempt.written_ms for attempt in guard.past)
        guard.ask(ReadOrders(guard.key, written_ms - CREATED_MARGIN_MS), ctx, every_s=READ_EVERY_S)
        guard.ask(ReadPositions(guard.key.subaccount), ctx, every_s=READ_EVERY_S)
        guard.wake_at(ctx.now.boot_s + READ_EVERY_S)


def confirm_end(guard: Guard, ctx: Context) -> None:
    """CONFIRMING: closed once the exchange agrees that nothing is left; keep asking until then."""
    intent = guard.intent
    assert intent is not None
    if ctx.market is not None and ctx.market.status.is_settling:
        endings.retire(guard, ctx)
        return
    if guard.has_flipped:
        endings.flipped(guard, ctx)
        return
    if guard.is_flat or intent.filled_by_fills >= intent.quantity:
        endings.close(guard, ctx)
        return
    waited_s = ctx.now.boot_s - (intent.sold_s if intent.sold_s is not None else ctx.now.boot_s)
    if waited_s > UNRESOLVED_S:
        guard.ring("unconfirmed_end", ctx)
    if ctx.now.boot_s >= intent.next_read_s:
        # The fills usually arrive by themselves within milliseconds: ask only when they did not.
        if waited_s > 0:
            guard.put(ReadOrders(guard.key, intent.began_ms - CREATED_MARGIN_MS))
            guard.put(ReadPositions(guard.key.subaccount))
        intent.next_read_s = ctx.now.boot_s + READ_EVERY_S
    guard.wake_at(intent.next_read_s)


def absorb_fill(guard: Guard, ctx: Context, fill: Fill) -> None:
    """Take in one fill of this key, from whichever source, once."""
    before, count = guard.holding.signed, guard.count
    attempt = _attempt_of(guard, fill.client_order_id, fill.order_id)
    if attempt is not None:
        attempt.order_id = attempt.order_id or fill.order_id
        attempt.fills[fill.trade_id] = fill
    if guard.is_over or not guard.holding.add_fill(fill):
        return
    if fill.post_position is not None:
        _credit(guard, before + fill.signed_count)
    guard.forget_counted()
    guard.claimed_s = None
    if not guard.holding.is_certain:
        guard.put(ReadPositions(guard.key.subaccount))
    is_sale = (fill.signed_count < ZERO) is (guard.side is Side.YES)
    is_awaited = guard.state in (State.IN_FLIGHT, State.UNKNOWN) and fill.client_order_id is None
    if attempt is None and is_awaited and is_sale:
        guard.unplaced.append(fill)  # it may be the answer we wait for
    elif attempt is None:
        _external_fill(guard, ctx, fill, before)
        _resized(guard, ctx, count, "fill")
    elif guard.intent is None:
        _resized(guard, ctx, count, "fill")  # of an exit that ended here: mostly counted already


def absorb_order(guard: Guard, ctx: Context, report: OrderReport) -> None:
    """Take in one order of this market: an attempt of ours, or a resting order to remember."""
    attempt = _attempt_of(guard, report.client_order_id, report.order_id)
    if attempt is None:
        if report.status == "resting" and report.remaining > ZERO:
            guard.resting[report.order_id] = report
        else:
            guard.resting.pop(report.order_id, None)
        return
    if report.created_ms is not None and report.created_ms < attempt.written_ms - CREATED_MARGIN_MS:
        return  # an older order under our id: not this attempt's doing
    attempt.add_report(report)
    if report.status == "resting" and report.remaining > ZERO and ctx.market is not None:
        guard.put(
            Sweep(key=guard.key, exchange_index=ctx.market.exchange_index, order_ids=(report.order_id,))
        )
        guard.ring("order_rests", ctx)


def absorb_orders_read(guard: Guard, ctx: Context, read: OrdersRead) -> None:
    """Take in a complete read of orders and fills; what it does not show may prove absence."""
    for report in read.orders:
        absorb_order(guard, ctx, report)
    for fill in sorted(
        read.fills, key=lambda fill: fill.ts_ms
    ):  # lists begin with the newest, or with the oldest
        absorb_fill(guard, ctx, fill)
    for attempt in guard.past:
        if attempt.is_open and _is_absent(attempt, read):
            attempt.is_open = False
    intent = guard.intent
    if intent is None or intent.last is None or guard.state is not State.UNKNOWN:
        return
    if _is_absent(intent.last, read):
        intent.resend = intent.last
        guard.hush("unknown")
        guard.move(Event.ABSENT, ctx, as_of_ms=read.as_of_ms)
        guard.line("FOUND", intent=intent.id, attempt=intent.last.number, reason="absent", count=ZERO)


def _is_absent(attempt: Attempt, read: OrdersRead) -> bool:
    """Whether this read is the second that should have shown the order and did not."""
    is_shown = attempt.order_id is not None or any(
        report.client_order_id == attempt.order.client_order_id for report in read.orders
    )
    if is_shown or not _proves_absence(attempt, read.as_of_ms):
        return False
    attempt.absences += 1
    attempt.absent_as_of_ms = read.as_of_ms
    if attempt.absences < ABSENCES_NEEDED:
        return False
    attempt.absences = 0
    return True


def is_contradicted(guard: Guard, ctx: Context) -> bool:
    """Whether a positions read that doesn't list this holding contradicts it: then it proves nothing.

    An exchange in trouble answers with an empty list, or with part of one. That a holding is gone is
    believed when trades say so too, so these are asked for, or when nothing else was heard for a
    minute, with the alarm ringing.
    """
    holding = guard.holding
    is_explained = (
        holding.may_be_gone or _sold_since(guard) >= abs(holding.signed) or guard.close_claimed_ms is not None
    )
    if is_explained:
        return False  # a trade, an answer or a hook says why it is not listed
    if guard.contradicted_s is None:
        guard.contradicted_s = ctx.now.boot_s
    lasted_s = ctx.now.boot_s - guard.contradicted_s
    if lasted_s > EMPTY_BELIEVED_S:
        return False
    if lasted_s > UNRESOLVED_S:
        guard.ring("reports_contradict", ctx)
    holding.is_contradicted = True
    since_ms = guard.began_ms if holding.basis_ms is None else min(holding.basis_ms, guard.began_ms)
    guard.ask(ReadOrders(guard.key, since_ms - CREATED_MARGIN_MS), ctx, every_s=READ_EVERY_S)
    return True


def absorb_position(guard: Guard, ctx: Context, listed: Position | None, as_of_ms: int | None) -> None:
    """Take in what a positions read says of this key; ``None``: it is not listed."""
    check_claims(guard, ctx, listed is not None, as_of_ms)
    if guard.is_over or (guard.claimed_s is not None and listed is None):
        return  # a claim is younger than this read may be: check_claims alone speaks for it
    if listed is not None:
        guard.contradicted_s = None
        guard.hush("reports_contradict")
    before, count = guard.holding.signed, guard.count
    signed = listed.signed if listed is not None else ZERO
    is_change = guard.holding.report(signed, as_of_ms, ctx.now.exchange_ms)
    _credit(guard, before)
    guard.forget_counted()
    if guard.intent is not None:
        guard.intent.position_until_s = None
    if guard.is_exiting:
        _while_exiting(guard, ctx, before, as_of_ms, is_listed=listed is not None)
        return
    if listed is not None and listed.signed == guard.holding.signed and listed.entry is not None:
        is_change = is_change or guard.entry is None
        guard.entry = listed.entry if is_change else guard.entry
    if is_change:
        _resized(guard, ctx, count, "external")


def _credit(guard: Guard, expected: Decimal) -> None:
    """The report says that less is held than was ``expected`` (signed)."""
    lowered = expected - guard.holding.signed if guard.side is Side.YES else guard.holding.signed - expected
    if lowered > ZERO and not guard.is_gone:
        guard.credit(lowered)


def _sold_since(guard: Guard) -> Decimal:
    """What orders of the exit sold after the evidence of what is held: it cannot be taken off there yet."""
    attempts = guard.past if guard.intent is None else [*guard.past, *guard.intent.attempts]
    return sum(
        (a.filled for a in attempts if a.sent_ms is not None and guard.holding.is_later(a.sent_ms)), ZERO
    )


def _attempt_of(guard: Guard, client_id: str | None, order_id: str | None) -> Attempt | None:
    attempts = guard.past if guard.intent is None else [*guard.past, *guard.intent.attempts]
    return attempt_of(attempts, client_id, order_id)


def _external_fill(guard: Guard, ctx: Context, fill: Fill, before: Decimal) -> None:
    """A trade that is not the exit's: the user or the strategy. Absorbed, flagged, protected."""
    count, price = fill.count_for(guard.side), fill.price_for(guard.side)
    guard.line("EXTERNAL", count=count, price=price, order=fill.order_id)
    after = guard.holding.signed
    grown = abs(after) - abs(before) if after * before > ZERO else ZERO
    if grown > ZERO:
        guard.average_in(abs(before), grown, fill.price_for(guard.side))
    if guard.is_exiting and grown > ZERO:
        guard.say_added(ctx, grown)


def _while_exiting(
    guard: Guard, ctx: Context, before: Decimal, as_of_ms: int | None, *, is_listed: bool
) -> None:
    """A positions read during an exit: what was added waits; what is left after all was sold ends it."""
    intent = guard.intent
    assert intent is not None
    grown = abs(guard.holding.signed) - abs(before)
    if grown > ZERO and guard.count > ZERO:
        guard.is_outdated = True
        guard.say_added(ctx, grown)
    is_past_it = (
        is_listed
        and as_of_ms is not None
        and intent.sold_ms is not None
        and as_of_ms > intent.sold_ms + AS_OF_MARGIN_MS
        and guard.holding.is_eligible(as_of_ms)
    )
    if guard.state is State.CONFIRMING and is_past_it and guard.count > ZERO:
        endings.close(guard, ctx)  # more is held than this exit had to sell: the rest is a new epoch


def _resized(guard: Guard, ctx: Context, before: Decimal, why: str) -> None:
    """The count changed without an exit: remake the stop, or end the epoch when it is gone or turned over."""
    if guard.is_exiting:
        return
    if guard.is_gone:
        endings.gone(guard, ctx)
        return
    if guard.count in (before, ZERO):  # sold by its answers: reports will say so
        return
    guard.move(Event.RESIZED, ctx, before=before)
    remake(guard, ctx)
    trigger = guard.stop.trigger if guard.stop else None
    guard.line("RESIZED", count=guard.count, before=before, entry=guard.entry, trigger=trigger, reason=why)


def _resolve_found(guard: Guard, ctx: Context, attempt: Attempt) -> bool:
    """Whether evidence settles the attempt: it exists and nothing more of it will fill."""
    if attempt.order_id is None:
        return False
    is_all = attempt.filled >= attempt.order.count
    if not (attempt.is_terminal or is_all):
        return False
    assert guard.intent is not None
    guard.hush("unknown")
    guard.hush("order_rests")
    guard.line(
        "FOUND", intent=guard.intent.id, attempt=attempt.number, count=attempt.filled, order=attempt.order_id
    )
    answers.after_count(guard, ctx, attempt)
    return True


def _proves_absence(attempt: Attempt, as_of_ms: int | None) -> bool:
    """Whether a complete read of that moment would have shown the order, and is newer than the last such."""
    sent_ms = attempt.sent_ms if attempt.sent_ms is not None else attempt.written_ms
    if as_of_ms is None or as_of_ms <= sent_ms + AS_OF_MARGIN_MS:
        return False
    return attempt.absent_as_of_ms is None or as_of_ms > attempt.absent_as_of_ms
