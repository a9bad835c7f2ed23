"""``python run.py`` as its own process: from the first second to the summary, and every way to end it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from base.app.account_folder import AccountFolder
from base.app.config import SimulatorConfig
from base.app.control import NotRunning, ask
from base.app.embedded import EmbeddedExchange
from base.errors import ConfigError
from base.kalshi.auth import account_hash
from base.risk.event_log import EVENTS
from base.simulator.server import SimulatorServer
from tests.app.loopback import log_of
from tests.support import eventually

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?P<event>[A-Z_]+)"
    r" ticker=\S+ subaccount=\S+ side=(yes|no|-)(?P<fields>( [a-z_]+=\S+)*)"
)
FIELDS = {
    "TRIGGERED": ["count", "trigger", "bid", "floor", "reason", "intent"],
    "SENT": ["count", "price", "floor", "intent", "attempt"],
    "FILLED": ["count", "price", "fee", "order", "attempt"],
    "CLOSED": ["count", "price", "fee", "profit", "reason", "intent", "latency_ms"],
}


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start ``python run.py`` in ``folder`` with the shipped settings; kill it if it is still there."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "--config", str(ROOT / "config.yaml"), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask_status(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Type a command in another shell of the same folder."""
    command = [sys.executable, str(ROOT / "run.py"), *arguments, "--config", str(ROOT / "config.yaml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20, check=False)


def events_of(folder: Path) -> list[str]:
    """The names of the events logged so far."""
    return [line.split()[1] for line in log_of(folder)]


@pytest.mark.end_to_end
@pytest.mark.timeout(90)
def test_stop_fires_within_forty_seconds_of_the_first_command(tmp_path: Path) -> None:
    """One command, no credentials: a stop fires, the exit fills, the position closes, all in the log.

    It is given less than the forty seconds, so that a slower machine has the rest.
    """
    with started(tmp_path, "run", "--for", "26", "--no-ui") as process:
        eventually(lambda: events_of(tmp_path).count("ARMED") >= 3, timeout_s=15)
        shell = ask_status(tmp_path, "status", "--json")
        held = ask_status(tmp_path, "positions", "--json")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    summary = json.loads(out.splitlines()[-1])["summary"]
    assert list(summary) == ["triggered", "filled", "closed", "profit", "alarms"]
    assert (summary["triggered"], summary["closed"], summary["alarms"]) == (1, 1, 0)
    assert "2 positions are now UNPROTECTED" in err
    _check_log(tmp_path, summary["profit"])
    assert shell.returncode == 0, shell.stderr
    report = json.loads(shell.stdout)
    assert (report["environment"], report["execution"], report["connected"]) == ("simulated", "live", True)
    assert {p["side"] for p in report["positions"]} == {"yes", "no"}
    assert [json.loads(line)["ticker"] for line in held.stdout.splitlines()] == [
        p["ticker"] for p in report["positions"]
    ]


def _check_log(folder: Path, profit: str) -> None:
    """Every line has the agreed form; the exit's lines carry their fields in order."""
    found = [LINE.fullmatch(line) for line in log_of(folder)]
    assert all(match is not None and match["event"] in EVENTS for match in found)
    fields = {
        match["event"]: [word.partition("=")[0] for word in match["fields"].split()]
        for match in found
        if match is not None
    }
    for event, names in FIELDS.items():
        assert [name for name in fields[event] if name in names] == names, event
    closed = next(line for line in log_of(folder) if " CLOSED " in line)
    assert f"profit={profit}" in closed
    assert "reason=STOP" in closed


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("send", "number"),
    [
        pytest.param(os.kill, signal.SIGTERM, id="SIGTERM"),
        pytest.param(os.killpg, signal.SIGINT, id="Ctrl-C at a terminal"),
    ],
)
def test_signal_ends_it_cleanly_within_five_seconds(
    tmp_path: Path, send: Callable[[int, int], None], number: int
) -> None:
    """Ctrl-C and SIGTERM: everything ends, what is left unprotected is said, and nothing runs on."""
    with started(tmp_path, "run", "--no-ui") as process:
        eventually(lambda: "ARMED" in events_of(tmp_path), timeout_s=15)
        began_s = time.monotonic()
        send(process.pid, number)
        _, err = process.communicate(timeout=10)
    assert time.monotonic() - began_s < 5.0
    assert process.returncode == 0
    assert re.search(r"[23] positions are now UNPROTECTED", err)
    assert "Traceback" not in err
    after = ask_status(tmp_path, "status")
    assert after.returncode == 1
    assert "process not running" in after.stderr


@pytest.mark.end_to_end
def test_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Whoever presses Ctrl-C twice does not want to wait."""
    strategy = "strategy.class=tests.app.strategies:Hanging"
    with started(tmp_path, "--set", strategy, "run", "--no-ui") as process:
        eventually(lambda: "ARMED" in events_of(tmp_path), timeout_s=15)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=2)
    assert process.returncode in (130, 143, 0)


@pytest.mark.end_to_end
def test_output_that_is_no_terminal_gets_plain_lines(tmp_path: Path) -> None:
    """In a pipe: lines without escape sequences, the log's among them, and the summary last."""
    with started(tmp_path, "--for", "4") as process:
        out, _ = process.communicate(timeout=30)
    lines = out.splitlines()
    assert "\x1b" not in out
    assert any(" ARMED " in line for line in lines)
    assert any("positions, 0 unprotected" in line for line in lines)
    assert "summary" in json.loads(lines[-1])


@pytest.mark.end_to_end
def test_closed_output_is_no_reason_to_end(tmp_path: Path) -> None:
    """Started with nothing to write to, as some schedulers do, it guards all the same."""
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" "$@" >&- 2>&-', sys.executable, str(ROOT / "run.py"), "run", "--for", "12",
         "--config", str(ROOT / "config.yaml")],
        cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "ARMED" in events_of(tmp_path)


