"""What one seed means: the exchange's unknowns, what is held, how prices go, and what happens when."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from base.simulator.rate_limits import ADVANCED, BASIC, UNLIMITED, Tier
from base.simulator.semantics import Semantics
from tests.simulation import persons
from tests.simulation.faults import FRAME_KINDS, REPORT_KINDS, REQUEST_KINDS

D = Decimal
SWITCHED_ON = 0.25
RULES: tuple[dict[str, Any], ...] = (
    {"stop": "0.40"},
    {"stop": "0.40"},
    {"stop": "0.40", "take_profit": "0.85"},
    {"loss_percent": 33, "gain_percent": 50},
    {"stop": "0.50"},
    {"trail_cents": 12},
    {"trail_cents": 12, "min_size": 5},
    {"trail_cents": 12, "min_size": 5},
    {"stop": "0.40", "dwell_s": 1},
    {"stop": "0.40", "updates": 2, "max_spread": "0.08", "catastrophe": "0.15"},
    {"stop": "0.40", "min_size": 5},
    {"take_profit": "0.85"},
)
EVENTS = {
    "crash": 1.0,  # of the price, not of the program
    "wick": 0.5,
    "rally": 0.4,
    "thin": 0.3,
    "ghost": 0.4,
    "no bids": 0.3,
    "nobody at all": 0.15,
    "offers only": 0.25,
    "bids flee": 0.25,
    "wide": 0.3,
    "E16 shard paused": 0.2,
    "E16 exchange paused": 0.1,
    "E16 market paused": 0.25,
    "E17 market closes": 0.12,
    "E17 market determined": 0.08,
    "E19 grid changes": 0.15,
    "E11 sold by hand": 0.3,
    "E12 added by hand": 0.3,
    "E12 turned by hand": 0.12,
    "T7 rests an order": 0.3,
    "W9 moved while away": 0.25,
    "N1 half-open": 0.3,
    "N13 flaps": 0.2,
    "N6 feed refused": 0.25,
    "N6 feed silent": 0.15,
    "W17 feed 401": 0.1,
    "W17 feed 429": 0.1,
    "N4 feed lags": 0.25,
    "W1 pings only": 0.25,
    "W10 command refused": 0.2,
    "W11 overflow": 0.2,
    "W12 closed with a code": 0.2,
    "N7 REST refuses": 0.3,
    "N7 REST silent": 0.25,
    "E30 order rests": 0.15,
    "C1 clock jumps": 0.1,
    "C3 suspend": 0.15,
    "C4 stopped": 0.15,
    "K killed": 0.35,
    "K9 killed again": 0.15,
    "O1 halted": 0.15,
    "O9 old journal": 0.05,
    "D1 disk full": 0.12,
    "D2 slow disk": 0.12,
    "K15 second instance": 0.1,
    "K12 thread dies": 0.08,
    "R6 budget drained": 0.15,
}
"""What may happen in the day, and how likely."""
STAGES = ("leaving", "left", "executed", "answered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What is held at the beginning. ``safe`` is the bid on its side then."""

    ticker: str
    shard: int
    grid: str
    is_yes: bool
    count: Decimal
    entry: Decimal
    safe: Decimal
    rule: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run."""

    seed: int
    is_liveness: bool
    semantics: Semantics
    tier: Tier
    latency_s: float
    page: int | None
    kinds: frozenset[str]
    holdings: tuple[Holding, ...]
    settings: dict[str, Any]
    events: tuple[tuple[float, str], ...]  # at which second of the day
    day_s: float
    shuffles: bool
    preempts: int
    kill_at: tuple[str, int] | None  # stage of an order's way, and which time


def draw(seed: int) -> Plan:
    """Return what ``seed`` means."""
    random = Random(seed)
    kinds = {k for k in (*REQUEST_KINDS, *REPORT_KINDS, *FRAME_KINDS) if random.random() < SWITCHED_ON}
    semantics = _semantics(random)
    if semantics.dedupe != "forever" or semantics.reduce_only != "honoured":
        # An exchange that takes an id again, or sells what is not held, cannot be asked to do it late.
        kinds -= {"E5 late execution", "E-dup delivered twice"}
    day_s = random.uniform(8.0, 16.0)
    return Plan(
        seed=seed,
        is_liveness=random.random() < 0.5,
        semantics=semantics,
        tier=random.choice((BASIC, ADVANCED, UNLIMITED)),
        latency_s=random.choice((0.002, 0.01, 0.05, 0.2)),
        page=random.choice((None, None, 1, 2)),
        kinds=frozenset(kinds),
        holdings=tuple(_holding(random, i) for i in range(random.choice((1, 1, 1, 2, 2, 3)))),
        settings=_settings(random),
        events=tuple(sorted((*_events(random, day_s), *persons.draw(Random(f"persons {seed}"), day_s)))),
        day_s=day_s,
        shuffles=random.random() < 0.5,
        preempts=random.choice((0, 0, 20, 200)),
        kill_at=(random.choice(STAGES), random.choice((1, 1, 2, 3))) if random.random() < 0.2 else None,
    )


def _semantics(random: Random) -> Semantics:
    choose = random.choice
    return Semantics(
        dedupe=choose(("forever", "forever", "open_only")),
        repeat_answer=choose((409, 409, 201)),
        reduce_only=choose(("honoured",) * 7 + ("ignored",)),
        reduce_only_excess=choose(("capped", "rejected")),
        reduce_only_nothing=choose(("cancelled", "rejected")),
        reduce_only_counts_resting=choose((False, True)),
        ioc_remaining_is_zero=choose((True, False)),
        ioc_while_paused=choose(("refused", "cancelled")),
        maker_prevention=choose(("cancel_resting", "cancel_incoming")),
        closed_market_status=choose((400, 404, 409)),
        cancel_while_inactive=choose((True, False)),
        read_lag_s=choose((0.0, 0.2, 0.2, 1.0, 5.0, 30.0)),
        position_lag_s=choose((None, None, 0.5, 10.0, 30.0)),
        timestamp_ahead_s=choose((0.0, 0.0, 1.0, 4.0)),
        book_order=choose(("ascending", "descending")),
        empty_book=choose(("arrays", "absent")),
        skew_window_s=choose((5.0, 10.0, 30.0)),
        delete_last_market=choose(("keep_empty", "all")),
        duplicate_subscribe_snapshot=choose((False, True)),
        seq_on_unsequenced=choose((False, True)),
        empty_side_price=choose(("sentinel", "blank")),
        ok_after_get_snapshot=choose((False, True)),
        get_snapshot_consumes_seq=choose((True, False)),
        use_yes_price_default=choose((False, True)),
        settlement_timer_s=choose((None, 2.0)),
    )


def _holding(random: Random, number: int) -> Holding:
    rule = random.choice(RULES)
    return Holding(
        ticker=f"KXSIM-26DEC31-{'ABC'[number]}",
        shard=random.choice((0, 2)),
        grid=random.choice(("linear_cent", "deci_cent", "tapered_deci_cent")),
        is_yes=random.random() < 0.5,
        count=random.choice((D(1), D(10), D("12.50"), D(100))),
        entry=D("0.60"),
        safe=D("0.36") if random.random() < 0.12 else random.choice((D("0.54"), D("0.60"), D("0.70"))),
        rule=rule,
    )


def _settings(random: Random) -> dict[str, Any]:
    settings: dict[str, Any] = {"reentry_cooldown_s": 1}
    if random.random() < 0.3:
        settings |= {"below_floor": "chase", "last_floor": "0.05"}
    if random.random() < 0.2:
        settings["adopt"] = {"already_breached": random.choice(("exit", "hold"))}
    if random.random() < 0.2:
        settings["max_slippage"] = "0.02"
    return settings


def _events(random: Random, day_s: float) -> tuple[tuple[float, str], ...]:
    chosen = [name for name, probability in EVENTS.items() if random.random() < probability * 0.6]
    chosen += ["crash"]
    return tuple(sorted((random.uniform(2.0, day_s), name) for name in chosen))
