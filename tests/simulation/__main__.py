"""Runs seeds: ``python -m tests.simulation --seeds 1000``; see ``--help``."""

from __future__ import annotations

import os
import sys

if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets must be the same in every process
    os.execve(
        sys.executable,
        [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
        os.environ | {"PYTHONHASHSEED": "0"},
    )

from tests.simulation import seams

seams.load()

from tests.simulation.batch import main  # noqa: E402 - the program may only be imported after that

if __name__ == "__main__":
    raise SystemExit(main())
