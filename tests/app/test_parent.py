"""The parent of ``run`` and real children: what ends with them, what is started again, and who is killed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.reference import ROOT
from tests.support import eventually

PROGRAM = """
import os, signal, sys, threading, time
from decimal import Decimal
from pathlib import Path
from base.app import parent
from base.app.config import Config
from base.app.parent import Child, Parent
from base.app.waited_signals import FORWARDED
from base.clock import SystemClock
from base.errors import ConfigError
from base.risk.views import Tally

parent.SILENT_S, parent.FIRST_PAUSE_S, parent.STOP_S = 1.5, 0.1, 1.5
folder, seconds = Path(sys.argv[1]), float(sys.argv[2]) or None
exchange = {"environment": "custom", "rest_url": "http://127.0.0.1:1/x", "websocket_url": "ws://127.0.0.1:1/x"}

def settings():
    if (folder / "spoiled").exists():
        raise ConfigError("stops", "is spoiled")
    if (folder / "changed").exists():
        exchange["rest_url"] = "http://127.0.0.1:2/x"
        return Config.model_validate({"exchange": exchange, "stops": {"stale_after_s": Decimal(30)}})
    return Config.model_validate({"exchange": exchange})

def live(child):
    '''Say what is heard, beat, and do what the test says.'''
    def say(what):
        with (folder / "said").open("a") as file:
            file.write(f"{os.getpid()} {what}\\n")
    def beat():
        while True:
            child.board.beat(clock.boot_s(), held=2)
            time.sleep(0.05)
    def end(number, frame):
        say(signal.Signals(number).name)
        if "deaf" not in sys.argv:
            os._exit(0)
    clock = SystemClock()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, lambda number, frame: say("SIGHUP"))
    threading.Thread(target=beat, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    say(f"born deaths={child.deaths} safe={child.is_safe}")
    for word in sys.argv[3:]:
        name, _, value = word.partition("=")
        if name == "guard":
            child.board.guards_now()
        elif name == "count":
            child.board.count(Tally(triggered=2, filled=1, closed=1, profit=Decimal("-1.25"), alarms=3))
        elif name == "once" and child.deaths:
            break
        elif name == "tell":
            say(f"{child.config.exchange.rest_url} {child.config.stops.stale_after_s:g}")
        elif name == "exit":
            os._exit(int(value))
        elif name == "kill":
            os.kill(os.getpid(), int(value))
        elif name == "sleep":
            time.sleep(float(value))
        elif name == "hold":  # the interpreter, in a C call
            import ctypes
            ctypes.PyDLL(None).sleep(int(value))
    while not child.is_orphan and not (child.end_s and clock.boot_s() >= child.end_s):
        time.sleep(0.05)
    say("orphan" if child.is_orphan else "over")
    os._exit(0)

born = Parent(settings, seconds).run()
sys.exit(born) if isinstance(born, int) else live(born)
"""


class Family:
    """A parent, and what its children said."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]):
        self._folder = folder
        self.process = process

    @property
    def said(self) -> list[tuple[int, str]]:
        """Process and words, in order."""
        path = self._folder / "said"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(line.partition(" ")[0]), line.partition(" ")[2]) for line in lines]

    @property
    def words(self) -> list[str]:
        """The words alone."""
        return [words for _, words in self.said]

    def child(self, number: int = 1) -> int:
        """Wait for the birth of the ``number``-th child; return its process."""
        eventually(lambda: len(self._born()) >= number, timeout_s=10)
        return self._born()[number - 1]

    def _born(self) -> list[int]:
        return [pid for pid, words in self.said if words.startswith("born")]

    def end(self, timeout_s: float = 10) -> tuple[int, str, str]:
        """Wait for the parent's end: exit status, stdout, stderr."""
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err


@contextmanager
def family(
    folder: Path, *words: str, seconds: float = 0, environ: dict[str, str] | None = None
) -> Iterator[Family]:
    """A parent whose children do what ``words`` say, one after the other, and then live on."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(seconds), *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, **(environ or {})},
    )  # fmt: skip
    try:
        yield Family(folder, process)
    finally:
        for number in (signal.SIGKILL, signal.SIGCONT):
            with_group(process.pid, number)
        process.communicate()


def with_group(pid: int, number: int) -> None:
    """Signal parent and children together."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


