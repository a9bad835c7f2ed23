"""What happens to markets: by the clock, and by the exchange's own hand.

The close at ``close_time`` is silent: no lifecycle event, only the empty ticker and the empty
snapshot a moment later. See: docs.kalshi.com/getting_started/market_lifecycle and the recorded
sessions of May 2026.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from decimal import Decimal

from base.simulator.engine import pauses, resting, transfers
from base.simulator.engine.accounts import Account, Holding
from base.simulator.engine.events import BookCleared, EventFeesChanged, EventListed, MarketChanged, Settled
from base.simulator.engine.grid import Grid
from base.simulator.engine.market import Market, MarketSpec, Status
from base.simulator.engine.matching import MARKET_ID
from base.simulator.engine.money import ONE, ZERO
from base.simulator.engine.state import State


def add_market(state: State, spec: MarketSpec, now_ms: int) -> Market:
    """List a market; it opens by its own open time."""
    number = state.number()
    market = Market(
        spec=spec,
        market_id=state.uuid(MARKET_ID, number),
        number=number,
        status=Status.ACTIVE if spec.open_ms <= now_ms else Status.INITIALIZED,
        grid=spec.grid,
        close_ms=spec.close_ms,
        created_ms=now_ms,
        updated_ms=now_ms,
        top_ms=now_ms,
    )
    market.shown = market.top()
    if not any(other.spec.event == spec.event for other in state.markets.values()):
        _list_event(state, spec)
    state.markets[spec.ticker] = market
    if spec.mutually_exclusive:
        state.exclusive_events.add(spec.event)
    _report(state, market, "created", now_ms, close_ms=spec.close_ms, grid=spec.grid)
    return market


def _list_event(state: State, spec: MarketSpec) -> None:
    state.outbox.append(
        EventListed(
            event_ticker=spec.event,
            series_ticker=spec.series,
            title=spec.title,
            subtitle=spec.yes_sub_title,
            collateral_return_type="MECNET" if spec.mutually_exclusive else "",
            exchange_index=spec.exchange_index,
        )
    )


def set_event_fees(state: State, event_ticker: str, fee_type: str | None, multiplier: Decimal | None) -> None:
    """Override the fees of an event's markets at once; None for both gives the series' fees back."""
    if fee_type is None or multiplier is None:
        state.fee_overrides.pop(event_ticker, None)
        fee_type = multiplier = None
    else:
        state.fee_overrides[event_ticker] = (fee_type, multiplier)
    state.outbox.append(EventFeesChanged(event_ticker=event_ticker, fee_type=fee_type, multiplier=multiplier))


def advance(state: State, now_ms: int) -> None:
    """Do what time alone does: pause, open, close, clear closed books, settle, end expired orders."""
    pauses.advance(state, now_ms)
    for market in state.markets.values():
        if market.status is Status.INITIALIZED and market.spec.open_ms <= now_ms:
            market.status = Status.ACTIVE
        is_due = market.close_ms <= now_ms and not market.is_held_open
        if market.status in (Status.ACTIVE, Status.INACTIVE) and is_due:
            market.status = Status.CLOSED
        clear_ms = market.close_ms + round(state.semantics.close_clear_s * 1000)
        if market.status is Status.CLOSED and not market.is_cleared and clear_ms <= now_ms:
            clear(state, market, now_ms)
        _settle_if_due(state, market, now_ms)
    transfers.arrive(state, now_ms)
    if state.expiring:
        due = [state.orders[i] for i in state.expiring if (state.orders[i].expiration_ms or 0) <= now_ms]
        resting.cancel_each(state, sorted(due, key=lambda o: o.number), "ExpiryCancel", now_ms)


def _settle_if_due(state: State, market: Market, now_ms: int) -> None:
    timer_s = state.semantics.settlement_timer_s
    if timer_s is None or market.determined_ms is None or market.status is Status.FINALIZED:
        return
    if market.status is not Status.DISPUTED and now_ms >= market.determined_ms + round(timer_s * 1000):
        settle(state, market, now_ms)


def clear(state: State, market: Market, now_ms: int) -> None:
    """Drop a closed market's book: all orders end, one empty snapshot, one empty ticker."""
    market.is_cleared = True
    market.clock += 1
    before = len(state.outbox)
    for order in market.book:
        resting.cancel(state, market, order, "CloseCancel", now_ms)
    # The snapshot replaces the deltas of this one action.
    kept = [e for e in state.outbox[before:] if getattr(e, "clock", None) is None]
    state.outbox[before:] = kept
    state.outbox.append(BookCleared(ticker=market.ticker, clock=market.clock))
    market.shown = None
    state.report_top(market, now_ms)


def deactivate(state: State, market: Market, now_ms: int) -> None:
    """Halt one market."""
    market.status = Status.INACTIVE
    _report(state, market, "deactivated", now_ms)