def children_of(process: subprocess.Popen[str]) -> list[int]:
    """The embedded exchange, if there is one, and the child that guards."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("the children of a process are found under /proc, on Linux only")
    found = [int(pid) for pid in children.read_text().split()]
    return sorted(found, key=lambda pid: b"base.simulator" not in _command(pid))


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.end_to_end
def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    """Even a SIGKILL of the parent leaves no exchange behind, and no monitor without one."""
    with started(tmp_path, "run", "--no-ui") as process:
        eventually(lambda: "ARMED" in events_of(tmp_path), timeout_s=15)
        left = children_of(process)
        process.kill()
        process.wait()
        for pid in left:
            eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists(), timeout_s=7)  # type: ignore[misc]


def alarms_of(account: AccountFolder) -> list[str]:
    """What rings; nothing while nobody answers."""
    with suppress(NotRunning):
        return list(ask(account, "status")["alarms"])
    return []


@pytest.mark.end_to_end
def test_child_without_a_parent_goes_on_guarding(tmp_path: Path) -> None:
    """It says so, and ends cleanly when it is told to. The exchange is not the parent's here."""
    with SimulatorServer() as sim:
        settings = [
            "exchange.environment=custom", f"exchange.rest_url={sim.rest_url}", "execution=live",
            f"exchange.websocket_url={sim.websocket_url}", f"exchange.key_id={sim.key_id}",
            f"exchange.private_key_path={sim.private_key_path}",
        ]  # fmt: skip
        with started(
            tmp_path, *(word for value in settings for word in ("--set", value)), "run", "--no-ui"
        ) as process:
            account = AccountFolder(tmp_path / "data" / f"custom-{account_hash(sim.key_id)}")
            eventually(account.socket.exists, timeout_s=15)
            child = children_of(process)[-1]
            process.kill()
            process.wait()
            try:
                eventually(lambda: "no_parent" in alarms_of(account), timeout_s=10)
                assert "reason=no_parent" in "".join(log_of(tmp_path))
                assert int(account.heartbeat.read_text().split()[2]) == child
                os.kill(child, signal.SIGTERM)
                eventually(lambda: float(account.heartbeat.read_text().split()[0]) == 0.0, timeout_s=5)
            finally:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)


