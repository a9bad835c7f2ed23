"""What the risk layer needs from the outside, and what it shows to it. No implementation here.

``app`` plugs in the exchange's client, the feed and the refresher; tests plug in the same ones
against the embedded exchange. Every method may be called from any thread unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from base.feed.freshness import Freshness
from base.model import (
    Departure,
    ExitOrder,
    Key,
    Market,
    OrderReport,
    OrdersRead,
    Outcome,
    PositionsRead,
    ShardStatus,
    Side,
    Source,
)


class OrderPort(Protocol):
    """The way out: its own client, connections and reserved share of the write budget."""

    def place_exit(self, order: ExitOrder, departure: Departure) -> Outcome:
        """Send ``order`` once and say what became of it. Never repeats a request, never raises.

        Its first byte leaves when ``departure`` allows it, or it does not leave at all.
        """

    def cancel(self, order_id: str, ticker: str, exchange_index: int, subaccount: int) -> Outcome:
        """Cancel one resting order. Never raises."""


class AccountPort(Protocol):
    """The exchange's reports. Every read raises ``RequestRefused``, ``TransportError``,
    ``OutcomeUnknown`` or ``WireError`` rather than returning a part."""

    def positions(self, subaccount: int) -> PositionsRead:
        """Every page of the sub-account's positions."""

    def orders_and_fills(self, ticker: str, subaccount: int, min_ts_ms: int) -> OrdersRead:
        """Every page of the market's orders and fills since then."""

    def resting_orders(self, ticker: str | None, subaccount: int) -> tuple[OrderReport, ...]:
        """Our resting orders in the market; ``None``: in all markets. Every page."""

    def markets(self, tickers: Collection[str]) -> Mapping[str, Market]:
        """The markets that exist among ``tickers``."""

    def shards(self) -> tuple[ShardStatus, ...]:
        """Which matching engines take orders."""


class FeedPort(Protocol):
    """The websocket manager as the monitor sees it. Calls return at once."""

    def hold(self, ticker: str) -> None:
        """Subscribe everything a held market needs."""

    def release(self, ticker: str) -> None:
        """Stop holding ``ticker``; it is unsubscribed when nobody else watches it."""

    def probe(self, ticker: str) -> None:
        """Ask for a snapshot of the book; one that equals the local book proves the quote."""


class RefresherPort(Protocol):
    """The only reader of prices by REST."""

    def request(self, ticker: str) -> None:
        """Read the book of ``ticker`` once, now; returns at once."""


class ExchangeTime(Protocol):
    """The exchange's wall clock, measured against REST answers, never against the feed."""

    def exchange_ms(self, local_ms: int) -> tuple[int, int] | None:
        """The exchange's Unix ms at ``local_ms`` of our boot clock, and the error; ``None``: not measured."""


# --- what the risk layer shows ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """One position as screens, ``status`` and ``positions`` show it. Prices from the side held."""

    key: Key
    side: Side
    count: Decimal
    entry: Decimal | None
    bid: Decimal | None
    executable: Decimal | None  # average price my whole count would fetch now, net of the taker fee
    trigger: Decimal | None
    target: Decimal | None
    profit: Decimal | None  # dollars, if left at ``executable``
    state: str  # ARMED, TRIGGERED, …, UNPROTECTED
    protection: str  # covered | exiting | unprotected
    freshness: Freshness
    source: Source | None
    age_s: float | None
    reason: str  # why it stands in that state

    @property
    def distance(self) -> Decimal | None:
        """Dollars per contract the bid may still fall before the stop fires."""
        return None if self.bid is None or self.trigger is None else self.bid - self.trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorView:
    """What the monitor publishes for other threads; a new one replaces it, nobody changes it."""

    positions: tuple[PositionView, ...] = ()
    exits_open: int = 0
    alarms: tuple[str, ...] = ()  # ringing now
    triggered: int = 0
    filled: int = 0
    closed: int = 0
    profit: Decimal = Decimal(0)
    alarms_raised: int = 0
