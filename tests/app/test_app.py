"""The app over real sockets: recovery at the start, hooks, a stop from breach to flat, and the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from base.app.account_folder import AccountFolder
from base.app.control import ask
from base.app.loop import TradingApp
from base.app.positions import Positions
from base.errors import ConfigError
from base.kalshi.auth import account_hash
from base.model import Position, Side
from base.risk.ports import MonitorView
from base.risk.stop_loss import StopLossMonitor
from base.simulator.server import SimulatorServer
from tests.app.loopback import (
    OTHER,
    TICKER,
    log_of,
    position_in,
    running_app,
    settings_for,
    stage_market,
    state_in,
)
from tests.app.strategies import BuysOnce, Careless
from tests.support import eventually

D = Decimal
CRASHED_YES = [("0.27", "500"), ("0.26", "500"), ("0.22", "500")]


class ClaimsOnly:
    """A monitor that notes what is claimed."""

    def __init__(self, claimed: list[Position]):
        self._claimed = claimed

    def opened(self, position: Position) -> None:
        """Note it."""
        self._claimed.append(position)

    def closed(self, ticker: str, subaccount: int = 0) -> None:
        """Nothing."""

    def view(self) -> MonitorView:
        """Nothing is known."""
        return MonitorView()


@pytest.fixture
def sim() -> Iterator[SimulatorServer]:
    """An exchange with two open markets and no position."""
    with SimulatorServer() as sim:
        stage_market(sim)
        stage_market(sim, OTHER)
        yield sim


def crash(sim: SimulatorServer, ticker: str = TICKER) -> None:
    """The YES bid falls through half of an entry of 0.56 in steps that nobody doubts."""
    for bid in ("0.45", "0.38", "0.32", "0.27"):
        asks = [(str(1 - D(bid) - D("0.02")), "500"), (str(1 - D(bid) - D("0.03")), "500")]
        depth = [(bid, "500"), (str(D(bid) - D("0.01")), "500"), (str(D(bid) - D("0.04")), "500")]
        sim.set_book(ticker, yes=depth, no=asks)


@pytest.mark.parametrize(
    ("count", "side"), [pytest.param("25", Side.YES, id="YES"), pytest.param("-25", Side.NO, id="NO")]
)
def test_position_found_on_the_account_is_protected(
    sim: SimulatorServer, tmp_path: Path, count: str, side: Side
) -> None:
    """A position nobody told us of gets the default stop once it was seen where that would not fire."""
    sim.set_position(TICKER, D(count), D("0.50"))
    with running_app(sim, tmp_path) as app:
        eventually(lambda: state_in(app) == "ARMED")
        found = position_in(app)
        assert found is not None
        assert (found.side, found.count, found.entry, found.trigger) == (side, D(25), D("0.50"), D("0.25"))
        assert found.protection == "covered"
    assert sim.orders_received == []


def test_position_breached_when_found_is_not_sold_unasked(sim: SimulatorServer, tmp_path: Path) -> None:
    """A stop never fires on the evidence that would arm it: it stands there unprotected, loudly."""
    sim.set_book(TICKER, yes=CRASHED_YES, no=[("0.70", "500")])
    sim.set_position(TICKER, D(25), D("0.60"))
    with running_app(sim, tmp_path) as app:
        eventually(lambda: (p := position_in(app)) is not None and p.reason == "would_fire_now")
        eventually(lambda: any(" UNPROTECTED " in line for line in log_of(tmp_path)))
        assert state_in(app) == "UNPROTECTED"
    assert sim.orders_received == []


@pytest.mark.parametrize("side", [Side.YES, Side.NO])
def test_stop_fires_and_the_position_is_flat(sim: SimulatorServer, tmp_path: Path, side: Side) -> None:
    """Breach, exit order, fill, confirmation: the account holds nothing and the books agree."""
    sim.set_position(
        TICKER, D(25) if side is Side.YES else D(-25), D("0.60") if side is Side.NO else D("0.56")
    )
    with running_app(sim, tmp_path, stops={"default": {"loss_percent": 50}}) as app:
        eventually(lambda: state_in(app) == "ARMED")
        if side is Side.YES:
            crash(sim)
        else:
            for ask in ("0.60", "0.65", "0.70", "0.74"):
                bid = str(1 - D(ask))
                sim.set_book(
                    TICKER,
                    yes=[(str(D(ask) - D("0.02")), "500")],
                    no=[(bid, "500"), (str(D(bid) - D("0.02")), "500")],
                )
        eventually(lambda: app.view().closed == 1, timeout_s=15)
        assert sim.position(TICKER) == 0
        assert app.view().triggered == 1
    orders = sim.orders_received
    assert orders[0]["reduce_only"] is True
    assert orders[0]["side"] == ("ask" if side is Side.YES else "bid")
    events = [line.split()[1] for line in log_of(tmp_path)]
    assert events.index("TRIGGERED") < events.index("SENT") < events.index("FILLED") < events.index("CLOSED")


def test_hooks_subscribe_and_unsubscribe(sim: SimulatorServer, tmp_path: Path) -> None:
    """opened: the market is subscribed and its stop armed; closed: it is let go once the exchange agrees."""
    with running_app(sim, tmp_path) as app:
        feed = app._parts.feed  # type: ignore[union-attr]
        assert TICKER not in feed.held()
        sim.set_position(TICKER, D(10), D("0.50"))
        app.positions.opened(Position(ticker=TICKER, side=Side.YES, count=D(10), entry=D("0.50")))
        eventually(lambda: TICKER in feed.held())
        eventually(lambda: state_in(app) == "ARMED")
        sim.set_position(TICKER, D(0), D("0.50"))
        app.positions.closed(TICKER)
        eventually(lambda: TICKER not in feed.held(), timeout_s=15)


def test_strategy_begins_with_the_positions_and_what_it_buys_is_protected(
    sim: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first round sees what the account holds; a filled buy is told to the monitor at once, and armed."""
    told: list[Position] = []
    opened = StopLossMonitor.opened
    monkeypatch.setattr(StopLossMonitor, "opened", lambda self, p: (told.append(p), opened(self, p)))
    sim.set_position(TICKER, D(25), D("0.50"))
    strategy = {"class": "tests.app.strategies:BuysOnce", "interval_s": 5}
    with running_app(sim, tmp_path, strategy=strategy) as app:
        eventually(lambda: state_in(app, OTHER) == "ARMED")
        assert BuysOnce.first_seen == (TICKER,)
        assert told == [Position(ticker=OTHER, side=Side.YES, count=D(10), entry=D("0.56"))]
        assert sim.position(OTHER) == 10


