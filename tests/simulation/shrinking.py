"""Makes a failing run small: what is not needed for it to fail is taken out, one thing at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from tests.simulation.plan import Plan, draw
from tests.simulation.run import Result, run

KEPT = Path(__file__).resolve().parents[1] / "seeds"


def shrink(seed: int) -> tuple[Plan, Result]:
    """Return the smallest plan found that still breaks the same invariant, and its run."""
    plan = draw(seed)
    result = run(seed, plan=plan)
    if not result.violations:
        return plan, result
    invariant = result.violations[0].partition(":")[0]
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for candidate in _smaller(plan):
            tried = run(seed, plan=candidate)
            if any(text.startswith(f"{invariant}:") for text in tried.violations):
                plan, result, is_smaller = candidate, tried, True
                break
    return plan, result


def _smaller(plan: Plan) -> Iterator[Plan]:
    for number in range(len(plan.events)):
        yield replace(plan, events=plan.events[:number] + plan.events[number + 1 :])
    for kind in sorted(plan.kinds):
        yield replace(plan, kinds=plan.kinds - {kind})
    if len(plan.holdings) > 1:
        for number in range(len(plan.holdings)):
            yield replace(plan, holdings=plan.holdings[:number] + plan.holdings[number + 1 :])
    if plan.kill_at is not None:
        yield replace(plan, kill_at=None)
    if plan.page is not None:
        yield replace(plan, page=None)
    if plan.preempts:
        yield replace(plan, preempts=0)
    if plan.shuffles:
        yield replace(plan, shuffles=False)


def keep(plan: Plan, broke: str) -> Path:
    """Write a run that failed to tests/seeds/, where it runs for ever: whole, for draws change."""
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{plan.seed}.json"
    kept = msgspec.json.encode({"broke": broke, "plan": plan}, order="sorted")
    path.write_bytes(msgspec.json.format(kept, indent=1) + b"\n")
    return path


def kept() -> list[tuple[Path, Plan]]:
    """Every run that failed once."""
    return [
        (path, msgspec.json.decode(path.read_bytes(), type=_Kept).plan)
        for path in sorted(KEPT.glob("*.json"))
    ]


class _Kept(msgspec.Struct):
    broke: str
    plan: Plan
