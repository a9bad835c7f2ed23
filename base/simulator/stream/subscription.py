"""One channel on one connection: its market filter and its sequence."""

from __future__ import annotations

from dataclasses import dataclass

from base.simulator.stream.selection import Selection

SEQUENCED = frozenset(
    {
        "orderbook_delta",
        "trade",
        "market_lifecycle_v2",
        "multivariate_market_lifecycle",
        "communications",
        "order_group_updates",
        "cfbenchmarks_value",
        "cfbenchmarks_value_5hz",
        "pyth_value",
    }
)
FILTERED = frozenset({"ticker", "orderbook_delta", "trade", "fill", "market_positions", "user_orders"})
PRIVATE = frozenset({"fill", "market_positions", "user_orders", "order_group_updates"})
CHANNELS = SEQUENCED | FILTERED | PRIVATE


@dataclass(slots=True)
class Subscription:
    """``tickers`` None is every market. ``seq`` counts all sequenced frames of this sid.

    Channels of reference values have a ``selection`` instead.
    """

    sid: int
    channel: str
    tickers: set[str] | None = None
    seq: int = 0
    use_yes_price: bool = False
    skip_ticker_ack: bool = False
    shows_ids: bool = False
    selection: Selection | None = None

    @property
    def is_sequenced(self) -> bool:
        """Say whether data frames of this channel carry ``seq``."""
        return self.channel in SEQUENCED

    def wants(self, ticker: str) -> bool:
        """Say whether the filter lets the market or the index through."""
        if self.selection is not None:
            return self.selection.wants(ticker)
        return self.tickers is None or ticker in self.tickers

    def next_seq(self) -> int:
        """Count one more frame."""
        self.seq += 1
        return self.seq
