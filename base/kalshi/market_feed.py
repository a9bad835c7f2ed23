"""What one connection knows of one market, and which of its two channels is the quote. Pure."""

from __future__ import annotations

from base.feed.freshness import MarketFacts
from base.kalshi.order_book import OrderBook

BOOK_PATIENCE_S = 5.0
"""Without a trusted book for this long the ticker becomes the quote (stops-and-exits.md §3.1)."""
FIRST_ASK_S = 2.0
LONGEST_ASK_S = 30.0


class MarketFeed:
    """One market on the current connection. Times are seconds on the boot clock."""

    __slots__ = (
        "alive_s", "ask_again_s", "ask_pause_s", "book", "crossed_s", "differs_s", "has_ticker",
        "is_book_acked", "is_book_refused", "is_held", "is_ticker_acked", "is_trusted", "last_facts",
        "probed_s", "ticker", "ticker_frames", "untrusted_s",
    )  # fmt: skip

    def __init__(self, ticker: str, *, is_held: bool, now_s: float):
        self.ticker = ticker
        self.is_held = is_held
        self.last_facts: MarketFacts | None = None
        self.alive_s: float | None = None
        self.connected(now_s)

    def connected(self, now_s: float) -> None:
        """Begin a new connection: nothing of the old one counts, its book least of all."""
        self.book: OrderBook | None = None
        self.is_trusted = False
        self.untrusted_s = now_s  # since when there is no trusted book
        self.is_book_acked = self.is_ticker_acked = False
        self.is_book_refused = False
        self.has_ticker = False  # the ticker is the quote, and was seen since it became so
        self.ticker_frames = 0
        self.crossed_s: float | None = None
        self.differs_s: float | None = None
        self.probed_s = float("-inf")
        # The subscription itself brings a snapshot; only if it does not, one is asked for.
        self.ask_again_s = now_s + FIRST_ASK_S
        self.ask_pause_s = FIRST_ASK_S

    def distrust(self, now_s: float) -> None:
        """The book may be wrong from now on; a snapshot is wanted at once."""
        if self.is_trusted:
            self.is_trusted = False
            self.untrusted_s = now_s
            self.ask_again_s = now_s
            self.ask_pause_s = FIRST_ASK_S
        self.crossed_s = None

    def trust(self, book: OrderBook) -> None:
        """A snapshot arrived: this is the book."""
        self.book = book
        self.is_trusted = True
        self.has_ticker = False
        self.crossed_s = self.differs_s = None
        self.ask_pause_s = FIRST_ASK_S

    def asked(self, now_s: float) -> None:
        """A snapshot was asked for; ask again later, ever more rarely."""
        self.ask_again_s = now_s + self.ask_pause_s
        self.ask_pause_s = min(LONGEST_ASK_S, self.ask_pause_s * 2)

    def quotes_by_book(self, now_s: float) -> bool:
        """Whether the book, not the ticker, is this market's quote."""
        if not self.is_held:
            return False
        if self.is_trusted:
            return True
        return not self.is_book_refused and now_s - self.untrusted_s < BOOK_PATIENCE_S

    def facts(self, epoch: int, now_s: float) -> MarketFacts:
        """What the price cache is told. Live means acknowledged *and* seen on this connection."""
        if by_book := self.quotes_by_book(now_s):
            is_live = self.is_book_acked and self.book is not None
        else:
            is_live = self.is_ticker_acked and self.has_ticker
        return MarketFacts(
            epoch=epoch if is_live else 0,
            has_sequence=by_book,
            in_sequence=self.is_trusted or not by_book,
            is_held=self.is_held,
            alive_s=self.alive_s,
        )
