"""What our client asks is what the exchange documents: paths, parameters, bodies, commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from base.kalshi import commands
from base.simulator.request_log import RecordedRequest
from tests.integration.rig import Rig
from tests.simulator.published_spec import (
    ASYNCAPI,
    OPENAPI,
    check_body,
    document,
    needs_spec,
    operation_of,
)

pytestmark = needs_spec


def parameters_of(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Query parameters of a documented call, by name."""
    found = {}
    for parameter in operation.get("parameters", []):
        if "$ref" in parameter:
            name = parameter["$ref"].rpartition("/")[2]
            parameter = document(OPENAPI)["components"]["parameters"][name]
        if parameter["in"] == "query":
            found[parameter["name"]] = parameter
    return found


def check_request(request: RecordedRequest) -> None:
    """Raise unless the request is one that the document knows."""
    where = f"{request.method} {request.path}"
    operation = operation_of(request.method, request.path)
    known = parameters_of(operation)
    assert set(request.query) <= set(known), f"{where} has no {set(request.query) - set(known)}"
    needed = {name for name, parameter in known.items() if parameter.get("required")}
    assert needed <= set(request.query), f"{where} needs {needed}"
    if "requestBody" not in operation:
        assert not request.body, f"{where} takes no body"
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    check_body(schema, json.loads(request.body))


@pytest.mark.parametrize("side", ["yes", "no"])
def test_every_request_of_a_whole_exit_is_documented(tmp_path: Path, side: str) -> None:
    """Start, adopt, a strategy's buy, stop, ladder, a lost answer, its evidence, the confirmation."""
    with Rig(tmp_path, strategy="tests.integration.test_paper:Buyer", side=side) as rig:
        if side == "yes":
            rig.hold()
        rig.start()
        rig.armed()
        rig.sim.drop_reply(n=1, path_contains="/portfolio/events/orders", method="POST")
        if side == "no":
            rig.hold()
        rig.slide("0.52", "0.36")
        asked = [request for request in rig.sim.requests if not request.is_upgrade]
        for request in asked:
            check_request(request)
        kinds = {(request.method, request.path.partition("/trade-api/v2")[2]) for request in asked}
        assert {("POST", "/portfolio/events/orders"), ("GET", "/portfolio/positions")} <= kinds


@pytest.mark.parametrize(
    ("schema", "command"),
    [
        pytest.param("subscribe", commands.subscribe(1, "ticker", ["A"]), id="ticker"),
        pytest.param("subscribe", commands.subscribe(2, "orderbook_delta", ["A", "B"]), id="book"),
        pytest.param("subscribe", commands.subscribe(3, "fill", []), id="fills"),
        pytest.param("updateSubscription", commands.add_markets(4, "ticker", 1, ["A"]), id="add"),
        pytest.param("updateSubscription", commands.delete_markets(5, 1, ["A"]), id="delete"),
        pytest.param("updateSubscription", commands.get_snapshot(6, 1, ["A"]), id="snapshot"),
        pytest.param("unsubscribe", commands.unsubscribe(7, 1), id="unsubscribe"),
        pytest.param("listSubscriptions", commands.list_subscriptions(8), id="list"),
    ],
)
def test_every_command_is_documented(schema: str, command: str) -> None:
    """Commands have the shapes of asyncapi.yaml, nothing misspelt."""
    where = {"$ref": f"#/components/schemas/{schema}CommandPayload", **document(ASYNCAPI)}
    Draft202012Validator(where).validate(json.loads(command))
