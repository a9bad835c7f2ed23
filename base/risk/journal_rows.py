"""The rows a holding and its exit leave in the journal. Pure. The tables stand in journal_tables.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from base.feed.watch import Sighting
from base.model import Accepted, Outcome, Refused
from base.risk.counting import Attempt
from base.risk.decide import Decision
from base.risk.exit_lifecycle import Event
from base.risk.guard import Context, Decided, Guard
from base.risk.intent import Intent
from base.risk.messages import Row, Send
from base.risk.rules import Stop


def intent(guard: Guard, intent: Intent) -> Row:
    """The decision to leave, with the evidence it was made on."""
    return Row(
        table="intents",
        values={
            "intent_id": intent.id, "at_ms": intent.began_ms, "subaccount": guard.key.subaccount,
            "ticker": guard.key.ticker, "side": guard.side.value, "reason": intent.reason,
            "quantity": intent.quantity, "level": intent.level, "floor": intent.floor,
            "entry": intent.entry, "rule": guard.rule.name if guard.rule else None,
            "evidence": intent.evidence, "last_floor": intent.last_floor,
        },
    )  # fmt: skip


def attempt(intent: Intent, attempt: Attempt) -> Row:
    """The order, durable before its first byte leaves."""
    order = attempt.order
    return Row(
        table="attempts",
        values={
            "client_order_id": order.client_order_id, "intent_id": intent.id,
            "number": attempt.number, "at_ms": attempt.written_ms,
            "exchange_index": order.exchange_index, "count": order.count, "price": order.price,
        },
    )  # fmt: skip


def outcome(ctx: Context, attempt: Attempt, outcome: Outcome) -> Row:
    """What the executor said became of the order."""
    accepted = outcome if isinstance(outcome, Accepted) else None
    why = "" if accepted else getattr(outcome, "why", "") or getattr(outcome, "code", "")
    return Row(
        table="outcomes",
        values={
            "client_order_id": attempt.order.client_order_id, "at_ms": ctx.now.exchange_ms,
            "kind": type(outcome).__name__, "order_id": accepted.order_id if accepted else None,
            "filled": accepted.filled if accepted else None, "why": why,
            "remaining": accepted.remaining if accepted else None,
            "price": accepted.average_price if accepted else None,
            "fee": accepted.average_fee if accepted else None,
            "status": outcome.status if isinstance(outcome, Refused) else None,
        },
    )  # fmt: skip


def decision(
    guard: Guard, ctx: Context, call: str, stop: Stop, seen: Sighting, decision: Decision, told: Decided
) -> Row:
    """A decision with everything the core was given: the same call on it decides the same again."""
    return Row(
        table="decisions",
        values={
            "at_ms": ctx.now.exchange_ms, "now_s": ctx.now.boot_s, "subaccount": guard.key.subaccount,
            "ticker": guard.key.ticker, "side": guard.side.value,
            "intent_id": guard.intent.id if guard.intent else None, "call": call, "kind": told.kind,
            "reason": told.reason, "peak": told.peak, "confirmed": told.confirmed, "stop": stop,
            "seen": seen, "market": ctx.market, "resumed_s": float(ctx.resumed_s), "decision": decision,
        },
    )  # fmt: skip


def of_orders(guards: Iterable[Guard], sends: Sequence[Send], rows: Iterable[Row]) -> list[Row]:
    """What a restart must know of these orders, whole: earlier rows of their exits may be lost as well."""
    sent = {send.intent_id for send in sends}
    kept: list[Row] = []
    for guard in guards:
        if guard.intent is not None and guard.intent.id in sent:
            kept.append(intent(guard, guard.intent))
            kept += [attempt(guard.intent, each) for each in guard.intent.attempts]
    moves = [row for row in rows if row.table == "transitions" and row.values["intent_id"] in sent]
    return kept + [row for row in moves if row.values["event"] == Event.SEND.value]
