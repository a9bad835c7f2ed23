"""What may stand between a decision and its order: the market, the clock, the evidence, the pace. Pure.

Each answers whether an order may go now, and if not says what is missing, asks for it and names the
time to look again. See stops-and-exits.md, section 5.
"""

from __future__ import annotations

from decimal import Decimal

from base.risk import deciding, endings
from base.risk.decide import Exit, confirm, missing_proof
from base.risk.exit_lifecycle import Event
from base.risk.guard import Context, Guard
from base.risk.intent import Intent
from base.risk.limits import TAKE_PROFIT_SHARE
from base.risk.messages import ConfirmPrice, ProbeFeed, ReadMarket, Sweep

SWEEP_S = 0.3
"""Own resting orders hold an exit up no longer than this."""
UNTOUCHED_S = 2.0
"""An untouched level withdraws the intent after this long, when the evidence is proven."""
BLIND_EXIT_S = 3.0


def is_halted(guard: Guard, ctx: Context) -> bool:
    """Whether the market or its shard takes no orders; then the exit waits."""
    market, shard = ctx.market, ctx.shard
    is_open = market is not None and market.is_open_at(ctx.now.exchange_ms)
    if is_open and (shard is None or shard.takes_orders):
        return False
    wait(guard, ctx, "market_closed" if not is_open else "trading_paused")
    return True


def want_market(guard: Guard, ctx: Context) -> None:
    """After a restart: an exit goes on once its market was read."""
    guard.ask(ReadMarket(guard.key.ticker), ctx, every_s=2.0)
    guard.wake_at(ctx.now.boot_s + 0.5)
    if guard.intent is not None and ctx.now.boot_s - guard.intent.began_s > BLIND_EXIT_S:
        guard.ring("blind_exit", ctx)


def wait(guard: Guard, ctx: Context, why: str) -> None:
    """Go to WAITING, loudly."""
    guard.reason = why
    guard.move(Event.HALTED, ctx, why=why)
    guard.line("WAITING", count=guard.count, intent=guard.intent.id if guard.intent else "-", reason=why)
    guard.ring("waiting", ctx)
    guard.wake_at(ctx.now.boot_s + 1.0)


def may_send_now(guard: Guard, ctx: Context, intent: Intent) -> bool:
    """Backoff after a request that did not leave, and the positions read between rungs."""
    waits_s = max(intent.not_before_s, intent.position_until_s or 0.0)
    if ctx.now.boot_s < waits_s:
        guard.wake_at(waits_s)
        return False
    intent.awaits_market = False
    intent.position_until_s = None
    return True


def is_unsettled(guard: Guard, ctx: Context) -> bool:
    """Whether an order of an exit that a person cancelled may have sold: reads say so, or that it did not.

    After a restart nobody remembers the order: there the next report says what is held.
    """
    is_guess = guard.is_cancelled and guard.holding.is_guess
    if not is_guess and not any(a.is_open and not a.is_settled for a in guard.past):
        guard.hush("unknown")
        return False
    guard.reason = "unsettled"
    guard.ring("unknown", ctx)  # the reads are asked for in every step
    return True


def is_decided(guard: Guard, ctx: Context, intent: Intent) -> bool:
    """Whether the market still asks for the exit on evidence at most 2 s old; else find out, or withdraw."""
    if ctx.seen is None or missing_proof(ctx.seen, ctx.now.boot_s) is not None:
        guard.reason = ctx.freshness.missing or "ack"
        guard.ask(ConfirmPrice(guard.key.ticker), ctx, every_s=0.5)
        guard.wake_at(ctx.now.boot_s + 0.5)
        if ctx.now.boot_s - intent.touched_s > BLIND_EXIT_S:
            guard.ring("blind_exit", ctx)
        return False
    guard.hush("blind_exit")
    note_touch(guard, ctx, intent)
    stood_s = ctx.seen.confirmed_s if intent.is_ordered else intent.touched_s
    if intent.is_flatten or ctx.now.boot_s - stood_s <= UNTOUCHED_S:
        return True
    if intent.is_ordered or _touches_now(intent, ctx.seen.quote.bid):
        guard.ask(ProbeFeed(guard.key.ticker), ctx, every_s=0.5)  # it stands, but nothing newer says so
        guard.ask(ConfirmPrice(guard.key.ticker), ctx, every_s=1.0)
        guard.wake_at(ctx.now.boot_s + 0.5)
    else:
        endings.withdraw(guard, ctx, "untouched")
    return False


