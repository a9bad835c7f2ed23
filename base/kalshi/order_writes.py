"""Orders as the exchange wants them written, and its answers as outcomes. Pure.

The exchange has one book on the YES scale: selling YES at p is an ``ask`` at p, selling NO at q
is a ``bid`` at 1 − q. Counts and prices are strings; a JSON number is refused there.
See: docs.kalshi.com/getting_started/order_direction; openapi.yaml 3.34.0, CreateOrderV2.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from base.errors import WireError
from base.kalshi.rest_errors import refusal_of
from base.kalshi.rest_messages import Cancelled, Created, read
from base.model import Accepted, EntryOrder, ExitOrder, NotSent, Outcome, Refused, Side, Unanswered
from base.units import ONE, ZERO, count_text, parse_count, parse_decimal, parse_price, price_text


def exit_body(order: ExitOrder) -> bytes:
    """Return the request body of an exit: immediate-or-cancel and reduce-only, so it can never flip.

    Self-trade prevention ``maker`` cancels a resting order of ours instead of the exit.
    """
    is_yes = order.side is Side.YES
    return _body(
        order,
        side="ask" if is_yes else "bid",
        time_in_force="immediate_or_cancel",
        self_trade_prevention_type="maker",
        reduce_only=True,
    )


def entry_body(order: EntryOrder) -> bytes:
    """Return the request body of a strategy's order. A sale at once is reduce-only: it turns nothing over."""
    buys_yes = order.is_buy == (order.side is Side.YES)
    return _body(
        order,
        side="bid" if buys_yes else "ask",
        time_in_force=order.time_in_force,
        self_trade_prevention_type="taker_at_cross",
        post_only=order.post_only,
        reduce_only=order.only_reduces,
    )


def _body(order: ExitOrder | EntryOrder, **rest: object) -> bytes:
    price = order.price if order.side is Side.YES else ONE - order.price
    return msgspec.json.encode(
        {
            "ticker": order.ticker,
            "client_order_id": order.client_order_id,
            "count": _count(order.count),
            "price": _price(price),
            "subaccount": order.subaccount,
            "exchange_index": order.exchange_index,
            **rest,
        }
    )


def _price(price: Decimal) -> str:
    text = price_text(price)
    if Decimal(text) != price or not ZERO < price < ONE:
        raise ValueError(f"{price} is no order price")  # our own mistake: the grid has four decimals
    return text


def _count(count: Decimal) -> str:
    text = count_text(count)
    if Decimal(text) != count or count <= ZERO:
        raise ValueError(f"{count} is no order size")
    return text


def created(order: ExitOrder | EntryOrder, status: int, body: bytes) -> Outcome:
    """Return what the answer to a new order means."""
    refused = _refused(order.client_order_id, status, body)
    if refused is not None:
        return refused
    try:
        return _accepted(order, read(body, Created))
    except WireError as e:
        return Unanswered(client_order_id=order.client_order_id, why=f"unreadable answer: {e}")


def _accepted(order: ExitOrder | EntryOrder, answer: Created) -> Outcome:
    own_id = order.client_order_id
    if not answer.order_id:
        return Unanswered(client_order_id=own_id, why="the answer names no order")
    if answer.client_order_id not in (None, "", own_id):
        # Seen in May 2026: an answer that described another order.
        return Unanswered(client_order_id=own_id, why="the answer is about another order")
    price = None
    filled = parse_count(answer.fill_count, "fill_count")
    if answer.average_fill_price and filled > ZERO:
        yes_price = parse_price(answer.average_fill_price, "average_fill_price")
        price = yes_price if order.side is Side.YES else ONE - yes_price
    fee = parse_decimal(answer.average_fee_paid, "average_fee_paid") if answer.average_fee_paid else None
    return Accepted(
        client_order_id=own_id,
        order_id=answer.order_id,
        filled=filled,
        remaining=parse_count(answer.remaining_count, "remaining_count"),
        average_price=price,
        average_fee=fee,
        ts_ms=answer.ts_ms,
    )


def cancelled(order_id: str, status: int, body: bytes) -> Outcome:
    """Return what the answer to a cancel means.

    ``Accepted`` says that nothing rests any more; what the order had filled before, only a read
    of the order says. A 404 is ``Refused``: cancelled, filled, unknown and wrong shard look alike.
    """
    refused = _refused("", status, body)
    if refused is not None:
        return refused
    try:
        answer = read(body, Cancelled)
        parse_count(answer.reduced_by, "reduced_by")
    except WireError as e:
        return Unanswered(client_order_id="", why=f"unreadable answer: {e}")
    if answer.order_id != order_id:
        return Unanswered(client_order_id="", why="the answer is about another order")
    return Accepted(
        client_order_id=answer.client_order_id or "",
        order_id=answer.order_id,
        filled=ZERO,
        remaining=ZERO,
        average_price=None,
        average_fee=None,
        ts_ms=answer.ts_ms,
    )


def _refused(client_order_id: str, status: int, body: bytes) -> Outcome | None:
    if status == 429:
        return NotSent(client_order_id=client_order_id, why="the exchange's rate limit (429)", has_left=True)
    if status == 408 or not 200 <= status < 500 or 300 <= status < 400:
        # 5xx, and whatever a box in between may say, tells nothing of what the exchange did.
        return Unanswered(client_order_id=client_order_id, why=f"HTTP {status}")
    if status < 300:
        return None
    said = refusal_of(status, body)
    return Refused(client_order_id=client_order_id, status=status, code=said.code, details=said.details)
