"""docs/conformance.md says truly what of the exchange's documents is served."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from base.simulator.rest.routes import PREFIX, RULES
from tests.simulator.published_spec import (
    ASYNCAPI,
    FRAME_SCHEMAS,
    OK_SCHEMAS,
    OPENAPI,
    REFERENCE_VALUE_SCHEMAS,
    document,
    needs_spec,
    operation_of,
)

pytestmark = needs_spec

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
NAME = re.compile(r"`(\w+)`")
REPLIES = {"okResponsePayload", "listSubscriptionsResponsePayload", "marketMetadataUpdatedPayload"}


def test_the_table_of_operations_is_true() -> None:
    """By tag: how many are served, and the names of those that are not."""
    read = [r for r in RULES if r.method == "GET" or not r.path.startswith("/portfolio/orders")]
    served = {operation_of(r.method, PREFIX + r.path)["operationId"] for r in read}
    documented = defaultdict(set)
    for methods in document(OPENAPI)["paths"].values():
        for operation in methods.values():
            if isinstance(operation, dict) and "operationId" in operation:
                documented[operation["tags"][0]].add(operation["operationId"])
    told = {}
    for row in PAGE.read_text().partition("### Operations")[2].partition("### Messages")[0].splitlines():
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        if len(cells) == 4 and cells[1].isdigit():
            told[cells[0]] = (int(cells[1]), set(NAME.findall(cells[2])))
    assert told == {tag: (len(ids & served), ids - served) for tag, ids in documented.items()}
    assert f"{len(served)} of the {sum(map(len, documented.values()))}" in PAGE.read_text()


def test_the_list_of_messages_is_true() -> None:
    """What the exchange may send and the embedded one does not."""
    kinds = (FRAME_SCHEMAS, REFERENCE_VALUE_SCHEMAS, OK_SCHEMAS)
    sent = REPLIES.union(*(kind.values() for kind in kinds))
    messages = document(ASYNCAPI)["components"]["messages"]
    names = {
        name: message["payload"]["$ref"].rpartition("/")[2]
        for name, message in messages.items()
        if "$ref" in message.get("payload", {}) and "Command" not in name
    }
    told = set(NAME.findall(PAGE.read_text().partition("### Messages")[2]))
    assert told & set(names) == {name for name, payload in names.items() if payload not in sent}
