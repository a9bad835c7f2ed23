"""One thread at a time, in virtual time: the seed says who runs next.

Every thread of the program under test is a greenlet. It runs until it waits (an event, a queue, a
lock, a socket), and now and then it is interrupted where it takes a lock; then the scheduler picks
the next one that can run. When nobody can, time jumps to the next timer. Nothing here sleeps, so a
minute of the program's life takes milliseconds, and the same seed gives the same run.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from random import Random

from greenlet import GreenletExit, getcurrent, greenlet

Do = Callable[[], None]
MOST_SWITCHES = 100_000
"""Between two moments; more is a program that never waits."""


class Machine:
    """A computer with clocks of its own. Several processes may run on it, one after the other.

    ``wall_error_ms`` is what its wall clock is off; ``asleep_s`` what the monotonic clock missed.
    """

    def __init__(self, boot_s: float, wall_ms: int):
        self.boot_s, self.wall_ms = boot_s, wall_ms  # at virtual time 0
        self.wall_error_ms = 0
        self.asleep_s = 0.0
        self.is_frozen = False
        self.thawed_s = 0.0
        self.parked: list[Task] = []


class Process:
    """A running program: dead means killed, like ``kill -9``; nothing of it runs any more."""

    def __init__(self, machine: Machine, name: str):
        self.machine = machine
        self.name = name
        self.is_dead = False
        self.tasks: list[Task] = []


class Task:
    """One thread of the program."""

    __slots__ = ("is_done", "joined", "let", "name", "owner", "process", "tag")

    def __init__(self, name: str, process: Process, owner: object):
        self.name, self.tag = name, name.encode()
        self.process = process
        self.owner = owner  # the Thread object, for current_thread()
        self.is_done = False
        self.joined: deque[Wait] = deque()
        self.let: greenlet | None = None


class Wait:
    """One task's wait. It ends once: by whoever it waits for, or by its timer."""

    __slots__ = ("is_over", "scheduler", "task", "timed_out")

    def __init__(self, scheduler: Scheduler, task: Task):
        self.scheduler = scheduler
        self.task = task
        self.is_over = False
        self.timed_out = False

    def wake(self) -> bool:
        """End the wait; ``False``: it was over."""
        if self.is_over:
            return False
        self.is_over = True
        self.scheduler.make_ready(self.task)
        return True

    def time_out(self) -> None:
        """The timer rang."""
        if not self.is_over:
            self.timed_out = True
            self.wake()


Waits = deque[Wait]


