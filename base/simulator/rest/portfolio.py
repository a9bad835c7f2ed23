"""The member's data, as late as the read model is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from base.simulator.engine.accounts import Holding
from base.simulator.engine.events import Filled
from base.simulator.engine.money import ONE, ZERO, dollars
from base.simulator.engine.orders import Order
from base.simulator.engine.refusal import not_found
from base.simulator.read_model import MemberView
from base.simulator.rest.call import Answer, Call, ok
from base.simulator.rest.paging import page
from base.simulator.rest.shapes import (
    Json,
    cents,
    event_position_json,
    fill_json,
    order_json,
    position_json,
    settlement_json,
)
from base.simulator.venue import Venue

T = TypeVar("T")
Test = Callable[[T], bool]
ORDER_STATUSES = ("resting", "canceled", "executed")


def _view(venue: Venue, call: Call) -> MemberView:
    return venue.reads.view(call.account_id, call.now_ms)


def _place_filters(
    venue: Venue,
    call: Call,
    ticker: Callable[[T], str],
    subaccount: Callable[[T], int],
    time_ms: Callable[[T], int],
) -> list[Test[T]]:
    """Return the filters that orders, fills and settlements share."""
    markets = venue.exchange.state.markets
    tests: list[Test[T]] = []
    if tickers := set(call.texts("ticker")):
        tests.append(lambda item: ticker(item) in tickers)
    if events := set(call.texts("event_ticker")):
        tests.append(lambda item: markets[ticker(item)].spec.event in events)
    if (wanted := call.subaccount()) is not None:
        tests.append(lambda item: subaccount(item) == wanted)
    if (shard := call.integer("exchange_index")) is not None:
        tests.append(lambda item: markets[ticker(item)].exchange_index == shard)
    if (low := call.integer("min_ts")) is not None:
        tests.append(lambda item: time_ms(item) >= low * 1000)
    if (high := call.integer("max_ts")) is not None:
        tests.append(lambda item: time_ms(item) <= high * 1000)
    return tests


def list_orders(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/orders. No filter by client_order_id exists."""
    return _orders(venue, call, are_old=False)


def list_old_orders(venue: Venue, call: Call) -> Answer:
    """GET /historical/orders: ended before the cutoff."""
    return _orders(venue, call, are_old=True)


def _orders(venue: Venue, call: Call, *, are_old: bool) -> Answer:
    tests: list[Test[Order]] = _place_filters(
        venue, call, lambda o: o.request.ticker, lambda o: o.subaccount, lambda o: o.created_ms
    )
    if status := call.choice("status", ORDER_STATUSES):
        tests.append(lambda o: o.status == status)
    tests.append(lambda o: _is_old(venue, call, o) is are_old)
    found = [o for o in _view(venue, call).orders.values() if all(test(o) for test in tests)]
    shown, cursor = page(call, found, lambda o: o.number)
    return ok({"orders": [order_json(o) for o in shown], "cursor": cursor})


def _is_old(venue: Venue, call: Call, order: Order) -> bool:
    return order.status != "resting" and order.updated_ms < venue.cutoff_ms(call.now_ms)


