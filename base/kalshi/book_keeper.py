"""The books of the order-book subscription: sequence, changes, snapshots, trust.

A book is either proven by an unbroken sequence since its snapshot, or distrusted as a whole;
nothing is patched up.
"""

from __future__ import annotations

from collections.abc import Collection

from base.errors import WireError
from base.feed.freshness import Lag
from base.kalshi.commands import USE_YES_PRICE
from base.kalshi.market_board import MarketBoard
from base.kalshi.market_feed import MarketFeed
from base.kalshi.messages import BookDelta, BookSnapshot
from base.kalshi.order_book import OrderBook
from base.kalshi.sequence import Sequence, Step

CROSSED_S = 1.0
"""A book that stays crossed for this long is wrong: single changes of one action may cross it briefly."""


class BookKeeper:
    """Keeps the books right or distrusted. Owned by the manager's thread."""

    def __init__(self, board: MarketBoard):
        self.sid: int | None = None
        self._board = board
        self._cache = board.cache
        self._markets = board.markets
        self._stats = board.stats
        self._sequence = Sequence()
        self._crossed: set[str] = set()
        self.untrusted: set[str] = set()
        """Held markets without a trusted book."""

    def recount(self) -> None:
        """The wanted markets changed."""
        self.untrusted = {m.ticker for m in self._markets.values() if m.is_held and not m.is_trusted}
        self._crossed &= set(self._markets)

    def subscribed_as(self, sid: int | None, now_s: float) -> None:
        """The subscription began or ended: its counter starts over and no book is proven any more."""
        self.sid = sid
        self._sequence = Sequence()
        self.distrust([m for m in self._markets.values() if m.is_trusted], now_s)

    def missed(self, now_s: float) -> None:
        """A frame of the subscription was lost for sure."""
        self.distrust([m for m in self._markets.values() if m.is_trusted], now_s)

    # --- frames ---------------------------------------------------------------------------------

    def step(self, seq: int | None, at_s: float, *, is_reply: bool = False) -> Step:
        """Count one frame of the subscription; a break distrusts every book of it."""
        step = self._sequence.see(seq, is_reply=is_reply)
        if step is Step.DUPLICATE:
            self._stats.duplicates += 1
        elif step is not Step.NEXT:
            # The counter is shared: any of the books may have missed the lost frame.
            self._stats.gaps += 1
            self.distrust([m for m in self._markets.values() if m.is_trusted], at_s)
        return step

    def on_delta(self, frame: BookDelta, at_s: float, lag: Lag | None) -> None:
        """Take in one change."""
        if self.step(frame.seq, at_s) is not Step.NEXT:
            self._cache.heard(at_s, lag)
            return
        market = self._markets.get(frame.ticker)
        book = None if market is None else market.book
        if market is None or book is None or not market.is_trusted:
            # Without its snapshot a change means nothing; the snapshot will hold it.
            self._stats.unwanted += int(market is None)
            self._cache.heard(at_s, lag, in_book_sequence=True)
            return
        market.alive_s = at_s
        self._stats.book_updates += 1
        try:
            is_new_top = book.apply(frame)
        except WireError as e:
            self._stats.below_zero += int(e.field == "level_below_zero")
            self.distrust((market,), at_s)
            return
        if is_new_top or market.crossed_s is not None:
            self._show(market, book, at_s, frame.ts_ms, lag)
        else:
            self._cache.alive(frame.ticker, at_s, lag, in_book_sequence=True)

    def on_snapshot(self, frame: BookSnapshot, at_s: float, lag: Lag | None) -> None:
        """Take in a whole book: the first one, an answer to a probe, or one sent unasked."""
        # A snapshot that follows a gap is whole all the same: it is taken in.
        step = self.step(frame.seq, at_s, is_reply=frame.id is not None)
        market = self._markets.get(frame.ticker)
        if step in (Step.DUPLICATE, Step.BACK) or market is None or not market.is_held:
            self._cache.heard(at_s, lag)
            return
        seen, standing = OrderBook(frame, use_yes_price=USE_YES_PRICE), market.book
        market.alive_s = at_s
        if frame.id is None or standing is None or not market.is_trusted or _is_ahead(seen, standing):
            self._adopt(market, seen, at_s, lag)
        elif standing.equals(seen):
            self._cache.alive(frame.ticker, at_s, lag, in_book_sequence=True)
        else:
            self._stats.probe_mismatches += 1
            self.distrust((market,), at_s)

    def _adopt(self, market: MarketFeed, book: OrderBook, at_s: float, lag: Lag | None) -> None:
        market.trust(book)
        self.untrusted.discard(market.ticker)
        self._crossed.discard(market.ticker)
        self._show(market, book, at_s, None, lag)

    def _show(
        self, market: MarketFeed, book: OrderBook, at_s: float, exchange_ms: int | None, lag: Lag | None
    ) -> None:
        if book.is_crossed:  # no price: hold it back until the next change mends it
            if market.crossed_s is None:
                market.crossed_s = at_s
                self._stats.crossed += 1
                self._crossed.add(market.ticker)
            self._cache.heard(at_s, lag, in_book_sequence=True)
            return
        if market.crossed_s is not None:
            market.crossed_s = None
            self._crossed.discard(market.ticker)
        self._board.show_book(market, book, at_s, exchange_ms, lag)

    # --- trust ----------------------------------------------------------------------------------

    def distrust(self, markets: Collection[MarketFeed], now_s: float) -> None:
        """These books may be wrong: they are proven again only by a new snapshot."""
        for market in markets:
            self._stats.resyncs += 1
            market.distrust(now_s)
            self.untrusted.add(market.ticker)
            self._crossed.discard(market.ticker)
        self._board.publish(markets, now_s)

    def judge_crossed(self, now_s: float) -> None:
        """Distrust the books that have been crossed for too long."""
        if self._crossed:
            found = [self._markets[ticker] for ticker in self._crossed]
            too_long = [m for m in found if m.crossed_s is None or now_s - m.crossed_s > CROSSED_S]
            self.distrust(too_long, now_s)

    def to_ask(self, now_s: float) -> list[str]:
        """Return the markets whose snapshot is to be asked for now, and count them as asked."""
        due = []
        for ticker in self.untrusted:
            market = self._markets[ticker]
            if market.is_book_acked and now_s >= market.ask_again_s:
                market.asked(now_s)
                due.append(ticker)
        return sorted(due)


def _is_ahead(seen: OrderBook, standing: OrderBook) -> bool:
    """Whether a snapshot holds changes that are still on their way to us."""
    return seen.clock is not None and standing.clock is not None and seen.clock > standing.clock
