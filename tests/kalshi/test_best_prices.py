"""Prices and counts in the words of a program that uses the client."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from base.feed.freshness import ConnectionFacts
from base.kalshi.best_prices import of_quote, of_ticker
from base.kalshi.client_stats import stats_of
from base.kalshi.messages import Ticker
from base.model import Side
from tests.feed.quotes import make_quote

D = Decimal
MOMENT = datetime(2026, 11, 20, 0, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize("side", list(Side))
def test_both_sides_are_told_whichever_a_quote_is_seen_from(side: Side):
    """What a NO contract costs is a dollar less the YES bid."""
    quote = replace(make_quote("0.40", "0.45"), bid_size=D(3), exchange_ms=1795132800123).seen_from(side)
    prices = of_quote(quote)
    assert (prices.yes_bid, prices.yes_ask, prices.no_bid, prices.no_ask) == (
        D("0.40"),
        D("0.45"),
        D("0.55"),
        D("0.60"),
    )
    assert (prices.yes_bid_size, prices.yes_ask_size, prices.time) == (D(3), D(10), MOMENT)


def test_an_empty_side_and_an_unknown_time_stay_absent():
    """Nobody bids: there is no YES bid, and no NO ask either."""
    prices = of_quote(make_quote(None, "0.45"))
    assert (prices.yes_bid, prices.no_ask, prices.no_bid, prices.time) == (None, None, D("0.55"), None)


def test_a_ticker_frame_tells_the_same():
    """A market without a book is told from its ticker."""
    prices = of_ticker(Ticker(1, "KXA", D("0.40"), None, D(3), None, 1795132800123, None))
    assert (prices.yes_bid, prices.no_ask, prices.yes_ask, prices.no_bid) == (
        D("0.40"),
        D("0.60"),
        None,
        None,
    )
    assert (prices.yes_bid_size, prices.yes_ask_size, prices.time) == (D(3), None, MOMENT)


@pytest.mark.parametrize(
    ("connects", "heard_s", "reconnects", "age_s"),
    [
        pytest.param(0, None, 0, None, id="never connected"),
        pytest.param(1, 98.0, 0, 2.0, id="connected once"),
        pytest.param(3, 100.5, 2, 0.0, id="twice again; heard since the clock was read"),
    ],
)
def test_counts_of_the_feed(connects: int, heard_s: float | None, reconnects: int, age_s: float | None):
    """A first connection is no reconnect; what was never heard has no age."""
    feed = {
        "frames": 9, "connects": connects, "gaps": 1, "latencies_s": [0.002], "refused": 2,
        "refused_by_reason": {"price": 2}, "last_error": "x",
    }  # fmt: skip
    connection = ConnectionFacts(epoch=connects, is_connected=connects > 0, heard_s=heard_s, lag=None)
    stats = stats_of(feed, connection, 100.0)
    assert (stats["connected"], stats["messages"], stats["gaps"], stats["refused"]) == (connects > 0, 9, 1, 2)
    assert (stats["reconnects"], stats["last_message_age_s"]) == (reconnects, age_s)
    assert stats["latency_ms"] == {"mean": 2.0, "median": 2.0, "p95": 2.0, "p99": 2.0, "samples": 1}
