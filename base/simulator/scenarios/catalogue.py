"""Scenarios by name; anything else is the path of a capture file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from base.simulator.scenarios.capture import Capture
from base.simulator.scenarios.demo import demo
from base.simulator.scenarios.small_plays import calm, close, crash, wick
from base.simulator.scenarios.sol import Sol
from base.simulator.scenarios.sol_recording import MissingRecording
from base.simulator.scenarios.stage import Empty, Scenario

Factory = Callable[[], Scenario]
BY_NAME: dict[str, Factory] = {
    "empty": Empty,
    "demo": demo,
    "calm": calm,
    "wick": wick,
    "crash": crash,
    "close": close,
    "sol": Sol,
}
SHOWN = ("demo", "calm", "wick", "crash", "close", "sol")


class UnknownScenario(ValueError):
    """Neither a name of ours nor a capture that holds a market."""


def find(name: str) -> Scenario:
    """Return the scenario of that name, or of that capture file. Raises: UnknownScenario."""
    try:
        if factory := BY_NAME.get(name):
            return factory()
    except MissingRecording as problem:
        raise UnknownScenario(str(problem)) from None
    if not Path(name).is_file():
        listed = ", ".join(SHOWN)
        raise UnknownScenario(f"unknown scenario {name!r}: use {listed}, or the path of a capture file")
    return _capture(Path(name))


def _capture(path: Path) -> Scenario:
    try:
        play = Capture(path)
    except (OSError, EOFError, ValueError) as problem:
        raise UnknownScenario(f"cannot read the capture {path}: {problem}") from None
    if not play.tickers:
        raise UnknownScenario(f"the capture {path} holds no frame of any market")
    return play
