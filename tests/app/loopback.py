"""An app against the embedded exchange over real sockets of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from base.app.config import Config, check_config
from base.app.loop import TradingApp
from base.app.yaml_text import Document
from base.risk.ports import PositionView
from base.simulator.server import SimulatorServer

TICKER = "KXTEST-26DEC31-A"
OTHER = "KXTEST-26DEC31-B"
DEEP_YES = [("0.54", "500"), ("0.53", "500"), ("0.40", "500"), ("0.22", "500")]
DEEP_NO = [("0.44", "500"), ("0.43", "500"), ("0.30", "500")]


def settings_for(sim: SimulatorServer, folder: Path, **changes: Any) -> Config:
    """Settings that reach ``sim`` as a custom exchange, live; ``changes`` are whole sections."""
    exchange = {
        "environment": "custom",
        "rest_url": sim.rest_url,
        "websocket_url": sim.websocket_url,
        "key_id": sim.key_id,
        "private_key_path": str(sim.private_key_path),
    }
    exchange |= changes.pop("exchange", {})
    tree: Any = {
        "exchange": exchange,
        "execution": "live",
        "stops": {"check_interval_s": "0.2"},
        "paths": {"data": str(folder / "data"), "logs": str(folder / "logs")},
        **changes,
    }
    tree["stops"] = {name: _number(value) for name, value in tree["stops"].items()}
    return check_config(Document(tree))


def _number(value: Any) -> Any:
    from decimal import Decimal

    return Decimal(value) if isinstance(value, str) and value.replace(".", "").isdigit() else value


@contextmanager
def running_app(sim: SimulatorServer, folder: Path, **changes: Any) -> Iterator[TradingApp]:
    """The app, started and ended."""
    with TradingApp(settings_for(sim, folder, **changes), environ={}) as app:
        yield app


def stage_market(sim: SimulatorServer, ticker: str = TICKER) -> None:
    """An open market with depth on both sides."""
    sim.add_market(ticker, exchange_index=2)
    sim.set_book(ticker, yes=DEEP_YES, no=DEEP_NO)


def position_in(app: TradingApp, ticker: str = TICKER) -> PositionView | None:
    """What the app shows of its position in ``ticker``."""
    return next((p for p in app.positions.all() if p.key.ticker == ticker), None)


def state_in(app: TradingApp, ticker: str = TICKER) -> str | None:
    """The state of the position in ``ticker``; ``None``: there is none."""
    found = position_in(app, ticker)
    return None if found is None else found.state


def log_of(folder: Path) -> list[str]:
    """The lines of the stop-loss log."""
    path = folder / "logs" / "stop_loss.log"
    return path.read_text().splitlines() if path.exists() else []
