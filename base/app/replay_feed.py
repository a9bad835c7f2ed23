"""Recorded frames as the feed would have seen them: books, tickers, sequence, silence. No I/O.

The quote is the book from its first snapshot on a connection, else the ticker. The sequence is
judged; five seconds without any frame is a dead connection; the other proofs count as given.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from base.app.capture import Note
from base.errors import WireError
from base.feed.freshness import CONNECTION_S, Freshness, Proof
from base.feed.watch import MarketWatch, Sighting
from base.kalshi.messages import (
    AccountFrame,
    BookDelta,
    BookSnapshot,
    Frame,
    Subscribed,
    Ticker,
    UnknownFrame,
)
from base.kalshi.order_book import OrderBook
from base.model import LifecycleEvent, Market, MarketStatus, Quote, Side, Source
from base.units import PriceGrid

NANO = 1_000_000_000
ANY_PRICE = PriceGrid.of([("0", "1", "0.0001")])
"""A capture does not say the grid: every price the exchange can write is taken."""


class ReplayedMarket:
    """One market of the capture."""

    def __init__(self, ticker: str, now_s: float):
        self.ticker = ticker
        self.watch = MarketWatch(now_s)
        self.book: OrderBook | None = None
        self.book_sid: int | None = None
        self.has_gap = False
        self.has_quote = False  # on any connection so far
        self.close_ms: int | None = None
        self.status = MarketStatus.ACTIVE

    def facts(self) -> Market:
        """The market as far as the capture tells: open, until its close time if one was noted."""
        return Market(
            ticker=self.ticker,
            status=self.status,
            open_ms=None,
            close_ms=self.close_ms,
            grid=ANY_PRICE,
            exchange_index=0,
        )


class ReplayedFeed:
    """Applies frames and notes in order; says what each position's market looks like at any moment."""

    def __init__(self) -> None:
        self.markets: dict[str, ReplayedMarket] = {}
        self._epoch = 1
        self._seq: dict[int, int] = {}
        self._use_yes_price = False
        self._origin_ns: int | None = None
        self._heard_s = 0.0

    def seconds(self, recv_ns: int) -> float:
        """Seconds since the first line: the replay's boot clock."""
        if self._origin_ns is None:
            self._origin_ns = recv_ns
        return (recv_ns - self._origin_ns) / NANO

    def apply_note(self, note: Note) -> None:
        """Take in what the recorder did."""
        now_s = self.seconds(note.recv_ns)
        if note.name == "ws_connected":
            self._epoch += 1
            self._seq.clear()
            self._heard_s = now_s
            for market in self.markets.values():
                market.book, market.book_sid, market.has_gap = None, None, False
                market.watch.restart(now_s)
        elif note.name == "subscribe":
            self._use_yes_price = bool(_scale_of(note.data))
        ticker, close_time = note.data.get("market_ticker"), note.data.get("close_time")
        if isinstance(ticker, str) and isinstance(close_time, str):
            self._market(ticker, now_s).close_ms = _unix_ms(close_time)

    def apply(self, frame: Frame | UnknownFrame, recv_ns: int) -> str | None:
        """Take in one frame; return the ticker of the market it speaks of."""
        now_s = self._heard_s = self.seconds(recv_ns)
        sid, seq = getattr(frame, "sid", None), getattr(frame, "seq", None)
        is_next = not (isinstance(sid, int) and isinstance(seq, int)) or self._is_next(sid, seq, now_s)
        match frame:
            case Subscribed(sid=sid):
                self._seq.pop(sid, None)
            case Ticker():
                return self._ticker(frame, now_s)
            case BookSnapshot():
                return self._snapshot(frame, now_s)
            case BookDelta():
                return self._delta(frame, now_s, is_next)
            case AccountFrame(event=LifecycleEvent() as event):
                return self._lifecycle(event, now_s)
        return None

    def look(
        self,
        ticker: str,
        side: Side,
        now_s: float,
        *,
        trigger: Decimal | None,
        target: Decimal | None,
        dwell_s: float,
        updates: int,
        keep: bool,
    ) -> tuple[Sighting | None, Freshness]:
        """Look at ``ticker`` from ``side``."""
        market = self.markets[ticker]
        freshness = self._freshness(market, now_s)
        seen = market.watch.look(
            side,
            trigger=trigger,
            target=target,
            dwell_s=dwell_s,
            least_updates=updates,
            now_s=now_s,
            confirmed_s=now_s if freshness.is_proven else float("-inf"),
            freshness=freshness,
            rest=None,
            keep=keep,
        )
        return seen, freshness

    def _freshness(self, market: ReplayedMarket, now_s: float) -> Freshness:
        is_heard = now_s - self._heard_s <= CONNECTION_S and market.watch.newest is not None
        return Freshness(
            connection=Proof.PROVEN if is_heard else Proof.NOT_PROVEN,
            ack=Proof.PROVEN,
            sequence=Proof.NOT_PROVEN if market.has_gap else Proof.PROVEN,
            lag=Proof.PROVEN,
            life=Proof.PROVEN,
        )

    def _market(self, ticker: str, now_s: float) -> ReplayedMarket:
        if ticker not in self.markets:
            self.markets[ticker] = ReplayedMarket(ticker, now_s)
        return self.markets[ticker]

    def _is_next(self, sid: int, seq: int, now_s: float) -> bool:
        """Judge the counter of a subscription: a gap distrusts every book of it."""
        last = self._seq.get(sid)
        if last is not None and seq <= last:
            return False
        self._seq[sid] = seq
        if last is not None and seq > last + 1:
            for market in self.markets.values():
                if market.book_sid == sid:
                    self._distrust(market, now_s)
        return True

    @staticmethod
    def _distrust(market: ReplayedMarket, now_s: float) -> None:
        """The book is wrong until its next snapshot; the last quote stays to be shown, unproven."""
        market.book, market.has_gap = None, True
        if (newest := market.watch.newest) is not None:
            market.watch.restart(now_s)
            market.watch.see(newest)

    def _ticker(self, frame: Ticker, now_s: float) -> str:
        market = self._market(frame.ticker, now_s)
        if market.book_sid is None:
            quote = Quote(
                ticker=frame.ticker, side=Side.YES, bid=frame.bid, ask=frame.ask, bid_size=frame.bid_size,
                ask_size=frame.ask_size, bids=(), asks=(), source=Source.TICKER, exchange_ms=frame.ts_ms,
                received_s=now_s, epoch=self._epoch,
            )  # fmt: skip
            self._see(market, quote)
        return frame.ticker

    def _snapshot(self, frame: BookSnapshot, now_s: float) -> str:
        market = self._market(frame.ticker, now_s)
        market.book = OrderBook(frame, use_yes_price=self._use_yes_price)
        market.book_sid, market.has_gap = frame.sid, False
        self._see(market, market.book.quote(received_s=now_s, exchange_ms=None, epoch=self._epoch))
        return frame.ticker

    def _delta(self, frame: BookDelta, now_s: float, is_next: bool) -> str:
        market = self._market(frame.ticker, now_s)
        if market.book is None or not is_next:
            return frame.ticker
        try:
            has_changed = market.book.apply(frame)
        except WireError:
            self._distrust(market, now_s)
            return frame.ticker
        if has_changed:
            quote = market.book.quote(received_s=now_s, exchange_ms=frame.ts_ms, epoch=self._epoch)
            self._see(market, quote)
        return frame.ticker

    @staticmethod
    def _see(market: ReplayedMarket, quote: Quote) -> None:
        market.watch.see(quote)
        market.has_quote = True

    def _lifecycle(self, event: LifecycleEvent, now_s: float) -> str | None:
        if (market := self.markets.get(event.ticker)) is None:
            return None
        market.close_ms = event.close_ms if event.close_ms is not None else market.close_ms
        status = {
            "activated": MarketStatus.ACTIVE,
            "deactivated": MarketStatus.INACTIVE,
            "determined": MarketStatus.DETERMINED,
            "settled": MarketStatus.FINALIZED,
        }.get(event.event)
        market.status = status or market.status
        return event.ticker


def _unix_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _scale_of(data: dict[str, object]) -> object:
    params = data.get("params", data)
    return params.get("use_yes_price", False) if isinstance(params, dict) else False
