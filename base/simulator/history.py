"""Public history: trades, and one-minute candles of quotes and trades."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from base.simulator.engine.events import Event, TopChanged, Traded
from base.simulator.engine.market import Top
from base.simulator.engine.money import ONE, ZERO

KEPT_TRADES = 50_000
KEPT_MINUTES = 3 * 1440
MINUTE_S = 60


@dataclass(slots=True)
class Ohlc:
    """Open, high, low and close of one price. Dollars."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    def add(self, price: Decimal) -> None:
        """Take one more price in."""
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price

    def merge(self, later: Ohlc) -> Ohlc:
        """Return both as one longer period."""
        return Ohlc(self.open, max(self.high, later.high), min(self.low, later.low), later.close)


@dataclass(slots=True)
class Candle:
    """One period; ``start_s`` is its begin in Unix seconds. Trade prices are None without trades."""

    start_s: int
    bid: Ohlc
    ask: Ohlc
    trade: Ohlc | None = None
    volume: Decimal = ZERO
    value: Decimal = ZERO
    open_interest: Decimal = ZERO
    previous: Decimal | None = None


@dataclass(slots=True)
class History:
    """Bounded public history of all markets."""

    trades: deque[Traded] = field(default_factory=lambda: deque(maxlen=KEPT_TRADES))
    candles: dict[str, deque[Candle]] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Take a public event in."""
        if isinstance(event, Traded):
            self.trades.append(event)
            self._note_trade(event)
        elif isinstance(event, TopChanged):
            self._note_top(event.ticker, event.top, event.now_ms // 1000)

    def _note_top(self, ticker: str, top: Top, now_s: int) -> None:
        bid, ask = top.bid or ZERO, top.ask or ONE
        minutes = self.candles.setdefault(ticker, deque(maxlen=KEPT_MINUTES))
        start_s = now_s - now_s % MINUTE_S
        if not minutes or minutes[-1].start_s != start_s:
            fresh = Candle(start_s, Ohlc(bid, bid, bid, bid), Ohlc(ask, ask, ask, ask))
            fresh.previous = top.last
            minutes.append(fresh)
        minutes[-1].bid.add(bid)
        minutes[-1].ask.add(ask)
        minutes[-1].open_interest = top.open_interest

    def _note_trade(self, trade: Traded) -> None:
        minutes = self.candles.get(trade.ticker)
        if not minutes:
            return
        candle, price = minutes[-1], trade.price
        if candle.trade is None:
            candle.trade = Ohlc(price, price, price, price)
        candle.trade.add(price)
        candle.volume += trade.count
        candle.value += trade.count * price

    def candles_of(self, ticker: str, start_s: int, end_s: int, period_s: int) -> list[Candle]:
        """Return candles of ``period_s`` whose end lies in [start_s, end_s], the running one with them."""
        return [c for c in self._merged(ticker, period_s) if start_s <= c.start_s + period_s <= end_s]

    def latest_before(self, ticker: str, start_s: int, period_s: int) -> Candle | None:
        """Return the last candle that ends before ``start_s``."""
        earlier = [c for c in self._merged(ticker, period_s) if c.start_s + period_s < start_s]
        return earlier[-1] if earlier else None

    def _merged(self, ticker: str, period_s: int) -> list[Candle]:
        merged: dict[int, Candle] = {}
        for minute in self.candles.get(ticker, ()):
            begin = minute.start_s - minute.start_s % period_s
            merged[begin] = _merge(merged.get(begin), minute, begin)
        return list(merged.values())

    def trades_of(self, tickers: Iterable[str] | None) -> list[Traded]:
        """Return trades, newest first; None is all markets."""
        wanted = None if tickers is None else set(tickers)
        return [t for t in reversed(self.trades) if wanted is None or t.ticker in wanted]


def _merge(earlier: Candle | None, minute: Candle, begin: int) -> Candle:
    if earlier is None:
        return Candle(
            begin,
            minute.bid,
            minute.ask,
            minute.trade,
            minute.volume,
            minute.value,
            minute.open_interest,
            minute.previous,
        )
    trade = earlier.trade
    if minute.trade is not None:
        trade = minute.trade if trade is None else trade.merge(minute.trade)
    return Candle(
        begin,
        earlier.bid.merge(minute.bid),
        earlier.ask.merge(minute.ask),
        trade,
        earlier.volume + minute.volume,
        earlier.value + minute.value,
        minute.open_interest,
        earlier.previous,
    )