@pytest.mark.parametrize(
    ("locked_to", "subaccounts", "own"),
    [
        pytest.param(3, [0], 3, id="a key that is locked to it"),
        pytest.param(None, [3], 3, id="the only one that is guarded"),
        pytest.param(None, [3, 0], 0, id="the primary one where it is guarded"),
    ],
)
def test_a_subaccount_is_meant_where_none_is_named(
    sim: SimulatorServer, tmp_path: Path, locked_to: int | None, subaccounts: list[int], own: int
) -> None:
    """Orders, cash and claims of a strategy: never an account that nobody guards or the key cannot reach."""
    sim.deposit("100", exchange_index=2, subaccount=3)
    pair = sim.add_key(subaccount=locked_to)
    key = {
        "key_id": pair.key_id,
        "private_key_path": pair.private_key_path,
        "subaccounts": subaccounts,
    }
    strategy = {"class": "tests.app.strategies:BuysOnce", "interval_s": 5}
    with running_app(sim, tmp_path, exchange=key, strategy=strategy) as app:
        eventually(lambda: state_in(app, OTHER) == "ARMED")
        assert [order["subaccount"] for order in sim.orders_received] == [own]
        assert (sim.position(OTHER, subaccount=own), BuysOnce.cash) == (10, 100 if own else 40_000)
        app.positions.opened(Position(ticker=TICKER, side=Side.YES, count=D(5), entry=D("0.50")))
        sim.set_position(TICKER, D(5), D("0.50"), subaccount=own)
        eventually(lambda: state_in(app) == "ARMED")
        assert {position.key.subaccount for position in app.positions.all()} == {own}
        app.positions.closed(TICKER)
        sim.set_position(TICKER, D(0), D("0.50"), subaccount=own)
        eventually(lambda: state_in(app) is None, timeout_s=15)


def test_halted_strategy_sends_nothing(sim: SimulatorServer, tmp_path: Path) -> None:
    """The switch that stood before the start holds the first order back."""
    folder = AccountFolder(tmp_path / "data" / f"custom-{account_hash(sim.key_id)}")
    folder.set_halted(True)
    strategy = {"class": "tests.app.strategies:BuysOnce", "interval_s": D("0.1")}
    with running_app(sim, tmp_path, strategy=strategy):
        eventually(lambda: BuysOnce.rounds >= 3)
    assert sim.orders_received == []


