"""Makes a failing run small: what is not needed for it to fail is taken out, one thing at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def keep(plan: Plan, result: Result) -> Path:
    """Write a run that failed to tests/seeds/, where it runs for ever."""
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{plan.seed}.json"
    path.write_text(json.dumps(_facts(plan, result), indent=1) + "\n")
    return path


def kept() -> list[tuple[Path, Plan]]:
    """Every run that failed once."""
    return [(path, _plan(json.loads(path.read_text()))) for path in sorted(KEPT.glob("*.json"))]


def _facts(plan: Plan, result: Result) -> dict[str, Any]:
    drawn = draw(plan.seed)
    return {
        "seed": plan.seed,
        "broke": result.violations[0],
        "events": [list(event) for event in plan.events],
        "kinds": sorted(plan.kinds),
        "holdings": [number for number, holding in enumerate(drawn.holdings) if holding in plan.holdings],
        "kill_at": plan.kill_at,
        "page": plan.page,
        "preempts": plan.preempts,
        "shuffles": plan.shuffles,
    }


def _plan(facts: dict[str, Any]) -> Plan:
    drawn = draw(facts["seed"])
    return replace(
        drawn,
        events=tuple((at_s, name) for at_s, name in facts["events"]),
        kinds=frozenset(facts["kinds"]),
        holdings=tuple(
            drawn.holdings[number] for number in facts["holdings"] if number < len(drawn.holdings)
        ),
        kill_at=None if facts["kill_at"] is None else (facts["kill_at"][0], facts["kill_at"][1]),
        page=facts["page"],
        preempts=facts["preempts"],
        shuffles=facts["shuffles"],
    )
