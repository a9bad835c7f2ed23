"""Steady state: how often prices are read by REST, with the feed proven and with its socket down.

Markets move rarely here: a proven quiet market costs no request, however many there are.
"""

from __future__ import annotations

import time

from base.app.loop import TradingApp
from base.simulator.rate_limits import BASIC
from benchmarks.exchange_process import PRICES, ExchangeProcess
from benchmarks.guarded_app import guarded_app, wait_armed
from benchmarks.measuring import is_quick, report

POSITIONS = (10, 100, 1000)
WINDOW_S = 12.0
BUDGET_PER_MIN = 200 * 60 / 10
"""The Basic tier's read budget in calls: 200 tokens a second, 10 a call."""
DOWN_S = 6.0
"""What passes before REST is in charge everywhere: only then the age of prices is judged."""
LOOK_S = 0.25


def main() -> None:
    """Measure and print."""
    quick = is_quick()
    window_s = 1.0 if quick else WINDOW_S
    proven: dict[str, float] = {}
    down: dict[str, float] = {}
    for positions in POSITIONS[:1] if quick else POSITIONS:
        tickers = [f"KXHELD-26DEC31-{n:04}" for n in range(positions)]
        with ExchangeProcess() as exchange:
            exchange.do("list_markets", tickers, "10")
            with guarded_app(exchange.address, "strategy.class=benchmarks.strategies:Idle") as app:
                wait_armed(app, tickers, 90.0)
                exchange.do("set_tier", BASIC)
                proven[str(positions)] = _calls_per_min(exchange, window_s)
                if positions == POSITIONS[-1] or quick:
                    down = _socket_down(exchange, app, window_s)
    report(
        "steady_state",
        window_s=window_s,
        price_calls_per_min_by_positions=proven,
        socket_down_positions=positions,
        **down,
    )


def _calls_per_min(exchange: ExchangeProcess, window_s: float) -> float:
    exchange.do("forget_requests")
    time.sleep(window_s)
    return round(exchange.do("requests_of", PRICES) * 60 / window_s, 1)


def _socket_down(exchange: ExchangeProcess, app: TradingApp, window_s: float) -> dict[str, float]:
    """Cut the feed, let REST take over, then count its calls and watch the age of every price."""
    exchange.do("refuse_connections")
    exchange.do("cut_connections")
    time.sleep(DOWN_S)
    exchange.do("forget_requests")
    oldest_s, end_s = 0.0, time.monotonic() + window_s
    while time.monotonic() < end_s:
        ages = [view.age_s for view in app.view().positions]
        oldest_s = max([oldest_s, *(float("inf") if age is None else age for age in ages)])
        time.sleep(LOOK_S)
    calls = round(exchange.do("requests_of", PRICES) * 60 / window_s, 1)
    return {
        "socket_down_price_calls_per_min": calls,
        "socket_down_share_of_basic_read_budget": round(calls / BUDGET_PER_MIN, 3),
        "socket_down_oldest_price_s": round(oldest_s, 2),
    }


if __name__ == "__main__":
    main()
