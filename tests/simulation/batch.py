"""Many seeds on all cores: what broke, what was reached, and whether the same seed gives the same run."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.simulation import reach, shrinking
from tests.simulation.plan import draw
from tests.simulation.run import Result, prepare, run

AGAIN_EVERY = 100
"""One seed in so many is run a second time, in another process: its trace must be the same."""
MOST_SHOWN = 20


def main() -> int:
    """Run what the command line says; 0: nothing broke and everything was reached."""
    options = _options()
    prepare()
    if options.show is not None:
        return _show(options.show)
    if options.shrink is not None:
        return _shrink(options.shrink)
    if options.kept:
        return _run_kept()
    return _batch(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--until-failure", action="store_true", help="stop at the first seed that breaks something"
    )
    parser.add_argument("--show", type=int, metavar="SEED", help="print the diary of one seed")
    parser.add_argument("--shrink", type=int, metavar="SEED", help="make a failing seed small and keep it")
    parser.add_argument("--kept", action="store_true", help="run every seed that failed once")
    return parser.parse_args()


def _live(seed: int) -> Result:
    return run(seed)


def _batch(options: argparse.Namespace) -> int:
    began = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    reached: Counter[str] = Counter()
    traces: dict[int, str] = {}
    failed = lived = 0
    cpu_s = virtual_s = 0.0
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        for result in pool.imap(_live, seeds, chunksize=4):
            lived += 1
            reached.update(result.reached)
            cpu_s, virtual_s = cpu_s + result.cpu_s, virtual_s + result.virtual_s
            if result.seed % AGAIN_EVERY == 0:
                traces[result.seed] = result.trace
            if result.violations:
                failed += 1
                if failed <= MOST_SHOWN:
                    print(f"seed {result.seed}: {result.violations[0]}", file=sys.stderr)
                if options.until_failure:
                    print(f"caught after {lived} seeds by {result.violations[0].partition(':')[0]}")
                    return 1
    different = _differing(traces, options.jobs)
    missing = reach.missing(reached) if options.seeds >= reach.ENOUGH else []
    _print_table(reached)
    for what in missing:
        print(f"never reached: {what}")
    for seed in different:
        print(f"seed {seed} gave another trace the second time")
    print(
        f"{lived} seeds, {failed} broke an invariant, {len(traces)} run twice with {len(different)} differences,"
        f" {len(missing)} things never reached; {time.monotonic() - began:.0f} s,"
        f" {1000 * cpu_s / lived:.0f} ms and {virtual_s / lived:.0f} virtual s a seed"
    )
    return 1 if failed or different or missing else 0


def _differing(traces: dict[int, str], jobs: int) -> list[int]:
    """Run some seeds again, in new processes and another order."""
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        again = pool.map(_live, sorted(traces, reverse=True), chunksize=1)
    return [result.seed for result in again if result.trace != traces[result.seed]]


def _print_table(reached: Counter[str]) -> None:
    for what, times in sorted(reached.items()):
        print(f"{times:8d}  {what}")


def _show(seed: int) -> int:
    result = run(seed, keeps_diary=True)
    plan = draw(seed)
    print(plan)
    print(*result.diary, sep="\n")
    print(*result.violations, sep="\n")
    return 1 if result.violations else 0


def _shrink(seed: int) -> int:
    plan, result = shrinking.shrink(seed)
    if not result.violations:
        print(f"seed {seed} breaks nothing")
        return 0
    print(f"{shrinking.keep(plan, result.violations[0])}: {result.violations[0]}")
    return 1


def _run_kept() -> int:
    broken = list(_broken(shrinking.kept()))
    for line in broken:
        print(line)
    print(f"{len(shrinking.kept())} kept seeds, {len(broken)} broke an invariant")
    return 1 if broken else 0


def _broken(kept: Iterable[tuple[object, object]]) -> Iterable[str]:
    for path, plan in kept:
        result = run(plan.seed, plan=plan)  # type: ignore[attr-defined, arg-type]
        if result.violations:
            yield f"{path}: {result.violations[0]}"
