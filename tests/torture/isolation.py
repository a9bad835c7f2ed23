"""Rounds with a network and a disk of their own: namespaces of Linux, where they may be made without privileges."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.reference import ROOT
from tests.torture import files
from tests.torture.judge import Verdict

_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "--net", "--")
ROUND_S = 150.0


@functools.cache
def is_possible() -> bool:
    """Whether this machine lets us."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    tried = ["sh", "-c", "ip link set lo up && mount -t tmpfs -o size=64k none /mnt"]
    return subprocess.run([*_UNSHARE, *tried], capture_output=True, check=False).returncode == 0


def set_link(*, is_up: bool) -> None:
    """Take the loopback of this namespace up or down: packets to it are dropped, no connection is closed."""
    subprocess.run(["ip", "link", "set", "lo", "up" if is_up else "down"], check=True)


def round_apart(name: str, number: int) -> Verdict:
    """Play a round in namespaces of its own, by another process."""
    folder = tempfile.mkdtemp(prefix="torture-")
    arguments = [sys.executable, "-m", "tests.torture", "--inside", name, str(number), folder]
    try:
        done = subprocess.run(
            [*_UNSHARE, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=ROUND_S, check=False
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if done.returncode:
        return Verdict(failures=[f"the round itself failed: {done.stderr[-1500:]}"])
    return Verdict(**json.loads(done.stdout.splitlines()[-1]))


def play_inside(name: str, number: int, folder: Path) -> None:
    """Play it here, and print what came of it."""
    from tests.torture.faults import fault_round

    set_link(is_up=True)
    files.mount_small_disk(folder)
    print(json.dumps(asdict(fault_round(name, number, folder))))
