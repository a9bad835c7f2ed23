"""How a holding's epoch, or its exit, ends. Pure."""

from __future__ import annotations

from base.risk.exit_lifecycle import Event, State
from base.risk.guard import Context, Guard
from base.risk.intent import Intent
from base.risk.messages import Sweep
from base.risk.valuation import exit_profit
from base.units import ZERO


def close(guard: Guard, ctx: Context) -> None:
    """The exchange agrees that all of the intent is sold."""
    intent = guard.intent
    assert intent is not None
    average, fees = intent.result(guard.side)
    profit = exit_profit(intent.entry, average, intent.filled, fees if fees is not None else ZERO)
    ended_s = intent.sold_s if intent.sold_s is not None else ctx.now.boot_s
    guard.move(Event.CONFIRMED, ctx, filled=intent.filled)
    guard.alarms.clear()
    guard.line(
        "CLOSED",
        count=intent.filled,
        price=average,
        fee=fees,
        profit=None if average is None or fees is None else profit,
        reason=intent.reason,
        intent=intent.id,
        latency_ms=round((ended_s - intent.began_s) * 1000),
    )


def gone(guard: Guard, ctx: Context) -> None:
    """Held is zero, or the other side, and nothing of ours did it."""
    guard.reason = "external"
    guard.move(Event.GONE, ctx)
    guard.alarms.clear()
    guard.line("EXTERNAL", count=guard.count, reason="flipped" if guard.has_flipped else "gone")


def retire(guard: Guard, ctx: Context) -> None:
    """The market's result is known: no exit exists any more."""
    result = None if ctx.market is None else ctx.market.result
    guard.reason = "settled"
    guard.move(Event.SETTLED, ctx, result=result)
    guard.alarms.clear()
    guard.line("RETIRED", count=guard.count, reason="settled", result=result or "-")


def flipped(guard: Guard, ctx: Context) -> None:
    """The sign changed while the exit was open: a person decides, the alarm rings."""
    assert guard.intent is not None
    guard.move(Event.FLIP, ctx, signed=guard.holding.signed)
    guard.line("FLIPPED", count=abs(guard.holding.signed), intent=guard.intent.id, reason="sign_changed")
    guard.ring("flipped", ctx)


def withdraw(guard: Guard, ctx: Context, why: str) -> None:
    """End the intent; the epoch is ARMED again."""
    intent = guard.intent
    assert intent is not None and guard.stop is not None
    guard.leave_behind(intent)
    guard.move(Event.UNTOUCHED, ctx, why=why)
    guard.state, guard.intent, guard.reason = State.ARMED, None, why
    guard.is_outdated = True  # count or entry may have changed meanwhile
    guard.alarms.clear()
    guard.line(
        "ARMED",
        count=guard.count,
        trigger=guard.stop.trigger,
        intent=intent.id,
        reason=why,
        **_booked(guard, intent),
    )


def cancel(guard: Guard, ctx: Context) -> None:
    """A person withdraws the intent: nothing fires again before the stop was seen safe."""
    intent = guard.intent
    assert intent is not None
    if guard.state is State.UNKNOWN and intent.last is not None:
        intent.last.is_open, intent.last.counted_ms = True, ctx.now.exchange_ms
    guard.leave_behind(intent)
    guard.move(Event.CANCEL, ctx, why="person")
    guard.line(
        "CANCELLED", count=guard.count, intent=intent.id, reason="person", **_booked(guard, intent)
    )  # fmt: skip
    resting = tuple(a.order_id for a in intent.attempts if a.order_id is not None and not a.is_terminal)
    if resting and ctx.market is not None:
        guard.put(Sweep(key=guard.key, exchange_index=ctx.market.exchange_index, order_ids=resting))
    guard.state, guard.intent, guard.unplaced = State.UNPROTECTED, None, []
    guard.peak_before = None if guard.stop is None else guard.stop.peak  # a trail never loosens
    guard.stop = guard.pending = None
    guard.was_armed = guard.target_is_armed = False
    guard.is_cancelled = True
    guard.alarms.clear()
    guard.unprotected("cancelled", ctx)


def _booked(guard: Guard, intent: Intent) -> dict[str, object]:
    """What a withdrawn exit sold all the same: its money is booked here, for no CLOSED will come."""
    if intent.filled == ZERO:
        return {}
    average, fees = intent.result(guard.side)
    profit = exit_profit(intent.entry, average, intent.filled, fees if fees is not None else ZERO)
    return {"sold": intent.filled, "price": average, "fee": fees, "profit": profit}


def is_over(guard: Guard, ctx: Context) -> bool:
    """End a standing exit whose market settled, whose holding is gone, or whose sign changed."""
    if ctx.market is not None and ctx.market.status.is_settling:
        retire(guard, ctx)
    elif guard.has_flipped and guard.state is not State.FLIPPED:
        flipped(guard, ctx)
    elif guard.is_flat:
        close(guard, ctx)
    elif guard.intent is not None and guard.intent.filled_by_fills >= guard.intent.quantity:
        close(guard, ctx)  # a late fill completed it; what is held beyond that was added
    else:
        return False
    return True
