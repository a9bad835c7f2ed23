"""The exchange over REST. Signatures first, body follows."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from base.clock import Clock
from base.feed.clock_offset import ClockOffset
from base.kalshi.auth import Signer
from base.kalshi.rate_budget import RateBudget
from base.model import (
    EntryOrder,
    ExitOrder,
    Market,
    OrderReport,
    OrdersRead,
    Outcome,
    PositionsRead,
    Quote,
    ShardStatus,
)


class KalshiRest:
    """One client with its own connections; safe for several threads."""

    def __init__(
        self,
        rest_url: str,
        signer: Signer,
        budget: RateBudget,
        clock: Clock,
        offset: ClockOffset,
        *,
        for_exits: bool,
        timeout_s: float = 3.0,
    ):
        raise NotImplementedError

    def place_exit(self, order: ExitOrder) -> Outcome:
        """Send once; never raises."""
        raise NotImplementedError

    def place_entry(self, order: EntryOrder) -> Outcome:
        """Send once; never raises."""
        raise NotImplementedError

    def cancel(self, order_id: str, ticker: str, exchange_index: int, subaccount: int) -> Outcome:
        """Cancel once; never raises."""
        raise NotImplementedError

    def positions(self, subaccount: int) -> PositionsRead:
        """Every page."""
        raise NotImplementedError

    def orders_and_fills(self, ticker: str, subaccount: int, min_ts_ms: int) -> OrdersRead:
        """Every page."""
        raise NotImplementedError

    def resting_orders(self, ticker: str, subaccount: int) -> tuple[OrderReport, ...]:
        """Our resting orders."""
        raise NotImplementedError

    def order(self, order_id: str) -> OrderReport:
        """One order."""
        raise NotImplementedError

    def markets(self, tickers: Collection[str]) -> dict[str, Market]:
        """Those that exist."""
        raise NotImplementedError

    def open_markets(self, series: str) -> tuple[Market, ...]:
        """Open markets of a series."""
        raise NotImplementedError

    def read_books(self, tickers: Collection[str]) -> list[Quote]:
        """Books of at most 100 markets."""
        raise NotImplementedError

    def shards(self) -> tuple[ShardStatus, ...]:
        """Status of each matching engine."""
        raise NotImplementedError

    def balance(self, subaccount: int = 0) -> Decimal:
        """Cash in dollars."""
        raise NotImplementedError

    def has_write_scope(self, ticker: str, exchange_index: int = 0, subaccount: int = 0) -> bool:
        """Whether this key may trade."""
        raise NotImplementedError

    def user_data_as_of_ms(self) -> int | None:
        """Up to when portfolio reads are complete."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connections."""
