"""Kalshi's own documents as validators: the exchange's answers are held against them."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

REFERENCE = Path(os.environ.get("REFERENCE_DIR") or Path(__file__).parents[3] / "shared")
OPENAPI, ASYNCAPI = REFERENCE / "kalshi" / "openapi.yaml", REFERENCE / "kalshi" / "asyncapi.yaml"
PREFIX = "/trade-api/v2"

HAS_SPEC = OPENAPI.is_file() and ASYNCAPI.is_file()
needs_spec = pytest.mark.skipif(
    not HAS_SPEC,
    reason=f"needs openapi.yaml and asyncapi.yaml in {REFERENCE}/kalshi: set REFERENCE_DIR",
)


@cache
def document(path: Path) -> dict[str, Any]:
    """Return a parsed document in which no object may have members it does not name."""
    loaded: dict[str, Any] = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    _close(loaded["components"]["schemas"])
    return loaded


def _close(node: Any) -> None:
    # An unknown member is as wrong as a missing one: it is a misspelt known one.
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict) and "allOf" not in node:
            node.setdefault("additionalProperties", False)
        if "$ref" in node and node.get("nullable"):
            # What stands beside a $ref does not count in OpenAPI 3.0, but it is plainly meant.
            node["anyOf"] = [{"$ref": node.pop("$ref")}, {"nullable": True, "enum": [None]}]
        if "allOf" in node and node.get("nullable"):
            # Likewise: its parts do not allow null, the whole is plainly meant to.
            node["anyOf"] = [{"allOf": node.pop("allOf")}, {"nullable": True, "enum": [None]}]
        for child in node.values():
            _close(child)
    elif isinstance(node, list):
        for child in node:
            _close(child)


def _registry(path: Path, uri: str) -> Registry[Any]:
    resource = Resource(contents=document(path), specification=DRAFT202012)
    return Registry().with_resource(uri, resource)


def check_body(schema: dict[str, Any], body: object) -> None:
    """Raise unless a value of the REST API has the shape that the document gives."""
    registry = _registry(OPENAPI, "urn:openapi")
    anchored = _anchored(schema)
    OAS30Validator(anchored, registry=registry, format_checker=oas30_format_checker).validate(body)


def _anchored(node: Any) -> Any:
    """Let the references of a part of openapi.yaml lead into the whole."""
    if isinstance(node, dict):
        inside = {key: _anchored(value) for key, value in node.items()}
        return inside | ({"$ref": "urn:openapi" + node["$ref"]} if "$ref" in node else {})
    return [_anchored(item) for item in node] if isinstance(node, list) else node


@cache
def operations() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    """Return (method, path pattern, operation) of every documented call, fixed paths first."""
    found = []
    for path, methods in document(OPENAPI)["paths"].items():
        pattern = re.compile(PREFIX + re.sub(r"\{[^}]+\}", "[^/]+", path))
        for method, operation in methods.items():
            if method in ("get", "post", "put", "delete"):
                found.append((path.count("{"), method.upper(), pattern, operation))
    return [(m, p, o) for _, m, p, o in sorted(found, key=lambda row: row[0])]


def operation_of(method: str, path: str) -> dict[str, Any]:
    """Return the documented operation of a request."""
    for known, pattern, operation in operations():
        if known == method and pattern.fullmatch(path):
            return operation
    raise AssertionError(f"{method} {path} is not documented")


def parameters_of(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the query parameters of a documented call, by name."""
    found = {}
    for parameter in operation.get("parameters", []):
        if "$ref" in parameter:
            name = parameter["$ref"].rpartition("/")[2]
            parameter = document(OPENAPI)["components"]["parameters"][name]
        if parameter["in"] == "query":
            found[parameter["name"]] = parameter
    return found


def check_request(method: str, path: str, query: dict[str, list[str]], body: bytes) -> None:
    """Raise unless a request is one that the document knows: parameters, their values, the body."""
    where = f"{method} {path}"
    operation = operation_of(method, path)
    known = parameters_of(operation)
    assert set(query) <= set(known), f"{where} has no {set(query) - set(known)}"
    needed = {name for name, parameter in known.items() if parameter.get("required")}
    assert needed <= set(query), f"{where} needs {needed - set(query)}"
    for name, values in query.items():
        check_body(known[name]["schema"], _typed(known[name], values))
    if "requestBody" not in operation:
        assert not body, f"{where} takes no body"
        return
    check_body(operation["requestBody"]["content"]["application/json"]["schema"], json.loads(body))


