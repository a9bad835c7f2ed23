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

    @classmethod
    def at(cls, price: Decimal) -> Ohlc:
        """Return a period that begins at ``price``."""
        return cls(price, price, price, price)

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
    previous: Decimal | None = None  # the last trade before it

    @property
    def last_trade(self) -> Decimal | None:
        """Return the price of the last trade up to its end."""
        return self.previous if self.trade is None else self.trade.close

    def next_at(self, start_s: int) -> Candle:
        """Return a later period that begins where this one ended."""
        return Candle(
            start_s,
            Ohlc.at(self.bid.close),
            Ohlc.at(self.ask.close),
            open_interest=self.open_interest,
            previous=self.last_trade,
        )


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
            self._note_top(event.ticker, event.top, event.now_ms)

    def _minute(self, ticker: str, now_ms: int, bid: Decimal, ask: Decimal) -> Candle:
        """Return the running candle. A new one opens at what stood when it began.

        ``bid`` and ``ask`` open a market's first candle. The end of a period belongs to it [spec].
        """
        minutes = self.candles.setdefault(ticker, deque(maxlen=KEPT_MINUTES))
        start_s = (now_ms - 1) // (1000 * MINUTE_S) * MINUTE_S
        if not minutes:
            minutes.append(Candle(start_s, Ohlc.at(bid), Ohlc.at(ask)))
        elif minutes[-1].start_s != start_s:
            minutes.append(minutes[-1].next_at(start_s))
        return minutes[-1]

    def _note_top(self, ticker: str, top: Top, now_ms: int) -> None:
        bid = ZERO if top.bid is None else top.bid
        ask = ONE if top.ask is None else top.ask
        candle = self._minute(ticker, now_ms, bid, ask)
        candle.bid.add(bid)
        candle.ask.add(ask)
        candle.open_interest = top.open_interest

    def _note_trade(self, trade: Traded) -> None:
        candle, price = self._minute(trade.ticker, trade.now_ms, ZERO, ONE), trade.price
        if candle.trade is None:
            candle.trade = Ohlc.at(price)
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
