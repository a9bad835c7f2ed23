"""What is known of one holding now, and what it waits for: for a person who asks why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from base.model import Quote
from base.risk import decide
from base.risk.decide import Decision, Exit, Hold, confirm
from base.risk.exit_lifecycle import State
from base.risk.guard import Context, Guard
from base.risk.intent import Intent
from base.risk.ports import PositionView
from base.risk.rules import Rule, Stop
from base.risk.views import position_view
from base.units import price_text


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """One order of an open exit."""

    number: int
    count: Decimal
    price: Decimal  # the worst it takes, from the side held
    filled: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitView:
    """An open exit."""

    intent_id: str
    reason: str
    quantity: Decimal
    floor: Decimal
    is_joined: bool  # a person's flatten came while it was open
    orders: tuple[OrderView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Everything about one holding at one moment. Prices from the side held."""

    position: PositionView
    rule: Rule | None
    stop: Stop | None
    quote: Quote | None
    decision: Decision | None  # on what is seen now; None: there is nothing to decide on yet
    exit: ExitView | None
    alarms: tuple[str, ...]
    waits_for: str  # one sentence


def explain(guard: Guard, ctx: Context) -> Explained:
    """Look, and change nothing."""
    quote = None if ctx.seen is None else ctx.seen.quote
    age_s = None if ctx.seen is None else ctx.now.boot_s - ctx.seen.confirmed_s
    decision = _decision(guard, ctx)
    return Explained(
        position=position_view(guard, quote, ctx.freshness, age_s),
        rule=guard.rule,
        stop=guard.stop,
        quote=quote,
        decision=decision,
        exit=None if guard.intent is None else _exit(guard.intent),
        alarms=tuple(sorted(guard.alarms)),
        waits_for=_waits_for(guard, decision),
    )


def _decision(guard: Guard, ctx: Context) -> Decision | None:
    if guard.stop is None or ctx.seen is None or ctx.market is None:
        return None
    found = decide.decide(guard.stop, ctx.seen, ctx.market, ctx.now, ctx.resumed_s)
    return confirm(found, ctx.seen, ctx.now) if isinstance(found, Exit) else found


def _exit(intent: Intent) -> ExitView:
    return ExitView(
        intent_id=intent.id,
        reason=intent.reason,
        quantity=intent.quantity,
        floor=intent.floor,
        is_joined=intent.is_joined,
        orders=tuple(
            OrderView(number=a.number, count=a.order.count, price=a.order.price, filled=a.filled)
            for a in intent.attempts
        ),
    )


def _waits_for(guard: Guard, decision: Decision | None) -> str:
    intent = guard.intent
    if intent is not None:
        return _exit_waits_for(guard, intent)
    if guard.stop is None:
        return f"no stop covers it ({guard.reason}): write a rule that can, or flatten sells it"
    levels = _levels(guard.stop)
    if guard.state is State.UNPROTECTED:
        return f"being seen where it would not fire ({guard.reason}); it would fire {levels}"
    held_by = decision.reason if isinstance(decision, Hold) and decision.reason != "ABOVE_TRIGGER" else None
    return f"it fires {levels}" + ("" if held_by is None else f", once {held_by} no longer holds it")


def _levels(stop: Stop) -> str:
    levels = [
        f"at a bid {words} {price_text(level)}"
        for words, level in (
            ("of or under", stop.trigger),
            ("of or above", stop.target),
            ("of or under, without waiting,", stop.rule.catastrophe),
        )
        if level is not None
    ]
    return " or ".join(levels) if levels else "once its trail is active"


def _exit_waits_for(guard: Guard, intent: Intent) -> str:
    floor = price_text(intent.floor)
    match guard.state:
        case State.IN_FLIGHT:
            return f"the answer to order {len(intent.attempts)}"
        case State.UNKNOWN:
            return (
                f"the exchange's lists of orders and trades: they must show order {len(intent.attempts)}, or "
                "twice that it never came"
            )
        case State.CONFIRMING:
            return "the exchange's trades or positions: they must agree that all is sold"
        case State.STUCK:
            return f"a bid of {floor} or more; a person may take less with flatten --floor"
        case State.WAITING:
            return f"the market to take orders again ({guard.reason})"
        case State.REFUSED:
            return f"a person: the exchange refused its order ({guard.reason}); retry once that is mended"
        case State.FLIPPED:
            return "a person: the other side is held now; cancel lets that be guarded"
        case _:
            return f"the next moment in which it may sell down to {floor} ({guard.reason})"
