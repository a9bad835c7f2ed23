"""Every endpoint refuses as it should: unsigned, unscoped, malformed, unknown, too often.

The shapes of the refusals are checked after each test, see tests/conftest.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import requests

from base.simulator.rate_limits import BASIC
from base.simulator.rest.routes import PREFIX, RULES, Rule
from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, Client, signed
from tests.simulator.published_spec import (
    OPENAPI,
    document,
    needs_spec,
    operation_of,
    parameters_of,
)

pytestmark = needs_spec

DEAD = [rule for rule in RULES if rule.path.startswith("/portfolio/orders") and rule.method != "GET"]
LIVE = [rule for rule in RULES if rule not in DEAD]
NAMES = {
    "{ticker}": A,
    "{event_ticker}": "KXSIM-26DEC31",
    "{series_ticker}": "KXSIM",
    "{order_id}": "none",
    "{order_group_id}": "none",
    "{transfer_id}": "none",
    "{api_key}": "none",
}
AMENDMENT = {"ticker": A, "side": "bid", "price": "0.1000", "count": "1.00"}
BODIES = {"amend": AMENDMENT, "decrease": {"reduce_to": "1.00"}, "limit": {"contracts_limit": 1}}
PENNILESS = replace(BASIC, read_capacity=1, write_capacity=1, balance_rate=0)
# Lists that are always empty here do not look at what would filter them.
UNREAD = ("/events/fee_changes", "/series/fee_changes")


def path_of(rule: Rule, **names: str) -> str:
    """Return a rule's path with its names filled in."""
    path = rule.path
    for name, value in (NAMES | names).items():
        path = path.replace(name, value)
    return path


def titled(rule: Rule) -> str:
    """Return how a test is called."""
    return f"{rule.method} {rule.path}"


def statuses(client: Client, rules: list[Rule]) -> dict[str, int]:
    """Ask for each; return the status by title."""
    return {titled(rule): client.call(rule.method, path_of(rule)).status_code for rule in rules}


def test_unsigned_calls_are_refused_unless_public(sim: SimulatorServer) -> None:
    """401 on everything that has a scope."""
    for rule in RULES:
        reply = requests.request(rule.method, sim.rest_url + path_of(rule), timeout=5)
        assert (reply.status_code == 401) == (rule.scope is not None), titled(rule)


def test_a_wrong_signature_is_refused_on_public_paths_too(sim: SimulatorServer) -> None:
    """Who shows a key is checked."""
    for rule in RULES:
        headers = signed(sim.key_id, sim.private_key_path, rule.method, "/another/path")
        url = sim.rest_url + path_of(rule)
        reply = requests.request(rule.method, url, headers=headers, timeout=5)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "authentication_error")


def test_a_key_without_any_scope_reads_only_what_is_public(sim: SimulatorServer) -> None:
    """403 on everything that has a scope."""
    asked = statuses(Client(sim, sim.add_key(scopes=())), [r for r in RULES if r.scope is not None])
    assert set(asked.values()) == {403}, asked


def test_who_has_no_tokens_is_refused_everything_that_is_signed() -> None:
    """429, in a shape of its own: no call is cheaper than two tokens."""
    with SimulatorServer(tier=PENNILESS) as sim:
        asked = statuses(Client(sim), list(RULES))
        assert set(asked.values()) == {429}, asked


def test_dead_paths_are_gone(client: Client) -> None:
    """410 on the whole family."""
    assert set(statuses(client, DEAD).values()) == {410}


@pytest.mark.parametrize("rule", [r for r in LIVE if "{" in r.path], ids=titled)
def test_what_is_not_there_is_404(client: Client, rule: Rule) -> None:
    """Each of a path's names, unknown."""
    unknown = dict.fromkeys(NAMES, "NONE")
    now_s = client.sim.clock.now_ms() // 1000
    window = {"start_ts": now_s, "end_ts": now_s + 60, "period_interval": 1}
    body = BODIES.get(rule.path.rpartition("/")[2]) if rule.method != "GET" else None
    query = window if "candlesticks" in rule.path else {}
    reply = client.call(rule.method, path_of(rule, **unknown), json=body, params=query)
    assert reply.status_code == 404, reply.text


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="not JSON"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="nested without end"),
    ],
)
def test_a_malformed_body_is_400(client: Client, body: bytes) -> None:
    """In the flat shape, wherever a body is read."""
    reading = [r for r in LIVE if document_body(r) not in (None, "EmptyResponse")]
    assert len(reading) > 10
    for rule in reading:
        reply = client.call(rule.method, path_of(rule), data=body)
        assert (reply.status_code, reply.json()["code"]) == (400, "bad_request"), titled(rule)


def document_body(rule: Rule) -> str | None:
    """Return the name of the documented body; None where there is none."""
    content = operation_of(rule.method, PREFIX + rule.path).get("requestBody", {}).get("content", {})
    name: str = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    return name.rpartition("/")[2] or None


def wrong_values(parameter: dict[str, Any]) -> list[str]:
    """Return values that the document rules out: not a number, beyond the maximum, not in the list."""
    schema = parameter["schema"]
    if "$ref" in schema:
        schema = document(OPENAPI)["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema["type"] == "integer":
        return ["x", *([str(schema["maximum"] + 1)] if "maximum" in schema else [])]
    return ["x"] if schema["type"] == "boolean" or "enum" in schema else []


@pytest.mark.parametrize("rule", [r for r in LIVE if not r.path.startswith(UNREAD)], ids=titled)
def test_query_parameters_are_checked(client: Client, rule: Rule) -> None:
    """Values of the wrong type, beyond the maximum or outside the list: 400 in the shape ``msg``."""
    body = BODIES.get(rule.path.rpartition("/")[2])
    for name, parameter in parameters_of(operation_of(rule.method, PREFIX + rule.path)).items():
        for value in wrong_values(parameter):
            reply = client.call(rule.method, path_of(rule), params={name: value}, json=body)
            assert (reply.status_code, list(reply.json())) == (400, ["msg"]), (name, value, reply.text)
