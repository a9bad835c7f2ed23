"""Handing over and taking over: whom a command asks, whom it kills, and whom it leaves alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from base.app.account_folder import AccountFolder
from base.app.beats import Beat, newest_beat
from base.app.config import Config
from base.app.control import ControlServer, NotRunning
from base.app.embedded import Reached, is_listening, note_reached, reached_in
from base.app.heartbeat_file import HeartbeatFile
from base.app.lock_owner import LockOwner
from base.app.reach import Reach
from base.app.show import why_silent
from base.errors import ConfigError, MonitorError
from tests.support import FakeClock

SIMULATED = Config.model_validate({"exchange": {"environment": "simulated"}})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[AccountFolder]:
    """A folder that this process guards."""
    folder = AccountFolder(tmp_path / "simulated-0123")
    folder.claim()
    yield folder
    folder.release()


@pytest.fixture
def told() -> list[str]:
    """What a person is told."""
    return []


class Impatient(FakeClock):
    """Each look at it takes a second of the boot clock."""

    def boot_s(self) -> float:
        """Seconds."""
        self.advance(1.0)
        return super().boot_s()


def reach_of(folder: AccountFolder, told: list[str], clock: FakeClock | None = None) -> Reach:
    """A command in another shell: a folder object of its own."""
    reach = Reach(SIMULATED, AccountFolder(folder.path), told.append, clock)
    reach.pause = lambda seconds: None  # type: ignore[method-assign]
    return reach


def test_process_that_answers_is_asked(folder: AccountFolder, told: list[str]) -> None:
    """Nothing is taken over from it."""
    server = ControlServer(folder, {"retry": lambda arguments: [{"word": "done", **arguments}]})
    server.start()
    reach = reach_of(folder, told)
    assert reach.ask("retry", {"ticker": "A"}) == [{"word": "done", "ticker": "A"}]
    assert (reach.has_taken_over, told) == (False, [])
    server.stop(2.0)


def test_what_the_process_refuses_is_an_error(folder: AccountFolder, told: list[str]) -> None:
    """A refusal is an answer: nobody is killed for it."""
    server = ControlServer(folder, {})
    server.start()
    with pytest.raises(MonitorError, match="there is no command 'retry'"):
        reach_of(folder, told).ask("retry", {})
    server.stop(2.0)


@pytest.mark.parametrize("answer", [[{"word": "silent"}], None])
def test_stranger_with_its_number_is_not_killed(folder: AccountFolder, told: list[str], answer: Any) -> None:
    """Its monitor hangs, or nobody listens; the number in the lock is not that of who holds it."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        folder.lock.write_text(f"{stranger.pid} {LockOwner.this_process().boot_id}\n")
        os.utime(folder.lock, (1_000_000_000, 1_000_000_000))
        server = ControlServer(folder, {"retry": lambda arguments: answer}) if answer else None
        if server is not None:
            server.start()
        with pytest.raises(MonitorError, match="cannot be proven to hold"):
            reach_of(folder, told).ask("retry", {})
        if server is not None:
            server.stop(2.0)
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("is_ending", [False, True])
def test_process_whose_heart_beats_is_not_killed_while_it_may_answer(
    folder: AccountFolder, told: list[str], is_ending: bool
) -> None:
    """It is asked again for ten seconds: this process is the owner here, and it lives to tell.

    One that ends has said so and answers no more: another press of a flatten that has just sold.
    """
    clock = FakeClock()
    heart = HeartbeatFile(folder.heartbeat, clock)
    heart.write()
    if is_ending:
        heart.stop(1.0)
        os.utime(folder.lock, (1.0, 1.0))  # taken long ago
    pauses: list[float] = []
    reach = reach_of(folder, told, clock)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            folder.release()  # it ends by itself

    reach.pause = pause  # type: ignore[method-assign]
    with pytest.raises(NotRunning, match="process not running"):  # no embedded exchange to go on with
        reach.ask("retry", {})
    assert (len(pauses), told) == (3, [])


def test_place_that_cannot_be_taken_is_given_up(folder: AccountFolder, told: list[str]) -> None:
    """Whoever is writing its name into the lock for a minute is nobody to wait for."""
    folder.lock.write_text("")
    reach = reach_of(folder, told, Impatient())
    reach._claims = lambda: False  # type: ignore[method-assign]
    with pytest.raises(NotRunning, match="its place cannot be taken"):
        reach.ask("retry", {})


def test_folder_that_cannot_be_written_is_said_so(tmp_path: Path, told: list[str]) -> None:
    """No process is in the way there."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        reach_of(AccountFolder(tmp_path / "file" / "account"), told).ask("retry", {})


def test_who_does_not_answer_is_told_apart(folder: AccountFolder) -> None:
    """Nothing runs; it starts, or never began to listen; its heart stands still."""
    error = NotRunning("process not running")
    if not Path("/proc/locks").exists():
        pytest.skip("needs the kernel's table of locks: Linux")
    assert "is starting, or hangs" in why_silent(folder, error)
    HeartbeatFile(folder.heartbeat, FakeClock(boot_s=1.0)).write()
    assert f"process {os.getpid()} does not answer; its newest heartbeat is" in why_silent(folder, error)
    folder.release()
    assert why_silent(folder, error) == "process not running"


def test_where_the_embedded_exchange_listens_is_kept_for_its_owner(tmp_path: Path) -> None:
    """Mode 0600; what cannot be read is as if nothing stood there."""
    file = tmp_path / "exchange.json"
    reached = Reached(rest_url="http://a", websocket_url="ws://a", key_id="k", private_key_path="p")
    assert reached_in(file) is None
    note_reached(file, reached)
    assert reached_in(file) == reached
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
    file.write_text('{"rest_url": "http://a"}')
    assert reached_in(file) is None


@pytest.mark.parametrize("command", ["flatten", "retry", "cancel"])
def test_embedded_exchange_that_ended_is_not_dialled(tmp_path: Path, told: list[str], command: str) -> None:
    """It ended with its monitor: said at once, and the account's lock is free again."""
    folder = AccountFolder(tmp_path / "simulated-0123")
    folder.path.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/trade-api/v2"
        reached = Reached(rest_url=address, websocket_url="ws://a", key_id="k", private_key_path="p")
        assert is_listening(reached)
    note_reached(folder.exchange, reached)
    began_s = time.monotonic()
    with pytest.raises(NotRunning, match="ended with its monitor: start `python run"):
        reach_of(folder, told).ask(command, {"ticker": "A"})
    assert time.monotonic() - began_s < 5.0
    folder.claim()
    folder.release()


def test_newest_beat_is_read_by_others(tmp_path: Path) -> None:
    """When it was, and whose; what is no beat is none."""
    path, clock = tmp_path / "heartbeat", FakeClock(boot_s=12.5)
    assert newest_beat(path) is None
    HeartbeatFile(path, clock).write()
    assert newest_beat(path) == Beat(12.5, LockOwner.this_process())
    path.write_text("soon - 12\n")
    assert newest_beat(path) is None
