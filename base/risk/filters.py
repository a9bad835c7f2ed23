"""What may keep a touched trigger from firing. Pure. A filter that cannot be judged is not satisfied."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from base.feed.watch import Touch
from base.model import Quote
from base.risk.rules import Rule

GHOST_BID = Decimal("0.01")
GHOST_ASK = Decimal("0.99")


class Filter(StrEnum):
    """Names of the filters, as they stand in logs and replays."""

    GHOST_BOOK = "GHOST_BOOK"
    MAX_SPREAD = "MAX_SPREAD"
    MIN_SIZE = "MIN_SIZE"
    DWELL = "DWELL"
    UPDATES = "UPDATES"


def blocking_quote_filter(rule: Rule, quote: Quote) -> Filter | None:
    """Return the first filter that ``quote`` itself does not pass; these hold for a catastrophe too."""
    if is_ghost_book(quote):
        return Filter.GHOST_BOOK
    if rule.max_spread is not None:
        spread = spread_of(quote)
        if spread is None or spread > rule.max_spread:
            return Filter.MAX_SPREAD
    if rule.min_size is not None and (quote.bid_size is None or quote.bid_size < rule.min_size):
        return Filter.MIN_SIZE
    return None


def blocking_history_filter(rule: Rule, touch: Touch | None, now_s: float) -> Filter | None:
    """Return the first filter that the touch's history does not pass."""
    if rule.dwell_s > 0 and (touch is None or now_s - touch.since_s < rule.dwell_s):
        return Filter.DWELL
    if rule.updates > 1 and (touch is None or touch.updates < rule.updates):
        return Filter.UPDATES
    return None


def has_history_filter(rule: Rule) -> bool:
    """Whether the rule waits for time or repetition."""
    return rule.dwell_s > 0 or rule.updates > 1


def is_ghost_book(quote: Quote) -> bool:
    """Whether only the placeholders of an abandoned book stand: a cent bid against 99 cents or nothing."""
    return quote.bid is not None and quote.bid <= GHOST_BID and (quote.ask is None or quote.ask >= GHOST_ASK)


def spread_of(quote: Quote) -> Decimal | None:
    """Ask minus bid; ``None`` where a side is empty."""
    return None if quote.bid is None or quote.ask is None else quote.ask - quote.bid
