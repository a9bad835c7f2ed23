"""Tick to order: from the frame that touches a stop leaving the exchange to the exit arriving there.

The program guards 50 positions and more, writes its journal with fsync, shows its lines and takes
in 2,000 frames a second beside it. The yardstick is a bare loop on an idle machine, in the same run.
"""

from __future__ import annotations

import time

from benchmarks.bare_loop import bare_delays_ms
from benchmarks.exchange_process import WIDE_ASK, ExchangeProcess
from benchmarks.guarded_app import guarded_app, wait_armed
from benchmarks.measuring import is_quick, report, spread
from benchmarks.strategies import WATCHED

FRAMES_PER_S = 2000
HELD = 50
PAUSE_S = 0.1
"""Ten exits a second are all that the Basic tier's write budget allows."""
READ_PAUSE_S = 0.25
"""Price reads are paced at ten a second: exits that wait for one each do not queue here."""
SETTLED_S = 5.2
"""Prices of the first five seconds after a subscription are confirmed by REST: that is the other figure."""
BARE = "KXBARE-26DEC31-A"


def main() -> None:
    """Measure and print."""
    quick = is_quick()
    rounds, per_round = (1, 3) if quick else (4, 52)
    standing = [f"KXHELD-26DEC31-{n:03}" for n in range(5 if quick else HELD)]
    with ExchangeProcess() as exchange:
        exchange.do("list_markets", [BARE], "100000")
        half = rounds * per_round // 2 + 1
        bare = bare_delays_ms(exchange, BARE, half, PAUSE_S)
        exchange.do("set_position", BARE, "0", "0.60")
        exits, confirmed = _exit_delays_ms(exchange, standing, rounds, per_round)
        exchange.do("set_position", BARE, "100000", "0.60")
        bare += bare_delays_ms(exchange, BARE, half, PAUSE_S)  # the machine may have changed meanwhile
    ours, theirs = spread(exits), spread(bare)
    report(
        "tick_to_order",
        exits=ours,
        bare_loop_idle=theirs,
        p50_ratio=round(ours["p50_ms"] / theirs["p50_ms"], 2),
        p99_ratio=round(ours["p99_ms"] / theirs["p99_ms"], 2),
        exits_confirmed_by_rest=spread(confirmed),
        positions_held_at_least=len(standing),
        background_frames_per_s=FRAMES_PER_S,
    )


def _exit_delays_ms(
    exchange: ExchangeProcess, standing: list[str], rounds: int, per_round: int
) -> tuple[list[float], list[float]]:
    """Touch fresh stops one after the other; the standing ones stay throughout."""
    exchange.do("list_markets", WATCHED)
    exchange.do("list_markets", standing, "10")
    plain: list[float] = []
    confirmed: list[float] = []
    with guarded_app(exchange.address, "strategy.class=benchmarks.strategies:Watching") as app:
        wait_armed(app, standing)
        exchange.do("start_traffic", standing, WATCHED, FRAMES_PER_S)
        for number in range(rounds):
            fresh = [f"KXEXIT-26DEC31-R{number:02}M{n:02}" for n in range(per_round)]
            doubtful = [f"KXDOUBT-26DEC31-R{number:02}M{n:02}" for n in range(max(1, per_round // 5))]
            exchange.do("list_markets", fresh, "10")
            exchange.do("list_markets", doubtful, "10", WIDE_ASK)
            wait_armed(app, [*fresh, *doubtful])
            time.sleep(SETTLED_S)
            plain += exchange.do("touch_all", fresh, PAUSE_S)
            confirmed += exchange.do("touch_all", doubtful, READ_PAUSE_S)
        exchange.do("stop_traffic")
    return plain, confirmed


if __name__ == "__main__":
    main()
