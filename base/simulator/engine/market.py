"""A market: its terms, its state, and the event and series it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from base.simulator.engine.book import Book
from base.simulator.engine.grid import GRIDS, Grid
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Side


def is_combo(ticker: str) -> bool:
    """Say whether a ticker is a combo's: those have a lifecycle channel and lists of their own."""
    return ticker.startswith("KXMVE")


class Status(StrEnum):
    """The vocabulary of answers; filters use another one."""

    INITIALIZED = "initialized"
    ACTIVE = "active"
    INACTIVE = "inactive"
    CLOSED = "closed"
    DETERMINED = "determined"
    DISPUTED = "disputed"
    AMENDED = "amended"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSpec:
    """What a market is created with. Times are Unix milliseconds."""

    ticker: str
    title: str
    open_ms: int
    close_ms: int
    event_ticker: str = ""  # empty: the ticker without its last part
    yes_sub_title: str = "Yes"
    no_sub_title: str = "No"
    exchange_index: int = 0
    grid: Grid = GRIDS["linear_cent"]
    fee_type: str = "quadratic"
    fee_multiplier: Decimal = Decimal(1)
    fee_waiver_until_ms: int | None = None
    category: str = "Simulation"
    can_close_early: bool = True
    mutually_exclusive: bool = False
    rules: str = "Resolves on the embedded exchange only."

    @property
    def event(self) -> str:
        """Return the event's ticker."""
        return self.event_ticker or self.ticker.rpartition("-")[0] or self.ticker

    @property
    def series(self) -> str:
        """Return the series' ticker: the part before the first dash."""
        return self.event.partition("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """What a ticker message shows. Dollars and contracts; None is an empty side."""

    bid: Decimal | None
    bid_size: Decimal
    ask: Decimal | None
    ask_size: Decimal
    last: Decimal | None
    last_size: Decimal
    volume: Decimal
    dollar_volume: Decimal
    open_interest: Decimal


@dataclass(slots=True, kw_only=True)
class Market:
    """One market's state. Only the engine changes it."""

    spec: MarketSpec
    market_id: str
    number: int
    status: Status
    grid: Grid
    close_ms: int
    created_ms: int
    updated_ms: int  # of its terms or its status; trading does not count
    top_ms: int  # of the last ticker
    book: Book = field(default_factory=Book)
    clock: int = 0  # counts the exchange's actions on this book
    last: Decimal | None = None
    last_size: Decimal = ZERO
    volume: Decimal = ZERO
    dollar_volume: Decimal = ZERO
    open_interest: Decimal = ZERO
    result: str = ""
    settlement_value: Decimal | None = None
    determined_ms: int | None = None
    settled_ms: int | None = None
    settlement_floor: Decimal | None = None  # the least that one YES will pay; orders lie above it
    is_cleared: bool = False
    is_held_open: bool = False  # a play still has something to do before the close
    shown: Top | None = None  # the last ticker sent

    @property
    def ticker(self) -> str:
        """Return the market's ticker."""
        return self.spec.ticker

    @property
    def exchange_index(self) -> int:
        """Return the shard."""
        return self.spec.exchange_index

    def top(self) -> Top:
        """Return what a ticker message would show now."""
        bid, ask = self.book.best(Side.BID), self.book.best(Side.ASK)
        return Top(
            bid=bid[0] if bid else None,
            bid_size=bid[1] if bid else ZERO,
            ask=ask[0] if ask else None,
            ask_size=ask[1] if ask else ZERO,
            last=self.last,
            last_size=self.last_size,
            volume=self.volume,
            dollar_volume=self.dollar_volume,
            open_interest=self.open_interest,
        )
