"""What a scenario may touch: the engine, the member, the time, and one seeded source of chance."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Protocol

from base.simulator.engine.exchange import Exchange
from base.simulator.engine.grid import GRIDS
from base.simulator.engine.market import MarketSpec
from base.simulator.engine.orders import OrderRequest, Side, TimeInForce
from base.simulator.venue import MEMBER, Venue

MAKER = "maker"  # rests on the book
CROWD = "crowd"  # takes from it
HOUR_MS = 3_600_000


class Stage:
    """One venue, dressed for a scenario."""

    def __init__(self, venue: Venue, seed: int, speed: float = 1.0) -> None:
        self.venue = venue
        self.speed, self.seed = speed, seed
        self.random = random.Random(seed)
        self.opened_ms = venue.now_ms()  # later, as the play slows down
        for account_id in (MAKER, CROWD):
            self.exchange.open_house(account_id)

    @property
    def exchange(self) -> Exchange:
        """Return the engine."""
        return self.venue.exchange

    def now_ms(self) -> int:
        """Return the exchange's time."""
        return self.venue.now_ms()

    def ms_at(self, scenario_s: float) -> int:
        """Return the exchange's time at this many seconds of scenario time from the start."""
        return self.opened_ms + round(scenario_s * 1000 / self.speed)

    def at_s(self, now_ms: int) -> float:
        """Return how many seconds of scenario time have passed."""
        return (now_ms - self.opened_ms) / 1000 * self.speed

    def list_market(
        self,
        ticker: str,
        title: str,
        *,
        shard: int = 0,
        grid: str = "linear_cent",
        open_in_s: float | None = None,
        close_in_s: float = 6 * 3600,
    ) -> None:
        """List a market. Its times are seconds of scenario time from the start; None: it is long open."""
        spec = MarketSpec(
            ticker=ticker,
            title=title,
            open_ms=self.opened_ms - HOUR_MS if open_in_s is None else self.ms_at(open_in_s),
            close_ms=self.ms_at(close_in_s),
            exchange_index=shard,
            grid=GRIDS[grid],
        )
        self.exchange.add_market(spec, self.now_ms())

    def give_cash(self, amount: str, *, shard: int) -> None:
        """Bring dollars onto the member's shard."""
        self.exchange.deposit(MEMBER, Decimal(amount), self.now_ms(), exchange_index=shard)

    def give_position(self, ticker: str, count: str, entry: str) -> None:
        """Let the member hold ``count`` (negative: NO), bought at ``entry`` of its own side."""
        self.exchange.assign_position(MEMBER, ticker, Decimal(count), Decimal(entry), self.now_ms())

    def take(self, ticker: str, side: Side, price: Decimal, count: Decimal) -> None:
        """Let the crowd trade against the book, up to ``price``."""
        request = OrderRequest(
            ticker=ticker, side=side, price=price, count=count, time_in_force=TimeInForce.IOC
        )
        self.exchange.submit(CROWD, request, self.now_ms())


class Scenario(Protocol):
    """A play. ``open`` sets the stage; ``play`` performs what is due."""

    @property
    def notice(self) -> str:
        """Return what whoever starts it is told: origin and licence of data; empty for own plays."""
        ...

    def open(self, stage: Stage) -> None:
        """List markets, give cash and positions, fill the books."""
        ...

    def play(self, stage: Stage, until_s: float) -> None:
        """Perform, in order, everything up to ``until_s`` seconds of scenario time."""
        ...


class Empty:
    """No markets and no cash: a test sets its own stage."""

    notice = ""

    def open(self, stage: Stage) -> None:
        """Do nothing."""

    def play(self, stage: Stage, until_s: float) -> None:
        """Do nothing."""
