"""From frames to the price cache on the current connection. Owned by the manager's thread.

No socket, no thread and no clock in here: it is told the time and says what to send.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from base.feed.freshness import Lag
from base.kalshi.book_keeper import BookKeeper
from base.kalshi.feed_stats import FeedStats
from base.kalshi.market_board import MarketBoard
from base.kalshi.market_feed import MarketFeed
from base.kalshi.messages import (
    BookDelta,
    BookSnapshot,
    ErrorFrame,
    Frame,
    Ok,
    Subscribed,
    Ticker,
    UnknownFrame,
    Unsubscribed,
)
from base.kalshi.probing import Probes
from base.kalshi.subscriptions import Subscriptions
from base.kalshi.websocket_price_cache import WebSocketPriceCache

MOST_EARLY = 1000
"""Frames kept of a subscription whose acknowledgement is still on its way."""
DIFFERS_S = 2.0
_SID = re.compile(rb'"sid"\s*:\s*([0-9]{1,18})')

Reply = Subscribed | Ok | Unsubscribed | ErrorFrame


class FeedSession:
    """What is wanted, subscribed and known of the feed."""

    def __init__(self, cache: WebSocketPriceCache, stats: FeedStats):
        self._cache = cache
        self._stats = stats
        self._board = MarketBoard(cache, stats)
        self._books = BookKeeper(self._board)
        self._markets = self._board.markets
        self._subscriptions = Subscriptions()
        self._probes = Probes()
        self._ticker_sid: int | None = None
        self._early: list[tuple[Frame, float, Lag | None]] = []
        self._to_send: list[str] = []
        self._on: dict[type, Callable[[Any, float, Lag | None], None]] = {
            Ticker: self._on_ticker,
            BookDelta: self._on_delta,
            BookSnapshot: self._on_snapshot,
            Subscribed: self._on_reply,
            Ok: self._on_reply,
            Unsubscribed: self._on_reply,
            ErrorFrame: self._on_reply,
        }

    # --- what is wanted -------------------------------------------------------------------------

    def want(self, held: Collection[str], watched: Collection[str], now_s: float) -> None:
        """Follow exactly these markets: book and ticker of the held, the ticker of the watched."""
        self._board.want(set(held), set(watched), now_s)
        self._subscriptions.want(set(held) | set(watched), set(held))
        self._books.recount()
        self._note_acks(now_s)

    def follow_trades(self) -> None:
        """Subscribe the public trades of the followed markets too."""
        self._subscriptions.follow_trades()

    def wants(self, ticker: str) -> bool:
        """Whether anybody follows ``ticker``."""
        return ticker in self._markets

    def is_first_ticker(self, ticker: str) -> bool:
        """Whether a ticker frame of ``ticker`` would be its first on this connection.

        That one repeats the last state, so its ``ts_ms`` may be hours old.
        """
        market = self._markets.get(ticker)
        return market is None or market.ticker_frames == 0

    def probe(self, ticker: str) -> None:
        """Ask for a snapshot of the book; one that equals the local book proves the quote."""
        self._probes.ask(ticker)

    def distrust(self, ticker: str, now_s: float) -> None:
        """Another source contradicts the book of ``ticker``: fetch it anew."""
        market = self._markets.get(ticker)
        if market is not None and market.is_trusted:
            self._books.distrust((market,), now_s)

    def distrust_all(self, now_s: float) -> None:
        """Nobody knows what was missed: fetch every book anew."""
        self._books.missed(now_s)

    # --- the connection -------------------------------------------------------------------------

    def connected(self, epoch: int, now_s: float) -> None:
        """Begin connection ``epoch``: subscribe everything anew, trust nothing of the old one."""
        self._subscriptions.connected()
        self._ticker_sid = None
        self._early.clear()
        self._to_send.clear()
        self._board.connected(epoch, now_s)
        self._books.subscribed_as(None, now_s)
        self._books.recount()

    def due(self, now_s: float) -> list[str]:
        """Return the commands to send now."""
        texts, self._to_send = self._to_send, []
        texts += self._subscriptions.due(now_s)
        self._books.judge_crossed(now_s)
        if self._books.untrusted:
            self._note_acks(now_s)  # patience runs out without any frame
            texts += self._subscriptions.snapshot_commands(self._books.to_ask(now_s))
        if self._books.sid is not None:
            chosen = self._probes.due(self._markets, self._board.held, now_s)
            self._stats.probes += len(chosen)
            texts += self._subscriptions.snapshot_commands([market.ticker for market in chosen])
        return texts

    @property
    def is_live(self) -> bool:
        """Whether data flows: a wanted market was seen on this connection, or none is wanted."""
        return not self._markets or any(m.is_trusted or m.has_ticker for m in self._markets.values())

    # --- frames ---------------------------------------------------------------------------------

    def on_frame(self, frame: Frame | UnknownFrame, at_s: float, lag: Lag | None) -> None:
        """Take in one frame that left the socket at ``at_s``."""
        on = self._on.get(type(frame))
        if on is not None:
            on(frame, at_s, lag)
            return
        # Reports, trades and unknown types count too if they are on the books' subscription.
        if frame.sid is not None and frame.sid == self._books.sid:
            self._books.step(getattr(frame, "seq", None), at_s)
        self._cache.heard(at_s, lag)

    def missed(self, payload: bytes, at_s: float) -> None:
        """A frame could not be read. If it may have been the books', they lack a change from now on.

        Its number would show a gap only with the next frame, and in a quiet market that is late.
        """
        named = _SID.search(payload)
        if named is None or int(named[1]) == self._books.sid:
            self._books.missed(at_s)

    def _on_ticker(self, frame: Ticker, at_s: float, lag: Lag | None) -> None:
        market = self._markets.get(frame.ticker)
        if market is None or frame.sid != self._ticker_sid:
            self._came_early(frame, at_s, lag, self._ticker_sid)
            return
        market.ticker_frames += 1
        if market.is_held and market.quotes_by_book(at_s):
            self._compare(market, frame, at_s, lag)
        else:
            market.alive_s = at_s
            self._board.show_ticker(market, frame, at_s, lag)

    def _on_delta(self, frame: BookDelta, at_s: float, lag: Lag | None) -> None:
        if frame.sid == self._books.sid:
            self._books.on_delta(frame, at_s, lag)
        else:
            self._came_early(frame, at_s, lag, self._books.sid)

    def _on_snapshot(self, frame: BookSnapshot, at_s: float, lag: Lag | None) -> None:
        if frame.sid == self._books.sid:
            self._books.on_snapshot(frame, at_s, lag)
        else:
            self._came_early(frame, at_s, lag, self._books.sid)

    def _came_early(self, frame: Frame, at_s: float, lag: Lag | None, sid: int | None) -> None:
        """Data may overtake the reply that names its subscription: keep a little of it."""
        self._cache.heard(at_s, lag)
        if sid is None and len(self._early) < MOST_EARLY:
            self._early.append((frame, at_s, lag))
        else:
            self._stats.unwanted += 1

    def _compare(self, market: MarketFeed, frame: Ticker, at_s: float, lag: Lag | None) -> None:
        """Cross-check: the two channels are not in lockstep, but they don't differ for long.

        A ticker that shows the book's own top confirms it; any other says nothing for the book.
        """
        if market.book is None or not market.is_trusted:
            self._cache.heard(at_s, lag)
            return
        if market.book.has_top(frame.bid, frame.ask):
            market.differs_s = None
            market.alive_s = at_s
            self._cache.alive(frame.ticker, at_s, lag)
            return
        self._cache.heard(at_s, lag)
        if market.differs_s is None:
            market.differs_s = at_s
        elif at_s - market.differs_s > DIFFERS_S:
            self._stats.ticker_disagreements += 1
            market.differs_s = None
            self._probes.ask(market.ticker)

    # --- replies --------------------------------------------------------------------------------

    def _on_reply(self, frame: Reply, at_s: float, lag: Lag | None) -> None:
        self._cache.heard(at_s, lag)
        seq = None if isinstance(frame, Subscribed) else frame.seq
        sid = None if isinstance(frame, Subscribed) else frame.sid
        was_known = sid is not None and sid == self._books.sid
        if was_known:  # replies use up numbers like data does
            self._books.step(seq, at_s)
        self._take_reply(frame, at_s)
        self._follow_sids(at_s)
        if not was_known and sid is not None and sid == self._books.sid:
            self._books.step(seq, at_s)  # this reply told us the sid; what came before it was replayed
        self._note_acks(at_s)

    def _take_reply(self, frame: Reply, at_s: float) -> None:
        if isinstance(frame, Subscribed):
            self._subscriptions.on_subscribed(frame)
        elif isinstance(frame, Ok):
            self._subscriptions.on_ok(frame, at_s)
        elif isinstance(frame, Unsubscribed):
            self._subscriptions.on_unsubscribed(frame)
        elif (text := self._subscriptions.on_error(frame, at_s)) is not None:
            self._to_send.append(text)

    def _follow_sids(self, at_s: float) -> None:
        """Take notice of subscriptions that began or ended, then of data that was there before."""
        book_sid, ticker_sid = self._subscriptions.book.sid, self._subscriptions.ticker.sid
        if book_sid == self._books.sid and ticker_sid == self._ticker_sid:
            return
        if book_sid != self._books.sid:
            self._books.subscribed_as(book_sid, at_s)
        if ticker_sid != self._ticker_sid:
            self._ticker_sid = ticker_sid
            for market in self._markets.values():
                market.has_ticker = False
        self._note_acks(at_s)
        early, self._early = self._early, []
        for frame, came_s, lag in early:
            self.on_frame(frame, came_s, lag)

    def _note_acks(self, now_s: float) -> None:
        book, ticker = self._subscriptions.book, self._subscriptions.ticker
        for name, market in self._markets.items():
            market.is_ticker_acked = ticker.is_acked(name)
            market.is_book_acked = market.is_held and book.is_acked(name)
            market.is_book_refused = market.is_held and book.is_refused(name, now_s)
        self._board.publish(self._markets.values(), now_s)
