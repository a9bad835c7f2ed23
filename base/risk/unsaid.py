"""The last word of every step: what is uncovered or does not end, and nothing else has said. Pure.

At every moment each contract held is covered, exiting or loudly UNPROTECTED. The states say most of it
themselves; here is what would be silent because they alternate, or because counts hide it.
"""

from __future__ import annotations

from base.risk.arming import NO_EVIDENCE_S
from base.risk.guard import Context, Guard
from base.risk.intent import Intent
from base.units import ZERO

UNFINISHED_S = 10.0
"""An exit that is open this long rings, if nothing else about it does."""


def say(guard: Guard, ctx: Context) -> None:
    """Ring for what nobody rang for, and let what rings go on ringing."""
    if guard.intent is not None and guard.is_exiting:
        _say_uncovered(guard, ctx, guard.intent)
        _say_unfinished(guard, ctx, guard.intent)
    guard.ring_on(ctx)


def _say_uncovered(guard: Guard, ctx: Context, intent: Intent) -> None:
    """Contracts beside the exit: bought while as many were sold, or of the other side."""
    is_said = bool(guard.alarms.keys() & {"unprotected_added", "flipped"})
    added = max(guard.count - intent.quantity + intent.filled_by_fills, ZERO)
    if is_said or not (added or guard.has_flipped):
        guard.beside_s = None
    elif guard.beside_s is None:
        guard.beside_s = ctx.now.boot_s
        guard.wake_at(guard.beside_s + NO_EVIDENCE_S)
    elif ctx.now.boot_s - guard.beside_s < NO_EVIDENCE_S:
        guard.wake_at(guard.beside_s + NO_EVIDENCE_S)
    elif guard.has_flipped:
        guard.ring("flipped", ctx)  # the state follows once the order in flight is answered
    else:
        guard.say_added(ctx, added)


def _say_unfinished(guard: Guard, ctx: Context, intent: Intent) -> None:
    unfinished_s = intent.began_s + UNFINISHED_S
    if guard.alarms:
        return
    if ctx.now.boot_s >= unfinished_s:
        guard.ring("exit_unfinished", ctx)
    else:
        guard.wake_at(unfinished_s)
