"""The exchange as the protocol front sees it: engine, lagging reads, keys, budgets, faults.

Everything here belongs to one thread: the server's event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from base.simulator.clock import Clock
from base.simulator.engine.events import Event
from base.simulator.engine.exchange import Exchange
from base.simulator.engine.market import Market
from base.simulator.engine.refusal import Refused
from base.simulator.faults import Faults
from base.simulator.history import History
from base.simulator.indices import Indices
from base.simulator.keys import ApiKey
from base.simulator.rate_limits import Budget, Tier
from base.simulator.read_model import ReadModel
from base.simulator.request_log import RequestLog
from base.simulator.semantics import Semantics

MEMBER = "member"
USER_ID = "7b1c4a52-0d5e-4a3c-9f61-2f4b8c0e6d17"

Listener = Callable[[Event], None]


class Venue:
    """One running exchange."""

    def __init__(self, semantics: Semantics, clock: Clock, tier: Tier, salt: int) -> None:
        self.semantics = semantics
        self.clock = clock
        self.tier = tier
        self.exchange = Exchange(semantics, salt)
        self.reads = ReadModel(semantics.read_lag_s, semantics.position_lag_s)
        self.history = History()
        self.indices = Indices()
        self.faults = Faults()
        self.requests = RequestLog()
        self.keys: dict[str, ApiKey] = {}
        self.region_expiration_s: int | None = None  # location attestation, Unix seconds
        self.listeners: list[Listener] = []
        self._budgets: dict[str, Budget] = {}

    def now_ms(self) -> int:
        """Return the exchange's time in Unix milliseconds."""
        return self.clock.now_ms()

    def cutoff_ms(self, now_ms: int) -> int:
        """Return the time before which settled and finished things have left the live data set."""
        return now_ms - round(self.semantics.historical_after_s * 1000)

    def is_archived(self, market: Market, now_ms: int) -> bool:
        """Say whether a market settled before the cutoff: it is under ``/historical`` only."""
        return market.settled_ms is not None and market.settled_ms < self.cutoff_ms(now_ms)

    def live_market(self, ticker: str, now_ms: int) -> Market:
        """Return a market of the live data set. Raises: Refused(404 market_not_found)."""
        return self._market(ticker, now_ms, is_old=False)

    def archived_market(self, ticker: str, now_ms: int) -> Market:
        """Return a market that settled before the cutoff. Raises: Refused(404 market_not_found)."""
        return self._market(ticker, now_ms, is_old=True)

    def _market(self, ticker: str, now_ms: int, *, is_old: bool) -> Market:
        market = self.exchange.state.market(ticker)
        if self.is_archived(market, now_ms) is not is_old:
            raise Refused(404, "market_not_found", "market not found")
        return market

    def live_markets(self, now_ms: int) -> list[Market]:
        """Return all markets of the live data set."""
        return [m for m in self.exchange.state.markets.values() if not self.is_archived(m, now_ms)]

    def budget(self, account_id: str) -> Budget:
        """Return the account's token buckets; all its keys share them."""
        if account_id not in self._budgets:
            self._budgets[account_id] = Budget(self.tier, self.exchange.state.shards)
        return self._budgets[account_id]

    def set_tier(self, tier: Tier) -> None:
        """Give every account fresh buckets of another tier."""
        self.tier = tier
        self._budgets.clear()

    def advance(self) -> int:
        """Let the clock act, publish what it did, return the time."""
        now_ms = self.now_ms()
        self.exchange.advance(now_ms)
        self.publish()
        return now_ms

    def publish(self) -> None:
        """Hand what the engine reported to reads, history and the sockets."""
        now_ms = self.now_ms()
        for event in self.exchange.take_events():
            self.reads.note(event, now_ms)
            self.history.note(event)
            for listener in self.listeners:
                listener(event)