@pytest.mark.parametrize(
    ("words", "status", "births"),
    [
        pytest.param(("guard", "exit=0"), 0, 1, id="a clean end is the end"),
        pytest.param(("exit=2",), 2, 1, id="a person must act: not started again"),
        pytest.param(("guard", "once", "exit=1"), None, 2, id="one that guarded and failed is"),
        pytest.param(("once", "exit=3"), None, 2, id="one that crashed, wherever, is"),
        pytest.param(("guard", "once", "kill=9"), None, 2, id="one that was killed is"),
        pytest.param(("once", "kill=9"), None, 2, id="killed while it started"),
        pytest.param(("exit=1",), 1, 1, id="one that could never start ends with what it said"),
    ],
)
def test_what_is_started_again(
    tmp_path: Path, words: tuple[str, ...], status: int | None, births: int
) -> None:
    """A death is; an end, and what only a person can mend, is not."""
    with family(tmp_path, *words) as found:
        if status is None:
            found.child(births)
            found.process.send_signal(signal.SIGTERM)
        assert found.end()[0] == (status or 0)
        assert len([word for word in found.words if word.startswith("born")]) == births


def test_configuration_error_of_a_later_child_ends_it_and_says_what_that_means(tmp_path: Path) -> None:
    """A key that was revoked meanwhile, for instance: nobody guards now."""
    later = ("guard", "sleep=0.3", "kill=9")
    with family(tmp_path, *later) as found:
        found.child(1)
        (tmp_path / "spoiled").touch()
        found.child(2)
        found.process.send_signal(signal.SIGTERM)
        status, _, err = found.end()
    assert status == 0
    assert (
        "The monitor died (SIGKILL). It is started again in 0.1 s; until then 2 positions are UNPROTECTED."
        in err
    )
    assert "stops: is spoiled\nThe settings read before stay in force." in err


def test_settings_that_changed_meanwhile_hold_as_far_as_they_would_without_a_restart(tmp_path: Path) -> None:
    """The stops of now; never another exchange or account than the one that was started with."""
    with family(tmp_path, "guard", "tell", "sleep=0.3", "once", "kill=9") as found:
        found.child(1)
        (tmp_path / "changed").touch()
        eventually(lambda: "http://127.0.0.1:1/x 30" in found.words)
        assert "http://127.0.0.1:1/x 60" in found.words


