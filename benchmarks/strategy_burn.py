"""Strategy burn: what a strategy that burns one core and the whole write budget adds to an exit.

Both halves guard the same number of positions on an exchange that enforces the Basic tier; in one of
them a strategy counts in pure Python without a pause and sends orders as fast as the budget lets it.
"""

from __future__ import annotations

import time

from benchmarks.exchange_process import ExchangeProcess
from benchmarks.guarded_app import guarded_app, wait_armed
from benchmarks.measuring import is_quick, report, spread
from benchmarks.strategies import TRADED, WATCHED, Burning
from benchmarks.tick_to_order import SETTLED_S

HELD = 20
ROUNDS, PER_ROUND = 2, 40
PAUSE_S = 0.22
"""Exits' half of the Basic write budget lasts for five orders a second."""


def main() -> None:
    """Measure and print."""
    rounds, per_round, held = (1, 2, 1) if is_quick() else (ROUNDS, PER_ROUND, HELD)
    delays: dict[str, list[float]] = {"Watching": [], "Burning": []}
    for _ in range(rounds):
        for strategy, found in delays.items():
            found += _exit_delays_ms(strategy, per_round, held)
    idle, burning = spread(delays["Watching"]), spread(delays["Burning"])
    report(
        "strategy_burn",
        exits_without=idle,
        exits_with=burning,
        added_p50_ms=round(burning["p50_ms"] - idle["p50_ms"], 3),
        added_p99_ms=round(burning["p99_ms"] - idle["p99_ms"], 3),
        strategy_orders_sent=Burning.orders,
        positions_held_at_least=held,
    )


def _exit_delays_ms(strategy: str, exits: int, held: int) -> list[float]:
    standing = [f"KXHELD-26DEC31-{n:03}" for n in range(held)]
    fresh = [f"KXEXIT-26DEC31-M{n:02}" for n in range(exits)]
    with ExchangeProcess("BASIC") as exchange:
        exchange.do("list_markets", [TRADED, *WATCHED])
        exchange.do("list_markets", [*standing, *fresh], "10")
        settings = (f"strategy.class=benchmarks.strategies:{strategy}", "strategy.interval_s=0.1")
        with guarded_app(exchange.address, *settings) as app:
            wait_armed(app, [*standing, *fresh])
            time.sleep(SETTLED_S)
            try:
                delays: list[float] = exchange.do("touch_all", fresh, PAUSE_S)
            finally:
                Burning.enough.set()
            return delays


if __name__ == "__main__":
    main()
