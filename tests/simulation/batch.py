"""Many seeds on all cores, and what they reached."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter

from tests.simulation.run import Result, prepare, run


def _live(seed: int) -> Result:
    return run(seed)


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print the diary of one seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    prepare()
    if options.show:
        result = run(options.first, keeps_diary=True)
        print(*result.diary, sep="\n")
        print(*result.violations, sep="\n")
        return 1 if result.violations else 0
    return _batch(options.first, options.seeds, options.jobs)


def _batch(first: int, count: int, jobs: int) -> int:
    began = time.monotonic()
    reached: Counter[str] = Counter()
    failed = 0
    cpu_s = virtual_s = 0.0
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for result in pool.imap(_live, range(first, first + count), chunksize=4):
            reached.update(result.reached)
            cpu_s, virtual_s = cpu_s + result.cpu_s, virtual_s + result.virtual_s
            if result.violations:
                failed += 1
                print(
                    f"seed {result.seed}: {result.violations[0]} ({len(result.violations)})", file=sys.stderr
                )
    for what, times in sorted(reached.items()):
        print(f"{times:8d}  {what}")
    took_s = time.monotonic() - began
    print(
        f"{count} seeds, {failed} failed, {took_s:.1f} s, {1000 * cpu_s / count:.0f} ms and {virtual_s / count:.1f} virtual s each"
    )
    return 1 if failed else 0
