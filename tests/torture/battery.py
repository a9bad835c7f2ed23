"""All rounds of all kills and faults, a few at a time; a table, and whether every promise was kept."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import percentile
from tests.torture import isolation
from tests.torture.faults import FAULTS, FIVE, ISOLATED, fault_round
from tests.torture.hooks import HOOKS
from tests.torture.judge import Verdict
from tests.torture.kills import kill_round

ROUNDS = 20
PROTECTED_S = 10.0
"""Promised for 99 of 100 restarts: everything is covered, or on its way out. Seconds."""
Play = Callable[[int], Verdict]


@dataclass(slots=True)
class Row:
    """What the rounds of one kill or fault came to."""

    name: str
    took_s: list[float] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def count(self, what: str) -> int:
        """How many rounds have something in ``what``: lost, duplicates, flips, failures."""
        return sum(bool(getattr(verdict, what)) for verdict in self.verdicts)

    @property
    def protected_s(self) -> list[float]:
        """Seconds from each restart that was measured."""
        return [seconds for verdict in self.verdicts for seconds in verdict.protected_s]

    def figures(self) -> dict[str, object]:
        """The row as numbers."""
        times = self.protected_s
        return {
            "name": self.name,
            "rounds": len(self.verdicts),
            "lost": self.count("lost"),
            "duplicates": self.count("duplicates"),
            "flips": self.count("flips"),
            "failed": self.count("failures"),
            "protected_p50_s": round(percentile(times, 50), 2) if times else None,
            "protected_p99_s": round(percentile(times, 99), 2) if times else None,
            "round_s": round(sum(self.took_s) / len(self.took_s), 1) if self.took_s else None,
        }


def plays() -> dict[str, Play]:
    """Every kill and every fault, by name."""
    found: dict[str, Play] = {}
    for name in HOOKS:
        found[f"killed: {name}"] = lambda number, name=name: kill_round(name, number)  # type: ignore[misc]
    for name in (*FAULTS, FIVE):
        is_apart = name in ISOLATED and isolation.is_possible()
        play = isolation.round_apart if is_apart else fault_round
        found[name] = lambda number, name=name, play=play: play(name, number)  # type: ignore[misc]
    if not isolation.is_possible():
        del found["half-open, packets dropped"]  # there is the proxy's
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line says; 0: every promise was kept."""
    options = _options(arguments)
    if options.inside:
        name, number, folder = options.inside
        isolation.play_inside(name, int(number), Path(folder))
        return 0
    chosen = {name: play for name, play in plays().items() if _is_wanted(name, options)}
    if options.list or not chosen:
        print(*plays(), sep="\n")
        return 0 if options.list else 2
    began_s = time.monotonic()
    rows = {name: Row(name) for name in chosen}
    for row, number, verdict in _run(chosen, rows, options.first, options.rounds, options.jobs):
        for what in verdict.broken:
            print(f"\n{row.name}, round {number}: {what}", file=sys.stderr, flush=True)
    return _report(list(rows.values()), time.monotonic() - began_s, is_json=options.json)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each kill and fault")
    parser.add_argument("--first", type=int, default=0, help="number of the first round; rounds differ by it")
    parser.add_argument("--only", action="append", help="those whose name holds this; may be repeated")
    parser.add_argument("--exactly", action="store_true", help="--only means the whole name")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="rounds at a time")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _is_wanted(name: str, options: argparse.Namespace) -> bool:
    only: list[str] | None = options.only
    return not only or name in only or (not options.exactly and any(part in name for part in only))


def _run(
    chosen: dict[str, Play], rows: dict[str, Row], first: int, rounds: int, jobs: int
) -> Iterator[tuple[Row, int, Verdict]]:
    """Play all first rounds, then all second ones, and so on; yield each as it ends."""
    began_s = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        due = {
            pool.submit(_play, chosen[name], number): (rows[name], number)
            for number in range(first, first + rounds)
            for name in chosen
        }
        try:
            for done, future in enumerate(as_completed(due), start=1):
                row, number = due[future]
                verdict, took_s = future.result()
                row.verdicts.append(verdict)
                row.took_s.append(took_s)
                _show_progress(done, len(due), time.monotonic() - began_s)
                yield row, number, verdict
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _play(play: Play, number: int) -> tuple[Verdict, float]:
    began_s = time.monotonic()
    try:
        verdict = play(number)
    except Exception:
        verdict = Verdict(failures=[f"the round itself failed: {traceback.format_exc()}"])
    return verdict, time.monotonic() - began_s


def _show_progress(done: int, of: int, took_s: float) -> None:
    left_s = took_s / done * (of - done)
    end = "\r" if sys.stderr.isatty() and done < of else "\n"
    if end == "\n" and done % 20 and done < of:
        return  # in a file: a line now and then
    said = f"{done} of {of} rounds, {took_s / 60:.1f} min, about {left_s / 60:.1f} min left"
    print(said, end=end, file=sys.stderr, flush=True)


def _report(rows: list[Row], took_s: float, *, is_json: bool) -> int:
    times = [seconds for row in rows for seconds in row.protected_s]
    p99_s = percentile(times, 99) if times else 0.0
    is_kept = not any(verdict.broken for row in rows for verdict in row.verdicts) and p99_s <= PROTECTED_S
    if p99_s > PROTECTED_S:
        said = f"all restarts: slow: protected after {p99_s:.1f} s at p99, promised are {PROTECTED_S:g}"
        print(said, file=sys.stderr, flush=True)
    figures = [row.figures() for row in rows]
    total = {
        "rounds": sum(len(row.verdicts) for row in rows),
        "restarts_measured": len(times),
        "protected_p50_s": round(percentile(times, 50), 2) if times else None,
        "protected_p99_s": round(p99_s, 2) if times else None,
        "minutes": round(took_s / 60, 1),
        "is_kept": is_kept,
    }
    if is_json:
        machine = {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load_1min": os.getloadavg()[0],
        }
        print(json.dumps({"torture": figures, "total": total, "machine": machine}))
    else:
        _print_table(figures)
        print(*(f"{name} {value}" for name, value in total.items()), sep=", ")
    return 0 if is_kept else 1


def _print_table(figures: list[dict[str, object]]) -> None:
    heads = {
        "name": "", "rounds": "Rounds", "lost": "Lost", "duplicates": "Twice", "flips": "Flips",
        "failed": "Failed", "protected_p50_s": "Protected p50 s", "protected_p99_s": "p99 s", "round_s": "Round s",
    }  # fmt: skip
    print("| " + " | ".join(heads.values()) + " |")
    print("|" + "|".join("---" if name == "name" else "--:" for name in heads) + "|")
    for row in figures:
        print("| " + " | ".join("–" if row[name] is None else str(row[name]) for name in heads) + " |")
