"""Public market data: markets, order books, events, series, trades."""

from __future__ import annotations

from collections.abc import Callable

from base.simulator.clock import rfc3339
from base.simulator.engine.market import Market, Status, is_combo
from base.simulator.rest.call import Answer, BadQuery, Call, ok
from base.simulator.rest.paging import page
from base.simulator.rest.shapes import Json, book_json, market_json, trade_json
from base.simulator.venue import Venue

STATUS_FILTER: dict[str, tuple[Status, ...]] = {
    "unopened": (Status.INITIALIZED,),
    "open": (Status.ACTIVE,),
    "paused": (Status.INACTIVE,),
    "closed": (Status.CLOSED, Status.DETERMINED, Status.DISPUTED, Status.AMENDED),
    "settled": (Status.FINALIZED,),
}
# By name: the time, and the status filters it goes with. See: openapi.yaml 3.34.0, GetMarkets.
TIMES: dict[str, tuple[Callable[[Market], int], tuple[str, ...]]] = {
    "created": (lambda m: m.created_ms, ("unopened", "open")),
    "close": (lambda m: m.close_ms, ("closed",)),
    "settled": (lambda m: m.settled_ms or 0, ("settled",)),
    "updated": (lambda m: m.updated_ms, ()),
}
MAX_BOOKS = 100
MAX_DEPTH = 100


def list_markets(venue: Venue, call: Call) -> Answer:
    """GET /markets."""
    tests = _market_filters(call)
    found = [m for m in venue.live_markets(call.now_ms) if all(test(m) for test in tests)]
    shown, cursor = page(call, found, lambda m: m.number, lowest_limit=0)
    return ok({"markets": [market_json(m) for m in shown], "cursor": cursor})


def _market_filters(call: Call) -> list[Callable[[Market], bool]]:
    tests: list[Callable[[Market], bool]] = []
    if tickers := set(call.texts("tickers")):
        tests.append(lambda m: m.ticker in tickers)
    if event := call.text("event_ticker"):
        tests.append(lambda m: m.spec.event == event)
    if series := call.text("series_ticker"):
        tests.append(lambda m: m.spec.series == series)
    if status := call.choice("status", tuple(STATUS_FILTER)):
        tests.append(lambda m: m.status in STATUS_FILTER[status])
    if combos := call.choice("mve_filter", ("only", "exclude")):
        tests.append(lambda m: is_combo(m.ticker) is (combos == "only"))
    return tests + _time_filters(call, status)


def _time_filters(call: Call, status: str | None) -> list[Callable[[Market], bool]]:
    """Return the tests of the one family of time filters that a call may use. Raises: BadQuery."""
    tests: list[Callable[[Market], bool]] = []
    used = [n for n in TIMES if call.text(f"min_{n}_ts") or call.text(f"max_{n}_ts")]
    if len(used) > 1:
        raise BadQuery("timestamp filters are mutually exclusive")
    for name in used:
        when, statuses = TIMES[name]
        if status not in (None, *statuses):
            raise BadQuery(f"min_{name}_ts and max_{name}_ts do not go with status {status}")
        without_combos = call.text("mve_filter") == "exclude"
        others = [n for n in ("tickers", "event_ticker", "status") if call.text(n)]
        if name == "updated" and (others or (call.text("series_ticker") and not without_combos)):
            raise BadQuery("min_updated_ts and max_updated_ts go with mve_filter=exclude alone")
        low, high = call.integer(f"min_{name}_ts"), call.integer(f"max_{name}_ts")
        if low is not None:
            tests.append(lambda m, when=when, low=low: when(m) >= low * 1000)  # type: ignore[misc]
        if high is not None:
            tests.append(lambda m, when=when, high=high: 0 < when(m) <= high * 1000)  # type: ignore[misc]
    return tests


def get_market(venue: Venue, call: Call) -> Answer:
    """GET /markets/{ticker}."""
    return ok({"market": market_json(venue.live_market(call.params["ticker"], call.now_ms))})


def _book(venue: Venue, market: Market, depth: int) -> Json:
    semantics = venue.semantics
    return book_json(
        market,
        depth,
        ascending=semantics.book_order == "ascending",
        omit_empty=semantics.empty_book == "absent",
    )


def get_book(venue: Venue, call: Call) -> Answer:
    """GET /markets/{ticker}/orderbook."""
    depth = call.integer("depth", 0, MAX_DEPTH) or 0
    market = venue.live_market(call.params["ticker"], call.now_ms)
    return ok({"orderbook_fp": _book(venue, market, depth)})


def get_books(venue: Venue, call: Call) -> Answer:
    """GET /markets/orderbooks. Unknown tickers are left out."""
    tickers = call.query.get("tickers", [])
    if not 1 <= len(tickers) <= MAX_BOOKS:
        raise BadQuery(f"invalid value for tickers: must have between 1 and {MAX_BOOKS} items")
    live = {m.ticker: m for m in venue.live_markets(call.now_ms)}
    markets = [live[t] for t in tickers if t in live]
    books = [{"ticker": m.ticker, "orderbook_fp": _book(venue, m, 0)} for m in markets]
    return ok({"orderbooks": books})


def list_trades(venue: Venue, call: Call) -> Answer:
    """GET /markets/trades."""
    return trades_page(venue, call, are_old=False)


def trades_page(venue: Venue, call: Call, *, are_old: bool) -> Answer:
    """Return a page of trades from before or after the historical cutoff."""
    ticker, cutoff_ms = call.text("ticker"), venue.cutoff_ms(call.now_ms)
    low, high = call.integer("min_ts"), call.integer("max_ts")
    block = call.flag("is_block_trade")
    found = [
        trade
        for trade in venue.history.trades_of([ticker] if ticker else None)
        if (low is None or trade.now_ms >= low * 1000)
        and (high is None or trade.now_ms <= high * 1000)
        and block in (None, trade.is_block)
        and (trade.now_ms < cutoff_ms) is are_old
    ]
    shown, cursor = page(call, found, lambda t: t.number, lowest_limit=0)
    return ok({"trades": [trade_json(t) for t in shown], "cursor": cursor})


def event_json(venue: Venue, call: Call, markets: list[Market], *, nested: bool) -> Json:
    """Return EventData of the markets that share one event; archived markets are not nested."""
    spec = markets[0].spec
    override = venue.exchange.state.fee_overrides.get(spec.event)
    body: Json = {
        "event_ticker": spec.event,
        "series_ticker": spec.series,
        "title": spec.title,
        "sub_title": spec.yes_sub_title,
        "collateral_return_type": "MECNET" if spec.mutually_exclusive else "",
        "mutually_exclusive": spec.mutually_exclusive,
        "category": spec.category,
        "settlement_sources": [],
        "last_updated_ts": rfc3339(max(m.updated_ms for m in markets)),
        "fee_type_override": None if override is None else override[0],
        "fee_multiplier_override": None if override is None else float(override[1]),  # a JSON number
        "exchange_index": spec.exchange_index,
    }
    if nested:
        body["markets"] = [market_json(m) for m in markets if not venue.is_archived(m, call.now_ms)]
    return body
