"""How a recorded market ends: determined some seconds after its close, settled a little later."""

from __future__ import annotations

from base.simulator.engine import lifecycle
from base.simulator.engine.market import Status
from base.simulator.scenarios.stage import Stage

DETERMINE_AFTER_S, SETTLE_AFTER_S = 5.0, 10.0  # scenario time after the close


def end_in_time(stage: Stage, ticker: str, after_close_s: float, *, favours_yes: bool) -> None:
    """Determine the closed market for the side it favours, settle the determined one, when it is time."""
    state = stage.exchange.state
    market = state.market(ticker)
    if market.status is Status.CLOSED and market.is_cleared and after_close_s >= DETERMINE_AFTER_S:
        lifecycle.determine(state, market, "yes" if favours_yes else "no", stage.now_ms())
    elif market.status is Status.DETERMINED and after_close_s >= SETTLE_AFTER_S:
        lifecycle.settle(state, market, stage.now_ms())
