"""Rounds in which not the program but what it stands on is broken: wires, answers, reads, disk, clock, files."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.torture import files, isolation
from tests.torture.judge import Verdict
from tests.torture.kills import KILLED_S, MID_EXIT, killed_five_times
from tests.torture.program import NotSo
from tests.torture.scene import Scene, scene
from tests.torture.witness import ORDERS

Fault = Callable[[Scene], None]
CUT_S = 8.0
"""How long a half-open wire stays so: longer than the five seconds in which it has to be noticed."""
NOTICED_S = 5.5
"""A dead feed is noticed within five seconds; half a second for its showing."""
LATE_S, VERY_LATE_S = 4.0, 9.0
"""After our time-out of three seconds; after the absence of the order could be proven, too.

Ten seconds after it was signed the exchange refuses a request.
"""
DRIP_S = 0.03
LAGS_S = (0.0, 1.0, 5.0, 12.0, 30.0)
LAG_MARGIN_S = 45.0
LONG_PAUSE_S, PAUSE_S = 30.0, 12.0
"""Half a minute, after which the exchange has hung up; less, after which old frames wait in the socket."""
SETTLED_S = 5.0
STARTED_S = 20.0
WRONG = 2


def fault_round(name: str, number: int, folder: Path | None = None) -> Verdict:
    """Play one round of the fault ``name``; ``folder``: where the program is to be installed."""
    if name == FIVE:
        return killed_five_times(number)
    play = FAULTS[name]
    held = files.OLD if play is files.old_version else None
    with scene(
        number, is_proxied=name in PROXIED, has_late_orders=name in LATE, held=held, folder=folder
    ) as round_:
        play(round_)
    return round_.verdict


# --- wires --------------------------------------------------------------------------------------------


def _half_open(round_: Scene) -> None:
    """Everything hangs as the stop is touched, then goes on: nothing is closed, no byte comes."""
    round_.start_armed()
    round_.touch(thin=False)
    if round_.number % 2:
        time.sleep(0.005)  # an order may be on its way
    round_.proxy.freeze()
    time.sleep(CUT_S)
    round_.proxy.thaw()
    round_.finish()


def _link_down(round_: Scene) -> None:
    """The same below us: packets are dropped by the kernel, in a network of this round's own."""
    round_.start_armed()
    round_.touch(thin=False)
    time.sleep(0.002 * (round_.number % 8))
    isolation.set_link(is_up=False)
    time.sleep(CUT_S)
    isolation.set_link(is_up=True)
    round_.finish()


def _half_open_feed(round_: Scene) -> None:
    """Only the feed hangs, and then the stop is touched: REST has to see it."""
    round_.start_armed()
    round_.proxy.freeze(only_feed=True)
    time.sleep(0.5)
    round_.touch(thin=False)
    began_s = time.monotonic()
    round_.program.wait(lambda: not _is_connected(round_), "noticed", NOTICED_S)
    round_.finish(timeout_s=20.0)
    if time.monotonic() - began_s > 15.0:
        round_.verdict.failures.append("REST took longer than 15 s")


def _slow_drip(round_: Scene) -> None:
    """The answers to orders come a byte at a time: too slowly to be waited for."""
    round_.proxy.drip_s = DRIP_S
    round_.start_armed()
    round_.touch()
    round_.program.wait(lambda: round_.exchange.do("sold"), "sold", KILLED_S)
    round_.proxy.drip_s = 0.0
    round_.finish()


# --- answers --------------------------------------------------------------------------------------------


def _held(round_: Scene) -> None:
    """Executed at once, answered long after we gave up."""
    round_.exchange.do("delay_reply", 10.0, 1 + round_.number % 3, ORDERS, method="POST")
    round_.start_armed()
    round_.touch()
    round_.finish()


def _lost(round_: Scene) -> None:
    """Executed; the connection is cut, or nothing more is heard of it."""
    _lose_answers(round_)
    round_.start_armed()
    round_.touch()
    round_.finish()


def _lost_and_unheard(round_: Scene) -> None:
    """The same, and no frame of the feed comes any more: only reads can tell what was sold."""
    _lose_answers(round_)
    round_.start_armed()
    round_.exchange.do("mute")
    round_.touch()
    round_.finish()


def _lose_answers(round_: Scene) -> None:
    is_silent, count = bool(round_.number % 2), 1 + round_.number % 3
    round_.exchange.do("drop_reply", count, ORDERS, method="POST", hang=is_silent)


