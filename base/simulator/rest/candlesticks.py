"""Candlesticks: one market, or up to a hundred at once."""

from __future__ import annotations

from base.simulator.engine.money import ONE, contracts, dollars
from base.simulator.history import Candle, Ohlc
from base.simulator.rest.call import Answer, BadQuery, Call, ok
from base.simulator.rest.shapes import Json
from base.simulator.venue import Venue

PERIODS_MIN = (1, 60, 1440)
MAX_TICKERS = 100
MAX_CANDLES = 10_000


def get_candlesticks(venue: Venue, call: Call) -> Answer:
    """GET /series/{series_ticker}/markets/{ticker}/candlesticks."""
    market = venue.exchange.state.market(call.params["ticker"])
    return ok({"ticker": market.ticker, "candlesticks": _candles(venue, call, market.ticker)})


def get_batch(venue: Venue, call: Call) -> Answer:
    """GET /markets/candlesticks?market_tickers=A,B."""
    tickers = call.texts("market_tickers")
    if not 1 <= len(tickers) <= MAX_TICKERS:
        raise BadQuery(f"invalid value for market_tickers: must have 1 to {MAX_TICKERS} items")
    known = [t for t in tickers if t in venue.exchange.state.markets]
    found = [{"market_ticker": t, "candlesticks": _candles(venue, call, t)} for t in known]
    return ok({"markets": found})


def _candles(venue: Venue, call: Call, ticker: str) -> list[Json]:
    start, end = call.integer("start_ts"), call.integer("end_ts")
    period = call.integer("period_interval")
    if start is None or end is None or period not in PERIODS_MIN:
        raise BadQuery("start_ts, end_ts and period_interval (1, 60 or 1440) are required")
    period_s = period * 60
    if (end - start) // period_s > MAX_CANDLES:
        raise BadQuery(f"at most {MAX_CANDLES} candlesticks")
    return [_json(c, period_s) for c in venue.history.candles_of(ticker, start, end, period_s)]


def _json(candle: Candle, period_s: int) -> Json:
    """Return a MarketCandlestick. Trade prices are left out where nothing traded."""
    price: Json = {}
    if candle.trade is not None:
        price = _ohlc(candle.trade) | {
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