class Scheduler:
    """Runs tasks and timers. ``now_s`` is true time since the run began, seconds.

    Args:
        random: Picks among tasks that can run.
        shuffles: Whether it does; else first come, first served.
        preempts: How many takings of a lock lie between two interruptions, on average; 0: never.
    """

    def __init__(self, random: Random, *, shuffles: bool, preempts: int):
        self.now_s = 0.0
        self.current: Task | None = None
        self.is_closing = False
        self.switches = 0
        self.crashed: Callable[[Task, BaseException], None] | None = None
        self.switched: Callable[[bytes], None] | None = None
        self._random, self._shuffles, self._preempts = random, shuffles, preempts
        self._countdown = preempts
        self._ready: deque[Task] = deque()
        self._timers: list[tuple[float, int, Do]] = []
        self._number = 0
        self._hub = getcurrent()
        self._tasks: list[Task] = []

    # --- timers ---------------------------------------------------------------------------------

    def at(self, at_s: float, do: Do) -> None:
        """Call ``do`` at ``at_s``, outside all tasks. It must not wait."""
        self._number += 1
        heapq.heappush(self._timers, (max(at_s, self.now_s), self._number, do))

    def after(self, delay_s: float, do: Do) -> None:
        """Call ``do`` in ``delay_s`` seconds."""
        self.at(self.now_s + delay_s, do)

    # --- tasks ----------------------------------------------------------------------------------

    def spawn(self, name: str, run: Do, process: Process, owner: object = None) -> Task:
        """Begin a task of ``process``."""
        task = Task(name, process, owner)
        task.let = greenlet(lambda: self._run_task(task, run), parent=self._hub)
        process.tasks.append(task)
        self._tasks.append(task)
        self.make_ready(task)
        return task

    def _run_task(self, task: Task, run: Do) -> None:
        try:
            run()
        except GreenletExit:
            pass
        except BaseException as e:
            if self.crashed is None or self.is_closing:
                raise
            self.crashed(task, e)
        finally:
            task.is_done = True
            if not self.is_closing:
                while task.joined:
                    task.joined.popleft().wake()

    def make_ready(self, task: Task) -> None:
        """``task`` may run again."""
        if task.process.machine.is_frozen:
            task.process.machine.parked.append(task)
        else:
            self._ready.append(task)

    def block(self, waits: Waits | None, timeout_s: float | None) -> bool:
        """Let the current task wait until woken; ``False``: the time was up."""
        task = self._me()
        wait = Wait(self, task)
        if waits is not None:
            waits.append(wait)
        if timeout_s is not None:
            self.at(self.now_s + max(0.0, timeout_s), wait.time_out)
        self._leave(task)
        if wait.timed_out and waits is not None and wait in waits:
            waits.remove(wait)
        return not wait.timed_out

    def sleep(self, seconds: float) -> None:
        """Let the current task wait."""
        self.block(None, seconds)

    def may_interrupt(self) -> None:
        """The current task takes a lock: now and then somebody else goes first."""
        if self.is_closing:
            raise GreenletExit
        if not self._preempts or self.current is None:
            return
        self._countdown -= 1
        if self._countdown <= 0:
            self._countdown = self._random.randint(1, 2 * self._preempts)
            task = self.current
            self.make_ready(task)
            self._leave(task)

    def _me(self) -> Task:
        if self.is_closing:
            raise GreenletExit
        if self.current is None:
            raise RuntimeError("only a task may wait")
        return self.current

    def _leave(self, task: Task) -> None:
        self._hub.switch()
        if self.is_closing or task.process.is_dead:
            raise GreenletExit

    # --- machines -------------------------------------------------------------------------------

    def freeze(self, machine: Machine, seconds: float, *, counts_as_sleep: bool) -> None:
        """Stop everything on ``machine`` for a while: SIGSTOP, or a laptop that was closed."""
        machine.is_frozen = True

        def thaw() -> None:
            machine.is_frozen, machine.thawed_s = False, self.now_s
            if counts_as_sleep:
                machine.asleep_s += seconds
            parked, machine.parked = machine.parked, []
            self._ready.extend(parked)

        frozen = [task for task in self._ready if task.process.machine is machine]
        self._ready = deque(task for task in self._ready if task.process.machine is not machine)
        machine.parked.extend(frozen)
        self.after(seconds, thaw)

    # --- the loop -------------------------------------------------------------------------------

    def run(self, until_s: float, is_over: Callable[[], bool]) -> None:
        """Run until ``until_s``, or until a timer made it ``is_over()``."""
        while not is_over():
            most = self.switches + MOST_SWITCHES
            while self._ready:
                self._run_next()
                if self.switches > most:
                    raise RuntimeError("the program goes round and round without waiting")
            if not self._timers or self._timers[0][0] > until_s:
                self.now_s = until_s
                return
            at_s, _, do = heapq.heappop(self._timers)
            self.now_s = at_s
            do()

    def _run_next(self) -> None:
        ready = self._ready
        if self._shuffles and len(ready) > 1:
            ready.rotate(-self._random.randrange(len(ready)))
        task = ready.popleft()
        if task.is_done or task.process.is_dead or task.let is None:
            return
        self.switches += 1
        self.current = task
        if self.switched is not None:
            self.switched(task.tag)
        task.let.switch()
        self.current = None

    def close(self) -> None:
        """End every task that is left, in whatever it waits for; nothing it does then counts."""
        self.is_closing = True
        for task in self._tasks:
            if task.let is not None and not task.is_done and task.let:
                task.let.throw(GreenletExit)
            task.let = None