def activate(state: State, market: Market, now_ms: int) -> None:
    """Resume a halted or closed market; all its resting orders are cancelled first."""
    resting.cancel_each(state, list(market.book), "HaltCancel", now_ms)
    market.status = Status.ACTIVE
    market.is_cleared = False
    _report(state, market, "activated", now_ms)


def move_close(state: State, market: Market, close_ms: int, now_ms: int) -> None:
    """Move the close, earlier or later."""
    market.close_ms = close_ms
    _report(state, market, "close_date_updated", now_ms, close_ms=close_ms)


def delay(state: State, market: Market, by_ms: int, now_ms: int) -> None:
    """Move the close a little, and an open still to come; told when the close shows another second."""
    if market.status is Status.INITIALIZED:
        market.spec = replace(market.spec, open_ms=market.spec.open_ms + by_ms)
    later_ms = market.close_ms + by_ms
    if later_ms // 1000 != market.close_ms // 1000:
        move_close(state, market, later_ms, now_ms)
    else:
        market.close_ms = later_ms


def rename(state: State, market: Market, yes_sub_title: str, now_ms: int) -> None:
    """Change what YES is called, as for a strike that is known only when the market opens."""
    market.spec = replace(market.spec, yes_sub_title=yes_sub_title)
    _report(state, market, "metadata_updated", now_ms, yes_sub_title=yes_sub_title)


def set_grid(state: State, market: Market, grid: Grid, now_ms: int) -> None:
    """Change the grid while trading; resting orders stay."""
    market.grid = grid
    _report(state, market, "price_level_structure_updated", now_ms, grid=grid)


def determine(state: State, market: Market, result: str, now_ms: int, value: Decimal | None = None) -> None:
    """Announce the result (yes, no, scalar); ``value`` is what one YES pays, in dollars."""
    if not market.is_cleared:
        clear(state, market, now_ms)
    # A second word on the matter amends the first.
    market.status = Status.DETERMINED if market.determined_ms is None else Status.AMENDED
    market.result, market.determined_ms = result, now_ms
    market.close_ms = min(market.close_ms, now_ms)
    market.settlement_value = value if value is not None else (ONE if result == "yes" else ZERO)
    _report(state, market, "determined", now_ms, result=result, settlement_value=market.settlement_value)


def dispute(state: State, market: Market, now_ms: int) -> None:
    """Stop the settlement timer of a determined market until it is determined again."""
    if market.status not in (Status.DETERMINED, Status.AMENDED):
        raise ValueError(f"{market.ticker} is not determined")
    market.status = Status.DISPUTED
    market.updated_ms = now_ms


def set_settlement_floor(state: State, market: Market, floor: Decimal, now_ms: int) -> None:
    """Fix the least that one YES will pay; resting orders at or below it are cancelled."""
    market.settlement_floor, market.updated_ms = floor, now_ms
    below = [order for order in market.book if order.price <= floor]
    resting.cancel_each(state, below, "SettlementBoundsCancel", now_ms)


def settle(state: State, market: Market, now_ms: int) -> None:
    """Pay out a determined market."""
    if market.status not in (Status.DETERMINED, Status.AMENDED) or market.settlement_value is None:
        raise ValueError(f"{market.ticker} is not determined")
    market.status = Status.FINALIZED
    market.settled_ms = now_ms
    for account in state.accounts.values():
        for (_, ticker), holding in account.holdings.items():
            if ticker == market.ticker and holding.count:
                _pay_out(state, market, account, holding, market.settlement_value, now_ms)
    market.open_interest = ZERO
    _report(state, market, "settled", now_ms)


def _pay_out(
    state: State, market: Market, account: Account, holding: Holding, value: Decimal, now_ms: int
) -> None:
    unit = value if holding.count > 0 else ONE - value
    revenue = abs(holding.count) * unit
    account.pay(holding.subaccount, market.exchange_index, revenue)
    if not account.is_house:
        state.outbox.append(
            Settled(
                account_id=account.account_id,
                number=state.number(),
                holding=copy(holding),
                event_ticker=market.spec.event,
                result=market.result,
                value=value,
                revenue=revenue,
                now_ms=now_ms,
            )
        )
    holding.realized += revenue - holding.cost
    holding.count = holding.cost = ZERO
    state.report_holding(account, holding.subaccount, market, now_ms, is_settled=True)
    state.report_cash(account, holding.subaccount, market.exchange_index, now_ms)


def _report(
    state: State,
    market: Market,
    kind: str,
    now_ms: int,
    *,
    close_ms: int | None = None,
    grid: Grid | None = None,
    result: str | None = None,
    settlement_value: Decimal | None = None,
    yes_sub_title: str | None = None,
) -> None:
    market.updated_ms = now_ms
    state.outbox.append(
        MarketChanged(
            ticker=market.ticker,
            kind=kind,
            now_ms=now_ms,
            close_ms=close_ms,
            result=result,
            settlement_value=settlement_value,
            grid=grid,
            yes_sub_title=yes_sub_title,
        )
    )
