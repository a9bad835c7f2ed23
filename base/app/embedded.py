"""The embedded exchange: a process of its own, started with the monitor and ended after it."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from base.app.account_folder import drop_old_runs, folder_of, note_current
from base.app.config import SimulatorConfig
from base.errors import ConfigError
from base.kalshi.auth import account_hash

READY_S = 20.0
STOP_S = 2.0
CONNECT_S = 1.0
_SOURCE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Where it listens and who we are there: its first line."""

    rest_url: str
    websocket_url: str
    key_id: str
    private_key_path: str


def note_reached(file: Path, reached: Reached) -> None:
    """Write down where it listens, for a command that takes over from a process that hangs. Mode 0600."""
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.touch(mode=0o600)
    new.write_text(json.dumps(asdict(reached)), encoding="utf-8")
    new.replace(file)


def reached_in(file: Path) -> Reached | None:
    """Read what ``note_reached`` wrote; ``None``: nothing that can be read."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return Reached(**{name: str(said[name]) for name in Reached.__slots__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_listening(reached: Reached) -> bool:
    """Whether anything accepts connections there. One try: on this machine a live one takes it at once."""
    parts = urlsplit(reached.rest_url)
    try:
        with socket.create_connection((parts.hostname, parts.port), CONNECT_S):
            return True
    except (OSError, ValueError):
        return False


class EmbeddedExchange:
    """Started by ``start``; ends by itself if this process dies first."""

    def __init__(self, settings: SimulatorConfig, data: Path, logs: Path):
        self._settings = settings
        self._data = data
        self._log = logs / "simulator.log"
        self._process: subprocess.Popen[str] | None = None
        self.key_folder: Path | None = None

    def start(self) -> Reached:
        """Start it with a new key and wait until it accepts connections.

        Raises:
            ConfigError: It did not start; the sentence is its own.
        """
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self.key_folder = Path(tempfile.mkdtemp(prefix="simulated-key-", dir=self._data))
            with self._log.open("w", encoding="utf-8") as log:
                self._process = self._launch(self.key_folder, log.fileno())
        except OSError as e:
            raise ConfigError("paths", f"{e.filename} cannot be written: {e.strerror}") from e
        return self._first_line(self._process)

    def start_account(self, emergency: str | None) -> Reached:
        """Start it; the key lies in the folder of its account, and what old runs left is gone.

        Raises:
            ConfigError: It did not start, or the folder cannot be written.
        """
        reached = self.start()
        folder = folder_of(self._data, "simulated", account_hash(reached.key_id))
        key = folder.path / "key"
        try:
            folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(Path(reached.private_key_path).parent, key)
            moved = replace(reached, private_key_path=str(key / Path(reached.private_key_path).name))
            note_reached(folder.exchange, moved)
            note_current(self._data, folder)
        except OSError as e:
            self.stop()
            raise ConfigError("paths.data", f"{folder.path} cannot be written: {e.strerror}") from e
        drop_old_runs(self._data, emergency)
        return moved

    def _launch(self, key_folder: Path, log: int) -> subprocess.Popen[str]:
        settings = self._settings
        options = {
            "--scenario": settings.scenario,
            "--seed": str(settings.seed),
            "--speed": str(settings.speed or 1),
            "--key-dir": str(key_folder),
            "--parent-pid": str(os.getpid()),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "base.simulator", *(word for pair in options.items() for word in pair)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # Not in our process group: Ctrl-C is for us, and we still speak to it while we end.
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(_SOURCE), os.environ.get("PYTHONPATH", "")]),
            },
        )

    def _first_line(self, process: subprocess.Popen[str]) -> Reached:
        if process.stdout is None:  # it was opened with a pipe: cannot be
            raise ConfigError("simulator", "the embedded exchange has no output")
        readable, _, _ = select.select([process.stdout], [], [], READY_S)
        line = process.stdout.readline() if readable else ""
        try:
            said = json.loads(line)
            return Reached(**{name: str(said[name]) for name in Reached.__slots__})
        except (ValueError, KeyError, TypeError):
            self.stop()
            raise ConfigError(
                "simulator", f"the embedded exchange did not start: {self._last_words()}"
            ) from None

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        said = [line.strip() for line in lines if line.strip()]
        return said[-1] if said else f"it said nothing within {READY_S:g} s"

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it; killed if it does not end within two seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
