"""Callbacks on their own thread: isolated, counted, newest wins for prices, never dropped for reports."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from base.kalshi.callbacks import LONGEST_QUEUE, CallbackThread
from base.kalshi.latency import RecentValues, summary_ms
from tests.support import eventually


@pytest.fixture
def calls() -> Iterator[CallbackThread]:
    """A thread that is not started: tests say when it begins."""
    deaths: list[str] = []
    thread = CallbackThread(lambda name, error: deaths.append(name))
    yield thread
    thread.stop()
    assert deaths == []


def test_newest_price_takes_the_place_of_the_one_that_waits(calls: CallbackThread) -> None:
    """Each market has one place in the line, and keeps it."""
    got: list[str] = []
    for value in range(1000):
        calls.newest("A", lambda value=value: got.append(f"A{value}"))  # type: ignore[misc]
        calls.newest("B", lambda value=value: got.append(f"B{value}"))  # type: ignore[misc]
    calls.run_once()
    assert got == ["A999", "B999"]
    assert calls.merged == 1998


def test_reports_are_never_dropped_and_go_first(calls: CallbackThread) -> None:
    """Every one, in order, before whatever else waits."""
    got: list[int] = []
    calls.newest("A", lambda: got.append(-1))
    for n in range(LONGEST_QUEUE + 10):
        calls.report(lambda n=n: got.append(n))  # type: ignore[misc]
    calls.run_once()
    assert got == [*range(LONGEST_QUEUE + 10), -1]
    assert calls.dropped == 0


def test_public_frames_lose_their_oldest_and_say_so(calls: CallbackThread) -> None:
    """A handler that does not keep up must not eat the memory."""
    got: list[int] = []
    for n in range(LONGEST_QUEUE + 10):
        calls.frame(lambda n=n: got.append(n))  # type: ignore[misc]
    calls.run_once()
    assert got == list(range(10, LONGEST_QUEUE + 10))
    assert calls.dropped == 10


def test_a_callback_that_always_fails_does_not_fill_the_log(
    calls: CallbackThread, caplog: pytest.LogCaptureFixture
) -> None:
    """All are counted; of each kind the 1st, 2nd, 4th, 8th … is logged."""

    def fails(kind: type[Exception]) -> None:
        raise kind

    for _ in range(1000):
        calls.report(lambda: fails(ValueError))
    calls.report(lambda: fails(KeyError))
    calls.run_once()
    assert calls.errors == 1001
    assert len(caplog.records) == 11


def test_frames_and_prices_take_turns(calls: CallbackThread) -> None:
    """A long queue of frames doesn't keep the prices waiting."""
    got: list[str] = []
    for _ in range(5):
        calls.frame(lambda: got.append("frame"))
    for name in "ab":
        calls.newest(name, lambda: got.append("price"))
    calls.run_once()
    assert got.count("frame") == 5
    assert got[:4].count("price") == 2


def test_a_call_that_raises_is_counted_and_the_next_one_comes(
    calls: CallbackThread, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises, the thread goes on."""
    done = threading.Event()
    calls.start()
    for _ in range(3):
        calls.report(lambda: [][0])
    calls.report(done.set)
    assert done.wait(2)
    assert calls.errors == 3
    assert any("callback failed" in r.getMessage() for r in caplog.records)


def test_calls_run_on_their_own_thread_while_others_add(calls: CallbackThread) -> None:
    """No report of four busy threads is lost."""
    got: list[str] = []
    calls.start()

    def add(who: int) -> None:
        for n in range(500):
            calls.report(lambda: got.append(threading.current_thread().name))
            calls.newest(who, lambda: None)
            calls.frame(lambda n=n: None)  # type: ignore[misc]

    threads = [threading.Thread(target=add, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: len(got) == 2000)
    assert set(got) == {"price callbacks"}


def test_latency_summary_is_by_nearest_rank() -> None:
    """1 … 100 ms; nothing is made up for an empty window."""
    found = summary_ms([n / 1000 for n in range(100, 0, -1)])
    assert found == {"mean": 50.5, "median": 50.0, "p95": 95.0, "p99": 99.0, "samples": 100}
    assert summary_ms([0.25]) == {"mean": 250.0, "median": 250.0, "p95": 250.0, "p99": 250.0, "samples": 1}
    assert summary_ms([]) == {"mean": None, "median": None, "p95": None, "p99": None, "samples": 0}


def test_recent_values_keep_the_newest() -> None:
    """A ring: the oldest makes room."""
    recent = RecentValues(3)
    for value in range(5):
        recent.note(value)
    assert sorted(recent.copy()) == [2, 3, 4]
