"""What our client asks is what the exchange documents: paths, parameters, bodies, commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from base.kalshi import commands
from tests.integration.rig import Rig
from tests.simulator.published_spec import check_command, check_request, needs_spec

pytestmark = needs_spec


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
            check_request(request.method, request.path, request.query, request.body)
        kinds = {(request.method, request.path.partition("/trade-api/v2")[2]) for request in asked}
        assert {("POST", "/portfolio/events/orders"), ("GET", "/portfolio/positions")} <= kinds


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(commands.subscribe(1, "ticker", ["A"]), id="ticker"),
        pytest.param(commands.subscribe(2, "orderbook_delta", ["A", "B"]), id="book"),
        pytest.param(commands.subscribe(3, "fill", []), id="fills"),
        pytest.param(commands.add_markets(4, "ticker", 1, ["A"]), id="add"),
        pytest.param(commands.delete_markets(5, 1, ["A"]), id="delete"),
        pytest.param(commands.get_snapshot(6, 1, ["A"]), id="snapshot"),
        pytest.param(commands.unsubscribe(7, 1), id="unsubscribe"),
        pytest.param(commands.list_subscriptions(8), id="list"),
    ],
)
def test_every_command_is_documented(command: str) -> None:
    """Commands have the shapes of asyncapi.yaml, nothing misspelt."""
    check_command(json.loads(command))
