"""config.yaml changed under a running monitor, on the exchange's real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from base.app.loop import TradingApp
from tests.integration.rig import TICKER, Rig
from tests.support import eventually

D = Decimal
STOP = 'stops: {{check_interval_s: 0.2, default: {{stop: "{}"}}, max_slippage: "{}"}}\n'


class FileRig(Rig):
    """A rig whose stops stand in a file that may be saved again."""

    def save(self, stop: str, slippage: str = "0.10") -> None:
        """Write the file; the app is told that it is complete, as SIGHUP does."""
        (self.folder / "config.yaml").write_text(STOP.format(stop, slippage))
        if self._app is not None:
            self._app.reload_settings()

    def start(self, *settings: str) -> TradingApp:
        """Start on the file."""
        self.save("0.40")
        values = [
            "exchange.environment=custom",
            f"exchange.rest_url={self.sim.rest_url}",
            f"exchange.websocket_url={self.sim.websocket_url}",
            f"exchange.key_id={self.sim.key_id}",
            f"exchange.private_key_path={self.sim.private_key_path}",
            "execution=live",
            f"paths.data={self.folder / 'data'}",
            f"paths.logs={self.folder / 'logs'}",
            *settings,
        ]
        self._app = TradingApp.from_config(self.folder / "config.yaml", values)
        self._app.start()
        return self._app

    @property
    def trigger(self) -> Decimal | None:
        """Where the stop stands."""
        return None if self.position is None else self.position.trigger


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[FileRig]:
    """A rig whose stop at 0.40 is armed, the bid at 0.52."""
    with FileRig(tmp_path) as rig:
        rig.hold()
        rig.start()
        rig.armed()
        yield rig


def test_a_new_stop_is_armed_and_fires(rig: FileRig) -> None:
    """Saved, seen safe, ARMED with reason=reloaded, and sold at the new trigger."""
    rig.save("0.46")
    eventually(lambda: rig.trigger == D("0.46"))
    assert rig.field("ARMED", "reason") == "reloaded"
    rig.slide("0.52", "0.45")
    rig.closed()
    assert rig.field("TRIGGERED", "trigger") == "0.4600"


def test_a_stop_that_would_fire_now_is_refused_and_the_old_one_works(rig: FileRig) -> None:
    """Above the bid: nothing is sold on the evidence that would arm it; the old stop goes on."""
    rig.save("0.60")
    eventually(lambda: rig.field("ARMED", "reason") == "reload_refused")
    assert rig.field("ARMED", "why") == "would_fire_now"
    assert (rig.trigger, rig.orders) == (D("0.40"), [])
    rig.slide("0.52", "0.38")
    rig.closed()


def test_a_bad_file_alarms_until_it_is_good(rig: FileRig) -> None:
    """In `status` and in the log, and gone with the mistake."""
    (rig.folder / "config.yaml").write_text("stops: {default: {stop: 40}}\n")
    rig.app.reload_settings()
    eventually(lambda: "config_refused" in rig.view.alarms)
    assert rig.field("ALARM", "reason") == "config_refused"
    assert (rig.state, rig.trigger) == ("ARMED", D("0.40"))
    rig.save("0.40")
    eventually(lambda: "config_refused" not in rig.view.alarms)


def test_an_exit_under_way_keeps_its_floor(rig: FileRig) -> None:
    """Nobody bids inside the floor: a looser file does not make the open exit sell lower."""
    rig.slide("0.52", "0.42")
    rig.bid("0.20")
    eventually(lambda: rig.state not in (None, "ARMED"))
    rig.save("0.35", "0.30")
    eventually(lambda: rig.app.config.stops.max_slippage == D("0.30"))
    rig.bid("0.25")
    rig.bid("0.33")
    rig.closed()
    assert min(D(order["price"]) for order in rig.orders) >= D("0.30")
    assert rig.field("TRIGGERED", "floor") == "0.3000"
    assert rig.sim.position(TICKER) == 0
