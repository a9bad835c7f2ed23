"""What a subscription is sent before anything changes: snapshots of books, current tickers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from base.simulator.engine.events import TopChanged
from base.simulator.stream import frames
from base.simulator.stream.subscription import Subscription

if TYPE_CHECKING:
    from base.simulator.stream.session import Session

NO_MARKET_ID = "00000000-0000-4000-8000-000000000000"


def send(session: Session, subscription: Subscription, tickers: list[str] | None, with_tickers: bool) -> None:
    """Send what a new subscription, or one with more markets, begins with. None: all markets."""
    markets = session.venue.exchange.state.markets
    if subscription.channel == "orderbook_delta":
        for ticker in tickers or ():
            push_snapshot(session, subscription, ticker, None)
    elif subscription.channel == "ticker" and with_tickers:
        for ticker in list(markets) if tickers is None else tickers:
            if ticker in markets:
                _push_ticker(session, subscription, ticker)


def push_snapshot(session: Session, subscription: Subscription, ticker: str, command_id: int | None) -> None:
    """Send one book; ``command_id`` when a command asked for it, 0 when that had no id."""
    semantics = session.venue.semantics
    market = session.venue.exchange.state.markets.get(ticker)
    if market is not None:
        msg = frames.snapshot_msg(market, yes_price=subscription.use_yes_price)
    elif semantics.unknown_ticker_snapshot:
        msg = frames.unknown_snapshot_msg(ticker, NO_MARKET_ID)
    else:
        return
    counts = command_id is None or semantics.get_snapshot_consumes_seq
    session.push(subscription, "orderbook_snapshot", msg, command_id=command_id, counts=counts)


def _push_ticker(session: Session, subscription: Subscription, ticker: str) -> None:
    market = session.venue.exchange.state.markets[ticker]
    event = TopChanged(ticker=ticker, top=market.top(), now_ms=market.top_ms)
    blank = session.venue.semantics.empty_side_price == "blank"
    session.push(subscription, "ticker", frames.ticker_msg(market.market_id, event, blank_empty=blank))