def test_third_death_within_a_minute_leaves_one_that_only_protects(tmp_path: Path) -> None:
    """And so it stays; the pause between two grows, but not beyond what is promised."""
    with family(tmp_path, "guard", "kill=9") as found:
        found.child(5)
        assert [word.partition(" ")[2] for word in found.words if word.startswith("born")][:5] == [
            "deaths=0 safe=False", "deaths=1 safe=False", "deaths=2 safe=False", "deaths=3 safe=True",
            "deaths=4 safe=True",
        ]  # fmt: skip
        found.process.send_signal(signal.SIGTERM)
        status, _, err = found.end()
    assert status == 0
    assert "in 0.1 s" in err
    assert "in 0.8 s" in err


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("guard", "once", "kill=19"), id="stopped"),
        pytest.param(("guard", "once", "hold=30"), id="interpreter held by a C call"),
    ],
)
def test_silent_child_is_killed_and_followed_by_another(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Whatever keeps it: it says nothing, so it guards nothing."""
    with family(tmp_path, *words) as found:
        first, second = found.child(1), found.child(2)
        assert first != second
        assert not Path(f"/proc/{first}").exists()
        found.process.send_signal(signal.SIGTERM)
        status, _, err = found.end()
    assert status == 0
    assert "The monitor has been silent for 1.5 s: it is killed." in err


def test_parent_that_was_stopped_as_well_kills_nobody(tmp_path: Path) -> None:
    """SIGSTOP of all of them, or suspend: the same child goes on."""
    with family(tmp_path, "guard") as found:
        child = found.child(1)
        os.kill(child, signal.SIGSTOP)
        time.sleep(0.5)  # its last beat is heard
        found.process.send_signal(signal.SIGSTOP)
        time.sleep(2.0)
        found.process.send_signal(signal.SIGCONT)
        time.sleep(0.6)  # the parent looks before its child runs again
        with_group(found.process.pid, signal.SIGCONT)
        found.process.send_signal(signal.SIGTERM)
        status, _, err = found.end()
        assert [pid for pid, _ in found.said] == [child, child]
    assert (status, err) == (0, "")


def test_signals_reach_the_child_once(tmp_path: Path) -> None:
    """SIGHUP is passed on; Ctrl-C at a terminal comes to the whole group and ends the child cleanly."""
    with family(tmp_path, "guard") as found:
        found.child(1)
        found.process.send_signal(signal.SIGHUP)
        eventually(lambda: "SIGHUP" in found.words)
        with_group(found.process.pid, signal.SIGINT)
        assert found.end()[0] == 0
        assert found.words[1:] == ["SIGHUP", "SIGTERM"]


def test_second_signal_ends_it_at_once_and_says_what_that_means(tmp_path: Path) -> None:
    """The child had no time to say it."""
    with family(tmp_path, "guard", "deaf", seconds=0) as found:
        found.child(1)
        found.process.send_signal(signal.SIGTERM)
        eventually(lambda: "SIGTERM" in found.words)
        began_s = time.monotonic()
        found.process.send_signal(signal.SIGINT)
        status, _, err = found.end()
    assert time.monotonic() - began_s < 1.0
    assert (status, err) == (130, "2 positions are now UNPROTECTED\n")


def test_child_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """Five seconds are promised."""
    with family(tmp_path, "guard", "deaf") as found:
        found.child(1)
        found.process.send_signal(signal.SIGTERM)
        status, _, err = found.end(timeout_s=4)
    assert (status, err) == (0, "2 positions are now UNPROTECTED\n")


def test_signal_between_two_children_ends_it(tmp_path: Path) -> None:
    """Nobody is started any more."""
    with family(tmp_path, "guard", "kill=9") as found:
        found.child(4)
        eventually(lambda: not Path(f"/proc/{found.child(4)}").exists())
        found.process.send_signal(signal.SIGTERM)
        status, _, err = found.end(timeout_s=3)
    assert status == 0
    assert err.endswith("2 positions are now UNPROTECTED\n")


def test_orphan_lives_on_and_knows_it(tmp_path: Path) -> None:
    """A parent that was killed takes nobody along: guarding alone is better than not guarding."""
    with family(tmp_path, "guard") as found:
        child = found.child(1)
        found.process.kill()
        found.process.wait()
        eventually(lambda: (child, "orphan") in found.said)


def test_time_and_sum_hold_over_a_restart(tmp_path: Path) -> None:
    """``--for`` counts from the first start; what a killed child had counted is not lost."""
    began_s = time.monotonic()
    with family(tmp_path, "guard", "count", "once", "kill=9", seconds=2) as found:
        status, out, _ = found.end()
    assert 2.0 <= time.monotonic() - began_s < 4.0
    assert status == 0
    assert json.loads(out) == {
        "summary": {"triggered": 4, "filled": 2, "closed": 2, "profit": "-2.5000", "alarms": 6}
    }


def test_service_manager_is_told(tmp_path: Path) -> None:
    """sd_notify: ready when positions are guarded, alive while it is, stopping when it is to end."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(5)
        environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}
        with family(tmp_path, "sleep=0.5", "guard", environ=environ) as found:
            said = [manager.recv(100)]
            while said[-1] != b"READY=1":
                said.append(manager.recv(100))
            assert set(said) == {b"WATCHDOG=1", b"READY=1"}
            found.process.send_signal(signal.SIGTERM)
            assert found.end()[0] == 0
        manager.setblocking(False)
        left = [manager.recv(100)]
        while left[-1] != b"STOPPING=1":
            left.append(manager.recv(100))
        assert b"READY=1" not in left


def test_output_that_nobody_reads_does_not_hold_up_the_parent(tmp_path: Path) -> None:
    """A pipe that is full costs the words."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write, True)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), "0", "guard", "once", "kill=9"], cwd=ROOT, stderr=write
    ) as process:
        found = Family(tmp_path, process)  # type: ignore[arg-type]
        found.child(2)
        process.terminate()
        assert process.wait(timeout=5) == 0
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_death_of_a_child_is_told_below_its_screen(tmp_path: Path, is_terminal: bool) -> None:
    """Its cursor stands behind the last row; a file of lines gets no empty ones."""
    ours, theirs = pty.openpty() if is_terminal else os.pipe()
    words = [sys.executable, "-c", PROGRAM, str(tmp_path), "0.6", "guard", "once", "kill=9"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs) as process:
        process.communicate(timeout=20)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes there any more
        while some := os.read(ours, 4096):
            said += some
    os.close(ours)
    assert said.startswith(b"\r\nThe monitor died" if is_terminal else b"The monitor died")
