"""Alarms from the running app to an alert channel, and the command that tries the channels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from base.app import alarms_command, cli
from base.app.config import AlertsConfig, Config
from base.simulator.server import SimulatorServer
from base.ui import bulletins
from base.ui.alarm_words import WORDS
from tests.app.loopback import TICKER, log_of, running_app, stage_market, state_in
from tests.support import eventually
from tests.ui.receivers import fail, hang, receiving

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.wide
def test_an_alarm_of_the_monitor_reaches_the_channel_within_five_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A position found below its stop: told, told to be over once a price saves it, and the end of all."""
    monkeypatch.setattr(bulletins, "OVER_S", 1.0)
    with SimulatorServer() as sim, receiving() as receiver, receiving() as service:
        stage_market(sim)
        sim.set_book(TICKER, yes=[("0.20", "500")], no=[("0.78", "500")])
        sim.set_position(TICKER, "10", "0.60")
        heartbeat = service.url.replace("json", "http")
        alerts = {"urls": (receiver.url,), "heartbeat_url": heartbeat, "heartbeat_interval_s": 1}
        with running_app(sim, tmp_path, alerts=alerts) as app:
            eventually(lambda: any(" ALARM " in line for line in log_of(tmp_path)), timeout_s=8)
            eventually(lambda: receiver.messages, timeout_s=5)
            assert receiver.bodies[0].startswith(f"ALARM {TICKER}:unprotected_")
            assert receiver.bodies[0].endswith("side=yes")  # as the line in the log says
            eventually(lambda: service.paths, timeout_s=5)
            sim.set_book(TICKER, yes=[("0.54", "500")], no=[("0.44", "500")])
            eventually(lambda: state_in(app) == "ARMED", timeout_s=8)
            eventually(lambda: any("OVER" in body for body in receiver.bodies), timeout_s=10)
        assert receiver.bodies[-1] == "The monitor ended: 1 positions are now UNPROTECTED"
    said = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*.log"))
    assert "SECRET" not in said


@pytest.fixture
def type_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Type `alarms test` with these channels."""

    def typed(*urls: str, options: tuple[str, ...] = ()) -> int:
        monkeypatch.chdir(tmp_path)
        Path("config.yaml").write_text(json.dumps({"alerts": {"urls": list(urls)}}))
        return cli.main(["alarms", "test", *options])

    return typed


def test_every_channel_is_tried_and_said(
    type_it, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once: what works, what fails and what hangs; one that fails is exit status 1."""
    monkeypatch.setattr(alarms_command, "SEND_S", 0.5)
    with receiving() as good, receiving(fail) as bad, receiving(hang) as slow:
        assert type_it(good.url) == 0
        assert capsys.readouterr().out == "alerts.urls[0] (json): taken\n"
        assert type_it(slow.url, good.url, bad.url, options=("--json",)) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        {"channel": "alerts.urls[0] (json)", "ok": False, "why": "no answer in time"},
        {"channel": "alerts.urls[1] (json)", "ok": True, "why": None},
        {"channel": "alerts.urls[2] (json)", "ok": False, "why": "the service did not take it"},
    ]
    assert good.messages[0]["title"] == "Stop-loss: this is a test"


@pytest.mark.parametrize(
    ("urls", "said"),
    [((), "alerts.urls: names no channel"), (("x-SECRET",), "alerts.urls[0]: is no alert channel")],
)
def test_nothing_to_try_is_wrong(
    type_it, capsys: pytest.CaptureFixture[str], urls: tuple[str, ...], said: str
) -> None:
    """Exit status 2 and one sentence."""
    assert type_it(*urls) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(said)
    assert "SECRET" not in err


@pytest.mark.parametrize(
    "setting",
    [
        "--set=alerts.urls: tgram://SECRET",
        "--set=tgram://SECRET",
        "--set=alerts.urls=tgram://SECRET",
        "--set=alerts={'tgram://SECRET': 1}",
        "--set=alerts.urls=['tgram://SECRET'",
        "--set=alerts=tgram://SECRET",
        "--set=alerts.urls=[{'tgram://SECRET': 1}]",
        "--set=alerts.urls={'tgram://SECRET': 1}",
    ],
)
def test_a_mistyped_setting_shows_no_token(capsys: pytest.CaptureFixture[str], setting: str) -> None:
    """Complaints repeat what was typed, but never an address."""
    assert cli.main(["alarms", "test", "--config", str(ROOT / "config.yaml"), setting]) == 2
    assert "SECRET" not in capsys.readouterr().err


def test_settings_that_are_printed_show_no_address() -> None:
    """In a traceback or a debugger, for one."""
    alerts = AlertsConfig(urls=("tgram://SECRET",), heartbeat_url="https://hc.example/SECRET")
    assert "SECRET" not in repr(Config(alerts=alerts))


def test_every_alarm_that_is_raised_has_words_and_a_row_on_the_page() -> None:
    """Whoever is woken by it must be able to look it up."""
    raised = set()
    for path in (ROOT / "base").rglob("*.py"):
        text = path.read_text()
        raised |= set(re.findall(r'\bring\(\s*"(\w+)"', text))
        unprotected = re.findall(r'(?:\.unprotected|raise Impossible)\(\s*"(\w+)"', text)
        raised |= {f"unprotected_{word}" for word in unprotected}
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert len(raised) > 20
    assert raised - {"unprotected_market_state"} <= set(WORDS)
    assert set(WORDS) <= rows
