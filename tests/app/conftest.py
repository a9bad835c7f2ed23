"""An exchange where something is held, and an installation beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from base.simulator.server import SimulatorServer
from tests.app.loopback import OTHER, TICKER, stage_market
from tests.app.shells import Shells


@pytest.fixture
def held() -> Iterator[SimulatorServer]:
    """An exchange where ten contracts of two markets are held."""
    with SimulatorServer() as sim:
        for ticker in (TICKER, OTHER):
            stage_market(sim, ticker)
            sim.set_position(ticker, "10", "0.60")
        yield sim


@pytest.fixture
def shells(tmp_path: Path, held: SimulatorServer) -> Shells:
    """An installation that guards them."""
    return Shells(tmp_path, held)
