"""The best prices of one market as callbacks get them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from base.kalshi.messages import Ticker
from base.model import Quote, Side
from base.units import complement

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class BestPrices:
    """Best prices of one market, dollars per contract. ``None``: that side is empty, nobody bids."""

    ticker: str
    yes_bid: Decimal | None
    yes_ask: Decimal | None
    no_bid: Decimal | None
    no_ask: Decimal | None
    yes_bid_size: Decimal | None  # contracts; the size of the NO ask as well
    yes_ask_size: Decimal | None  # contracts; the size of the NO bid as well
    time: datetime | None  # UTC, when it happened by the exchange's clock; None: it doesn't say


def of_quote(quote: Quote) -> BestPrices:
    """Return the best prices of a quote."""
    yes = quote.seen_from(Side.YES)
    return BestPrices(
        ticker=yes.ticker,
        yes_bid=yes.bid,
        yes_ask=yes.ask,
        no_bid=complement(yes.ask),
        no_ask=complement(yes.bid),
        yes_bid_size=yes.bid_size,
        yes_ask_size=yes.ask_size,
        time=None if yes.exchange_ms is None else _utc(yes.exchange_ms),
    )


def of_ticker(frame: Ticker) -> BestPrices:
    """Return the best prices of a ticker frame."""
    return BestPrices(
        ticker=frame.ticker,
        yes_bid=frame.bid,
        yes_ask=frame.ask,
        no_bid=complement(frame.ask),
        no_ask=complement(frame.bid),
        yes_bid_size=frame.bid_size,
        yes_ask_size=frame.ask_size,
        time=_utc(frame.ts_ms),
    )


def _utc(unix_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=unix_ms)
