"""Runs seeds: ``python -m tests.simulation [--seeds N] [--first N] [--show]``."""

from __future__ import annotations

from tests.simulation import seams

seams.load()

from tests.simulation.batch import main  # noqa: E402 - the program may only be imported after that

if __name__ == "__main__":
    raise SystemExit(main())
