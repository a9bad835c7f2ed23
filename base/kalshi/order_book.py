"""One market's order book from a snapshot and the changes after it. Pure; owned by one thread.

The exchange lists bids of both sides. Here both ladders are on the YES scale: a NO bid at q is a
YES ask at 1 − q. With ``use_yes_price`` the wire already says it so; which scale is in use is
told at birth, because the exchange's default will flip. Array order on the wire means nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal

from base.errors import WireError
from base.kalshi.messages import BookDelta, BookSnapshot
from base.model import Level, Quote, Side, Source
from base.units import ONE, ZERO

DEPTH = 20
"""Levels a side that leave this module."""


class _Ladder:
    """One side: contracts per price, prices ascending, and the best levels as a tuple."""

    __slots__ = ("_best", "_counts", "_descends", "_prices")

    def __init__(self, levels: list[Level], *, descends: bool):
        self._counts: dict[Decimal, Decimal] = dict(levels)
        self._prices = sorted(self._counts)
        self._descends = descends  # the best price is the highest
        self._best: tuple[Level, ...] | None = None  # None: rebuild when asked

    def change(self, price: Decimal, change: Decimal) -> bool:
        """Add ``change`` contracts at ``price``; say whether one of the best levels changed.

        Raises:
            WireError: If less than nothing would rest there; the ladder is unchanged then.
        """
        counts = self._counts
        before = counts.get(price)
        count = change if before is None else before + change
        if count < ZERO:
            raise WireError("level_below_zero", f"{before} {change:+}")
        if count:
            counts[price] = count
            if before is None:
                insort(self._prices, price)
        elif before is not None:
            del counts[price]
            del self._prices[bisect_left(self._prices, price)]
        if not self._is_among_best(price):
            return False
        self._best = None
        return True

    def best(self) -> tuple[Level, ...]:
        """The best levels, best first."""
        if (best := self._best) is None:
            prices = self._prices[: -DEPTH - 1 : -1] if self._descends else self._prices[:DEPTH]
            counts = self._counts
            best = self._best = tuple([(price, counts[price]) for price in prices])
        return best

    def top(self) -> Decimal | None:
        """The best price; ``None``: empty."""
        if not self._prices:
            return None
        return self._prices[-1] if self._descends else self._prices[0]

    def has_same_levels(self, other: _Ladder) -> bool:
        """Whether every level is equal."""
        return self._counts == other._counts

    def _is_among_best(self, price: Decimal) -> bool:
        # After the change: a level removed from among the best lies beyond the new last one.
        prices = self._prices
        if len(prices) < DEPTH:
            return True
        return price >= prices[-DEPTH] if self._descends else price <= prices[DEPTH - 1]


class OrderBook:
    """Both ladders of one market on the YES scale.

    Args:
        snapshot: The whole book to begin with.
        use_yes_price: Whether the wire's NO levels are on the YES scale already.
    """

    __slots__ = ("_asks", "_bids", "_snapshot_clock", "_use_yes_price", "clock", "ticker")

    def __init__(self, snapshot: BookSnapshot, *, use_yes_price: bool):
        self.ticker = snapshot.ticker
        self.clock = snapshot.clock  # the exchange's clock of the newest change in here
        self._snapshot_clock = snapshot.clock
        self._use_yes_price = use_yes_price
        no = snapshot.no if use_yes_price else [(ONE - price, count) for price, count in snapshot.no]
        self._bids = _Ladder([level for level in snapshot.yes if level[1]], descends=True)
        self._asks = _Ladder([level for level in no if level[1]], descends=False)

    def apply(self, delta: BookDelta) -> bool:
        """Take in one change; say whether one of the best levels changed.

        Raises:
            WireError: If a level would fall below zero, or the change is older than the snapshot it
                follows (asyncapi.yaml: those that follow one "have higher clocks"): this change or the
                book is wrong, and the book must be fetched anew.
        """
        if (clock := delta.clock) is not None:
            # Compared with the snapshot's only: several changes of one action share a clock.
            if self._snapshot_clock is not None and clock <= self._snapshot_clock:
                raise WireError("clock_of_before_the_snapshot", f"{clock} after {self._snapshot_clock}")
            self.clock = clock
        if delta.is_yes:
            return self._bids.change(delta.price, delta.change)
        price = delta.price if self._use_yes_price else ONE - delta.price
        return self._asks.change(price, delta.change)

    @property
    def bids(self) -> tuple[Level, ...]:
        """The best bids for YES, best first."""
        return self._bids.best()

    @property
    def asks(self) -> tuple[Level, ...]:
        """The best asks for YES, best first."""
        return self._asks.best()

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is not below the best ask: such a book is not a price."""
        bid, ask = self._bids.top(), self._asks.top()
        return bid is not None and ask is not None and bid >= ask

    def has_top(self, bid: Decimal | None, ask: Decimal | None) -> bool:
        """Whether these are the best prices."""
        return self._bids.top() == bid and self._asks.top() == ask

    def equals(self, other: OrderBook) -> bool:
        """Whether every level of both sides is the same."""
        return self._bids.has_same_levels(other._bids) and self._asks.has_same_levels(other._asks)

    def quote(self, *, received_s: float, exchange_ms: int | None, epoch: int) -> Quote:
        """Return the best levels as a quote seen from YES."""
        bids, asks = self._bids.best(), self._asks.best()
        bid, bid_size = bids[0] if bids else (None, None)
        ask, ask_size = asks[0] if asks else (None, None)
        return Quote(
            ticker=self.ticker,
            side=Side.YES,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            bids=bids,
            asks=asks,
            source=Source.BOOK,
            exchange_ms=exchange_ms,
            received_s=received_s,
            epoch=epoch,
        )
