"""A running exchange with one market, a book on both sides and 25 YES held."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, Client, Feed


@pytest.fixture
def sim() -> Iterator[SimulatorServer]:
    """Return the exchange; reads do not lag."""
    with SimulatorServer(semantics=Semantics(read_lag_s=0.0, close_clear_s=0.05)) as server:
        server.add_market(A, exchange_index=2)
        server.set_book(A, yes=[("0.50", "100"), ("0.49", "50")], no=[("0.48", "70")])
        server.set_position(A, "25", "0.40")
        yield server


@pytest.fixture
def client(sim: SimulatorServer) -> Client:
    """Return a REST client of the member."""
    return Client(sim)


@pytest.fixture
def feed(sim: SimulatorServer) -> Iterator[Feed]:
    """Return an open WebSocket of the member."""
    with Feed(sim) as opened:
        yield opened
