"""A slice of the battery: the most telling deaths and faults once, and a few others every day.

``make torture`` runs all of it twenty times.
"""

from __future__ import annotations

import datetime
import subprocess
import sys

import pytest

from tests.reference import ROOT
from tests.torture.battery import plays
from tests.torture.hooks import HOOKS
from tests.torture.planted import HUNTS

ALWAYS = ("killed: bytes sent", "killed: executed", "killed: attempt settled", "lost answers", "disk full")
OTHERS = 4
LONG = frozenset({"SIGSTOP 30 s", "lagging reads"})
"""Too long for a slice."""
JOBS = 3


def battery(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tests.torture", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.wide
@pytest.mark.timeout(120)
def test_no_death_loses_or_repeats_an_exit() -> None:
    """The real program on the real exchange, killed for real: nothing lost, sold twice or turned over."""
    day = datetime.date.today().toordinal()
    others = [name for name in plays() if name not in LONG and name not in ALWAYS]
    chosen = [*ALWAYS, *(others[(day * OTHERS + n) % len(others)] for n in range(OTHERS))]
    wanted = [word for name in chosen for word in ("--only", name)]
    ran = battery("--rounds", "1", "--first", str(day), "--exactly", "--jobs", str(JOBS), *wanted)
    assert ran.returncode == 0, f"{ran.stderr[-4000:]}\n{ran.stdout}"


def test_every_hook_and_fault_that_is_named_is_there() -> None:
    """What planted bugs are hunted with exists, and each hook wraps something that is there."""
    names = plays()
    for planted in HUNTS:
        assert planted.only in names, planted.bug.name
    for hook in HOOKS.values():
        assert f"killed: {hook.name}" in names