def test_failing_strategy_leaves_the_stops_alone(sim: SimulatorServer, tmp_path: Path) -> None:
    """A strategy that raises in every round changes nothing about protection."""
    sim.set_position(TICKER, D(25), D("0.56"))
    strategy = {"class": "tests.app.strategies:Failing", "interval_s": D("0.1")}
    with running_app(sim, tmp_path, strategy=strategy) as app:
        eventually(lambda: state_in(app) == "ARMED")
        eventually(lambda: "strategy_failed" in app.view().alarms)
        crash(sim)
        eventually(lambda: app.view().closed == 1, timeout_s=15)


def test_careless_strategy_leaves_the_stops_alone(sim: SimulatorServer, tmp_path: Path) -> None:
    """Names that are none are refused where they are said; a sale of too much ends at nothing held."""
    sim.set_position(TICKER, D(25), D("0.56"))
    sim.set_position(OTHER, D(-10), D("0.44"))
    strategy = {"class": "tests.app.strategies:Careless", "interval_s": D("0.1")}
    with running_app(sim, tmp_path, strategy=strategy) as app:
        eventually(lambda: state_in(app) == "ARMED")
        eventually(lambda: Careless.rounds == 1)
        eventually(lambda: position_in(app, OTHER) is None)
        assert sim.position(OTHER) == 0
        crash(sim)
        eventually(lambda: app.view().closed == 1, timeout_s=15)
        assert app.missing_part() is None
    assert len(Careless.raised) >= 27


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"ticker": ""}, id="no ticker"),
        pytest.param({"ticker": None}, id="ticker absent"),
        pytest.param({"ticker": 5}, id="ticker is no text"),
        pytest.param({"side": "YES"}, id="no side"),
        pytest.param({"count": D("NaN")}, id="count is no number"),
        pytest.param({"count": D(0)}, id="nothing"),
        pytest.param({"count": 10}, id="count is no Decimal"),
        pytest.param({"count": D("0.001")}, id="finer than the step"),
        pytest.param({"entry": D(56)}, id="cents"),
        pytest.param({"entry": 0.56}, id="entry is no Decimal"),
        pytest.param({"subaccount": "x"}, id="sub-account is no number"),
        pytest.param({"subaccount": 7}, id="sub-account that nobody guards"),
    ],
)
def test_a_claim_that_could_be_no_position_is_refused(wrong: dict[str, Any]) -> None:
    """Where it is said: the monitor's own thread would have died of it."""
    claimed: list[Position] = []
    positions = Positions(ClaimsOnly(claimed), lambda: (0,))
    right = Position(ticker=TICKER, side=Side.YES, count=D(10), entry=None)
    with pytest.raises(ValueError, match=r".+"):
        positions.opened(replace(right, **wrong))
    with pytest.raises(ValueError, match="not guarded"):
        positions.closed(TICKER, 7)
    assert claimed == []
    positions.opened(replace(right, side="yes"))  # type: ignore[arg-type]
    assert claimed == [right]


def test_hanging_strategy_neither_delays_an_exit_nor_the_end(sim: SimulatorServer, tmp_path: Path) -> None:
    """A strategy that never returns is left behind within the five seconds of the end."""
    sim.set_position(TICKER, D(25), D("0.56"))
    app = TradingApp(
        settings_for(sim, tmp_path, strategy={"class": "tests.app.strategies:Hanging"}), environ={}
    )
    app.start()
    eventually(lambda: state_in(app) == "ARMED")
    crash(sim)
    eventually(lambda: app.view().closed == 1, timeout_s=15)
    began_s = time.monotonic()
    assert app.stop() == ["strategy"]
    assert time.monotonic() - began_s < 5.0


def test_end_leaves_no_thread_and_no_lock(sim: SimulatorServer, tmp_path: Path) -> None:
    """After the end our threads are gone and the account can be claimed again."""
    before = set(threading.enumerate())
    with running_app(sim, tmp_path):
        pass
    critical = (
        "stop-loss",
        "exit-executor",
        "reconciler",
        "journal",
        "websocket manager",
        "price refresher",
        "control",
    )
    eventually(
        lambda: not [t for t in threading.enumerate() if t not in before and t.name.startswith(critical)]
    )
    with running_app(sim, tmp_path):
        pass


