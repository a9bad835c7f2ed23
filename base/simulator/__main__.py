"""``python -m base.simulator``: the embedded exchange as its own process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from base.simulator.clock import SystemClock
from base.simulator.key_files import KeyPair, create_rsa
from base.simulator.keys import ApiKey
from base.simulator.rate_limits import ADVANCED
from base.simulator.running import Running
from base.simulator.scenarios.catalogue import UnknownScenario, find
from base.simulator.scenarios.stage import Scenario
from base.simulator.semantics import STRICT, Semantics
from base.simulator.venue import MEMBER, Venue

PARENT_CHECK_S = 0.5
WRONG_USAGE = 2

app = typer.Typer(add_completion=False)


@app.command()
def simulate(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    scenario: Annotated[
        str, typer.Option(help="demo, calm, wick, crash, close, sol, or a capture file.")
    ] = "demo",
    speed: Annotated[float, typer.Option(help="How fast scenario time runs; 1 is real time.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed plays the same scenario.")] = 0,
    key_dir: Annotated[
        str, typer.Option(help="Keep key.pem and key_id here and reuse them. Empty: a new key.")
    ] = "",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Thursday's pause, settlement's minute, lapsed attestations: as documented."
        ),
    ] = False,
    parent_pid: Annotated[int, typer.Option(help="Exit when this process is gone; 0: never.")] = 0,
) -> None:
    """Serve the embedded exchange until SIGTERM or SIGINT."""
    if not 0 < speed <= 1000:
        _refuse(f"--speed must be above 0 and at most 1000, not {speed:g}")
    play, listener = _prepare(scenario, port)
    with _key_folder(key_dir) as folder:
        key = create_rsa(folder)
        running = Running(
            _venue(key, STRICT if strict else Semantics()), play, listener, seed=seed, speed=speed
        )
        if play.notice:
            with contextlib.suppress(OSError):  # its log may lie on a full disk
                print(play.notice, file=sys.stderr, flush=True)
        asyncio.run(_serve(running, key, parent_pid))


def _prepare(name: str, port: int) -> tuple[Scenario, socket.socket]:
    """Return the play and its listening socket, or end with one sentence."""
    try:
        return find(name), socket.create_server(("127.0.0.1", port), backlog=1024)
    except UnknownScenario as problem:
        _refuse(str(problem))
    except (OSError, OverflowError) as problem:
        _refuse(f"cannot listen on 127.0.0.1:{port}: {problem}")


@contextlib.contextmanager
def _key_folder(key_dir: str) -> Iterator[Path]:
    """Yield the folder for the key; one of our own making is removed afterwards."""
    if key_dir:
        Path(key_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        yield Path(key_dir)
        return
    folder = Path(tempfile.mkdtemp(prefix="simulator-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refuse(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(WRONG_USAGE)


def _venue(key: KeyPair, semantics: Semantics) -> Venue:
    venue = Venue(semantics, SystemClock(), ADVANCED, salt=secrets.randbits(32))
    venue.keys[key.key_id] = ApiKey(
        key_id=key.key_id, public_key=key.public_key, account_id=MEMBER, name="simulated"
    )
    return venue


async def _serve(running: Running, key: KeyPair, parent_pid: int) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.stop)
    serving = asyncio.create_task(running.serve())
    while not running.is_accepting and not serving.done():
        await asyncio.sleep(0.001)
    _announce(running, key)
    watch = asyncio.create_task(_stop_without_parent(running, parent_pid))
    await serving
    watch.cancel()


def _announce(running: Running, key: KeyPair) -> None:
    where = f"127.0.0.1:{running.port}/trade-api"
    line = {
        "rest_url": f"http://{where}/v2",
        "websocket_url": f"ws://{where}/ws/v2",
        "key_id": key.key_id,
        "private_key_path": key.private_key_path,
    }
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(line), flush=True)


async def _stop_without_parent(running: Running, parent_pid: int) -> None:
    # A direct parent's death shows in our own parent id even while it is a zombie; of a more
    # distant one we can only see whether it exists.
    is_child = os.getppid() == parent_pid
    while parent_pid:
        if (os.getppid() != parent_pid) if is_child else not _exists(parent_pid):
            running.stop()
            return
        await asyncio.sleep(PARENT_CHECK_S)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    app(args=argv)


if __name__ == "__main__":
    main()
