"""Exits that stand: STUCK, WAITING, REFUSED, FLIPPED. They alarm, and try again when they may. Pure."""

from __future__ import annotations

from base.risk import endings, readiness, selling
from base.risk.decide import missing_proof
from base.risk.exit_lifecycle import Event, State
from base.risk.guard import Context, Guard
from base.risk.intent import Intent
from base.risk.messages import ReadMarket


def stand(guard: Guard, ctx: Context) -> None:
    """STUCK, WAITING or REFUSED: see whether it may try again."""
    intent = guard.intent
    assert intent is not None
    if endings.is_over(guard, ctx):
        return
    if guard.state is State.STUCK:
        _stand_stuck(guard, ctx, intent)
    elif guard.state is State.WAITING:
        _stand_waiting(guard, ctx, intent)
    elif guard.state is State.REFUSED:
        guard.ring("refused", ctx)
        is_due = intent.not_before_s > 0.0 and ctx.now.boot_s >= intent.not_before_s
        gives_way = intent.is_take_profit and selling.stop_in_wait(guard, ctx, intent) is not None
        if is_due or gives_way:
            guard.move(Event.RETRY, ctx, why="scope may be back" if is_due else "a stop takes over")
            selling.restart_ladder(guard)
            selling.press(guard, ctx)
    else:
        guard.ring("flipped", ctx)
    guard.wake_at(ctx.now.boot_s + 1.0)


def _stand_stuck(guard: Guard, ctx: Context, intent: Intent) -> None:
    guard.ring("stuck", ctx)
    if readiness.is_halted(guard, ctx) or ctx.seen is None or not readiness.is_decided(guard, ctx, intent):
        return
    selling.heed_stop(guard, ctx, intent)
    bid = ctx.seen.quote.bid
    lowest = min(intent.floor, intent.last_floor or intent.floor)
    if (
        intent.unlocked
        and bid is not None
        and bid >= lowest
        and (intent.is_flatten or ctx.now.boot_s - intent.touched_s <= readiness.UNTOUCHED_S)
    ):
        guard.move(Event.TOUCHED, ctx, bid=bid)
        selling.restart_ladder(guard)
        selling.press(guard, ctx)


def _stand_waiting(guard: Guard, ctx: Context, intent: Intent) -> None:
    guard.ring("waiting", ctx)
    market, shard = ctx.market, ctx.shard
    guard.ask(ReadMarket(guard.key.ticker), ctx, every_s=2.0)
    if market is None or not market.is_open_at(ctx.now.exchange_ms) or (shard and not shard.takes_orders):
        return
    if ctx.now.boot_s < intent.not_before_s or ctx.seen is None:
        return
    if missing_proof(ctx.seen, ctx.now.boot_s) is not None:
        return
    readiness.note_touch(guard, ctx, intent)
    if intent.is_ordered or ctx.now.boot_s - intent.touched_s <= readiness.UNTOUCHED_S:
        guard.move(Event.REOPENED, ctx, bid=ctx.seen.quote.bid)
        guard.hush("waiting")
        intent.tried = None
        selling.press(guard, ctx)
    else:
        endings.withdraw(guard, ctx, "untouched_after_reopening")