def _late(round_: Scene) -> None:
    """Executed after we gave up; in every fourth round after its absence was proven, too."""
    seconds = VERY_LATE_S if round_.number % 4 == 3 else LATE_S
    round_.exchange.do("delay_execute", seconds, 1 + round_.number % 2, ORDERS, method="POST")
    round_.start_armed()
    round_.touch()
    round_.finish(linger_s=seconds)


def _late_and_killed(round_: Scene) -> None:
    """The order is executed seconds after the program that sent it died; the next one must not sell again."""
    round_.exchange.do("delay_execute", LATE_S, 2, ORDERS, method="POST")
    round_.start_armed()
    round_.touch(thin=False)
    round_.program.wait(lambda: round_.seen().orders, "sent", KILLED_S)
    round_.program.kill()
    round_.restart()
    round_.finish(linger_s=LATE_S)


def _lagging_reads(round_: Scene) -> None:
    """Reads trail the engine by up to half a minute, while an exit is settled after a kill."""
    lag_s = LAGS_S[round_.number % len(LAGS_S)]
    round_.start_armed(MID_EXIT[round_.number % len(MID_EXIT)])
    round_.exchange.do("lag_reads", lag_s)
    round_.touch()
    round_.program.wait_dead(MID_EXIT[round_.number % len(MID_EXIT)], KILLED_S)
    round_.restart()
    round_.finish(timeout_s=2 * lag_s + LAG_MARGIN_S)


# --- the process -----------------------------------------------------------------------------------------


def _paused(seconds: float) -> Fault:
    """SIGSTOP for so long. Touched and back meanwhile: nothing is sold. Touched since: it is."""

    def play(round_: Scene) -> None:
        is_back, is_exiting = bool(round_.number % 2), round_.number % 4 > 1
        round_.start_armed()
        if is_exiting:
            round_.touch(thin=False)
            time.sleep(0.001 * (round_.number % 8))
        round_.program.signal(signal.SIGSTOP)
        time.sleep(seconds / 3)
        round_.touch(thin=False)
        time.sleep(seconds / 3)
        if is_back:
            round_.exchange.do("recover", round_.doomed)
        time.sleep(seconds / 3)
        goes_on_ns = time.monotonic_ns()
        round_.program.signal(signal.SIGCONT)
        if not is_back:
            round_.finish()
            return
        time.sleep(SETTLED_S)
        if any(order.at_ns > goes_on_ns for order in round_.seen().orders):
            round_.verdict.failures.append("it sold on what it saw, or missed, while it was stopped")
        round_.finish(must_sell=[], may_sell=round_.doomed if is_exiting else ())

    return play


def _two_instances(round_: Scene) -> None:
    """A second one refuses while the first lives, and takes over from a killed one in mid-exit."""
    program = round_.program
    hook = MID_EXIT[round_.number % len(MID_EXIT)]
    round_.start_armed(hook)
    second = program.spawn()
    try:
        status = second.wait(STARTED_S)
    except subprocess.TimeoutExpired:
        os.killpg(second.pid, signal.SIGKILL)
        raise NotSo("the second one runs, too") from None
    if status != WRONG or "already guards this account" not in program.said():
        round_.verdict.failures.append(f"the second one ended with {status}: {program.said()}")
    round_.touch()
    program.wait_dead(hook, KILLED_S)
    round_.restart()
    round_.finish()


FIVE = "killed in five recoveries in a row"
PROXIED = frozenset({"half-open", "half-open feed", "slow drip"})
LATE = frozenset({"half-open", "half-open, packets dropped", "late orders", "late orders, killed"})
"""An order held up on its way may come after its absence was proven. Nobody can tell then, but for its id."""
FAULTS: dict[str, Fault] = {
    "half-open": _half_open,
    "half-open, packets dropped": _link_down,
    "half-open feed": _half_open_feed,
    "slow drip": _slow_drip,
    "held answers": _held,
    "lost answers": _lost,
    "lost answers, dead feed": _lost_and_unheard,
    "late orders": _late,
    "late orders, killed": _late_and_killed,
    "lagging reads": _lagging_reads,
    "SIGSTOP 30 s": _paused(LONG_PAUSE_S),
    "SIGSTOP 12 s": _paused(PAUSE_S),
    "two instances": _two_instances,
    "disk full": files.disk_full,
    "damaged journal": files.damaged,
    "journal's tail lost": files.lost_tail,
    "journal of version 1": files.old_version,
}


ISOLATED = frozenset({"half-open, packets dropped", "disk full"})
"""Each round of these has a network and a disk of its own, where the kernel lets us."""


def _is_connected(round_: Scene) -> bool:
    status = round_.program.status()
    return status is None or bool(status["connected"])
