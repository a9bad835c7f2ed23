"""Moving the member's cash: between shards, and between sub-accounts.

See: docs.kalshi.com/getting_started/exchange_sharding, read 2026-11-20, and openapi.yaml 3.34.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from base.simulator.engine.refusal import Refused
from base.simulator.engine.state import State

TRANSFER_ID = 5
LAST_SUBACCOUNT = 63


@dataclass(frozen=True, slots=True)
class Place:
    """Where cash lies."""

    subaccount: int
    exchange_index: int


@dataclass(slots=True, kw_only=True)
class Transfer:
    """One movement of ``amount`` dollars; what has left is nowhere until ``arrives_ms``."""

    transfer_id: str
    number: int
    account_id: str
    source: Place
    destination: Place
    amount: Decimal
    created_ms: int
    arrives_ms: int
    client_transfer_id: str | None = None
    is_complete: bool = False

    @property
    def is_between_shards(self) -> bool:
        """Say in which of the two histories it is shown."""
        return self.source.exchange_index != self.destination.exchange_index


def open_subaccount(state: State, account_id: str) -> int:
    """Return the number of a new sub-account. They are numbered from 1; none is ever closed."""
    account = state.account(account_id)
    number = 1 + max([account.opened_subaccounts, *(own for own, _ in account.cash)])
    if number > LAST_SUBACCOUNT:
        raise Refused(400, "invalid_parameters", "too many subaccounts")
    account.opened_subaccounts = number
    return number


def exists(state: State, account_id: str, subaccount: int) -> bool:
    """Say whether the member has this sub-account; cash that was staged there opens it too."""
    account = state.account(account_id)
    return 0 <= subaccount <= account.opened_subaccounts or any(own == subaccount for own, _ in account.cash)


def transfer(
    state: State,
    account_id: str,
    source: Place,
    destination: Place,
    amount: Decimal,
    now_ms: int,
    client_transfer_id: str | None = None,
) -> Transfer:
    """Take the cash at once and bring it after the exchange's delay. Raises: Refused."""
    account = state.account(account_id)
    _check(state, account_id, source, destination, amount, client_transfer_id)
    if state.free(account, source.subaccount, source.exchange_index) < amount:
        raise Refused(400, "insufficient_balance", "insufficient balance")
    number = state.number()
    between_shards = source.exchange_index != destination.exchange_index
    delay_ms = round(state.semantics.shard_transfer_s * 1000) if between_shards else 0
    done = Transfer(
        transfer_id=state.uuid(TRANSFER_ID, number),
        number=number,
        account_id=account_id,
        source=source,
        destination=destination,
        amount=amount,
        created_ms=now_ms,
        arrives_ms=now_ms + delay_ms,
        client_transfer_id=client_transfer_id,
    )
    state.transfers.append(done)
    _move(state, account_id, source, -amount, now_ms)
    arrive(state, now_ms)
    return done


def _check(
    state: State,
    account_id: str,
    source: Place,
    destination: Place,
    amount: Decimal,
    client_transfer_id: str | None,
) -> None:
    if amount <= 0 or source == destination:
        raise Refused(400, "invalid_parameters", "invalid parameters", "amount")
    for place in (source, destination):
        if place.exchange_index not in state.shards:
            raise Refused(400, "invalid_parameters", "invalid parameters", "exchange_index")
        if not exists(state, account_id, place.subaccount):
            raise Refused(400, "invalid_parameters", "invalid parameters", "subaccount")
        if not state.shards[place.exchange_index].is_running:
            raise Refused(409, "exchange_is_paused", "exchange is paused")
    if client_transfer_id and any(
        t.client_transfer_id == client_transfer_id and t.account_id == account_id for t in state.transfers
    ):
        raise Refused(409, "transfer_already_exists", "transfer already exists")


def arrive(state: State, now_ms: int) -> None:
    """Bring what is due."""
    for each in state.transfers:
        if not each.is_complete and each.arrives_ms <= now_ms:
            each.is_complete = True
            _move(state, each.account_id, each.destination, each.amount, now_ms)


def _move(state: State, account_id: str, place: Place, amount: Decimal, now_ms: int) -> None:
    account = state.account(account_id)
    account.pay(place.subaccount, place.exchange_index, amount)
    state.report_cash(account, place.subaccount, place.exchange_index, now_ms)
