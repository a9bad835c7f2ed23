"""The control socket: served quickly, to its owner only, whatever clients do."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.app.account_folder import AccountFolder, connectable
from base.app.control import MOST_CLIENTS, ControlServer, NotRunning, answer_line, ask
from base.errors import ConfigError, MonitorError
from tests.support import eventually


def refuse(arguments: Mapping[str, Any]) -> object:
    """An answer that is none."""
    raise ValueError("no, because")


ANSWERS = {
    "status": lambda _: {"well": True},
    "halt": lambda _: {"halted": True},
    "refuse": refuse,
    "echo": dict,
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[AccountFolder]:
    """A folder that this process owns, with a server in it."""
    folder = AccountFolder(tmp_path / "demo-0123")
    folder.claim()
    server = ControlServer(folder, ANSWERS)
    server.start()
    yield folder
    server.stop(2.0)
    folder.release()


def open_client(folder: AccountFolder) -> socket.socket:
    """Connect as any program of the same user may."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(5.0)
    client.connect(str(connectable(folder.socket)))
    return client


def test_command_is_answered_with_its_id(folder: AccountFolder) -> None:
    """A request line gets one reply line with the same id; several fit on one connection."""
    with open_client(folder) as client:
        client.sendall(b'{"id": "a", "cmd": "status", "args": {}}\n{"id": 2, "cmd": "halt"}\n')
        lines = client.makefile("rb")
        assert json.loads(lines.readline()) == {"id": "a", "ok": True, "result": {"well": True}}
        assert json.loads(lines.readline()) == {"id": 2, "ok": True, "result": {"halted": True}}
    assert ask(folder, "status") == {"well": True}
    assert ask(folder, "echo", {"ticker": "A", "all": False}) == {"ticker": "A", "all": False}


def test_socket_is_for_its_owner_only(folder: AccountFolder) -> None:
    """Other users of the machine can neither see nor open it."""
    assert stat.S_IMODE(folder.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param(b"hello\n", "Expecting value", id="no JSON"),
        pytest.param(b"[]\n", "a request is an object", id="no object"),
        pytest.param(b'{"id": 1}\n', "there is no command 'None'", id="no command"),
        pytest.param(b'{"cmd": "sell"}\n', "there is no command 'sell'", id="unknown command"),
        pytest.param(b'{"cmd": "refuse"}\n', "no, because", id="refused by its answer"),
        pytest.param(b'{"cmd": "status", "args": 1}\n', "args is an object", id="wrong args"),
        pytest.param(b"\xff\xfe\n", "decode", id="no text"),
        pytest.param(b"[" * 60_000 + b"\n", "", id="deep nesting"),
    ],
)
def test_rubbish_gets_an_error_and_the_server_lives(folder: AccountFolder, line: bytes, said: str) -> None:
    """Whatever a client sends, it gets an error and the next command is served."""
    with open_client(folder) as client:
        client.sendall(line)
        reply = json.loads(client.makefile("rb").readline())
    assert reply["ok"] is False
    assert said in reply["error"]
    assert ask(folder, "status") == {"well": True}


@given(st.binary(max_size=300))
def test_any_line_gets_one_reply(line: bytes) -> None:
    """The reply to any bytes is one object that JSON can write."""
    assert json.loads(json.dumps(answer_line(line, ANSWERS)))["ok"] in (True, False)


def test_endless_line_is_cut_off(folder: AccountFolder) -> None:
    """A line without an end does not fill the memory."""
    with open_client(folder) as client:
        client.sendall(b"x" * 70_000)
        assert "at most" in json.loads(client.makefile("rb").readline())["error"]


def test_silent_clients_do_not_keep_others_out(
    folder: AccountFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that says nothing is cut off; when all places are taken, the next is refused at once."""
    monkeypatch.setattr("base.app.control._Client.timeout", 0.3)
    silent = [open_client(folder) for _ in range(MOST_CLIENTS + 2)]
    eventually(lambda: _is_served(folder))
    for client in silent:
        client.close()


def _is_served(folder: AccountFolder) -> bool:
    try:
        return bool(ask(folder, "status"))
    except NotRunning:
        return False


def test_error_of_an_answer_reaches_the_person(folder: AccountFolder) -> None:
    """What the process refuses is told as an error, not as a missing process."""
    with pytest.raises(MonitorError, match="no, because"):
        ask(folder, "refuse")


def test_nobody_listening_is_said_so(tmp_path: Path) -> None:
    """Without a process, or with a socket left behind by a killed one, nothing runs."""
    folder = AccountFolder(tmp_path)
    with pytest.raises(NotRunning, match="process not running"):
        ask(folder, "status")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(folder.socket))
    with pytest.raises(NotRunning, match="process not running"):
        ask(folder, "status")


def test_hanging_process_is_not_waited_for(tmp_path: Path) -> None:
    """A process that accepts and never answers is reported after the time given."""
    folder = AccountFolder(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hanging:
        hanging.bind(str(folder.socket))
        hanging.listen()
        with pytest.raises(NotRunning, match="does not answer"):
            ask(folder, "status", timeout_s=0.1)


@pytest.mark.parametrize("is_relative", [False, True], ids=["whole", "relative"])
def test_long_path_is_served_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_relative: bool
) -> None:
    """A socket's path has about a hundred bytes; a deeper folder links to a shorter one.

    A command may be typed elsewhere: the whole path counts, however it is named here.
    """
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.chdir(deep)
    folder = AccountFolder((Path() if is_relative else deep) / "demo-0123")
    folder.claim()
    server = ControlServer(folder, ANSWERS)
    server.start()
    assert ask(folder, "status") == {"well": True}
    assert ask(AccountFolder(deep / "demo-0123"), "status") == {"well": True}
    target = connectable(folder.socket)
    server.stop(2.0)
    folder.release()
    assert target is not None
    assert not target.exists()
    assert not folder.socket.is_symlink()


def test_second_process_is_refused(tmp_path: Path) -> None:
    """One account has one guard: the second says who has it; a lock left behind counts for nothing."""
    first, second = AccountFolder(tmp_path), AccountFolder(tmp_path)
    first.claim()
    with pytest.raises(ConfigError, match="already guards this account"):
        second.claim()
    first.release()
    second.claim()
    second.release()


def test_stop_takes_the_socket_away(folder: AccountFolder) -> None:
    """After the end nothing is left to connect to, and the thread is gone."""
    server = ControlServer(folder, ANSWERS)
    server.start()
    assert server.stop(2.0)
    assert connectable(folder.socket) is None
    assert not any(thread.name == "control" and thread is server._thread for thread in threading.enumerate())