def note_touch(guard: Guard, ctx: Context, intent: Intent) -> None:
    """Remember when the level was last touched; unlock a NO_BID once a bid passes the filters."""
    assert ctx.seen is not None
    if _touches_now(intent, ctx.seen.quote.bid):
        _touched(intent, ctx.seen.quote.bid, ctx.seen.confirmed_s)
    elif not intent.is_take_profit and _touches_now(intent, ctx.seen.lowest.bid):
        _touched(intent, ctx.seen.lowest.bid, ctx.seen.lowest.received_s)
    if not intent.unlocked:
        _unlock(guard, ctx, intent)


def _touched(intent: Intent, bid: Decimal | None, at_s: float) -> None:
    intent.touched_s = max(intent.touched_s, at_s)
    if bid is not None:
        intent.bid_touched_s = max(intent.bid_touched_s, at_s)


def has_evidence(guard: Guard, ctx: Context, intent: Intent) -> bool:
    """Whether a bid touched the level within 2 s. That nobody bids keeps an exit open, it sells nothing."""
    if intent.is_ordered or ctx.now.boot_s - intent.bid_touched_s <= UNTOUCHED_S:
        return True
    guard.ask(ConfirmPrice(guard.key.ticker), ctx, every_s=0.5)
    guard.wake_at(ctx.now.boot_s + 0.2)
    return False


def _unlock(guard: Guard, ctx: Context, intent: Intent) -> None:
    """A NO_BID may sell once a bid at or under the trigger passes the filters, and is confirmed if odd."""
    assert ctx.seen is not None and guard.stop is not None and ctx.market is not None
    decision = deciding.anew(guard, ctx)
    if not isinstance(decision, Exit) or decision.reason == "TAKE_PROFIT":
        return
    if isinstance(confirm(decision, ctx.seen, ctx.now), Exit):
        intent.unlocked = True
        guard.move(Event.UNLOCKED, ctx, bid=decision.evidence.bid)
    else:
        guard.ask(ConfirmPrice(guard.key.ticker), ctx, every_s=0.5)


def _touches_now(intent: Intent, bid: Decimal | None) -> bool:
    if bid is None:
        return not intent.is_take_profit  # nobody buys: that is no recovery
    return bid >= intent.level if intent.is_take_profit else bid <= intent.level


def is_paced(guard: Guard, ctx: Context, intent: Intent, *, is_new_id: bool) -> bool:
    """Whether the market's pace lets another request leave now."""
    share = TAKE_PROFIT_SHARE if intent.is_take_profit else 1
    free_at_s = guard.pace.free_at_s(ctx.now.boot_s, is_new_id=is_new_id, share=share)
    if free_at_s <= ctx.now.boot_s:
        guard.hush("paced")
        return True
    guard.reason = "paced"
    guard.ring("paced", ctx)
    guard.wake_at(free_at_s)
    return False


def has_swept(guard: Guard, ctx: Context, intent: Intent) -> bool:
    """Own resting orders in the market are cancelled first, for at most 300 ms; never a condition."""
    if intent.swept or not guard.resting:
        intent.swept = True
        return True
    if intent.sweep_until_s is None:
        intent.sweep_until_s = ctx.now.boot_s + SWEEP_S
        assert ctx.market is not None
        guard.put(
            Sweep(key=guard.key, exchange_index=ctx.market.exchange_index, order_ids=tuple(guard.resting))
        )
    if ctx.now.boot_s >= intent.sweep_until_s:
        intent.swept = True
        return True
    guard.wake_at(intent.sweep_until_s)
    return False
