"""The command line: where options may stand, what is refused, and with which exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from base.app import cli

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("2", "abc", "-0.1", "25", "0", "1", "", "0.25 ", "nan", "1e-1")


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        pytest.param([], ["run"], id="nothing"),
        pytest.param(["--for", "3"], ["run", "--for", "3"], id="options of run"),
        pytest.param(
            ["--set", "a.b=1", "--no-ui"], ["--set", "a.b=1", "run", "--no-ui"], id="common, then run's"
        ),
        pytest.param(["--set=a.b=1"], ["--set=a.b=1", "run"], id="joined by a sign"),
        pytest.param(["--config", "x", "status"], ["--config", "x", "status"], id="named after options"),
        pytest.param(["status", "--json"], ["status", "--json"], id="named"),
        pytest.param(["--help"], ["--help"], id="help"),
        pytest.param(["staus"], ["staus"], id="mistyped name is not for run"),
    ],
)
def test_run_is_the_default_command(typed: list[str], understood: list[str]) -> None:
    """Without a command's name the options are those of run."""
    assert cli.with_default_command(typed) == understood


def test_options_before_and_after_the_name_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """--config, --set and --log-level are understood on both sides; the later wins."""
    seen: list[cli.Common] = []

    def fake(common: cli.Common, *, as_json: bool) -> int:
        seen.append(common)
        return 1

    monkeypatch.setattr("base.app.show.show_status", fake)
    status = cli.main(
        ["--config", "a", "--set", "x=1", "--log-level", "debug", "status", "--config", "b", "--set", "y=2"]
    )
    assert status == 1
    assert seen == [cli.Common(config=Path("b"), overrides=("x=1", "y=2"), log_level=cli.LogLevel.DEBUG)]


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param(["staus"], id="unknown command"),
        pytest.param(["--bogus"], id="unknown option"),
        pytest.param(["run", "--for", "soon"], id="wrong number"),
        pytest.param(["run", "--for", "-1"], id="negative time"),
        pytest.param(["run", "--for", "nan"], id="no number"),
        pytest.param(["--log-level", "loud", "status"], id="unknown level"),
        pytest.param(["--config", "none.yaml", "status"], id="missing settings"),
        pytest.param(["status", "--set", "stop_lose=1"], id="unknown setting"),
        pytest.param(["replay"], id="missing argument"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(
    typed: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong usage or configuration: a sentence on stderr, nothing on stdout, exit status 2."""
    monkeypatch.chdir(ROOT)
    assert cli.main(typed) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "typed",
    [
        *[pytest.param(["flatten", "KXA", "--yes", "--floor", p], id=f"floor {p}") for p in FLOORS],
        *[pytest.param([command, ""], id=command) for command in ("flatten", "retry", "cancel", "explain")],
        pytest.param(["flatten", "", "--yes"], id="surely nothing"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anybody_is_reached(
    typed: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sentence names what is wrong and what to write; not even the settings are looked for."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(typed) == 2
    out, err = capsys.readouterr()
    if "--floor" in typed:
        begin = "--floor: should be a price in dollars between 0 and 1, e.g. --floor 0.25; not"
    else:
        begin = "TICKER: '' is no name of a market or series, such as KXBTC15M"
    assert (out, err.startswith(begin), err.count("\n")) == ("", True, 1)


@pytest.mark.parametrize("command", ["status", "positions"])
@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_no_process_is_status_1(
    command: str,
    extra: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing runs, nothing is guarded: status 1 and the words say so."""
    monkeypatch.chdir(tmp_path)
    assert cli.main([command, *extra, "--config", str(ROOT / "config.yaml")]) == 1
    assert "process not running" in capsys.readouterr().err


def test_status_of_an_account_without_a_key_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside the embedded exchange the account must be known to be asked about."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KALSHI_API_KEY_ID", raising=False)
    options = ["--config", str(ROOT / "config.yaml"), "--set", "exchange.environment=demo"]
    assert cli.main(["status", *options]) == 2
    assert "KALSHI_API_KEY_ID" in capsys.readouterr().err
    monkeypatch.setenv("KALSHI_API_KEY_ID", "some-key")
    assert cli.main(["status", *options]) == 1


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start a fresh interpreter in the project's folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_missing_packages_are_named_with_what_to_type() -> None:
    """Without its packages the program says in one sentence what to type."""
    done = run_python(
        "-I", "-S", "-c", "import sys, runpy; sys.path.insert(0, '.'); runpy.run_path('run.py')"
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install -r requirements.txt" in done.stderr


def test_status_does_not_load_what_it_does_not_need() -> None:
    """``status`` must answer at once: neither the network stack nor the simulator is imported for it."""
    code = (
        "import sys; from base.app import cli; cli.main(['status', '--set', 'paths.data=/nonexistent']);"
        "print([m for m in ('requests', 'websocket', 'uvicorn', 'base.risk.stop_loss') if m in sys.modules])"
    )
    done = run_python("-c", code)
    assert done.stdout == "[]\n"


def test_help_names_every_command() -> None:
    """``--help`` shows what there is."""
    done = run_python("run.py", "--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("run", "simulate", "replay", "status", "positions"))


def test_halt_works_without_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The switch is a file: it holds from the next start on, and resume takes it away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KALSHI_API_KEY_ID", "some-key")
    options = ["--config", str(ROOT / "config.yaml"), "--set", "exchange.environment=demo"]
    assert cli.main(["halt", *options]) == 0
    assert len(list(tmp_path.glob("data/demo-*/HALT"))) == 1
    assert cli.main(["resume", *options]) == 0
    assert list(tmp_path.glob("data/demo-*/HALT")) == []
    assert "process not running" in capsys.readouterr().err
    for command, is_halted in (("halt", True), ("resume", False)):
        assert cli.main([command, "--json", *options]) == 0
        assert json.loads(capsys.readouterr().out) == {"halted": is_halted, "running": False}


def test_halt_before_the_first_run_has_no_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The embedded exchange makes one with its first run: status 1, and nothing claims to be halted."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["halt", "--json", "--config", str(ROOT / "config.yaml")]) == 1
    assert capsys.readouterr() == ("", "process not running\n")
