"""The rows an exit leaves in the journal. Pure. The tables stand in journal.py."""

from __future__ import annotations

from base.model import Accepted, Outcome
from base.risk.counting import Attempt
from base.risk.guard import Context, Guard
from base.risk.intent import Intent
from base.risk.messages import Row


def intent(guard: Guard, intent: Intent, ctx: Context) -> None:
    """The decision, with the evidence it was made on."""
    guard.put(
        Row(
            table="intents",
            values={
                "intent_id": intent.id, "at_ms": intent.began_ms, "subaccount": guard.key.subaccount,
                "ticker": guard.key.ticker, "side": guard.side.value, "reason": intent.reason,
                "quantity": intent.quantity, "level": intent.level, "floor": intent.floor,
                "entry": guard.entry, "rule": guard.rule.name if guard.rule else None,
                "evidence": intent.evidence,
            },
        )
    )  # fmt: skip


def attempt(guard: Guard, intent: Intent, attempt: Attempt) -> None:
    """The order, durable before its first byte leaves."""
    order = attempt.order
    guard.put(
        Row(
            table="attempts",
            values={
                "client_order_id": order.client_order_id, "intent_id": intent.id,
                "number": attempt.number, "at_ms": attempt.written_ms,
                "exchange_index": order.exchange_index, "count": order.count, "price": order.price,
            },
        )
    )  # fmt: skip


def outcome(guard: Guard, ctx: Context, attempt: Attempt, outcome: Outcome) -> None:
    """What the executor said became of the order."""
    accepted = outcome if isinstance(outcome, Accepted) else None
    why = "" if accepted else getattr(outcome, "why", "") or getattr(outcome, "code", "")
    guard.put(
        Row(
            table="outcomes",
            values={
                "client_order_id": attempt.order.client_order_id, "at_ms": ctx.now.exchange_ms,
                "kind": type(outcome).__name__, "order_id": accepted.order_id if accepted else None,
                "filled": accepted.filled if accepted else None, "why": why,
            },
        )
    )  # fmt: skip