def _typed(parameter: dict[str, Any], values: list[str]) -> object:
    """Read a query parameter's text as the type that it is documented to have."""
    schema = parameter["schema"]
    if "$ref" in schema:
        schema = document(OPENAPI)["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema["type"] == "array":
        return values if parameter.get("explode", True) else values[0].split(",")
    assert len(values) == 1, f"{parameter['name']} is given {len(values)} times"
    return values[0] if schema["type"] == "string" else json.loads(values[0])


def check_answer(method: str, path: str, status: int, body: object) -> None:
    """Raise unless an answer is one that the document knows.

    Errors come in three wire shapes; the document has one, which is inside the other two.
    """
    operation = operation_of(method, path)
    if status >= 400:
        check_error(status, body)
        return
    responses = operation["responses"]
    assert str(status) in responses, f"{method} {path} has no {status}"
    content = responses[str(status)].get("content")
    if content is None:
        assert body is None
        return
    check_body(content["application/json"]["schema"], body)


def check_error(status: int, body: object) -> None:
    """Raise unless an error has one of the shapes of rest.md §11."""
    assert isinstance(body, dict)
    if status == 429:
        assert body == {"error": "too many requests"}
        return
    if set(body) == {"msg"}:
        assert isinstance(body["msg"], str)
        return
    inner = body.get("error", body)
    assert inner.get("code")
    check_body({"$ref": "#/components/schemas/ErrorResponse"}, inner)


FRAME_SCHEMAS = {
    "subscribed": "subscribedResponsePayload",
    "unsubscribed": "unsubscribedResponsePayload",
    "error": "errorResponsePayload",
    "orderbook_snapshot": "orderbookSnapshotPayload",
    "orderbook_delta": "orderbookDeltaPayload",
    "ticker": "tickerPayload",
    "trade": "tradePayload",
    "fill": "fillPayload",
    "market_position": "marketPositionPayload",
    "user_order": "userOrderPayload",
    "market_lifecycle_v2": "marketLifecycleV2Payload",
    "multivariate_market_lifecycle": "multivariateMarketLifecyclePayload",
    "event_lifecycle": "eventLifecyclePayload",
    "event_fee_update": "eventFeeUpdatePayload",
    "order_group_updates": "orderGroupUpdatesPayload",
}
REFERENCE_VALUE_SCHEMAS = {
    "cfbenchmarks_value": "cfbenchmarksValuePayload",
    "cfbenchmarks_value_indexlist": "cfbenchmarksIndexListPayload",
    "cfbenchmarks_value_5hz": "cfbenchmarksValue5HzPayload",
    "cfbenchmarks_value_5hz_indexlist": "cfbenchmarks5HzIndexListPayload",
    "pyth_value_underlying_list": "pythUnderlyingListPayload",
}
OK_SCHEMAS = {
    "index_ids": "subscribedIndicesResponsePayload",
    "underlying_tickers": "subscribedUnderlyingsResponsePayload",
}


def check_frame(frame: dict[str, Any]) -> None:
    """Raise unless a frame has the shape that the document gives."""
    name = (FRAME_SCHEMAS | REFERENCE_VALUE_SCHEMAS).get(frame["type"])
    if frame["type"] == "ok":
        is_list = isinstance(frame.get("msg"), list)
        name = "listSubscriptionsResponsePayload" if is_list else "okResponsePayload"
        name = next((OK_SCHEMAS[m] for m in frame.get("msg", ()) if not is_list and m in OK_SCHEMAS), name)
    if frame["type"] == "market_lifecycle_v2" and frame["msg"]["event_type"] == "metadata_updated":
        name = "marketMetadataUpdatedPayload"
    assert name is not None, f"unknown type {frame['type']}"
    _check_payload(name, frame)


COMMAND_SCHEMAS = {
    "subscribe": "subscribeCommandPayload",
    "unsubscribe": "unsubscribeCommandPayload",
    "update_subscription": "updateSubscriptionCommandPayload",
    "list_subscriptions": "listSubscriptionsCommandPayload",
}


def check_command(command: dict[str, Any]) -> None:
    """Raise unless a client's command has the shape that the document gives."""
    _check_payload(COMMAND_SCHEMAS[command["cmd"]], command)


def _check_payload(name: str, payload: object) -> None:
    schema = {"$ref": f"urn:asyncapi#/components/schemas/{name}"}
    registry = _registry(ASYNCAPI, "urn:asyncapi")
    checker = Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator(schema, registry=registry, format_checker=checker).validate(payload)
