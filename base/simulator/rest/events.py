"""Events and series: the families that markets belong to."""

from __future__ import annotations

from base.simulator.clock import rfc3339
from base.simulator.engine.market import Market, is_combo
from base.simulator.engine.money import ZERO, contracts
from base.simulator.engine.refusal import not_found
from base.simulator.rest.call import Answer, Call, ok
from base.simulator.rest.market_data import STATUS_FILTER, event_json
from base.simulator.rest.paging import page
from base.simulator.rest.shapes import Json, market_json
from base.simulator.venue import Venue

MAX_EVENTS = 200
EVENT_STATUSES = ("unopened", "open", "closed", "settled")


def _families(venue: Venue, *, by_series: bool) -> dict[str, list[Market]]:
    found: dict[str, list[Market]] = {}
    for market in venue.exchange.state.markets.values():
        name = market.spec.series if by_series else market.spec.event
        found.setdefault(name, []).append(market)
    return found


def list_events(venue: Venue, call: Call) -> Answer:
    """GET /events: all but combos."""
    nested = bool(call.flag("with_nested_markets"))
    status = call.choice("status", EVENT_STATUSES)
    series, names = call.text("series_ticker"), set(call.texts("tickers"))
    min_close = call.integer("min_close_ts")

    def is_shown(name: str, markets: list[Market]) -> bool:
        return (
            not is_combo(name)
            and (not names or name in names)
            and series in (None, markets[0].spec.series)
            and (status is None or any(m.status in STATUS_FILTER[status] for m in markets))
            and (min_close is None or any(m.close_ms >= min_close * 1000 for m in markets))
        )

    found = [group for name, group in _families(venue, by_series=False).items() if is_shown(name, group)]
    limits = {"highest_limit": MAX_EVENTS, "default_limit": MAX_EVENTS}
    shown, cursor = page(call, found, lambda group: group[0].number, **limits)
    return ok(
        {"events": [event_json(venue, call, group, nested=nested) for group in shown], "cursor": cursor}
    )


def get_event(venue: Venue, call: Call) -> Answer:
    """GET /events/{event_ticker}."""
    markets = _families(venue, by_series=False).get(call.params["event_ticker"])
    if markets is None:
        raise not_found("event not found")
    nested = bool(call.flag("with_nested_markets"))
    live = [m for m in markets if not venue.is_archived(m, call.now_ms)]
    listed = [] if nested else [market_json(m) for m in live]
    return ok({"event": event_json(venue, call, markets, nested=nested), "markets": listed})


def get_event_metadata(venue: Venue, call: Call) -> Answer:
    """GET /events/{event_ticker}/metadata."""
    if call.params["event_ticker"] not in _families(venue, by_series=False):
        raise not_found("event not found")
    return ok({"image_url": "", "market_details": [], "settlement_sources": []})


def _series_json(ticker: str, markets: list[Market]) -> Json:
    spec = markets[0].spec
    return {
        "ticker": ticker,
        "frequency": "custom",
        "title": spec.title,
        "category": spec.category,
        "categories": [spec.category],
        "tags": [],
        "settlement_sources": [],
        "contract_url": "",
        "contract_terms_url": "",
        "fee_type": spec.fee_type,
        "fee_multiplier": float(spec.fee_multiplier),  # a JSON number on this wire
        "additional_prohibitions": [],
        "volume_fp": contracts(sum((m.volume for m in markets), ZERO)),
        "last_updated_ts": rfc3339(max(m.updated_ms for m in markets)),
        "exchange_index": spec.exchange_index,
    }


def list_series(venue: Venue, call: Call) -> Answer:
    """GET /series."""
    found = [_series_json(t, group) for t, group in _families(venue, by_series=True).items()]
    category = call.text("category")
    return ok({"series": [s for s in found if category in (None, s["category"])]})


def get_series(venue: Venue, call: Call) -> Answer:
    """GET /series/{series_ticker}."""
    ticker = call.params["series_ticker"]
    markets = _families(venue, by_series=True).get(ticker)
    if markets is None:
        raise not_found("series not found")
    return ok({"series": _series_json(ticker, markets)})


def list_series_fee_changes(venue: Venue, call: Call) -> Answer:
    """GET /series/fee_changes: none are planned here."""
    return ok({"series_fee_change_arr": []})


def list_event_fee_changes(venue: Venue, call: Call) -> Answer:
    """GET /events/fee_changes: none are planned here."""
    return ok({"event_fee_changes": [], "cursor": ""})