def get_order(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/orders/{order_id}."""
    order = _view(venue, call).orders.get(call.params["order_id"])
    if order is None or _is_old(venue, call, order) or call.locked not in (None, order.subaccount):
        raise not_found("order not found")
    return ok({"order": order_json(order)})


def list_fills(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/fills."""
    return _fills(venue, call, are_old=False)


def list_old_fills(venue: Venue, call: Call) -> Answer:
    """GET /historical/fills."""
    return _fills(venue, call, are_old=True)


def _fills(venue: Venue, call: Call, *, are_old: bool) -> Answer:
    cutoff_ms = venue.cutoff_ms(call.now_ms)
    tests: list[Test[Filled]] = _place_filters(
        venue, call, lambda f: f.ticker, lambda f: f.subaccount, lambda f: f.now_ms
    )
    if order_id := call.text("order_id"):
        tests.append(lambda f: f.order_id == order_id)
    tests.append(lambda f: (f.now_ms < cutoff_ms) is are_old)
    found = [f for f in _view(venue, call).fills if all(test(f) for test in tests)]
    shown, cursor = page(call, found, lambda f: f.number)
    return ok({"fills": [fill_json(f) for f in shown], "cursor": cursor})


def list_settlements(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/settlements: those of the live data set; no list has the older ones."""
    view, cutoff_ms = _view(venue, call), venue.cutoff_ms(call.now_ms)
    tests = _place_filters(
        venue,
        call,
        lambda s: s.holding.ticker,  # type: ignore[attr-defined]
        lambda s: s.holding.subaccount,  # type: ignore[attr-defined]
        lambda s: s.now_ms,  # type: ignore[attr-defined]
    )
    found = [s for s in view.settlements if s.now_ms >= cutoff_ms and all(test(s) for test in tests)]
    shown, cursor = page(call, found, lambda s: s.number)
    return ok({"settlements": [settlement_json(s) for s in shown], "cursor": cursor})


def list_positions(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/positions. Settled rows are left out unless asked for."""
    wanted = call.choice("settlement_status", ("all", "unsettled", "settled")) or "unsettled"
    return _positions(venue, call, wanted, are_old=False)


def list_old_positions(venue: Venue, call: Call) -> Answer:
    """GET /historical/positions: settled ones, once their whole event is past the cutoff."""
    return _positions(venue, call, "settled", are_old=True)


def _positions(venue: Venue, call: Call, wanted: str, *, are_old: bool) -> Answer:
    view, markets = _view(venue, call), venue.exchange.state.markets
    is_shown = _position_filter(venue, call, view, wanted)
    live_events = {m.spec.event for m in venue.live_markets(call.now_ms)}
    found = [
        h
        for key, h in view.holdings.items()
        if is_shown(key, h) and (markets[h.ticker].spec.event not in live_events) is are_old
    ]
    shown, cursor = page(call, found, lambda h: markets[h.ticker].number)
    return ok(
        {
            "market_positions": [position_json(h) for h in shown],
            "event_positions": _event_positions(venue, shown),
            "cursor": cursor,
        }
    )


def _position_filter(
    venue: Venue, call: Call, view: MemberView, wanted: str
) -> Callable[[tuple[int, str], Holding], bool]:
    counts = set(call.texts("count_filter"))
    subaccount = call.subaccount() or 0
    markets = venue.exchange.state.markets
    tickers, events = set(call.texts("ticker")), set(call.texts("event_ticker"))
    shard = call.integer("exchange_index")

    def is_shown(key: tuple[int, str], holding: Holding) -> bool:
        return (
            key[0] == subaccount
            and (wanted == "all" or (key in view.settled) == (wanted == "settled"))
            and (not tickers or holding.ticker in tickers)
            and (not events or markets[holding.ticker].spec.event in events)
            and shard in (None, holding.exchange_index)
            and ("position" not in counts or bool(holding.count))
            and ("total_traded" not in counts or bool(holding.traded))
        )

    return is_shown


def _event_positions(venue: Venue, holdings: list[Holding]) -> list[Json]:
    by_event: dict[str, list[Holding]] = {}
    for holding in holdings:
        event = venue.exchange.state.markets[holding.ticker].spec.event
        by_event.setdefault(event, []).append(holding)
    return [event_position_json(event, group) for event, group in by_event.items()]


def get_balance(venue: Venue, call: Call) -> Answer:
    """GET /portfolio/balance. Positions are marked at the bid of the side held."""
    view = _view(venue, call)
    subaccount = call.subaccount() or 0
    per_shard = dict.fromkeys(venue.exchange.state.shards, ZERO)
    per_shard |= {shard: cash for (own, shard), cash in view.cash.items() if own == subaccount}
    if (only := call.integer("exchange_index")) is not None:
        per_shard = {only: per_shard.get(only, ZERO)}
    total = sum(per_shard.values(), ZERO)
    breakdown = [
        {"exchange_index": shard, "balance": dollars(cash)} for shard, cash in sorted(per_shard.items())
    ]
    body: Json = {
        "balance": cents(total),
        "balance_dollars": f"{total:.4f}",
        "portfolio_value": _portfolio_cents(venue, view, subaccount),
        "updated_ts": (view.updated_ms or call.now_ms) // 1000,
    }
    # A key restricted to one sub-account gets no breakdown [spec].
    return ok(body if call.locked is not None else body | {"balance_breakdown": breakdown})


def _portfolio_cents(venue: Venue, view: MemberView, subaccount: int) -> int:
    value = ZERO
    for (own, ticker), holding in view.holdings.items():
        top = venue.exchange.state.markets[ticker].top()
        if own != subaccount or not holding.count:
            continue
        if holding.count > 0:
            value += holding.count * (top.bid or ZERO)
        else:
            value += -holding.count * (ONE - (top.ask if top.ask is not None else ONE))
    return cents(value)
