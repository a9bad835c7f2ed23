"""One run: a seed in, what went wrong and what was reached out."""

from __future__ import annotations

import gc
import itertools
import sqlite3
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from base.risk.emergency import emergency_path
from base.risk.journal_file import JournalFile
from base.risk.journal_head import JournalHead
from base.risk.messages import Row
from base.simulator import keys
from tests.simulation import threads
from tests.simulation.day import Day, Disk
from tests.simulation.exchange import BASE_MS, SimulatedExchange
from tests.simulation.faults import Faults
from tests.simulation.judge import Judge, PlannedDeath
from tests.simulation.network import Network
from tests.simulation.plan import Plan, draw
from tests.simulation.program import Program, new_folder, plug_in, remove
from tests.simulation.scheduler import Machine, Scheduler

EVENING_S = 120.0
VERIFY_EVERY = 16
NIGHT_S = 12.0
"""A run whose faults do not end is watched this much longer."""


@dataclass(slots=True)
class Result:
    """What became of one seed."""

    seed: int
    violations: list[str]
    reached: Counter[str]
    trace: str
    virtual_s: float
    cpu_s: float
    diary: list[str] = field(default_factory=list)


def run(seed: int, *, keeps_diary: bool = False, plan: Plan | None = None) -> Result:
    """Live one seed."""
    began = time.process_time()
    plan = plan or draw(seed)
    scheduler = Scheduler(Random(f"order {seed}"), shuffles=plan.shuffles, preempts=plan.preempts)
    machine = Machine(boot_s=100_000.0, wall_ms=BASE_MS)
    exchange = SimulatedExchange(scheduler, plan.semantics, plan.tier, salt=seed)
    faults = Faults(Random(f"faults {seed}"), plan.kinds, plan.latency_s, plan.page)
    folder = new_folder()
    program = Program(plan, scheduler, machine, folder)
    judge = Judge(plan, scheduler, exchange, program)
    network = Network(scheduler, exchange, faults, judge)
    disk = Disk(program)
    day = judge.day = Day(plan, scheduler, machine, exchange, network, faults, program, disk)
    day.noted, program.told = judge.note, judge.told
    if keeps_diary:
        judge.diary = []
    judge.kill = lambda why: day.kill(why, 1.0)
    scheduler.crashed = program.crashed_task
    scheduler.switched = judge.trace.update
    here = threads.RUN
    here.scheduler, here.random, here.machine = scheduler, Random(f"program {seed}"), machine
    here.network, here.watch, here.disk, here.judge = network, judge, disk, judge
    try:
        day.open()
        scheduler.after(1.0, judge.look)
        _advance_exchange(scheduler, exchange)
        _break_threads(scheduler, disk, program)
        scheduler.run(plan.day_s + (EVENING_S if plan.is_liveness else NIGHT_S), lambda: judge.is_over)
        judge.end()
    except Exception as e:
        where = traceback.extract_tb(e.__traceback__)[-1]
        judge.violated("run", f"{type(e).__name__} {e} at {where.filename.rpartition('/')[2]}:{where.lineno}")
    finally:
        program.let_go()
        judge.close()
        scheduler.close()
        kept = emergency_path(program.journal_path, None)
        for path in (kept, JournalHead(kept).path):
            path.unlink(missing_ok=True)
        remove(folder)
    if seed % 64 == 0:
        gc.collect()
    faults.reached.update(judge.reached_states)
    return Result(
        seed=seed,
        violations=judge.violations,
        reached=faults.reached,
        trace=judge.trace.hexdigest(),
        virtual_s=scheduler.now_s,
        cpu_s=time.process_time() - began,
        diary=judge.diary or [],
    )


def _advance_exchange(scheduler: Scheduler, exchange: SimulatedExchange) -> None:
    """Let the exchange's own clock act: closes, settlements."""

    def tick() -> None:
        exchange.venue.advance()
        scheduler.after(0.5, tick)

    tick()


def _break_threads(scheduler: Scheduler, disk: Disk, program: Program) -> None:
    """K12: let the monitor's thread die when the day says so."""

    def tick() -> None:
        if disk.break_next_round and program.parts is not None and program.is_guarding:
            disk.break_next_round = False

            def die() -> None:
                raise PlannedDeath

            program.parts.monitor._publish = die  # type: ignore[method-assign]
        scheduler.after(0.3, tick)

    tick()


def prepare() -> None:
    """Make this process a simulation. Once."""
    gc.disable()  # one run makes little that points in circles: it is collected between runs
    plug_in()
    write = JournalFile.write

    def faulty(file: JournalFile, rows: Iterable[Row]) -> None:
        disk = threads.RUN.disk
        if file.is_copy:  # in memory: there no disk is full
            write(file, rows)
            return
        if disk.slow_s:
            disk.busy_until_s = max(disk.busy_until_s, threads.RUN.scheduler.now_s + disk.slow_s)
            threads.RUN.scheduler.sleep(disk.slow_s)
        if disk.is_full:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        write(file, rows)

    JournalFile.write = faulty  # type: ignore[method-assign]
    _verify_now_and_then()


def _verify_now_and_then() -> None:
    """One signature in so many is verified: other tests are about them, and it takes a tenth of the time."""
    verify, count = keys._is_signed, itertools.count()

    def now_and_then(*given: Any) -> bool:
        return next(count) % VERIFY_EVERY != 0 or verify(*given)

    keys._is_signed = now_and_then