def test_second_monitor_of_an_account_is_refused(sim: SimulatorServer, tmp_path: Path) -> None:
    """Two processes must not sell the same position."""
    with running_app(sim, tmp_path), pytest.raises(ConfigError, match="already guards this account"):
        TradingApp(settings_for(sim, tmp_path), environ={}).start()


def test_status_and_halt_over_the_control_socket(sim: SimulatorServer, tmp_path: Path) -> None:
    """Another shell sees the positions and stops entries; the switch is a file, so it outlives the process."""
    sim.set_position(TICKER, D(25), D("0.50"))
    with running_app(sim, tmp_path) as app:
        eventually(lambda: state_in(app) == "ARMED")
        folder = AccountFolder(tmp_path / "data" / f"custom-{account_hash(sim.key_id)}")
        eventually(lambda: ask(folder, "status")["connected"])
        report = ask(folder, "status")
        assert [p["ticker"] for p in report["positions"]] == [TICKER]
        assert report["positions"][0]["trigger"] == "0.2500"
        assert ask(folder, "halt") == {"halted": True}
        assert ask(folder, "status")["halted"] is True
        assert folder.halt_switch.exists()
        assert ask(folder, "resume") == {"halted": False}
        assert ask(folder, "status")["halted"] is False


def test_verbose_logging_changes_nothing_and_tells_no_secret(
    sim: SimulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With every message on, the stop fires as ever, and neither key nor signature is written anywhere."""
    caplog.set_level(logging.DEBUG)
    sim.set_position(TICKER, D(25), D("0.56"))
    with running_app(sim, tmp_path) as app:
        eventually(lambda: state_in(app) == "ARMED")
        crash(sim)
        eventually(lambda: app.view().closed == 1, timeout_s=15)
    written = caplog.text.encode() + b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )
    secrets = [line for line in Path(sim.private_key_path).read_bytes().splitlines() if len(line) > 20]
    assert not [secret for secret in secrets if secret in written]
    assert b"KALSHI-ACCESS-SIGNATURE" not in written
    assert sim.key_id.encode() not in written


def test_without_live_execution_nothing_is_sent(sim: SimulatorServer, tmp_path: Path) -> None:
    """Until live is written, a decision is a line in the log and no order."""
    sim.set_position(TICKER, D(25), D("0.56"))
    with running_app(sim, tmp_path, execution=None) as app:
        eventually(lambda: state_in(app) == "ARMED")
        crash(sim)
        eventually(lambda: any("reason=would_execute" in line for line in log_of(tmp_path)), timeout_s=15)
    assert sim.orders_received == []


@pytest.mark.parametrize(
    ("exchange", "said"),
    [
        pytest.param({"key_id": "00000000-0000-4000-8000-000000000000"}, "not shared", id="unknown key"),
        pytest.param({"private_key_path": "ed25519"}, "refuses our signature", id="key of another id"),
        pytest.param({"private_key_path": "missing"}, "cannot read", id="no key file"),
        pytest.param({"private_key_path": "open"}, "chmod 600", id="world-readable key"),
        pytest.param({"key_id": ""}, "exchange.key_id", id="no key id"),
    ],
)
def test_start_that_cannot_work_is_one_sentence(
    sim: SimulatorServer, tmp_path: Path, exchange: dict[str, str], said: str
) -> None:
    """What a person must mend is said in one sentence, without the key in it, and nothing keeps running."""
    readable = tmp_path / "open.pem"
    readable.write_bytes(Path(sim.private_key_path).read_bytes())
    readable.chmod(0o644)
    files = {
        "ed25519": str(sim.ed25519_private_key_path),
        "open": str(readable),
        "missing": str(tmp_path / "x"),
    }
    path = exchange.get("private_key_path")
    changes = {**exchange, "private_key_path": files[path]} if path else exchange
    with pytest.raises(ConfigError) as caught:
        TradingApp(settings_for(sim, tmp_path, exchange=changes), environ={}).start()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "PRIVATE KEY" not in str(caught.value)


def test_start_that_failed_leaves_nothing_behind(sim: SimulatorServer, tmp_path: Path) -> None:
    """After a refused start no thread runs and the account is free for the next."""
    before = set(threading.enumerate())
    wrong = {"private_key_path": str(sim.ed25519_private_key_path)}
    app = TradingApp(settings_for(sim, tmp_path, exchange=wrong), environ={})
    with pytest.raises(ConfigError, match="refuses our signature"):
        app.start()
    assert not [
        t.name for t in threading.enumerate() if t not in before and t.name in ("journal", "stop-loss")
    ]
    with running_app(sim, tmp_path):
        pass
