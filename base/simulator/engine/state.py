"""Everything the engine knows, and the few ways to change it that all parts share.

Mutable state lives here and nowhere else in the engine. One caller at a time.
"""

from __future__ import annotations

from collections import deque
from copy import copy
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from base.simulator.engine import netting
from base.simulator.engine.accounts import Account
from base.simulator.engine.events import (
    BookChanged,
    CashChanged,
    Event,
    HoldingChanged,
    OrderChanged,
    TopChanged,
)
from base.simulator.engine.market import Market
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Order
from base.simulator.engine.refusal import Refused
from base.simulator.semantics import Semantics

if TYPE_CHECKING:
    from base.simulator.engine.transfers import Transfer

SHARDS = {0: "Default", 1: "Combos", 2: "Crypto", 3: "Sports"}


@dataclass(slots=True)
class Shard:
    """Whether one matching engine runs."""

    description: str
    exchange_active: bool = True
    trading_active: bool = True
    in_weekly_pause: bool = False
    in_maintenance: bool = False

    @property
    def is_running(self) -> bool:
        """Say whether anything goes, cancels included."""
        return self.exchange_active and not self.in_maintenance

    @property
    def is_trading(self) -> bool:
        """Say whether orders are taken."""
        return self.is_running and self.trading_active and not self.in_weekly_pause


@dataclass(slots=True, kw_only=True)
class Group:
    """An order group: at most ``limit`` contracts matched in 15 seconds."""

    group_id: str
    account_id: str
    subaccount: int
    exchange_index: int
    limit: Decimal
    is_triggered: bool = False
    matched: deque[tuple[int, Decimal]] = field(default_factory=deque)


@dataclass(slots=True, kw_only=True)
class State:
    """The exchange. ``salt`` makes the ids of one run differ from those of another."""

    semantics: Semantics = field(default_factory=Semantics)
    salt: int = 0
    markets: dict[str, Market] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    maintenance: list[tuple[int, int]] = field(default_factory=list)  # planned: (start, end), Unix ms
    fee_overrides: dict[str, tuple[str, Decimal]] = field(default_factory=dict)  # by event
    exclusive_events: set[str] = field(default_factory=set)  # at most one market resolves to YES
    expiring: set[str] = field(default_factory=set)  # ids of resting orders with an end
    fees_collected: Decimal = ZERO
    issued: int = 0
    shards: dict[int, Shard] = field(
        default_factory=lambda: {index: Shard(text) for index, text in SHARDS.items()}
    )
    outbox: list[Event] = field(default_factory=list)

    def number(self) -> int:
        """Return the next number of one shared sequence."""
        self.issued += 1
        return self.issued

    def uuid(self, kind: int, number: int) -> str:
        """Return an id that looks like a UUID and is the same in every run with this salt."""
        return f"{self.salt & 0xFFFFFFFF:08x}-{kind:04x}-4000-8000-{number:012x}"

    def market(self, ticker: str) -> Market:
        """Return a market. Raises: Refused(404 market_not_found)."""
        market = self.markets.get(ticker)
        if market is None:
            raise Refused(404, "market_not_found", "market not found")
        return market

    def fee_terms(self, market: Market, now_ms: int) -> tuple[str, Decimal]:
        """Return (fee type, multiplier): the event's override, else the series'; 0 while waived."""
        spec = market.spec
        kind, multiplier = self.fee_overrides.get(spec.event, (spec.fee_type, spec.fee_multiplier))
        is_waived = spec.fee_waiver_until_ms is not None and now_ms < spec.fee_waiver_until_ms
        return kind, ZERO if is_waived else multiplier

    def account(self, account_id: str) -> Account:
        """Return an account; it is opened on first use."""
        if account_id not in self.accounts:
            self.accounts[account_id] = Account(account_id=account_id)
        return self.accounts[account_id]

    def free(self, account: Account, subaccount: int, exchange_index: int) -> Decimal:
        """Return the dollars for new orders on one shard, collateral that came back included."""
        back = netting.returned(self, account, subaccount, exchange_index)
        return account.available(subaccount, exchange_index) + back

    def report_level(self, market: Market, order: Order, delta: Decimal, now_ms: int) -> None:
        """Report that ``order`` changed its level by ``delta`` contracts."""
        self.outbox.append(
            BookChanged(
                ticker=market.ticker,
                clock=market.clock,
                side=order.side,
                price=order.price,
                delta=delta,
                now_ms=now_ms,
                account_id=order.account_id,
                client_order_id=order.client_order_id,
                subaccount=order.subaccount,
            )
        )

    def report_order(self, order: Order, reason: str | None, now_ms: int) -> None:
        """Stamp the order and report a copy, unless it is the house's own."""
        order.updated_ms = now_ms
        order.reason = reason
        if not self.accounts[order.account_id].is_house:
            self.outbox.append(OrderChanged(account_id=order.account_id, order=copy(order)))

    def report_holding(
        self, account: Account, subaccount: int, market: Market, now_ms: int, *, is_settled: bool = False
    ) -> None:
        """Report a copy of a position, unless it is the house's."""
        holding = account.holding(subaccount, market.ticker, market.exchange_index)
        holding.updated_ms = now_ms
        if not account.is_house:
            self.outbox.append(
                HoldingChanged(
                    account_id=account.account_id,
                    holding=copy(holding),
                    is_settled=is_settled,
                    now_ms=now_ms,
                )
            )

    def report_cash(self, account: Account, subaccount: int, exchange_index: int, now_ms: int) -> None:
        """Report what a sub-account may spend on a shard, unless it is the house's."""
        if not account.is_house:
            self.outbox.append(
                CashChanged(
                    account_id=account.account_id,
                    subaccount=subaccount,
                    exchange_index=exchange_index,
                    available=self.free(account, subaccount, exchange_index),
                    now_ms=now_ms,
                )
            )

    def report_top(self, market: Market, now_ms: int) -> None:
        """Report the ticker fields if one of them differs from what was shown last."""
        top = market.top()
        if top != market.shown:
            market.shown = top
            market.top_ms = now_ms
            self.outbox.append(TopChanged(ticker=market.ticker, top=top, now_ms=now_ms))
