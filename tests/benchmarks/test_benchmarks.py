"""Every benchmark runs and prints what it promises. Its numbers are not judged: a test is no place to time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {
    "tick_to_order": {"exits", "bare_loop_idle", "p50_ratio", "p99_ratio", "exits_confirmed_by_rest"},
    "feed": {"ticker_ratio", "delta_ratio", "ticker_frames_per_s", "ticker_bare_recv_frames_per_s"},
    "strategy_burn": {"exits_without", "exits_with", "added_p50_ms", "added_p99_ms"},
    "steady_state": {"price_calls_per_min_by_positions", "socket_down_oldest_price_s"},
    "many_positions": {"positions", "unlimited", "basic"},
    "dead_feed": {"noticed", "rest_in_charge", "proven_again_after_link_returns"},
    "flood": {"frames_per_s", "age_in_cache", "touch_to_order", "longest_queues", "memory_growth_mib"},
}


@pytest.fixture(scope="module")
def printed() -> dict[str, str]:
    """What each script printed in its tiny mode; they mostly wait, so they run side by side."""
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{name}", "--quick"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in PROMISED
    }
    found = {}
    try:
        for name, process in running.items():
            out, errors = process.communicate(timeout=50)
            assert process.returncode == 0, f"{name}: {errors}"
            found[name] = out
    finally:
        for process in running.values():
            process.kill()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", PROMISED)
def test_prints_one_object_with_the_promised_figures(printed: dict[str, str], name: str) -> None:
    """One line of JSON that names the figure, its numbers and the machine."""
    (line,) = printed[name].splitlines()
    found = json.loads(line)
    assert found["figure"] == name
    assert PROMISED[name] | {"machine"} <= set(found)
