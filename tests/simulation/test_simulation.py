"""A slice of the fault simulation. It runs in a process of its own: the program there has other threads.

``make simulate`` and ``make planted`` run the whole.
"""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.reference import ROOT
from tests.simulation.planted import BUGS, Bug


def _run(*arguments: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
    )
    assert ran.returncode == 0, f"{ran.stderr[-3000:]}\n{ran.stdout[-3000:]}"


@pytest.mark.slow
@pytest.mark.timeout(520)
def test_a_thousand_bad_days_break_no_invariant() -> None:
    """No seed breaks one, every fault and state was reached, and the same seed gives the same trace."""
    _run("tests.simulation", "--seeds", "1000")


def test_days_that_broke_one_once_break_none() -> None:
    """Each failing seed was kept, made small."""
    _run("tests.simulation", "--kept")


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_still_fits_the_program(bug: Bug) -> None:
    """Its text stands there once, and what it becomes is Python."""
    text = (ROOT / "base" / bug.file).read_text()
    assert bug.old, bug.name
    assert text.count(bug.old) == 1
    ast.parse(text.replace(bug.old, bug.new))


@pytest.mark.slow
@pytest.mark.timeout(520)
def test_the_judge_catches_planted_bugs() -> None:
    """Five of them, others every day: a judge that catches nothing proves nothing."""
    _run("tests.simulation.planted", "--slice")
