"""Events and series: the families that markets belong to."""

from __future__ import annotations

from collections.abc import Callable

from base.simulator.clock import rfc3339
from base.simulator.engine.market import Market, is_combo
from base.simulator.engine.money import ZERO, contracts
from base.simulator.engine.refusal import not_found
from base.simulator.rest.call import Answer, BadQuery, Call, ok
from base.simulator.rest.market_data import STATUS_FILTER, event_json
from base.simulator.rest.paging import DEFAULT_LIMIT, page
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
    status = call.choice("status", EVENT_STATUSES)
    low_close, low_updated = call.integer("min_close_ts"), call.integer("min_updated_ts")

    def is_shown(markets: list[Market]) -> bool:
        return (
            not is_combo(markets[0].spec.event)
            and (status is None or any(m.status in STATUS_FILTER[status] for m in markets))
            and (low_close is None or any(m.close_ms >= low_close * 1000 for m in markets))
            and (low_updated is None or any(m.updated_ms >= low_updated * 1000 for m in markets))
        )

    body = _event_page(venue, call, is_shown, default_limit=MAX_EVENTS)
    return ok(body | {"milestones": []} if call.flag("with_milestones") else body)


def list_combo_events(venue: Venue, call: Call) -> Answer:
    """GET /events/multivariate: the combos. They belong to no collection here."""
    collection = call.text("collection_ticker")
    if collection and call.text("series_ticker"):
        raise BadQuery("collection_ticker cannot be used together with series_ticker")

    def is_shown(markets: list[Market]) -> bool:
        return is_combo(markets[0].spec.event) and not collection

    return ok(_event_page(venue, call, is_shown))


def _event_page(
    venue: Venue,
    call: Call,
    is_shown: Callable[[list[Market]], bool],
    default_limit: int = DEFAULT_LIMIT,
) -> Json:
    """Return a page of the events that pass, also by the parameters that both lists have."""
    nested = bool(call.flag("with_nested_markets"))
    series, names = call.text("series_ticker"), set(call.texts("tickers"))
    found = [
        markets
        for name, markets in _families(venue, by_series=False).items()
        if (not names or name in names) and series in (None, markets[0].spec.series) and is_shown(markets)
    ]
    limits = {"highest_limit": MAX_EVENTS, "default_limit": default_limit}
    shown, cursor = page(call, found, lambda markets: markets[0].number, **limits)
    return {
        "events": [event_json(venue, call, markets, nested=nested) for markets in shown],
        "cursor": cursor,
    }


def get_event(venue: Venue, call: Call) -> Answer:
    """GET /events/{event_ticker}."""
    nested, without = bool(call.flag("with_nested_markets")), bool(call.flag("exclude_markets"))
    if nested and without:
        raise BadQuery("exclude_markets cannot be combined with with_nested_markets")
    markets = _families(venue, by_series=False).get(call.params["event_ticker"])
    if markets is None:
        raise not_found("event not found")
    live = [m for m in markets if not venue.is_archived(m, call.now_ms)]
    listed = [] if nested or without else [market_json(m) for m in live]
    return ok({"event": event_json(venue, call, markets, nested=nested), "markets": listed})


def get_event_metadata(venue: Venue, call: Call) -> Answer:
    """GET /events/{event_ticker}/metadata."""
    if call.params["event_ticker"] not in _families(venue, by_series=False):
        raise not_found("event not found")
    return ok({"image_url": "", "market_details": [], "settlement_sources": []})


def _series_json(ticker: str, markets: list[Market], *, with_volume: bool) -> Json:
    spec = markets[0].spec
    volume = contracts(sum((m.volume for m in markets), ZERO))
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
        **({"volume_fp": volume} if with_volume else {}),
        "last_updated_ts": rfc3339(max(m.updated_ms for m in markets)),
        "exchange_index": spec.exchange_index,
    }


def list_series(venue: Venue, call: Call) -> Answer:
    """GET /series. None of them has tags or product metadata."""
    with_volume, low_updated = bool(call.flag("include_volume")), call.integer("min_updated_ts")
    call.flag("include_product_metadata")
    found = [
        _series_json(ticker, markets, with_volume=with_volume)
        for ticker, markets in _families(venue, by_series=True).items()
        if low_updated is None or any(m.updated_ms >= low_updated * 1000 for m in markets)
    ]
    category, tags = call.text("category"), call.text("tags")
    return ok({"series": [s for s in found if category in (None, s["category"]) and not tags]})


def get_series(venue: Venue, call: Call) -> Answer:
    """GET /series/{series_ticker}."""
    with_volume = bool(call.flag("include_volume"))
    ticker = call.params["series_ticker"]
    markets = _families(venue, by_series=True).get(ticker)
    if markets is None:
        raise not_found("series not found")
    return ok({"series": _series_json(ticker, markets, with_volume=with_volume)})


def list_series_fee_changes(venue: Venue, call: Call) -> Answer:
    """GET /series/fee_changes: none are planned here."""
    call.flag("show_historical")
    return ok({"series_fee_change_arr": []})


def list_event_fee_changes(venue: Venue, call: Call) -> Answer:
    """GET /events/fee_changes: none are planned here."""
    nothing: list[int] = []
    page(call, nothing, int)
    return ok({"event_fee_changes": nothing, "cursor": ""})
