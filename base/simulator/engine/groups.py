"""Order groups: a limit on the contracts matched in any 15 seconds.

See: docs.kalshi.com/getting_started/order_groups, read 2026-11-20.
"""

from __future__ import annotations

from decimal import Decimal

from base.simulator.engine import resting
from base.simulator.engine.events import GroupChanged
from base.simulator.engine.money import ZERO
from base.simulator.engine.orders import Order
from base.simulator.engine.refusal import Refused, bad_order, not_found
from base.simulator.engine.state import Group, State

WINDOW_MS = 15_000
GROUP_ID = 4


def create(
    state: State, account_id: str, subaccount: int, exchange_index: int, limit: Decimal, now_ms: int
) -> Group:
    """Open a group. Limits: 1 to 1,000,000 contracts."""
    _check_limit(limit)
    group = Group(
        group_id=state.uuid(GROUP_ID, state.number()),
        account_id=account_id,
        subaccount=subaccount,
        exchange_index=exchange_index,
        limit=limit,
    )
    state.groups[group.group_id] = group
    _report(state, group, "created", now_ms)
    return group


def find(state: State, account_id: str, group_id: str) -> Group:
    """Return the member's group. Raises: Refused(404)."""
    group = state.groups.get(group_id)
    if group is None or group.account_id != account_id:
        raise not_found("order group not found")
    return group


def orders_of(state: State, group: Group) -> list[Order]:
    """Return the group's resting orders."""
    account = state.accounts[group.account_id]
    return [o for o in account.resting.values() if o.request.order_group_id == group.group_id]


def trigger(state: State, group: Group, now_ms: int) -> None:
    """Cancel the group's orders and refuse new ones until a reset."""
    group.is_triggered = True
    resting.cancel_each(state, orders_of(state, group), "HaltCancel", now_ms)
    _report(state, group, "triggered", now_ms)


def reset(state: State, group: Group, now_ms: int) -> None:
    """Count from zero and accept orders again."""
    group.is_triggered = False
    group.matched.clear()
    _report(state, group, "reset", now_ms)


def set_limit(state: State, group: Group, limit: Decimal, now_ms: int) -> None:
    """Change the limit."""
    _check_limit(limit)
    group.limit = limit
    _report(state, group, "limit_updated", now_ms)


def delete(state: State, group: Group, now_ms: int) -> None:
    """Cancel the group's orders and remove it."""
    resting.cancel_each(state, orders_of(state, group), "HaltCancel", now_ms)
    del state.groups[group.group_id]
    _report(state, group, "deleted", now_ms)


def admit(state: State, account_id: str, group_id: str | None, subaccount: int, exchange_index: int) -> None:
    """Raise Refused unless an order may join the group, which lives on one shard."""
    if group_id is None:
        return
    group = find(state, account_id, group_id)
    if (group.subaccount, group.exchange_index) != (subaccount, exchange_index):
        raise not_found("order group not found")
    if group.is_triggered:
        raise bad_order("order group is triggered")


def note_match(state: State, order: Order, count: Decimal, now_ms: int) -> None:
    """Count a fill towards the order's group; trigger the group when its limit is hit."""
    group = state.groups.get(order.request.order_group_id or "")
    if group is None or group.is_triggered:
        return
    group.matched.append((now_ms, count))
    while group.matched and group.matched[0][0] <= now_ms - WINDOW_MS:
        group.matched.popleft()
    total = sum((matched for _, matched in group.matched), ZERO)
    is_hit = total >= group.limit if state.semantics.group_trigger == "hit" else total > group.limit
    if is_hit:
        trigger(state, group, now_ms)


def is_stopped(state: State, order: Order) -> bool:
    """Say whether the order's group was triggered, maybe by this very order's fills."""
    group = state.groups.get(order.request.order_group_id or "")
    return group is not None and group.is_triggered


def _check_limit(limit: Decimal) -> None:
    if not 1 <= limit <= 1_000_000:
        raise Refused(400, "invalid_parameters", "invalid parameters", "contracts_limit")


def _report(state: State, group: Group, kind: str, now_ms: int) -> None:
    with_limit = kind in ("created", "limit_updated")
    state.outbox.append(
        GroupChanged(
            account_id=group.account_id,
            subaccount=group.subaccount,
            group_id=group.group_id,
            kind=kind,
            limit=group.limit if with_limit else None,
            now_ms=now_ms,
        )
    )
