"""Quotes for tests."""

from __future__ import annotations

from decimal import Decimal

from base.model import Quote, Side, Source

D = Decimal


def make_quote(
    bid: str | Decimal | None,
    ask: str | Decimal | None = None,
    *,
    at_s: float = 1_000.0,
    ticker: str = "KXA",
    source: Source = Source.BOOK,
    epoch: int = 1,
) -> Quote:
    """A quote seen from YES with ten contracts a side."""
    return Quote(
        ticker=ticker,
        side=Side.YES,
        bid=None if bid is None else D(bid),
        ask=None if ask is None else D(ask),
        bid_size=None if bid is None else D(10),
        ask_size=None if ask is None else D(10),
        bids=() if bid is None else ((D(bid), D(10)),),
        asks=() if ask is None else ((D(ask), D(10)),),
        source=source,
        exchange_ms=None,
        received_s=at_s,
        epoch=0 if source is Source.REST else epoch,
    )
