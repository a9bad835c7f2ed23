"""Commands typed in other shells, against a monitor that runs as its own process beside an exchange of the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from base.app.account_folder import AccountFolder
from base.simulator.server import SimulatorServer
from tests.app.loopback import log_of
from tests.support import eventually

HELD = 2
"""Positions of the account that is guarded: both are armed before a test goes on."""
ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
exchange:
  environment: custom
  rest_url: {sim.rest_url}
  websocket_url: {sim.websocket_url}
  key_id: {sim.key_id}
  private_key_path: {sim.private_key_path}
execution: live
stops: {{check_interval_s: 0.2, default: {{stop: "0.40"}}}}
paths: {{data: {folder}/data, logs: {folder}/logs, emergency: {folder}/emergency}}
"""


class Running:
    """``run``: the parent, and the child that guards."""

    def __init__(self, shells: Shells):
        self._process = subprocess.Popen(
            shells.words("run", "--no-ui"), cwd=shells.folder, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def kill(self) -> None:
        """Kill both at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Shells:
    """One installation: its settings, the monitor as a process, and commands."""

    def __init__(self, folder: Path, sim: SimulatorServer):
        self.folder = folder
        self.config = folder / "config.yaml"
        self.config.write_text(CONFIG.format(sim=sim, folder=folder))

    def words(self, *words: str) -> list[str]:
        """A command line."""
        return [sys.executable, str(ROOT / "run.py"), *words, "--config", str(self.config)]

    @contextmanager
    def monitor(self) -> Iterator[Running]:
        """The monitor, guarding; killed at the end if it is still there."""
        running = Running(self)
        try:
            eventually(lambda: self.events.count("ARMED") >= HELD and self.is_listening, timeout_s=20)
            yield running
        finally:
            running.kill()

    @property
    def guard(self) -> int:
        """The process that holds the account's lock, or held it last."""
        (folder,) = (self.folder / "data").glob("custom-*")
        owner = AccountFolder(folder).owner()
        assert owner is not None
        return owner.pid

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Type a command and do not wait for it."""
        return subprocess.Popen(
            self.words(*words), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            # As a terminal has it: what a shell starts in the background ignores Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def type(self, *words: str, stdin: int | None = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        """Type a command and wait for its end."""
        return subprocess.run(
            self.words(*words), cwd=self.folder, stdin=stdin, capture_output=True, text=True, timeout=60,
            check=False, env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip

    def json(self, *words: str) -> list[dict[str, Any]]:
        """Its lines of JSON."""
        return [json.loads(line) for line in self.type(*words, "--json").stdout.splitlines()]

    @property
    def is_listening(self) -> bool:
        """Whether the monitor takes commands."""
        return any((self.folder / "data").rglob("control.sock"))

    @property
    def log(self) -> list[str]:
        """Lines of the stop-loss log."""
        return log_of(self.folder)

    @property
    def events(self) -> list[str]:
        """Their names."""
        return [line.split()[1] for line in self.log]
