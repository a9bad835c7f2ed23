"""What Python's threading, queue, time, random and secrets are to the program in a simulation.

``RUN`` is the run under way; there is one at a time in a process.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from random import Random
from types import ModuleType
from typing import Any

from tests.simulation.scheduler import Process, Scheduler, Waits


class Run:
    """The run under way. Set anew before each."""

    scheduler: Scheduler
    random: Random  # the program's own dice
    machine: Any


RUN = Run()


def process_now() -> Process:
    """The process of the task that runs."""
    task = RUN.scheduler.current
    if task is None:
        raise RuntimeError("no task runs")
    return task.process


class Event:
    """``threading.Event``."""

    def __init__(self) -> None:
        self._is_set = False
        self._waits: Waits = deque()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        while self._waits:
            self._waits.popleft().wake()

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if self._is_set:
            RUN.scheduler.may_interrupt()
            return True
        RUN.scheduler.block(self._waits, timeout)
        return self._is_set


class Lock:
    """``threading.Lock``. Outside all tasks (the judge looks) nothing is locked."""

    __slots__ = ("_is_held", "_waits")

    def __init__(self) -> None:
        self._is_held = False
        self._waits: Waits = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        scheduler = RUN.scheduler
        if scheduler.current is None:
            return True
        scheduler.may_interrupt()
        while self._is_held:
            if not blocking or not scheduler.block(self._waits, None if timeout < 0 else timeout):
                return False
        self._is_held = True
        return True

    def release(self) -> None:
        if RUN.scheduler.current is None:
            return
        self._is_held = False
        while self._waits and not self._waits.popleft().wake():
            pass

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        if RUN.scheduler.current is not None:
            self._is_held = False
            if self._waits:
                self.release()


class Thread:
    """``threading.Thread``."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ):
        self.name = name or "thread"
        self.daemon = daemon
        self.ident: int | None = None
        self._target, self._args, self._kwargs = target, args, kwargs or {}
        self._task: Any = None

    def start(self) -> None:
        self._task = RUN.scheduler.spawn(self.name, self.run, process_now(), owner=self)
        self.ident = id(self)

    def run(self) -> None:
        if self._target is not None:
            self._target(*self._args, **self._kwargs)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.is_done

    def join(self, timeout: float | None = None) -> None:
        if self._task is not None and not self._task.is_done:
            RUN.scheduler.block(self._task.joined, timeout)


def current_thread() -> object:
    """``threading.current_thread``."""
    task = RUN.scheduler.current
    return None if task is None else task.owner


class SimpleQueue:
    """``queue.SimpleQueue``."""

    def __init__(self, maxsize: int = 0) -> None:
        self._maxsize = maxsize
        self._items: Any = deque()
        self._waits: Waits = deque()

    def put_nowait(self, item: Any) -> None:
        if 0 < self._maxsize <= len(self._items):
            raise queue.Full
        self.put(item)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._add(item)
        while self._waits and not self._waits.popleft().wake():
            pass

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        RUN.scheduler.may_interrupt()
        while not self._items:
            if not block or not RUN.scheduler.block(self._waits, timeout):
                raise queue.Empty
        return self._take()

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def qsize(self) -> int:
        return len(self._items)

    def empty(self) -> bool:
        return not self._items

    def _add(self, item: Any) -> None:
        self._items.append(item)

    def _take(self) -> Any:
        return self._items.popleft()


class PriorityQueue(SimpleQueue):
    """``queue.PriorityQueue``."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__()
        self._items = []

    def _add(self, item: Any) -> None:
        heapq.heappush(self._items, item)

    def _take(self) -> Any:
        return heapq.heappop(self._items)


class ThreadPoolExecutor:
    """``concurrent.futures.ThreadPoolExecutor``, as far as results are not asked for."""

    def __init__(self, max_workers: int = 1, thread_name_prefix: str = "pool"):
        self._most, self._name = max_workers, thread_name_prefix
        self._waiting: deque[Callable[[], object]] = deque()
        self._running = 0
        self._is_shut = False

    def submit(self, fn: Callable[..., object], *args: Any) -> None:
        if self._is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self._waiting.append(lambda: fn(*args))
        if self._running < self._most:
            self._running += 1
            RUN.scheduler.spawn(self._name, self._work, process_now())

    def _work(self) -> None:
        while self._waiting:
            self._waiting.popleft()()
        self._running -= 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._is_shut = True
        if cancel_futures:
            self._waiting.clear()


def _module(name: str, of: ModuleType | None = None, **members: Any) -> ModuleType:
    module = ModuleType(name)
    if of is not None:
        module.__dict__.update({k: v for k, v in vars(of).items() if not k.startswith("__")})
    module.__dict__.update(members)
    return module


def boot_s() -> float:
    """Seconds since the machine was started, suspend included."""
    return float(RUN.machine.boot_s + RUN.scheduler.now_s)


def _clock_gettime(which: int) -> float:
    machine = RUN.machine
    now_s: float = machine.boot_s + RUN.scheduler.now_s
    return now_s if which == time.CLOCK_BOOTTIME else now_s - machine.asleep_s


def _time_ns() -> int:
    machine = RUN.machine
    return (int(machine.wall_ms + machine.wall_error_ms) + round(RUN.scheduler.now_s * 1000)) * 1_000_000


def substitutes() -> dict[str, ModuleType]:
    """The modules that the program finds in place of Python's."""
    import secrets

    return {
        "threading": _module(
            "threading", threading, Event=Event, Lock=Lock, Thread=Thread, current_thread=current_thread
        ),
        "queue": _module(
            "queue", queue, SimpleQueue=SimpleQueue, Queue=SimpleQueue, PriorityQueue=PriorityQueue
        ),
        "concurrent.futures": _module("concurrent.futures", ThreadPoolExecutor=ThreadPoolExecutor),
        "time": _module(
            "time",
            CLOCK_BOOTTIME=time.CLOCK_BOOTTIME,
            CLOCK_MONOTONIC=time.CLOCK_MONOTONIC,
            clock_gettime=_clock_gettime,
            monotonic=lambda: _clock_gettime(time.CLOCK_MONOTONIC),
            time_ns=_time_ns,
            time=lambda: _time_ns() / 1e9,
        ),
        "random": _module(
            "random",
            random=lambda: RUN.random.random(),
            uniform=lambda a, b: RUN.random.uniform(a, b),
            randint=lambda a, b: RUN.random.randint(a, b),
            Random=Random,
        ),
        "uuid": _module("uuid", uuid, uuid4=lambda: uuid.UUID(int=RUN.random.getrandbits(128), version=4)),
        "secrets": _module("secrets", secrets, randbits=lambda bits: RUN.random.getrandbits(bits)),
    }
