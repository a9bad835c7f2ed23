"""What has left the live data set: settled and finished for longer than two weeks.

See: docs.kalshi.com/getting_started/historical_data, read 2026-11-20.
"""

from __future__ import annotations

from base.simulator.clock import rfc3339
from base.simulator.engine.market import Market, is_combo
from base.simulator.rest.call import Answer, BadQuery, Call, ok
from base.simulator.rest.market_data import trades_page
from base.simulator.rest.paging import page
from base.simulator.rest.shapes import market_json
from base.simulator.venue import Venue

CUTOFFS = (
    "market_settled_ts",
    "trades_created_ts",
    "orders_updated_ts",
    "market_positions_last_updated_ts",
)


def get_cutoff(venue: Venue, call: Call) -> Answer:
    """GET /historical/cutoff."""
    return ok(dict.fromkeys(CUTOFFS, rfc3339(venue.cutoff_ms(call.now_ms))))


def list_markets(venue: Venue, call: Call) -> Answer:
    """GET /historical/markets. Its filters exclude each other."""
    tickers = set(call.texts("tickers"))
    event, series = call.text("event_ticker"), call.text("series_ticker")
    if sum(map(bool, (tickers, event, series))) > 1:
        raise BadQuery("tickers, event_ticker and series_ticker are mutually exclusive")
    without_combos = call.choice("mve_filter", ("exclude",)) is not None

    def is_shown(market: Market) -> bool:
        return (
            venue.is_archived(market, call.now_ms)
            and (not tickers or market.ticker in tickers)
            and event in (None, market.spec.event)
            and series in (None, market.spec.series)
            and not (without_combos and is_combo(market.ticker))
        )

    found = [m for m in venue.exchange.state.markets.values() if is_shown(m)]
    shown, cursor = page(call, found, lambda m: m.number, lowest_limit=0)
    return ok({"markets": [market_json(m) for m in shown], "cursor": cursor})


def get_market(venue: Venue, call: Call) -> Answer:
    """GET /historical/markets/{ticker}."""
    return ok({"market": market_json(venue.archived_market(call.params["ticker"], call.now_ms))})


def list_trades(venue: Venue, call: Call) -> Answer:
    """GET /historical/trades."""
    return trades_page(venue, call, are_old=True)
