"""The guarded gateway: every order of a strategy passes here, and here alone.

An order is refused locally, before a byte leaves, when entries are halted, when the market is latched
by an exit, when nobody guards the sub-account, or when the order itself is wrong. A filled buy is
told to the monitor at once, so that it is protected before the exchange's own reports arrive.
A sale sells what is held and no more: it never opens the other side, which would be an entry.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol
from uuid import uuid4

from base.clock import Clock
from base.errors import MonitorError
from base.model import Accepted, EntryOrder, Key, Market, Outcome, Position, Refused, Side
from base.strategy.contract import Markets
from base.strategy.entry_limits import EntryBudget, EntryLimits
from base.units import COUNT_STEP, MOST_CONTRACTS, ONE, ZERO, typed_name

MARKET_AGE_S = 30.0
"""A market read longer ago than this is read again before an order. Seconds."""

NO_LIMITS = EntryLimits()
GOOD_TILL_CANCELED = "good_till_canceled"
IMMEDIATE_OR_CANCEL = "immediate_or_cancel"


class EntryPort(Protocol):
    """The strategy's own way to the exchange. Never raises, never repeats."""

    def place_entry(self, order: EntryOrder) -> Outcome:
        """Send ``order`` once."""

    def cancel(self, order_id: str, ticker: str, exchange_index: int, subaccount: int) -> Outcome:
        """Cancel one resting order."""


class Guards(Protocol):
    """What may hold an entry back."""

    def holds(self, key: Key) -> str | None:
        """Why no order may go out for ``key`` now: ``halted``, ``latched``, …; ``None``: it may."""


class GuardedGateway:
    """Checks, then sends once. Used by the strategy's thread only."""

    def __init__(
        self,
        client: EntryPort,
        markets: Markets,
        guards: Guards,
        opened: Callable[[Position], None],
        clock: Clock,
        limits: EntryLimits = NO_LIMITS,
        held: Callable[[Key], Decimal] | None = None,
        subaccount: int = 0,
    ):
        self._client = client
        self._markets = markets
        self._guards = guards
        self._opened = opened
        self._clock = clock
        self._budget = EntryBudget(limits)
        self._subaccount = subaccount  # meant where an order names none
        self._held = held or (lambda _: ZERO)  # what the monitor guards of the market, positive YES
        self._lock = threading.Lock()  # the gateway lock: a strategy may use threads of its own
        self._known: dict[str, tuple[float, Market]] = {}

    def buy(
        self,
        ticker: str,
        side: Side | str,
        count: Decimal,
        price: Decimal,
        *,
        rests: bool = False,
        subaccount: int | None = None,
    ) -> Outcome:
        """Buy at ``price`` dollars or better, from ``side``. ``Refused`` with status 0 was refused here."""
        account = self._meant(subaccount)
        before = self._held(Key(account, ticker))
        outcome = self._place(ticker, side, count, price, is_buy=True, rests=rests, subaccount=account)
        # What only made the other side smaller opened nothing; the exchange's report says what is left.
        if isinstance(outcome, Accepted) and outcome.filled > ZERO and _on(Side(side), before) >= ZERO:
            self._opened(
                Position(
                    ticker=ticker,
                    side=Side(side),
                    count=outcome.filled,
                    entry=outcome.average_price,
                    subaccount=account,
                )
            )
        return outcome

    def sell(
        self,
        ticker: str,
        side: Side | str,
        count: Decimal,
        price: Decimal,
        *,
        rests: bool = False,
        subaccount: int | None = None,
    ) -> Outcome:
        """Sell what is held, at most ``count``, at ``price`` dollars or better, from ``side``."""
        account = self._meant(subaccount)
        return self._place(ticker, side, count, price, is_buy=False, rests=rests, subaccount=account)

    def cancel(self, order_id: str, ticker: str, *, subaccount: int | None = None) -> Outcome:
        """Cancel a resting order. Never held back: a cancel only ever lowers the risk."""
        market = self._market(ticker)
        if isinstance(market, str):
            return _refused(order_id, market)
        return self._client.cancel(order_id, ticker, market.exchange_index, self._meant(subaccount))

    def _meant(self, subaccount: int | None) -> int:
        return self._subaccount if subaccount is None else subaccount

    def _place(
        self,
        ticker: str,
        side: Side | str,
        count: Decimal,
        price: Decimal,
        *,
        is_buy: bool,
        rests: bool,
        subaccount: int,
    ) -> Outcome:
        client_order_id = f"st-{uuid4().hex}"
        try:
            ticker, side = typed_name(ticker), Side(side)
        except ValueError as e:
            return _refused(client_order_id, f"not_readable: {e}")
        if why := self._guards.holds(Key(subaccount, ticker)):
            return _refused(client_order_id, why)
        market = self._market(ticker)
        if isinstance(market, str):
            return _refused(client_order_id, market)
        if why := what_is_wrong(market, side, count, price, self._clock.utc_ms()):
            return _refused(client_order_id, why)
        order = EntryOrder(
            client_order_id=client_order_id,
            ticker=ticker,
            subaccount=subaccount,
            exchange_index=market.exchange_index,
            side=side,
            is_buy=is_buy,
            count=count,
            price=price,
            time_in_force=GOOD_TILL_CANCELED if rests else IMMEDIATE_OR_CANCEL,
        )
        if why := self._limit(order):
            return _refused(client_order_id, why)
        return self._client.place_entry(order)

    def _limit(self, order: EntryOrder) -> str | None:
        """Why the limits hold this order back; ``None``: they don't, and an entry is counted as sent."""
        now_s, held = self._clock.boot_s(), self._held(Key(order.subaccount, order.ticker))
        if not order.is_buy:
            # The exchange itself sees to it that a sale at once only reduces; for one that rests we do.
            return None if order.only_reduces or order.count <= _on(order.side, held) else "not_held"
        with self._lock:
            why = self._budget.refuses(order.count, order.price, abs(held), now_s)
            if why is None:
                self._budget.sent(now_s)
        return why

    def _market(self, ticker: str) -> Market | str:
        """The market as read a moment ago, or why it is not known."""
        now_s = self._clock.boot_s()
        with self._lock:
            known = self._known.get(ticker)
        if known is not None and now_s - known[0] <= MARKET_AGE_S:
            return known[1]
        try:
            market = self._markets.markets([ticker]).get(ticker)
        except MonitorError as e:
            return f"market_not_read: {e}"
        if market is None:
            return "market_not_found"
        with self._lock:
            self._known[ticker] = (now_s, market)
        return market


def what_is_wrong(market: Market, side: Side, count: Decimal, price: Decimal, now_ms: int) -> str | None:
    """Say why the exchange could not take such an order; ``None``: it could."""
    if not isinstance(count, Decimal) or not isinstance(price, Decimal):
        return "not_decimal"  # a float has lost digits already
    if not count.is_finite() or not ZERO < count <= MOST_CONTRACTS or count % COUNT_STEP:
        return "count"
    if not price.is_finite() or not ZERO < price < ONE or not market.grid_of(side).contains(price):
        return "off_grid"
    if not market.is_open_at(now_ms):
        return "market_not_open"
    return None


def _on(side: Side, signed: Decimal) -> Decimal:
    """A position as seen from ``side``: below zero, the other side is held."""
    return signed if side is Side.YES else -signed


def _refused(client_order_id: str, why: str) -> Refused:
    return Refused(client_order_id=client_order_id, status=0, code=why.partition(":")[0], details=why)
