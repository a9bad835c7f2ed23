"""What a test may do to the exchange's day and to a market's life."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from base.simulator.engine import lifecycle, pauses
from base.simulator.engine.market import Market
from base.simulator.engine.state import State
from base.simulator.running import Running

T = TypeVar("T")


class LifeControls:
    """Pauses, and a market from its halt to its settlement."""

    @property
    def running(self) -> Running:
        """Return the running server."""
        raise NotImplementedError

    def _call(self, act: Callable[[], T]) -> T:
        raise NotImplementedError

    @property
    def _state(self) -> State:
        return self.running.venue.exchange.state

    def _market(self, ticker: str) -> Market:
        return self._state.market(ticker)

    def _now(self) -> int:
        return self.running.venue.now_ms()

    def pause_trading(self, shard: int = 0) -> None:
        """Pause one shard: orders wait, cancels work."""
        self._call(lambda: pauses.set_trading(self._state, shard, self._now(), is_active=False))

    def resume_trading(self, shard: int = 0) -> None:
        """Resume one shard."""
        self._call(lambda: pauses.set_trading(self._state, shard, self._now(), is_active=True))

    def pause_exchange(self) -> None:
        """Stop everything on all shards, cancels too."""
        self._call(lambda: pauses.set_exchange(self._state, self._now(), is_active=False))

    def resume_exchange(self) -> None:
        """Resume all shards."""
        self._call(lambda: pauses.set_exchange(self._state, self._now(), is_active=True))

    def plan_maintenance(self, in_s: float, lasts_s: float) -> None:
        """Announce a window of ``GET /exchange/schedule`` in which nothing goes, by the clock."""
        start_ms = self._now() + round(in_s * 1000)
        window = (start_ms, start_ms + round(lasts_s * 1000))
        self._call(lambda: self._state.maintenance.append(window))

    def deactivate(self, ticker: str) -> None:
        """Halt one market."""
        self._call(lambda: lifecycle.deactivate(self._state, self._market(ticker), self._now()))

    def activate(self, ticker: str) -> None:
        """Resume one market; its resting orders are gone."""
        self._call(lambda: lifecycle.activate(self._state, self._market(ticker), self._now()))

    def rename(self, ticker: str, yes_sub_title: str) -> None:
        """Change what YES is called: ``metadata_updated``."""
        self._call(lambda: lifecycle.rename(self._state, self._market(ticker), yes_sub_title, self._now()))

    def move_close(self, ticker: str, in_s: float) -> None:
        """Announce another close time, ``in_s`` seconds from now."""
        close_ms = self._now() + round(in_s * 1000)
        self._call(lambda: lifecycle.move_close(self._state, self._market(ticker), close_ms, self._now()))

    def close_market(self, ticker: str) -> None:
        """Let close_time be now, silently; the empty ticker and snapshot follow as always."""

        def close() -> None:
            market = self._market(ticker)
            market.close_ms, market.is_held_open = self._now(), False
            self.running.venue.exchange.advance(self._now())

        self._call(close)

    def determine(self, ticker: str, result: str, value: str | None = None) -> None:
        """Announce the result: yes, no, or scalar with the dollars that one YES pays.

        After a dispute it is the amended one.
        """
        pays = None if value is None else Decimal(value)
        self._call(lambda: lifecycle.determine(self._state, self._market(ticker), result, self._now(), pays))

    def dispute(self, ticker: str) -> None:
        """Dispute a result; ``determine`` once more amends it."""
        self._call(lambda: lifecycle.dispute(self._state, self._market(ticker), self._now()))

    def settle(self, ticker: str) -> None:
        """Pay out a determined market."""
        self._call(lambda: lifecycle.settle(self._state, self._market(ticker), self._now()))

    def set_event_fees(self, event_ticker: str, fee_type: str | None, multiplier: str = "1") -> None:
        """Override an event's fees; None gives those of the series back."""
        factor = None if fee_type is None else Decimal(multiplier)
        self._call(lambda: lifecycle.set_event_fees(self._state, event_ticker, fee_type, factor))

    def set_settlement_floor(self, ticker: str, floor: str) -> None:
        """Fix the least that one YES will pay: orders at or below it are refused and cancelled."""
        self._call(
            lambda: lifecycle.set_settlement_floor(
                self._state, self._market(ticker), Decimal(floor), self._now()
            )
        )

    def advance_engine(self) -> None:
        """Let the clock act now, e.g. after a hand-driven clock was moved."""
        self._call(self.running.step)
