"""Rounds in which the program is killed at a hook, started again, and judged by what the exchange saw."""

from __future__ import annotations

import threading
import time

from tests.torture.hooks import EXECUTED, HOOKS
from tests.torture.judge import Verdict
from tests.torture.scene import CALM, DOOMED, YES, Scene, scene
from tests.torture.witness import ORDERS

KILLED_S = 30.0
"""Within this a hook has to be reached. Proof that an order is absent takes six seconds of it."""
HELD_S = 60.0
EACH_MARKET = frozenset({
    "trigger seen", "handed over", "head sent", "bytes sent", "answer received", "answer told", "confirmed",
    "cancel asked", "cancel sent", "cancel answered", "cancel told",
})  # fmt: skip
"""Reached for each market by itself: in every other pair of rounds the program dies at the second one."""
MID_EXIT = ("attempt journalled", "bytes sent", "answer received", "head sent")
"""Where the program dies before it is killed in its recovery."""
UNSOLD_S = 2.5
"""So long a price that touches the stop of a cancelled exit sells nothing. Seconds."""
HEARD = "a person's cancel heard"
RECOVERY = ("journal opened", "positions read", "subscribed", "first proof", "armed")


def kill_round(hook: str, number: int) -> Verdict:
    """Kill it once at ``hook`` and start it again; in its recovery that is the second death."""
    while_ = HOOKS[hook].while_
    if while_ == "withdrawing":
        return _withdrawn(hook, number)
    with scene(number) as round_:
        if while_ == "recovering":
            _die(round_, MID_EXIT[number % len(MID_EXIT)])
            _die_in_recovery(round_, hook)
        elif hook == EXECUTED:
            _die_unanswered(round_)
        else:
            if while_ == "cancelling":
                round_.exchange.do("rest_orders", list(DOOMED))
            _die(round_, hook)
        round_.restart()
        round_.finish()
    return round_.verdict


def killed_five_times(number: int) -> Verdict:
    """Killed in mid-exit, and then in five recoveries in a row."""
    with scene(number) as round_:
        _die(round_, MID_EXIT[number % len(MID_EXIT)])
        for hook in RECOVERY:
            _die_in_recovery(round_, hook)
        round_.restart()
        round_.finish()
    return round_.verdict


def _withdrawn(hook: str, number: int) -> Verdict:
    """A person cancels a stuck exit and it dies over that: cancelled and armed by nothing, or going on."""
    with scene(number, held={YES: 10, CALM: 5}) as round_:
        round_.start_armed(hook)
        round_.exchange.do("sink", [YES])
        round_.program.wait(lambda: "STUCK" in " ".join(round_.program.events()), "stuck", KILLED_S)
        asking = threading.Thread(target=round_.program.ask, args=("cancel", {"ticker": YES}), daemon=True)
        asking.start()
        round_.program.wait_dead(hook, KILLED_S)
        is_cancelled = not round_.program.intents().open
        round_.program.start()
        round_.program.wait(
            lambda: round_.position_of(YES).get("reason") == "cancelled" if is_cancelled else round_.has_exit(),
            "cancelled" if is_cancelled else "going on", KILLED_S,
        )  # fmt: skip
        round_.exchange.do("touch", [YES])
        if is_cancelled:
            time.sleep(UNSOLD_S)
        round_.finish(must_sell=() if is_cancelled else (YES,))
        if is_cancelled is (hook == HEARD):
            round_.verdict.failures.append(
                f"killed at {hook!r} it was {'' if is_cancelled else 'not '}cancelled"
            )
    return round_.verdict


def _die(round_: Scene, hook: str) -> None:
    nth = 2 if hook in EACH_MARKET and round_.number // 2 % 2 else 1
    round_.start_armed(hook, nth)
    round_.touch()
    round_.program.wait_dead(hook, KILLED_S)


def _die_in_recovery(round_: Scene, hook: str) -> None:
    round_.program.start_to_die(hook)
    round_.program.wait_dead(hook, KILLED_S)


def _die_unanswered(round_: Scene) -> None:
    """The exchange sells and keeps its answer; then the program is killed."""
    round_.exchange.do("delay_reply", HELD_S, 10, ORDERS, method="POST")
    round_.start_armed()
    round_.touch()
    round_.program.wait(lambda: round_.exchange.do("sold"), "sold", KILLED_S)
    round_.program.kill()
    round_.exchange.do("heal")
