"""The short plays: ``calm``, ``wick``, ``crash``, ``close``.

All hold 25 YES of the first market at 0.56 and 40 NO of the second at 0.62, like ``demo``.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from base.simulator.engine import lifecycle
from base.simulator.engine.market import Status
from base.simulator.scenarios.play import BEAT_S, Path, Play, Role, steady, sway
from base.simulator.scenarios.stage import Scenario, Stage

DEEP = (150, 400)  # contracts at one level
CASH = {0: "2500", 2: "5000"}
WICK_AT_S, CRASH_AT_S = 10.0, 14.0
CLOSE_AT_S, DETERMINE_AT_S, SETTLE_AT_S = 20.0, 26.0, 30.0


def _held(name: str, title: str, path: Path, close_in_s: float | None = None) -> Role:
    return Role(
        ticker=f"KXDEMO-26DEC31-{name}",
        title=title,
        bid="0.54",
        path=path,
        shard=2,
        size=DEEP,
        count="25",
        entry="0.56",
        close_in_s=close_in_s,
    )


def _harmless() -> Role:
    return Role(
        ticker="KXDEMO-26DEC31-CALM",
        title="Demo: sways, held as NO",
        bid="0.35",
        path=sway("0.35", 2, 20.0),
        shard=2,
        size=DEEP,
        count="-40",
        entry="0.62",
    )


def calm() -> Scenario:
    """Return a play in which nothing happens."""
    return Play((_held("STILL", "Demo: sways, held as YES", sway("0.54", 1, 9.0)), _harmless()), CASH)


def wick() -> Scenario:
    """Return a play with one print far below: down in one update, back a quarter second later."""

    def path(now_s: float) -> Decimal:
        return Decimal("0.20") if WICK_AT_S <= now_s < WICK_AT_S + BEAT_S else Decimal("0.54")

    return Play((_held("WICK", "Demo: one wick after ten seconds", path), _harmless()), CASH)


def crash() -> Scenario:
    """Return a play with a fall of 0.34 in one update, which stays."""

    def path(now_s: float) -> Decimal:
        return Decimal("0.54") if now_s < CRASH_AT_S else Decimal("0.20")

    return Play((_held("JUMP", "Demo: falls at once after fourteen seconds", path), _harmless()), CASH)


def close() -> Scenario:
    """Return a play whose first market reaches its close, is determined and settled."""
    role = _held("CLOSE", "Demo: closes after twenty seconds", steady("0.54"), CLOSE_AT_S)
    cues: list[tuple[float, Callable[[Stage], None]]] = [
        (DETERMINE_AT_S, lambda stage: _determine(stage, role.ticker)),
        (SETTLE_AT_S, lambda stage: _settle(stage, role.ticker)),
    ]
    return Play((role, _harmless()), CASH, cues)


def _determine(stage: Stage, ticker: str) -> None:
    state, now_ms = stage.exchange.state, stage.now_ms()
    stage.exchange.advance(now_ms)
    lifecycle.determine(state, state.market(ticker), "yes", now_ms)


def _settle(stage: Stage, ticker: str) -> None:
    state = stage.exchange.state
    if state.market(ticker).status is Status.DETERMINED:
        lifecycle.settle(state, state.market(ticker), stage.now_ms())
