"""What every benchmark shares: percentiles, waiting, what machine this is, and the one line it prints."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence

NS_PER_MS = 1e6


class NotReached(Exception):
    """What a benchmark waits for did not happen in time: there is nothing to measure."""


def is_quick() -> bool:
    """Whether the command line asks for a tiny run, which proves that the script works and nothing else."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--quick", action="store_true", help="a tiny run; its numbers mean nothing")
    return bool(parser.parse_args().quick)


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the smallest sample that ``percent`` of all samples do not exceed."""
    ranked = sorted(samples)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


def spread(samples_ms: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and maximum, in milliseconds."""
    return {
        "p50_ms": round(percentile(samples_ms, 50), 3),
        "p99_ms": round(percentile(samples_ms, 99), 3),
        "max_ms": round(max(samples_ms), 3),
        "samples": len(samples_ms),
    }


def until(condition: Callable[[], bool], timeout_s: float, *, every_s: float = 0.05) -> None:
    """Wait until ``condition`` holds.

    Raises:
        NotReached: It did not within ``timeout_s`` seconds.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise NotReached(f"not so within {timeout_s:g} s")
        time.sleep(every_s)


def report(figure: str, **values: object) -> None:
    """Print the one JSON object of a benchmark."""
    machine = {
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
    }
    print(json.dumps({"figure": figure, **values, "machine": machine}), flush=True)
