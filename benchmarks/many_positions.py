"""Starting with many positions: how long until every one of them is guarded, and what it reads by REST.

Once on an exchange without limits, once on the Basic tier, whose budget the program keeps.
"""

from __future__ import annotations

import time
from collections import Counter

from benchmarks.exchange_process import ExchangeProcess
from benchmarks.guarded_app import guarded_app, wait_armed
from benchmarks.measuring import is_quick, report

POSITIONS = 1000
TIERS = ("UNLIMITED", "BASIC")
TIMEOUT_S = 120.0


def main() -> None:
    """Measure and print."""
    positions = 20 if is_quick() else POSITIONS
    report("many_positions", positions=positions, **{tier.lower(): _start(tier, positions) for tier in TIERS})


def _start(tier: str, positions: int) -> dict[str, object]:
    """Seconds from the start of the program until all are armed on a proven feed; the reads it made."""
    tickers = [f"KXHELD-26DEC31-{n:04}" for n in range(positions)]
    with ExchangeProcess(tier) as exchange:
        exchange.do("list_markets", tickers, "10")
        exchange.do("forget_requests")
        started_s = time.monotonic()
        with guarded_app(exchange.address, "strategy.class=benchmarks.strategies:Idle") as app:
            wait_armed(app, tickers, TIMEOUT_S)
            armed_s = time.monotonic() - started_s
            reads = Counter(exchange.do("reads"))
    return {"armed_s": round(armed_s, 2), "reads": sum(reads.values()), "reads_by_path": dict(reads)}


if __name__ == "__main__":
    main()
