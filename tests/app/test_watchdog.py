"""Threads that die or stand still end the process; a process that stood still as a whole does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from base.app.watchdog import LATE_S, LOOK_S, Watchdog
from base.feed.heartbeat import IDLE, STUCK_S, Heartbeat
from tests.reference import ROOT
from tests.support import FakeClock, eventually


class Bench:
    """A watchdog that is told the time, over one thread that beats when told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ended: list[tuple[str, str]] = []
        self.stood_still = 0
        self.is_alive = True
        self.heart = Heartbeat("stop-loss")
        self.watchdog = Watchdog(self.clock, self._ended, self._stood_still)
        self.watchdog.watch(self.heart, lambda: self.is_alive)

    def _ended(self, name: str, error: BaseException | None) -> None:
        self.ended.append((name, str(error)))

    def _stood_still(self) -> None:
        self.stood_still += 1

    def beat(self, wait_s: float = 0.0) -> None:
        self.heart.due_s = self.clock.boot_s() + wait_s + STUCK_S

    def look_for(self, seconds: float) -> None:
        """Look as often as a watchdog does that runs in time."""
        for _ in range(round(seconds / LOOK_S)):
            self.clock.advance(LOOK_S)
            self.watchdog.look()


@pytest.mark.parametrize(
    ("wait_s", "silent_s", "is_stuck"),
    [
        pytest.param(0.0, 3.0, False, id="three seconds of nothing"),
        pytest.param(0.0, 3.25, True, id="more"),
        pytest.param(5.0, 8.0, False, id="in a wait it declared"),
        pytest.param(5.0, 8.25, True, id="beyond it"),
        pytest.param(IDLE, 3600.0, False, id="without work"),
    ],
)
def test_thread_is_stuck_three_seconds_after_what_it_declared(
    wait_s: float, silent_s: float, is_stuck: bool
) -> None:
    """Noticed at the first look after that, once."""
    bench = Bench()
    bench.beat(wait_s)
    bench.look_for(silent_s)
    assert bool(bench.ended) == is_stuck
    bench.look_for(1.0 if is_stuck else 0.0)
    assert len(bench.ended) == is_stuck
    assert all(name == "stop-loss" and "stuck for" in why for name, why in bench.ended)
    assert bench.stood_still == 0


def test_thread_that_died_is_noticed_at_the_next_look() -> None:
    """However it died, and whatever it promised."""
    bench = Bench()
    bench.is_alive = False
    bench.look_for(LOOK_S)
    assert bench.ended == [("stop-loss", "None")]


@pytest.mark.parametrize("pause_s", [LATE_S + 0.01, 30.0, 7200.0])
def test_process_that_stood_still_is_forgiven_and_distrusts_its_evidence(pause_s: float) -> None:
    """SIGSTOP and suspend: nobody ran, so nobody was late; each has its three seconds anew."""
    bench = Bench()
    bench.beat()
    bench.look_for(2.0)
    bench.clock.advance(LOOK_S + pause_s)
    bench.watchdog.look()
    assert (bench.ended, bench.stood_still) == ([], 1)
    bench.look_for(STUCK_S)
    assert bench.ended == []
    bench.look_for(LOOK_S)
    assert len(bench.ended) == 1


def test_forgiveness_is_for_the_promise_that_was_broken() -> None:
    """A thread that went on after the pause is judged by what it promises now."""
    bench = Bench()
    bench.beat()
    bench.clock.advance(600)
    bench.watchdog.look()
    bench.beat()
    bench.look_for(STUCK_S + LOOK_S)
    assert len(bench.ended) == 1


def test_short_delay_is_no_standing_still() -> None:
    """A busy machine runs nobody to the millisecond."""
    bench = Bench()
    bench.beat()
    bench.clock.advance(LOOK_S + LATE_S)
    bench.watchdog.look()
    assert bench.stood_still == 0


