"""A small exchange for tests of the engine alone: two members, one market, hand-driven time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from base.simulator.engine.exchange import HOUSE, Exchange
from base.simulator.engine.grid import GRIDS
from base.simulator.engine.market import Market, MarketSpec
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Order, OrderRequest, Prevention, Side, TimeInForce
from base.simulator.engine.refusal import Refused
from base.simulator.semantics import Semantics

D = Decimal
T = "KXSIM-26DEC31-A"
ME, OTHER = "me", "other"
NOW = 1_795_000_000_000
HOUR = 3_600_000


class World:
    """An exchange at ``now`` (Unix ms); both members have cash on shard 0."""

    def __init__(self, semantics: Semantics | None = None, cash: str = "10000", **spec: Any) -> None:
        self.exchange = Exchange(semantics)
        self.now = NOW
        terms = {"ticker": T, "title": "A", "open_ms": NOW - HOUR, "close_ms": NOW + HOUR, **spec}
        self.exchange.add_market(MarketSpec(**terms), self.now)
        for member in (ME, OTHER):
            self.exchange.deposit(member, D(cash), self.now, exchange_index=0)

    @property
    def market(self) -> Market:
        """Return the market."""
        return self.exchange.state.markets[T]

    def order(self, account: str, side: str, price: str, count: str, **fields: Any) -> Order:
        """Enter an order, good till cancelled unless told otherwise."""
        if "tif" in fields:
            fields["time_in_force"] = TimeInForce(fields.pop("tif"))
        if "stp" in fields:
            fields["prevention"] = Prevention(fields.pop("stp"))
        request = OrderRequest(ticker=T, side=Side(side), price=D(price), count=D(count), **fields)
        return self.exchange.submit(account, request, self.now)

    def ioc(self, account: str, side: str, price: str, count: str, **fields: Any) -> Order:
        """Enter an immediate-or-cancel order."""
        return self.order(account, side, price, count, tif="immediate_or_cancel", **fields)

    def hold(self, count: str, entry: str = "0.50", account: str = ME) -> None:
        """Give a position."""
        self.exchange.assign_position(account, T, D(count), D(entry), self.now)

    def position(self, account: str = ME) -> Decimal:
        """Return the signed position."""
        return self.exchange.state.account(account).holding(0, T, 0).count

    def cash(self, account: str = ME) -> Decimal:
        """Return the cash on shard 0."""
        return self.exchange.state.account(account).cash.get((0, 0), ZERO)

    def levels(self, side: str) -> list[tuple[str, str]]:
        """Return one side's levels as strings, ascending."""
        return [(str(p), str(c)) for p, c in self.market.book.ladder(Side(side)).levels()]

    def total(self) -> Decimal:
        """Return all dollars: cash, the dollar behind each pair, fees. It never changes."""
        state = self.exchange.state
        cash = sum((sum(a.cash.values(), ZERO) for a in state.accounts.values()), ZERO)
        return cash + self.market.open_interest + state.fees_collected

    def net_contracts(self) -> Decimal:
        """Return the sum of all signed positions. It is always zero."""
        accounts = self.exchange.state.accounts.values()
        return sum((h.count for a in accounts for h in a.holdings.values()), ZERO)


def refused(status: int, code: str) -> pytest.RaisesExc[Refused]:
    """Expect a refusal with this status and code."""
    return pytest.RaisesExc(Refused, check=lambda r: (r.status, r.code) == (status, code))


__all__ = ["GRIDS", "HOUSE", "ME", "NOW", "OTHER", "D", "T", "World", "refused"]