@pytest.mark.end_to_end
def test_killed_child_is_followed_by_another_on_the_same_account(tmp_path: Path) -> None:
    """(I17, O11) Within five seconds; positions, stops and the sum of what happened are kept."""
    with started(tmp_path, "run", "--no-ui", "--for", "8") as process:
        eventually(lambda: events_of(tmp_path).count("ARMED") >= 3, timeout_s=15)
        _, child = children_of(process)
        os.kill(child, signal.SIGKILL)
        began_s = time.monotonic()
        eventually(lambda: "reason=restarted" in "".join(log_of(tmp_path)), timeout_s=5)
        assert time.monotonic() - began_s < 5
        assert children_of(process)[1] != child
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "The monitor died (SIGKILL). It is started again in 0.5 s; until then" in err
    assert json.loads(out.splitlines()[-1])["summary"]["alarms"] >= 1
    assert len([path for path in (tmp_path / "data").iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--set", "simulator.scenario=nope"], "unknown scenario", id="unknown scenario"),
        pytest.param(["--set", "paths.logs=/proc/nope"], "cannot be written", id="log folder"),
        pytest.param(["--set", "paths.data=/proc/nope"], "cannot be written", id="data folder"),
        pytest.param(["--set", "strategy.class=nope:X"], "strategy.class", id="strategy"),
        pytest.param(["--set", "exchange.environment=demo"], "exchange.key_id", id="no key"),
    ],
)
def test_run_that_cannot_start_says_why_and_ends(tmp_path: Path, arguments: list[str], said: str) -> None:
    """One sentence on stderr, exit status 2, nothing left running."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KALSHI_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "run", "--no-ui", "--for", "5", "--config", str(ROOT / "config.yaml"), *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_embedded_exchange_starts_and_ends(tmp_path: Path) -> None:
    """It listens when ``start`` returns, its key is ours alone, and it is gone after ``stop``."""
    exchange = EmbeddedExchange(SimulatorConfig(scenario="calm"), tmp_path / "data", tmp_path / "logs")
    reached = exchange.start()
    assert exchange.is_running
    assert reached.rest_url.startswith("http://127.0.0.1:")
    assert Path(reached.private_key_path).stat().st_mode & 0o077 == 0
    exchange.stop()
    assert not exchange.is_running


def test_embedded_exchange_that_cannot_start_says_why(tmp_path: Path) -> None:
    """Its own last words are the sentence."""
    exchange = EmbeddedExchange(SimulatorConfig(scenario="nope"), tmp_path / "data", tmp_path / "logs")
    with pytest.raises(ConfigError, match="unknown scenario 'nope'"):
        exchange.start()
    assert not exchange.is_running


DYING = """
import sys
from base.app import cli, parent
from base.risk.stop_loss import StopLossMonitor
parent.LOOP_DEATHS = 2
goes_round = StopLossMonitor._round
StopLossMonitor._round = lambda self: None() if self.view().positions else goes_round(self)
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.end_to_end
@pytest.mark.timeout(90)
def test_critical_thread_that_dies_again_and_again_leaves_a_monitor_that_only_protects(
    tmp_path: Path,
) -> None:
    """(I17, K12) The process says so and ends; then no strategy is started."""
    done = subprocess.run(
        [sys.executable, "-c", DYING, "run", "--no-ui", "--for", "8", "--config", str(ROOT / "config.yaml")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "The thread stop-loss died (TypeError" in done.stderr
    assert "The monitor died (exit status 3)" in done.stderr
    assert "from now on it only protects" in done.stderr
    assert "summary" in json.loads(done.stdout.splitlines()[-1])


@pytest.mark.end_to_end
def test_exchange_that_ends_under_us_ends_the_process(tmp_path: Path) -> None:
    """Without the embedded exchange there is nothing to guard and nothing to wait for."""
    with started(tmp_path, "run", "--no-ui") as process:
        eventually(lambda: "ARMED" in events_of(tmp_path), timeout_s=15)
        os.kill(children_of(process)[0], signal.SIGKILL)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "the embedded exchange ended" in err
