"""Clients that others wrote for the real exchange work on ``simulate`` unchanged (docs/conformance.md)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from base.simulator.server import SimulatorServer
from tests.clients.visit import FEED, HELD, Exchange
from tests.simulator.loopback import Client
from tests.support import eventually

ROOT = Path(__file__).resolve().parents[2]
ASIDE = Path(sys.prefix) / "clients"  # those that .venv cannot hold: requirements-clients.txt

pytestmark = pytest.mark.skipif(not ASIDE.is_dir(), reason="needs the clients of `make .venv/ready-dev`")


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """Return a started ``python run.py simulate``."""
    command = [sys.executable, "run.py", "simulate", "--scenario", "calm"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Exchange(**json.loads(process.stdout.readline()))
        finally:
            process.terminate()


def visit(exchange: Exchange, module: str, *, aside: bool) -> Any:
    """Run a client's program as its users do, in a process of its own; return what it saw."""
    line = json.dumps(asdict(exchange))
    done = subprocess.run(
        [sys.executable, "-m", f"tests.clients.{module}", line],
        cwd=ROOT,
        env=os.environ | ({"PYTHONPATH": str(ASIDE)} if aside else {}),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def held(exchange: Exchange) -> Decimal:
    """Return the contracts held, as read without any of the clients."""
    client = Client(cast(SimulatorServer, exchange))
    [position] = client.get(f"/portfolio/positions?ticker={HELD}")["market_positions"]
    return Decimal(position["position_fp"])


@pytest.mark.parametrize(
    ("module", "aside", "feed"),
    [
        pytest.param("with_pykalshi", False, FEED, id="pykalshi"),
        pytest.param("with_dtr_kalshi", False, FEED, id="dtr-kalshi"),
        pytest.param("with_pykalshi_client", True, FEED, id="pykalshi-client"),
        pytest.param("with_kalshi_python_sync", True, None, id="kalshi-python-sync"),
        pytest.param("with_kalshi_sdk", True, FEED, id="kalshi-sdk"),
    ],
)
def test_a_client_reads_subscribes_and_sells(
    exchange: Exchange, module: str, aside: bool, feed: set[str] | None
) -> None:
    """Markets, positions, its feed if it has one, an immediate-or-cancel sale."""
    before = held(exchange)
    seen = visit(exchange, module, aside=aside)
    assert HELD in seen["markets"]
    assert (Decimal(seen["position"]), seen["sold"]) == (before, "1.00")
    assert feed is None or feed <= set(seen["frames"])
    eventually(lambda: held(exchange) == before - 1)


def test_a_client_of_2025_is_refused_as_on_the_real_exchange(exchange: Exchange) -> None:
    """It signs rightly and cannot read prices in dollars; its order path is gone."""
    seen = visit(exchange, "with_old_kalshi_python_sync", aside=False)
    assert seen["trading"] is True
    assert {"yes_bid", "yes_ask"} <= set(seen["markets"])
    assert "position" in seen["positions"]
    assert seen["order"] == [410, "deprecated_v1_order_endpoint"]
