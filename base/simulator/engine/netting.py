"""Collateral that comes back for NO positions in markets that exclude each other (MECNET).

At most one market of such an event resolves to YES, so of the NO contracts held in it all but those
of one market pay. That money is lent at once. Kalshi documents which events are netted and that it
can be switched off per sub-account, not the amounts: this is the plain worst case. DIRECNET, which
needs strikes, is not modelled. See: openapi.yaml 3.34.0, ``collateral_return_type``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from base.simulator.engine.accounts import Account
from base.simulator.engine.market import Status
from base.simulator.engine.money import ZERO

if TYPE_CHECKING:
    from base.simulator.engine.state import State


def returned(
    state: State,
    account: Account,
    subaccount: int,
    exchange_index: int,
    *,
    instead: dict[str, Decimal] | None = None,
) -> Decimal:
    """Return the dollars that a sub-account may spend again on one shard.

    ``instead`` gives signed counts of some tickers as they would be after a trade.
    """
    if not state.exclusive_events or not account.netting.get(subaccount, True):
        return ZERO  # the common case costs nothing, however many positions there are
    held: dict[str, list[Decimal]] = {}
    for (own, ticker), holding in account.holdings.items():
        spec = state.markets[ticker].spec
        count = (instead or {}).get(ticker, holding.count)
        is_here = own == subaccount and holding.exchange_index == exchange_index
        if is_here and spec.event in state.exclusive_events and count < 0:
            held.setdefault(spec.event, []).append(-count)
    return sum((_certain(state, event, counts) for event, counts in held.items()), ZERO)


def _certain(state: State, event: str, counts: list[Decimal]) -> Decimal:
    """Return what the NO contracts pay whoever wins; all of them once the winner was paid out."""
    has_winner = any(
        m.status is Status.FINALIZED and m.result == "yes"
        for m in state.markets.values()
        if m.spec.event == event
    )
    return sum(counts, ZERO) - (ZERO if has_winner else max(counts))


def lost_by_closing(
    state: State, account: Account, subaccount: int, ticker: str, closed: Decimal, exchange_index: int
) -> Decimal:
    """Return the dollars that closing ``closed`` NO contracts would call back."""
    count = account.holdings[subaccount, ticker].count
    place = (state, account, subaccount, exchange_index)
    return returned(*place) - returned(*place, instead={ticker: count + closed})
