"""``status`` and ``positions``: what the running monitor says, for people or as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from base.app.account_folder import AccountFolder, current_folder, folder_of
from base.app.account_settings import account_settings
from base.app.beats import newest_beat
from base.app.cli import DONE, NOT_SO, Common
from base.app.config import Config
from base.app.control import NotRunning, ask
from base.app.credentials import key_id_of
from base.app.status_report import is_all_well
from base.clock import SystemClock
from base.errors import ConfigError
from base.kalshi.auth import account_hash

PIPE_WIDTH = 160
"""Characters a table may have where no terminal says how many."""


def show_status(common: Common, *, as_json: bool) -> int:
    """Print the state; exit status 1 if anything is unprotected, an alarm rings, or nothing runs."""
    report = _report(common)
    if report is None:
        return NOT_SO
    if as_json:
        print(json.dumps(report))
    else:
        _print_status(report)
    return DONE if is_all_well(report) else NOT_SO


def show_positions(common: Common, *, as_json: bool) -> int:
    """Print the positions, one JSON object a line with ``as_json``; the exit status is that of ``status``."""
    report = _report(common)
    if report is None:
        return NOT_SO
    if as_json:
        for position in report["positions"]:
            print(json.dumps(position))
    else:
        _print_positions(report)
    return DONE if is_all_well(report) else NOT_SO


def switch_entries(common: Common, *, is_halted: bool, as_json: bool) -> int:
    """Halt or resume entries. The switch is a file, so it works while the process hangs or does not run."""
    folder = account_folder(account_settings(common.config, common.overrides).config)
    is_running = True
    try:
        ask(folder, "halt" if is_halted else "resume")
    except NotRunning as e:
        print(f"{e}: the switch holds from its next start on", file=sys.stderr)
        folder.set_halted(is_halted)
        is_running = False
    if as_json:
        print(json.dumps({"halted": is_halted, "running": is_running}))
    else:
        print("entries are halted; exits go on" if is_halted else "entries are allowed")
    return DONE


def _report(common: Common) -> dict[str, Any] | None:
    """Ask the process; ``None``: it does not answer, which is said."""
    config = account_settings(common.config, common.overrides).config
    folder = account_folder(config)
    try:
        report: dict[str, Any] = ask(folder, "status")
    except NotRunning as e:
        print(why_silent(folder, e), file=sys.stderr)
        for line in _of_journal(folder, is_live=config.is_live):
            print(f"the journal: {line}", file=sys.stderr)
        return None
    return report


def _of_journal(folder: AccountFolder, *, is_live: bool) -> list[str]:
    from base.app.journal_story import last_known  # a status that is answered needs none of it

    return last_known(folder.journal_of(is_live=is_live))


def why_silent(folder: AccountFolder, error: NotRunning) -> str:
    """Nobody answers: tell a process that hangs, or has not begun to listen, from none at all."""
    owner = folder.owner()
    if owner is None or not owner.holds(folder.lock):
        return "process not running"
    beat = newest_beat(folder.heartbeat)
    if beat is None or beat.owner != owner:
        return f"process {owner.pid} is starting, or hangs: {error}"
    age_s = SystemClock().boot_s() - beat.boot_s
    return f"process {owner.pid} does not answer; its newest heartbeat is {age_s:.0f} s old"


def account_folder(config: Config) -> AccountFolder:
    """The folder of the account that the settings mean.

    Raises:
        ConfigError: No key id is set, so no account is meant.
        NotRunning: The embedded exchange never ran here.
    """
    data = Path(config.paths.data)
    if config.is_simulated:
        folder = current_folder(data)
        if folder is None:
            raise NotRunning("process not running")
        return folder
    key_id = key_id_of(config, os.environ)
    if not key_id:
        raise ConfigError("exchange.key_id", "is empty: set it, or KALSHI_API_KEY_ID")
    environment = config.exchange.environment
    return folder_of(data, environment, account_hash(key_id), is_live=config.is_live)


def _print_status(report: dict[str, Any]) -> None:
    from base.ui.screen import plain

    link = "connected" if report["connected"] else "DISCONNECTED"
    print(
        f"{report['environment']}, execution {report['execution']}, {link}, {report['exits_open']} exits open"
    )
    if report["halted"]:
        print("HALTED: no new entries")
    for alarm in report["alarms"]:
        print(f"ALARM {plain(alarm)}")
    _print_positions(report)


def _print_positions(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from base.ui.screen import plain

    if not report["positions"]:
        print("no positions")
        return
    names = ("ticker", "side", "count", "entry", "bid", "trigger", "distance", "profit", "state", "age")
    table = Table(*names, pad_edge=False)
    for position in report["positions"]:
        cells = [*(_cell(position[name]) for name in names[:8]), _state(position), _age(position)]
        style = "red" if position["protection"] == "unprotected" else None
        table.add_row(*(Text(plain(cell)) for cell in cells), style=style)
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def _cell(value: object) -> str:
    return "—" if value is None else str(value)


def _state(position: dict[str, Any]) -> str:
    is_covered = position["protection"] == "covered" or not position["reason"]
    return position["state"] if is_covered else f"{position['state']} ({position['reason']})"


def _age(position: dict[str, Any]) -> str:
    missing = [proof for proof, is_so in position["freshness"].items() if is_so == "not_proven"]
    age = "—" if position["age_ms"] is None else f"{position['age_ms'] / 1000:.1f}s"
    return f"{age}, no {missing[0]}" if missing else age
