"""The matching engine's door: pure, told the time with every call.

The same calls give the same events, byte for byte; nothing here reads a clock, draws a random
number or waits. A server drives it in real time, a simulation in its own.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from decimal import Decimal

from base.simulator.engine import changes, lifecycle, matching, resting, trading
from base.simulator.engine.accounts import Account
from base.simulator.engine.events import Event
from base.simulator.engine.market import Market, MarketSpec
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Order, OrderRequest, Prevention, Side, TimeInForce
from base.simulator.engine.state import State
from base.simulator.semantics import Semantics

HOUSE = "house"


class Exchange:
    """Markets, books, accounts. Times are Unix milliseconds, money is dollars."""

    def __init__(self, semantics: Semantics | None = None, salt: int = 0) -> None:
        self.state = State(semantics=semantics or Semantics(), salt=salt)
        self.state.accounts[HOUSE] = Account(account_id=HOUSE, is_house=True)

    def take_events(self) -> list[Event]:
        """Return and forget what happened since the last call."""
        events, self.state.outbox = self.state.outbox, []
        return events

    def advance(self, now_ms: int) -> None:
        """Let the clock act. Call before reading or writing at ``now_ms``."""
        lifecycle.advance(self.state, now_ms)

    # Orders

    def submit(self, account_id: str, request: OrderRequest, now_ms: int) -> Order:
        """Enter an order; return its live record. Raises: Refused."""
        return trading.submit(self.state, account_id, request, now_ms)

    def cancel(self, order: Order, now_ms: int) -> Decimal:
        """Cancel a resting order; return the contracts taken out. Raises: Refused."""
        return changes.cancel(self.state, order, now_ms)

    # Markets and liquidity

    def add_market(self, spec: MarketSpec, now_ms: int) -> Market:
        """List a market."""
        return lifecycle.add_market(self.state, spec, now_ms)

    def open_house(self, account_id: str) -> None:
        """Open an account with unlimited credit, for liquidity that is not the member's."""
        self.state.accounts[account_id] = Account(account_id=account_id, is_house=True)

    def deposit(
        self, account_id: str, amount: Decimal, now_ms: int, *, exchange_index: int, subaccount: int = 0
    ) -> None:
        """Bring dollars onto one shard."""
        account = self.state.account(account_id)
        account.pay(subaccount, exchange_index, amount)
        self.state.report_cash(account, subaccount, exchange_index, now_ms)

    def set_level(
        self, ticker: str, side: Side, price: Decimal, count: Decimal, now_ms: int, *, maker: str = HOUSE
    ) -> None:
        """Make ``maker`` show exactly ``count`` contracts at ``price``, as its own orders.

        More joins the back of the queue, less is taken from the back; crossing orders trade.
        """
        market = self.state.market(ticker)
        own = [o for o in market.book.ladder(side).orders_at(price) if o.account_id == maker]
        surplus = sum((o.remaining for o in own), ZERO) - count
        if surplus < 0:
            # Recorded books may cross for a moment; the older own order gives way.
            request = OrderRequest(
                ticker=ticker, side=side, count=-surplus, price=price, prevention=Prevention.MAKER
            )
            self.submit(maker, request, now_ms)
            return
        if surplus == 0:
            return
        market.clock += 1
        for order in reversed(own):
            if order.remaining <= surplus:
                surplus -= resting.cancel(self.state, market, order, "Decrease", now_ms)
            elif surplus:
                resting.shrink(self.state, market, order, surplus, now_ms)
                break
        self.state.report_top(market, now_ms)

    def report_trade(
        self, ticker: str, taker_side: Side, price: Decimal, count: Decimal, now_ms: int, *, is_block: bool
    ) -> None:
        """Report a trade between others, as in a recording: no order or position here changes."""
        market = self.state.market(ticker)
        matching.print_trade(self.state, market, taker_side, price, count, now_ms, is_block=is_block)
        self.state.report_top(market, now_ms)

    # The member's position, by means other than this API

    def assign_position(
        self,
        account_id: str,
        ticker: str,
        count: Decimal,
        entry: Decimal,
        now_ms: int,
        *,
        subaccount: int = 0,
    ) -> None:
        """Make the member hold ``count`` (negative: NO) bought at ``entry`` of its own side.

        The house takes the other side and the cash; no trade is reported.
        """
        market = self.state.market(ticker)
        account, house = self.state.account(account_id), self.state.account(HOUSE)
        mine = account.holding(subaccount, ticker, market.exchange_index)
        theirs = house.holding(0, ticker, market.exchange_index)
        before = max(mine.count, ZERO) + max(theirs.count, ZERO)
        theirs.count -= count - mine.count
        theirs.cost = abs(theirs.count) * Decimal("0.5")
        mine.count, mine.cost = count, abs(count) * entry
        mine.traded = mine.cost
        after = max(mine.count, ZERO) + max(theirs.count, ZERO)
        # One dollar stands behind each pair; the house pays it in and takes it out.
        house.pay(0, market.exchange_index, before - after)
        market.open_interest += after - before
        self.state.report_holding(account, subaccount, market, now_ms)
        self.state.report_cash(account, subaccount, market.exchange_index, now_ms)

    def trade_elsewhere(
        self,
        account_id: str,
        ticker: str,
        count: Decimal,
        price: Decimal,
        now_ms: int,
        *,
        subaccount: int = 0,
    ) -> Order:
        """Let the member buy (negative: sell) YES from the house, as if on the web site."""
        market = self.state.market(ticker)
        request = OrderRequest(
            ticker=ticker,
            side=Side.BID if count > 0 else Side.ASK,
            count=abs(count),
            price=price,
            time_in_force=TimeInForce.IOC,
            subaccount=subaccount,
        )
        against = replace(request, side=request.side.other, subaccount=0)
        taker = trading.enter(self.state, self.state.account(account_id), market, request, now_ms)
        maker = trading.enter(self.state, self.state.account(HOUSE), market, against, now_ms)
        taker.remaining = maker.remaining = ZERO
        matching.execute(self.state, market, taker, maker, price, abs(count), now_ms)
        resting.forget(self.state, maker)
        taker.status = "executed"
        self.state.report_order(taker, "Trade", now_ms)
        self.state.report_top(market, now_ms)
        return copy(taker)
