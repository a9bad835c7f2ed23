"""A thread that stops when told and never dies quietly."""

from __future__ import annotations

import threading

from base.feed.worker import Worker
from tests.support import eventually


def no_crash(name: str, error: BaseException) -> None:
    raise AssertionError(f"{name}: {error!r}")


def test_tick_is_called_until_stopped():
    """And never after ``stop`` has returned."""
    ticks: list[int] = []
    worker = Worker("test", lambda: ticks.append(1), 0.01, no_crash)
    worker.start()
    eventually(lambda: len(ticks) >= 3)
    assert worker.stop(1.0)
    count = len(ticks)
    assert not worker.is_alive()
    assert len(ticks) == count


def test_wake_begins_a_round_at_once():
    """A long period is no reason to be late."""
    ticks: list[int] = []
    worker = Worker("test", lambda: ticks.append(1), 60.0, no_crash)
    worker.start()
    eventually(lambda: len(ticks) == 1)
    worker.wake()
    eventually(lambda: len(ticks) == 2, 1.0)
    assert worker.stop(1.0)


def test_crash_is_reported():
    """A thread that died quietly guards nothing."""
    crashes: list[tuple[str, BaseException]] = []

    def fail() -> None:
        raise RuntimeError("boom")

    worker = Worker("doomed", fail, 0.01, lambda name, error: crashes.append((name, error)))
    worker.start()
    eventually(lambda: crashes != [])
    assert crashes[0][0] == "doomed"
    assert str(crashes[0][1]) == "boom"
    assert worker.stop(1.0)


def test_stop_says_when_it_could_not():
    """A tick that hangs is named, not waited for."""
    hang = threading.Event()
    worker = Worker("slow", lambda: hang.wait(5) and None, 1.0, no_crash)
    worker.start()
    assert not worker.stop(0.05)
    hang.set()
    assert worker.stop(1.0)


def test_stop_before_start_is_fine():
    """Nothing to wait for."""
    assert Worker("never", lambda: None, 1.0, no_crash).stop(0.1)
