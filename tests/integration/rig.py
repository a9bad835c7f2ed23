"""The whole app against the embedded exchange: real sockets, real signatures, both ends as shipped."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

from base.app.config import load_config
from base.app.loop import TradingApp
from base.model import Key
from base.risk.ports import MonitorView, PositionView
from base.simulator.server import SimulatorServer
from tests.support import eventually

ROOT = Path(__file__).resolve().parents[2]
D = Decimal
TICKER = "KXRIG-26DEC31-A"
ORDERS = "/portfolio/events/orders"


class Rig:
    """One market on a simulated exchange and the app guarding the account. Prices are YES prices."""

    def __init__(self, folder: Path, *settings: str, strategy: str | None = None, side: str = "yes"):
        self.folder = folder
        self.side = side
        self.sim = SimulatorServer()
        self._settings = settings
        self._strategy = strategy
        self._app: TradingApp | None = None
        self.deaths: list[str] = []

    def __enter__(self) -> Rig:
        self.sim.start()
        self.sim.add_market(TICKER, exchange_index=2)
        self.bid("0.52")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._app is not None:
            self._app.stop()
        self.sim.stop()

    # --- the market, seen from the side held ------------------------------------------------------

    def bid(self, bid: str | None, spread: str = "0.02", size: str = "200", depth: int = 15) -> None:
        """Put ``depth`` levels of liquidity a cent apart below ``bid``, and an ask above it."""
        step = D("0.01")
        bids = [] if bid is None else [(D(bid) - step * n, size) for n in range(depth) if D(bid) > step * n]
        top = D("0.50") if bid is None else D(bid)
        others = [
            (1 - top - D(spread) - step * n, size) for n in range(5) if 1 - top - D(spread) - step * n > 0
        ]
        yes, no = (bids, others) if self.side == "yes" else (others, bids)
        self.sim.set_book(TICKER, yes=yes, no=no)

    def slide(self, start: str, end: str, step: str = "0.02", pause_s: float = 0.05) -> None:
        """Let the bid walk from ``start`` to ``end`` without a jump."""
        price, last, sign = D(start), D(end), 1 if D(end) > D(start) else -1
        while (last - price) * sign >= 0:
            self.bid(str(price))
            price += D(step) * sign
            _pause(pause_s)
        self.bid(end)

    def hold(self, count: str = "10", entry: str = "0.60") -> None:
        """The account holds ``count`` on the rig's side."""
        self.sim.set_position(TICKER, count if self.side == "yes" else f"-{count}", entry)

    @property
    def held(self) -> Decimal:
        """What the exchange says is truly held, unsigned."""
        return abs(self.sim.position(TICKER))

    # --- the app ----------------------------------------------------------------------------------

    def start(self, *settings: str) -> TradingApp:
        """Start the app on this exchange with a stop at 0.40 unless told otherwise."""
        values = [
            "exchange.environment=custom",
            f"exchange.rest_url={self.sim.rest_url}",
            f"exchange.websocket_url={self.sim.websocket_url}",
            f"exchange.key_id={self.sim.key_id}",
            f"exchange.private_key_path={self.sim.private_key_path}",
            "execution=live",
            "stops.check_interval_s=0.2",
            'stops.default={stop: "0.40"}',
            f"paths.data={self.folder / 'data'}",
            f"paths.logs={self.folder / 'logs'}",
            f"paths.emergency={self.folder / 'emergency'}",
            *([f"strategy.class={self._strategy}"] if self._strategy else []),
            *self._settings,
            *settings,
        ]
        config = load_config(ROOT / "config.yaml", values)
        self._app = TradingApp(config, died=lambda name, error: self.deaths.append(f"{name}: {error!r}"))
        self._app.start()
        return self._app

    def restart(self) -> TradingApp:
        """End the app and start it again on the same account and journal."""
        self.app.stop()
        return self.start()

    @property
    def app(self) -> TradingApp:
        """The running app."""
        assert self._app is not None
        return self._app

    @property
    def view(self) -> MonitorView:
        """What the monitor shows."""
        return self.app.view()

    @property
    def position(self) -> PositionView | None:
        """The rig's position as the monitor shows it."""
        return next((view for view in self.view.positions if view.key == Key(0, TICKER)), None)

    @property
    def state(self) -> str | None:
        """Its state; ``None`` when it is not guarded."""
        view = self.position
        return None if view is None else view.state

    @property
    def connected(self) -> bool:
        """Whether the feed is up and the account's channels are acknowledged."""
        parts = self.app._parts
        return parts is not None and parts.cache.connection().is_connected

    def armed(self, timeout_s: float = 10.0) -> Rig:
        """Wait until the stop is armed on a proven feed."""
        eventually(lambda: self.state == "ARMED" and self.position.freshness.is_proven, timeout_s)  # type: ignore[union-attr]
        return self

    def closed(self, timeout_s: float = 10.0) -> None:
        """Wait until all is sold and the monitor has let go."""
        eventually(lambda: self.held == 0 and self.view.closed == 1 and self.state is None, timeout_s)

    # --- what happened ------------------------------------------------------------------------------

    @property
    def orders(self) -> list[dict[str, Any]]:
        """Bodies of the orders the exchange received."""
        return list(self.sim.orders_received)

    @property
    def events(self) -> list[str]:
        """Event names in the stop-loss log, in order."""
        return [line.split()[1] for line in self.log]

    @property
    def log(self) -> list[str]:
        """Lines of the stop-loss log."""
        return (self.folder / "logs" / "stop_loss.log").read_text().splitlines()

    def field(self, event: str, name: str) -> str:
        """One field of the newest line of ``event``."""
        line = [line for line in self.log if line.split()[1] == event][-1]
        return dict(word.split("=", 1) for word in line.split()[2:])[name]

    def journal_rows(self, table: str) -> int:
        """How many rows a journal table has."""
        with sqlite3.connect(self.journal) as reader:
            count: int = reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return count

    @property
    def journal(self) -> Path:
        """The journal's file."""
        (path,) = (self.folder / "data").rglob("journal.sqlite")
        return path


def _pause(seconds: float) -> None:
    from threading import Event

    Event().wait(seconds)


@contextmanager
def armed_rig(folder: Path) -> Iterator[Rig]:
    """A rig holding ten contracts, its stop armed."""
    with Rig(folder) as rig:
        rig.hold()
        rig.start()
        yield rig.armed()
