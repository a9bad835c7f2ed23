"""The way of a request: record, faults, signature, tokens, handler, answer."""

from __future__ import annotations

from dataclasses import replace

from base.simulator.engine.refusal import Refused
from base.simulator.faults import Fault
from base.simulator.keys import ApiKey, verify
from base.simulator.rest.call import Answer, BadBody, BadQuery, Call
from base.simulator.rest.routes import Rule, bill
from base.simulator.venue import Venue

TOO_MANY = Answer(429, {"error": "too many requests"})


def answer(venue: Venue, rule: Rule, call: Call, headers: dict[str, str]) -> Answer:
    """Return what the exchange answers. Everything it did is published before that."""
    try:
        key = _authenticate(venue, rule, call, headers)
        call = replace(call, key=key)
        if key is not None and not _pay(venue, rule, call):
            return TOO_MANY
        return rule.handler(venue, call)
    except Refused as refusal:
        return Answer(refusal.status, {"error": error_json(refusal)})
    except BadQuery as problem:
        return Answer(400, {"msg": str(problem)})
    except BadBody as problem:
        body = {"code": "bad_request", "message": "bad request", "details": str(problem)}
        return Answer(400, body)
    finally:
        venue.publish()


def error_json(refusal: Refused) -> dict[str, str]:
    """Return an ErrorResponse; ``details`` only where there are any."""
    body = {"code": refusal.code, "message": refusal.message}
    return body | {"details": refusal.details} if refusal.details else body


def _authenticate(venue: Venue, rule: Rule, call: Call, headers: dict[str, str]) -> ApiKey | None:
    # A public endpoint takes unsigned calls; one that brings a key is checked and billed.
    if rule.scope is None and "kalshi-access-key" not in headers:
        return None
    key = verify(venue.keys, headers, call.method, call.path, call.now_ms, venue.semantics)
    if rule.scope is not None and not key.may(rule.scope):
        raise Refused(403, "forbidden", "missing scope", rule.scope)
    return key


def _pay(venue: Venue, rule: Rule, call: Call) -> bool:
    budget = venue.budget(call.account_id)
    if rule.bucket == "read":
        return budget.spend_read(rule.cost, call.now_ms)
    if rule.bucket == "balance":
        return budget.spend_balance_read(call.now_ms)
    due = bill(rule, call)
    return budget.spend_write(due.tokens, call.now_ms, due.exchange_index, routed=due.routed)


def fault_answer(fault: Fault) -> Answer:
    """Return the answer that a planned failure gives."""
    body = fault.body if fault.body is not None else {"error": {"code": "planned", "message": "fault"}}
    return Answer(fault.status, body)