def test_threads_that_are_told_to_end_are_not_judged() -> None:
    """The end is no fault; the process is shown alive until it is over."""
    bench = Bench()
    looks = 0

    def looked() -> None:
        nonlocal looks
        looks += 1

    watchdog = Watchdog(bench.clock, bench._ended, looked=looked)
    watchdog.watch(bench.heart, lambda: False)
    watchdog.judge_no_more()
    watchdog.start()
    eventually(lambda: looks > 1)
    assert watchdog.stop(1.0)
    assert bench.ended == []


STUCK = """
import sys, threading
from pathlib import Path
from base.app.last_words import LastWords
from base.app.watchdog import Watchdog
from base.clock import SystemClock
from base.feed.heartbeat import Heartbeat

lock = threading.Lock()

def waits_for_a_lock_that_nobody_frees():
    with lock:
        pass

lock.acquire()
thread = threading.Thread(target=waits_for_a_lock_that_nobody_frees, name="stop-loss", daemon=True)
thread.start()
clock, heart = SystemClock(), Heartbeat("stop-loss")
heart.due_s = clock.boot_s() + 0.2
watchdog = Watchdog(clock, LastWords(Path(sys.argv[1])).end_process)
watchdog.watch(heart, thread.is_alive)
watchdog.start()
threading.Event().wait(30)
"""


def test_stuck_thread_ends_the_process_with_the_stacks(tmp_path: Path) -> None:
    """On stderr and in the logs: which thread, and where it stands."""
    done = subprocess.run(
        [sys.executable, "-c", STUCK, str(tmp_path / "logs")],
        cwd=ROOT, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "The thread stop-loss died (Stuck('stuck for" in done.stderr
    assert "waits_for_a_lock_that_nobody_frees" in done.stderr
    assert "waits_for_a_lock_that_nobody_frees" in (tmp_path / "logs" / "stacks.log").read_text()


HELD = """
import ctypes, sys
from pathlib import Path
from base.app.last_words import LastWords

def holds_the_interpreter():
    print("held", flush=True)
    ctypes.PyDLL(None).sleep(30)

words = LastWords(Path(sys.argv[1]))
holds_the_interpreter()
"""


def test_parent_gets_the_stacks_of_a_child_whose_interpreter_is_held(tmp_path: Path) -> None:
    """By SIGUSR1, before it kills it: no Python has to run for that."""
    with subprocess.Popen(
        [sys.executable, "-c", HELD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGUSR1)
        eventually(lambda: "in holds_the_interpreter" in (tmp_path / "stacks.log").read_text())
        process.kill()


NO_TERMINAL = """
import os, sys, threading
from base.app.last_words import end_process
filler = threading.Thread(target=lambda: os.write(2, b"x" * 1_000_000), daemon=True)
filler.start()
filler.join(0.3)
end_process("stop-loss", MemoryError())
"""


def test_output_that_nobody_reads_does_not_hold_up_the_end() -> None:
    """A terminal that is paused, or a pipe that is full, costs the words, not the end."""
    read, write = os.pipe()
    try:
        with subprocess.Popen([sys.executable, "-c", NO_TERMINAL], cwd=ROOT, stderr=write) as process:
            assert process.wait(timeout=10) == 3
    finally:
        os.close(read)
        os.close(write)


def test_out_of_memory_ends_the_process_whoever_ran_out_of_it() -> None:
    """K11: a thread without memory says nothing about the others."""
    from base.app.run_command import watch_threads

    died: list[str] = []
    hook = threading.excepthook
    watch_threads(lambda name, error: died.append(f"{name} {type(error).__name__}"))
    try:
        for name, error in (("ui", MemoryError()), ("ui", ValueError()), ("reconciler", ValueError())):
            thread = threading.Thread(target=_raise, args=(error,), name=name)
            thread.start()
            thread.join()
    finally:
        threading.excepthook = hook
    assert died == ["ui MemoryError", "reconciler ValueError"]


def _raise(error: Exception) -> None:
    raise error
