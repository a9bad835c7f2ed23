"""Candlesticks: one market, or up to a hundred at once."""

from __future__ import annotations

from dataclasses import dataclass

from base.simulator.engine.money import ONE, ZERO, contracts, dollars
from base.simulator.engine.refusal import not_found
from base.simulator.history import Candle, Ohlc
from base.simulator.rest.call import Answer, BadQuery, Call, ok
from base.simulator.rest.shapes import Json
from base.simulator.venue import Venue

PERIODS_MIN = (1, 60, 1440)
MAX_TICKERS = 100
MAX_CANDLES = 10_000
NO_TRADES = dict.fromkeys(
    f"{name}_dollars" for name in ("open", "low", "high", "close", "mean", "min", "max", "previous")
)


@dataclass(frozen=True, slots=True)
class Window:
    """Which candles are asked for. Unix seconds; ``with_before`` adds the one before the first."""

    start_s: int
    end_s: int
    period_s: int
    with_before: bool

    @classmethod
    def of(cls, call: Call) -> Window:
        """Read the parameters. Raises: BadQuery."""
        start_s, end_s = call.integer("start_ts"), call.integer("end_ts")
        period = call.integer("period_interval")
        if start_s is None or end_s is None or period not in PERIODS_MIN:
            raise BadQuery("start_ts, end_ts and period_interval (1, 60 or 1440) are required")
        return cls(start_s, end_s, period * 60, bool(call.flag("include_latest_before_start")))

    def check_size(self, markets: int) -> None:
        """Raise BadQuery unless the candles of so many markets fit into one answer."""
        if (self.end_s - self.start_s) // self.period_s * markets > MAX_CANDLES:
            raise BadQuery(f"at most {MAX_CANDLES} candlesticks")


def get_candlesticks(venue: Venue, call: Call) -> Answer:
    """GET /series/{series_ticker}/markets/{ticker}/candlesticks."""
    window = Window.of(call)
    window.check_size(1)
    market = venue.live_market(call.params["ticker"], call.now_ms)
    return ok({"ticker": market.ticker, "candlesticks": _candles(venue, window, market.ticker)})


def get_archived(venue: Venue, call: Call) -> Answer:
    """GET /historical/markets/{ticker}/candlesticks: the same, under older names."""
    window = Window.of(call)
    window.check_size(1)
    market = venue.archived_market(call.params["ticker"], call.now_ms)
    listed = [_older_names(candle) for candle in _candles(venue, window, market.ticker)]
    return ok({"ticker": market.ticker, "candlesticks": listed})


def _older_names(candle: Json) -> Json:
    """Return a MarketCandlestickHistorical: no ``_dollars``, no ``_fp``, no ``min`` and ``max``."""
    older: Json = {}
    for name, value in candle.items():
        if isinstance(value, dict):
            value = {k.removesuffix("_dollars"): v for k, v in value.items()}
            value = {k: v for k, v in value.items() if k not in ("min", "max")}
        older[name.removesuffix("_fp")] = value
    return older


def get_batch(venue: Venue, call: Call) -> Answer:
    """GET /markets/candlesticks?market_tickers=A,B. Unknown tickers are left out."""
    tickers, window = call.texts("market_tickers"), Window.of(call)
    if not 1 <= len(tickers) <= MAX_TICKERS:
        raise BadQuery(f"invalid value for market_tickers: must have 1 to {MAX_TICKERS} items")
    live = {m.ticker for m in venue.live_markets(call.now_ms)}
    known = [t for t in tickers if t in live]
    window.check_size(len(known))
    found = [{"market_ticker": t, "candlesticks": _candles(venue, window, t)} for t in known]
    return ok({"markets": found})


def get_of_event(venue: Venue, call: Call) -> Answer:
    """GET /series/{series_ticker}/events/{ticker}/candlesticks: one list per market."""
    window = Window.of(call)
    markets = [m for m in venue.live_markets(call.now_ms) if m.spec.event == call.params["ticker"]]
    if not markets:
        raise not_found("event not found")
    window.check_size(len(markets))
    return ok(
        {
            "market_tickers": [m.ticker for m in markets],
            "market_candlesticks": [_candles(venue, window, m.ticker) for m in markets],
            "adjusted_end_ts": window.end_s,
        }
    )


def _candles(venue: Venue, window: Window, ticker: str) -> list[Json]:
    start_s, period_s = window.start_s, window.period_s
    shown = [_json(c, period_s) for c in venue.history.candles_of(ticker, start_s, window.end_s, period_s)]
    if not window.with_before:
        return shown
    before = venue.history.latest_before(ticker, start_s, period_s)
    return shown if before is None else [_projected(before, start_s, period_s), *shown]


def _projected(real: Candle, start_s: int, period_s: int) -> Json:
    """Return a candle before the first: its trade prices are null, the previous one is the close.

    The document wants null quotes too, but its own schema does not allow them: they stand still.
    """
    price: Json = dict(NO_TRADES)
    if real.last_trade is not None:
        price["previous_dollars"] = dollars(real.last_trade)
    return {
        "end_period_ts": start_s + (-start_s) % period_s,
        "yes_bid": _flat(real.bid),
        "yes_ask": _flat(real.ask),
        "price": price,
        "volume_fp": contracts(ZERO),
        "open_interest_fp": contracts(real.open_interest),
    }


def _flat(prices: Ohlc) -> Json:
    return _ohlc(Ohlc.at(prices.close))


def _json(candle: Candle, period_s: int) -> Json:
    """Return a MarketCandlestick. Trade prices are null where nothing traded."""
    price: Json = dict(NO_TRADES)
    if candle.trade is not None:
        price |= _ohlc(candle.trade) | {
            "mean_dollars": f"{candle.value / candle.volume:.4f}",
            "min_dollars": dollars(candle.trade.low),
            "max_dollars": dollars(candle.trade.high),
        }
    if candle.previous is not None:
        price["previous_dollars"] = dollars(candle.previous)
    return {
        "end_period_ts": candle.start_s + period_s,
        "yes_bid": _ohlc(candle.bid),
        "yes_ask": _ohlc(candle.ask),
        "price": price,
        "volume_fp": contracts(candle.volume),
        "open_interest_fp": contracts(candle.open_interest),
    }


def _ohlc(prices: Ohlc) -> Json:
    return {
        "open_dollars": dollars(prices.open),
        "high_dollars": dollars(min(prices.high, ONE)),
        "low_dollars": dollars(prices.low),
        "close_dollars": dollars(prices.close),
    }
