"""``python -m base.simulator`` as its own process."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from base.simulator.server import SimulatorServer
from tests.simulator.loopback import Client, Feed, eventually
from tests.simulator.published_spec import REFERENCE

ROOT = Path(__file__).parents[2]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Start the process; yield it with its first line."""
    command = [sys.executable, "-m", "base.simulator", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate(timeout=5)


def as_server(line: dict[str, str]) -> SimulatorServer:
    """Return what the clients need to know."""
    return cast(SimulatorServer, SimpleNamespace(**line))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_accepts_connections_once_it_says_so_and_ends_in_time(number: int) -> None:
    """Exit 0 within two seconds, with a socket open; the key file is private and then gone."""
    with running("--speed", "5") as (process, line):
        key = Path(line["private_key_path"])
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        client = Client(as_server(line))
        assert len(client.get("/portfolio/positions?count_filter=position")["market_positions"]) == 2
        with Feed(as_server(line)) as feed:
            feed.subscribe("ticker")
            feed.until_type("ticker")
            started = time.monotonic()
            process.send_signal(number)
            assert process.wait(timeout=5) == 0
            assert time.monotonic() - started < 2.0
        assert not key.exists()


def test_a_key_folder_is_kept_and_used_again(tmp_path: Path) -> None:
    """A restart keeps the account's key."""
    ids = []
    for _ in range(2):
        with running("--key-dir", str(tmp_path), "--scenario", "calm") as (process, line):
            ids.append((line["key_id"], Path(line["private_key_path"]).read_bytes()))
            process.terminate()
            assert process.wait(timeout=5) == 0
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--scenario", "nonsense"], id="unknown scenario"),
        pytest.param(["--speed", "0"], id="speed zero"),
        pytest.param(["--speed", "nan"], id="speed not a number"),
        pytest.param(["--port", "TAKEN"], id="port in use"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(arguments: list[str]) -> None:
    """On stderr; nothing on stdout."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        filled = [port if a == "TAKEN" else a for a in arguments]
        command = [sys.executable, "-m", "base.simulator", *filled]
        ended: Any = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
        )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.strip().splitlines()) == 1


def test_it_ends_when_its_parent_is_gone() -> None:
    """Even when the parent was killed."""
    script = (
        "import subprocess,sys,os;"
        "p=subprocess.Popen([sys.executable,'-m','base.simulator','--parent-pid',str(os.getpid())],"
        "stdout=subprocess.PIPE,stderr=subprocess.DEVNULL,text=True);p.stdout.readline();print(p.pid,flush=True);os._exit(1)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    child = int(ended.stdout)

    def is_gone() -> bool:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{child}/stat")
        return status.exists() and ") Z " in status.read_text()

    eventually(is_gone, 5.0)


def test_it_says_whose_data_it_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr at the start, and in every title; strict or not."""
    if not (REFERENCE / "data").is_dir():
        pytest.skip(f"needs the recordings in {REFERENCE}/data: set REFERENCE_DIR")
    monkeypatch.setenv("REFERENCE_DIR", str(REFERENCE))
    with running("--scenario", "sol", "--strict") as (process, line):
        assert process.stderr is not None
        notice = process.stderr.readline()
        titles = {m["title"] for m in Client(as_server(line)).get("/markets")["markets"]}
    for text in (notice, *titles):
        assert all(part in text for part in ("Johnny-God", "CC BY 4.0", "synthesised"))
