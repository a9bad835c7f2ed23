"""Commands while config.yaml is spoiled: whoever runs is reached, whoever does not is not replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from base.app import cli
from base.app.account_folder import AccountFolder, note_current
from base.app.account_settings import account_settings
from base.app.control import ControlServer
from base.app.lock_owner import LockOwner
from base.app.reach import Reach
from base.errors import ConfigError, MonitorError

TYPO = "stops: {defualt: {loss_percent: 50}}"


def spoiled(folder: Path, *lines: str) -> Path:
    """A file of settings with these lines."""
    file = folder / "config.yaml"
    file.write_text("\n".join([*lines, f"paths: {{data: {folder}/data, logs: {folder}/logs}}\n"]))
    return file


def test_mistake_elsewhere_leaves_the_account_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said once, with what it means; what was typed about the account holds."""
    file = spoiled(tmp_path, TYPO, "exchange: {environment: demo}", "strategy: {class: no}")
    settings = account_settings(file, ["exchange.key_id=abc", "strategy.interval_s=5"])
    exchange, paths = settings.config.exchange, settings.config.paths
    assert (exchange.environment, exchange.key_id, paths.data) == ("demo", "abc", f"{tmp_path}/data")
    assert settings.refused is not None
    out, err = capsys.readouterr()
    assert (out, err.count("did you mean default?"), err.count("a monitor that runs goes on")) == ("", 1, 1)


def test_good_file_is_read_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said then."""
    settings = account_settings(spoiled(tmp_path, "stops: {check_interval_s: 1}"), [])
    assert (settings.refused, settings.config.stops.check_interval_s) == (None, 1.0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("lines", "overrides"),
    [
        pytest.param([TYPO, "exchange: {enviroment: demo}"], [], id="typo in the account"),
        pytest.param([TYPO, "exchang: {environment: production}"], [], id="section mistyped"),
        pytest.param([TYPO, "exchange:", "environment: demo"], [], id="section not indented"),
        pytest.param(
            [TYPO, "exchange: {environment: demo}", "key_id: a"], [], id="its last line not indented"
        ),
        pytest.param([TYPO, "kalshi: {environment: demo}"], [], id="another word for it"),
        pytest.param([TYPO, "exchange: {environment: no}"], [], id="trap of YAML"),
        pytest.param(["exchange: {environment: demo}", "exchange: {}"], [], id="twice"),
        pytest.param(["stops: {"], [], id="no YAML"),
        pytest.param(["stops: {check_interval_s: 1}"], ["stop_lose=1"], id="typed wrong"),
        pytest.param([TYPO], ["exchange.enviroment=demo"], id="typed wrong, too"),
    ],
)
def test_doubt_which_account_is_meant_is_refused(
    tmp_path: Path, lines: list[str], overrides: list[str]
) -> None:
    """The embedded exchange is the default: a mistyped word must not lead there."""
    with pytest.raises(ConfigError):
        account_settings(spoiled(tmp_path, *lines), overrides)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["status", "--json"], '"positions": []'),
        (["positions"], "no positions"),
        (["halt"], "entries are halted"),
        (["resume"], "entries are allowed"),
        (["explain", "KXA"], "KXA: asked"),
        (["flatten", "KXA", "--yes"], "KXA: flat"),
        (["retry", "KXA"], "KXA: so"),
        (["cancel", "KXA"], "KXA: so"),
    ],
)
def test_monitor_that_runs_is_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: list[str], said: str
) -> None:
    """It goes on with its old settings, so every command that finds it works."""
    report = {
        "environment": "simulated", "execution": "live", "connected": True, "halted": False,
        "exits_open": 0, "alarms": [], "positions": [],
    }  # fmt: skip

    def not_held(arguments: object) -> None:
        raise MonitorError("KXA: asked")

    answer = {"ticker": "KXA", "subaccount": 0, "word": "done", "said": "so"}
    folder = AccountFolder(tmp_path / "data" / "simulated-0123456789ab")
    folder.claim()
    note_current(tmp_path / "data", folder)
    answers = {name: lambda _: [dict(answer)] for name in ("flatten", "retry", "cancel")}
    others = {"status": lambda _: report, "positions": lambda _: [], "explain": not_held}
    switches = {name: lambda _: {} for name in ("halt", "resume")}
    server = ControlServer(folder, {**answers, **others, **switches})  # type: ignore[arg-type]
    server.start()
    try:
        status = cli.main([*typed, "--config", str(spoiled(tmp_path, TYPO))])
    finally:
        server.stop(2.0)
        folder.release()
    out, err = capsys.readouterr()
    assert (status, said in out + err) == (1 if typed[0] == "explain" else 0, True)
    assert err.count("defualt") == 1


def test_place_is_not_taken_with_refused_settings(tmp_path: Path) -> None:
    """Nobody runs: the mistake is the answer, and the account's lock is free again."""
    refused = ConfigError("stops.defualt", "there is no such setting")
    folder = AccountFolder(tmp_path / "simulated-0123456789ab")
    config = account_settings(spoiled(tmp_path), []).config
    with pytest.raises(ConfigError, match=r"defualt: there is no such setting\. Nobody answers"):
        Reach(config, folder, print, refused=refused).ask("retry", {})
    folder.claim()
    folder.release()


def test_process_that_hangs_is_not_killed_for_a_place_that_cannot_be_taken(tmp_path: Path) -> None:
    """It holds the lock and never answers; this process is the one that would be killed."""
    refused = ConfigError("stops.defualt", "there is no such setting")
    folder = AccountFolder(tmp_path / "simulated-0123456789ab")
    folder.claim()
    assert folder.owner() == LockOwner.this_process()
    os.utime(folder.lock, (1_000_000_000, 1_000_000_000))
    config = account_settings(spoiled(tmp_path), []).config
    with pytest.raises(ConfigError, match=r"defualt: there is no such setting\. Nobody answers"):
        Reach(config, AccountFolder(folder.path), print, refused=refused).ask("retry", {})
    folder.release()
