"""Hostile surroundings: the key is found nowhere, and what outsiders wrote steers nothing."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.app.account_settings import AccountSettings
from base.app.config import Config
from base.app.hardening import OneLine, plain_lines
from base.app.show import show_status
from base.app.stderr import CurrentStderr, drain
from base.simulator import keys
from base.simulator.server import SimulatorServer
from tests.app.loopback import TICKER, log_of, stage_market
from tests.support import eventually

ROOT = Path(__file__).resolve().parents[2]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
BAD_NAME = "KX\x1b[2J\u202eEVIL\rA"


def in_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )


# --- the key ------------------------------------------------------------------------------------------


def test_a_crash_leaves_no_core() -> None:
    """Its memory holds the key: neither a file nor a program that takes cores gets it, children included."""
    ended = in_process(
        "import os, resource, subprocess, sys\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)\n"
        "from base.app.hardening import forbid_core_dumps\n"
        "forbid_core_dumps()\n"
        "import ctypes\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE))\n"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == 'linux' else 0, flush=True)\n"
        "os.abort()\n"
    )
    assert ended.stdout.splitlines() == ["(0, 0)", "0"]
    assert ended.returncode == -signal.SIGABRT


@pytest.mark.end_to_end
def test_the_key_is_found_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real run at debug level that trades, fails, and crashes: no key, key id or signature in what it left.

    Neither in logs, the journal, what it printed with two tracebacks, nor in what its commands answered.
    """
    signatures: list[str] = []
    real = keys._is_signed

    def noted(key: object, text: bytes, signature: str, semantics: object) -> bool:
        signatures.append(signature)
        return real(key, text, signature, semantics)  # type: ignore[arg-type]

    monkeypatch.setattr(keys, "_is_signed", noted)
    with SimulatorServer() as sim:
        stage_market(sim)
        sim.set_position(TICKER, "10", "0.60")
        key, key_id = Path(sim.private_key_path).read_text(), sim.key_id
        settings = [
            "exchange.environment=custom", f"exchange.rest_url={sim.rest_url}",
            f"exchange.websocket_url={sim.websocket_url}", f"exchange.key_id={key_id}",
            f"exchange.private_key_path={sim.private_key_path}", "execution=live", "strategy.interval_s=0.5",
            "strategy.class=tests.app.strategies:BreaksTheMonitor", f"paths.emergency={tmp_path / 'emergency'}",
        ]  # fmt: skip
        options = ["--config", str(ROOT / "config.yaml"), *(f"--set={setting}" for setting in settings)]

        def typed(*words: str) -> subprocess.Popen[str]:
            return subprocess.Popen(
                [sys.executable, str(ROOT / "run.py"), *words, *options],
                cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip

        run = typed("run", "--no-ui", "--log-level", "debug", "--for", "25")
        said: list[str] = []
        try:
            eventually(lambda: any(" ARMED " in line for line in log_of(tmp_path)), timeout_s=10)
            for words in (["status", "--json"], ["positions"], ["config", "show", "--json"]):
                said += typed(*words).communicate(timeout=20)
            sim.set_book(TICKER, yes=[("0.28", "500"), ("0.27", "500")], no=[("0.70", "500")])
            eventually(lambda: any(" CLOSED " in line for line in log_of(tmp_path)), timeout_s=10)
            if sys.platform == "linux":
                assert resource.prlimit(run.pid, resource.RLIMIT_CORE) == (0, 0)
            (tmp_path / "break-it").touch()
            eventually(lambda: not (tmp_path / "break-it").exists(), timeout_s=5)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(3)  # it ends, unless somebody starts it again
            run.terminate()
            said += run.communicate(timeout=20)
        finally:
            run.kill()
    assert "the strategy has a mistake" in said[-1]
    assert "the monitor was broken on purpose" in said[-1]
    assert "Traceback" in said[-1]
    body = [line for line in key.splitlines() if line and "PRIVATE KEY" not in line]
    assert len(body) > 3
    assert len(signatures) > 10
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.name == "journal.sqlite" for path in left)
    assert not [path for path in left if path.name.startswith("core")]
    everything = b"\n".join([*left.values(), *(text.encode() for text in said)])
    for canary in [
        *body,
        *(line[20:44] for line in body),
        key_id,
        *signatures,
        *(s[:24] for s in signatures),
    ]:
        assert canary.encode() not in everything, canary[:6]


# --- what outsiders wrote -----------------------------------------------------------------------------


@given(st.text())
def test_no_text_steers_a_terminal(text: str) -> None:
    """Whatever is said on stderr: line ends stay, every other control character is written out."""
    shown = plain_lines(text)
    assert not CONTROL.search(shown)
    assert shown.count("\n") == text.count("\n")


def test_stderr_writes_control_characters_out(capsys: pytest.CaptureFixture[str]) -> None:
    """An exchange's refusal that we repeat, for one."""
    CurrentStderr().write(f"refused: {BAD_NAME}\n")
    assert drain(5)
    assert capsys.readouterr().err == "refused: KX\\x1b[2J\\u202eEVIL\\rA\n"


def test_a_log_record_is_one_line() -> None:
    """A message with line ends looks like several, the second one forged; a traceback keeps its lines."""
    format_ = OneLine("%(levelname)s %(message)s").format
    record = logging.makeLogRecord(
        {"msg": "why=%s", "args": ("x\n2026 INFO all is well\x1b[2J",), "levelname": "INFO"}
    )
    assert format_(record) == "INFO why=x\\n2026 INFO all is well\\x1b[2J"
    try:
        raise RuntimeError("one")
    except RuntimeError:
        record = logging.makeLogRecord({"msg": "a\nb", "exc_info": sys.exc_info()})
    lines = format_(record).split("\n")
    assert lines[0].endswith("a\\nb")
    assert lines[-1] == "RuntimeError: one"


def test_status_writes_control_characters_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alarms and positions with a name that would clear the screen."""
    from base.app import show

    position = {
        "ticker": BAD_NAME, "side": "yes", "count": "1.00", "entry": None, "bid": None, "trigger": None,
        "distance": None, "profit": None, "state": "UNPROTECTED", "protection": "unprotected",
        "reason": BAD_NAME, "freshness": {"connection": "proven"}, "age_ms": None,
    }  # fmt: skip
    report = {
        "environment": "demo", "execution": "live", "connected": True, "halted": False, "exits_open": 0,
        "alarms": [f"{BAD_NAME}:stuck"], "positions": [position],
    }  # fmt: skip
    monkeypatch.setattr(show, "ask", lambda folder, command: report)
    monkeypatch.setattr(show, "account_folder", lambda config: None)
    monkeypatch.setattr(show, "account_settings", lambda path, overrides: AccountSettings(Config()))
    from base.app.cli import Common, LogLevel

    common = Common(config=Path("config.yaml"), overrides=(), log_level=LogLevel.INFO)
    for as_json in (False, True):
        show_status(common, as_json=as_json)
        out = capsys.readouterr().out
        assert not CONTROL.search(out)
        assert "EVIL" in out
    assert json.loads(out)["alarms"] == [f"{BAD_NAME}:stuck"]


def test_a_complaint_on_the_command_line_is_plain() -> None:
    """A path is repeated in it."""
    command = [sys.executable, str(ROOT / "run.py"), "status", "--config", f"{BAD_NAME}.yaml"]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False, env=os.environ
    )
    assert ended.returncode == 2
    assert "EVIL" in ended.stderr
    assert not CONTROL.search(ended.stderr)
