"""Scenarios by name, and the seam for those that come from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from base.simulator.scenarios.demo import demo
from base.simulator.scenarios.stage import Empty, Scenario

Factory = Callable[[], Scenario]
BY_NAME: dict[str, Factory] = {"empty": Empty, "demo": demo}


class UnknownScenario(ValueError):
    """Neither a name of ours nor a file."""


def find(name: str) -> Scenario:
    """Return the scenario of that name, or of that capture file. Raises: UnknownScenario."""
    factory = BY_NAME.get(name)
    if factory is not None:
        return factory()
    if Path(name).is_file():
        raise UnknownScenario(f"capture files are not played yet: {name}")
    names = ", ".join(sorted(set(BY_NAME) - {"empty"}))
    raise UnknownScenario(f"unknown scenario {name!r}: use one of {names}, or the path of a capture file")
