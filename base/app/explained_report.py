"""What ``explain`` says, as JSON and for people: of the live monitor, or of the journal at some moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from base.app.status_report import position_report, price_or_none
from base.model import Quote
from base.risk.decide import Decision
from base.risk.explaining import ExitView, Explained
from base.risk.rules import Rule, Stop
from base.units import count_text, price_text


def explained_report(known: Explained) -> dict[str, Any]:
    """One holding as the live monitor knows it. ``status`` has the same words for the same things."""
    return {
        **position_report(known.position),
        "rule": None if known.rule is None else rule_report(known.rule),
        **levels_report(known.stop),
        "quote": None if known.quote is None else quote_report(known.quote),
        "decision": None if known.decision is None else decision_report(known.decision),
        "exit": None if known.exit is None else _exit_report(known.exit),
        "alarms": list(known.alarms),
        "waits_for": known.waits_for,
    }


def rule_report(rule: Rule) -> dict[str, str]:
    """The parts of a rule that are switched on, as config.yaml names them."""
    unset = Rule(name="")
    set_parts = [f.name for f in fields(Rule) if getattr(rule, f.name) != getattr(unset, f.name)]
    return {name: str(getattr(rule, name)) for name in set_parts}


def levels_report(stop: Stop | None) -> dict[str, str | None]:
    """The prices a stop fires at, and the peak its trail follows."""
    return {
        "target": None if stop is None else price_or_none(stop.target),
        "peak": None if stop is None else price_or_none(stop.peak),
    }


def quote_report(quote: Quote) -> dict[str, str | None]:
    """The best prices with their sizes, from the side held."""
    return {
        "bid": price_or_none(quote.bid),
        "bid_size": _count(quote.bid_size),
        "ask": price_or_none(quote.ask),
        "ask_size": _count(quote.ask_size),
        "source": quote.source.value,
    }


def decision_report(decision: Decision) -> dict[str, str | None]:
    """What the core decides, and why: ``Hold``, ``Unknown``, ``NoBid`` or ``Exit``."""
    return {"kind": type(decision).__name__, "reason": getattr(decision, "reason", None)}


def _exit_report(view: ExitView) -> dict[str, Any]:
    return {
        "intent": view.intent_id,
        "reason": view.reason,
        "quantity": count_text(view.quantity),
        "floor": price_text(view.floor),
        "joined": view.is_joined,
        "orders": [
            {
                "number": order.number,
                "count": count_text(order.count),
                "price": price_text(order.price),
                "filled": count_text(order.filled),
            }
            for order in view.orders
        ],
    }


def _count(count: Decimal | None) -> str | None:
    return None if count is None else count_text(count)


# --- for people -------------------------------------------------------------------------------------


def lines_of(report: Mapping[str, Any]) -> Iterator[str]:
    """A few lines that can be read aloud."""
    yield (
        f"{report['ticker']} {report['side'].upper()} {report['count']}, entry {_or(report['entry'])},"
        f" sub-account {report['subaccount']}: {report['state']}"
        + (f" ({report['reason']})" if report["reason"] else "")
    )
    if report.get("waits_for"):
        yield f"  waits for  {report['waits_for']}"
    yield f"  rule       {_pairs(report['rule']) if report['rule'] else 'none'}"
    levels = [f"{name} {_or(report[name])}" for name in ("trigger", "target", "peak")]
    yield f"  fires      {', '.join(levels)}"
    if (quote := report["quote"]) is not None:
        age = "" if report["age_ms"] is None else f", {report['age_ms'] / 1000:.1f} s old"
        yield (
            f"  price      bid {_or(quote['bid'])} for {_or(quote['bid_size'])}, ask {_or(quote['ask'])} for"
            f" {_or(quote['ask_size'])}, from {quote['source']}{age}"
        )
    yield f"  proofs     {_pairs(report['freshness']) if report['freshness'] else 'none'}"
    if (decision := report["decision"]) is not None:
        yield f"  decides    {decision['kind']}" + (f": {decision['reason']}" if decision["reason"] else "")
    yield from _exit_lines(report["exit"])
    if report["alarms"]:
        yield f"  ALARM      {', '.join(report['alarms'])}"
    for move in report["transitions"]:
        why = f" ({move['why']})" if move["why"] else ""
        yield f"  {move['at']} {move['from']} → {move['to']}: {move['event']}{why}"
    for gap in report["not_known"]:
        yield f"  not known: {gap}"


def _exit_lines(found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is None:
        return
    joined = ", joined by a flatten" if found["joined"] else ""
    what = f"{found['reason']} of {found['quantity']} down to {found['floor']}{joined}"
    yield f"  exit       {what}, intent {found['intent']}"
    for order in found["orders"]:
        yield f"    order {order['number']}: {order['count']} at {order['price']}, filled {order['filled']}"


def _pairs(parts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parts.items())


def _or(value: object) -> str:
    return "—" if value is None else str(value)
