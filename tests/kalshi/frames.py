"""Frames as the exchange writes them, for tests."""

from __future__ import annotations

import json
from typing import Any

TICKER = "KXTEST-26DEC31-A"
OTHER = "KXTEST-26DEC31-B"
MARKET_ID = "0c3c1f8e-58b0-4a0b-9a6c-3f6f1f0c2a11"


def ticker_msg(**changes: Any) -> dict[str, Any]:
    """The payload of a ticker frame; a change to ``...`` takes the member away."""
    msg = {
        "market_ticker": TICKER,
        "market_id": MARKET_ID,
        "price_dollars": "0.5200",
        "yes_bid_dollars": "0.5150",
        "yes_ask_dollars": "0.5300",
        "yes_bid_size_fp": "120.00",
        "yes_ask_size_fp": "37.50",
        "last_trade_size_fp": "4.00",
        "volume_fp": "9120.25",
        "open_interest_fp": "4011.00",
        "dollar_volume": 4700,
        "dollar_open_interest": 2085,
        "ts": 1795132800,
        "ts_ms": 1795132800123,
        "time": "2026-11-20T00:00:00.123Z",
    }
    return changed(msg, changes)


def changed(msg: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``msg`` with ``changes``; ``...`` takes a member away."""
    return {name: value for name, value in (msg | changes).items() if value is not ...}


def ticker(sid: int = 1, **changes: Any) -> str:
    """A ticker frame."""
    return json.dumps({"type": "ticker", "sid": sid, "msg": ticker_msg(**changes)})


def snapshot(
    seq: int | None = 1,
    yes: list[tuple[str, str]] | None = None,
    no: list[tuple[str, str]] | None = None,
    *,
    market: str = TICKER,
    sid: int = 2,
    id: int | None = None,
    clock: int | None = None,
) -> str:
    """A snapshot frame; NO levels are on the YES scale, as we ask for them."""
    msg: dict[str, Any] = {"market_ticker": market, "market_id": MARKET_ID}
    if yes:
        msg["yes_dollars_fp"] = yes
    if no:
        msg["no_dollars_fp"] = no
    if clock is not None:
        msg["clock"] = clock
    frame: dict[str, Any] = {"type": "orderbook_snapshot", "sid": sid, "msg": msg}
    if seq is not None:
        frame["seq"] = seq
    if id is not None:
        frame["id"] = id
    return json.dumps(frame)


def delta(
    seq: int,
    price: str,
    change: str,
    side: str = "yes",
    *,
    market: str = TICKER,
    sid: int = 2,
    **extra: Any,
) -> str:
    """A delta frame."""
    msg = {
        "market_ticker": market,
        "market_id": MARKET_ID,
        "price_dollars": price,
        "delta_fp": change,
        "side": side,
        "ts_ms": 1795132801500,
    }
    return json.dumps({"type": "orderbook_delta", "sid": sid, "seq": seq, "msg": changed(msg, extra)})


def fill_msg(**changes: Any) -> dict[str, Any]:
    """The payload of a fill."""
    msg = {
        "trade_id": "t-1",
        "order_id": "o-1",
        "client_order_id": "sl-1",
        "market_ticker": TICKER,
        "exchange_index": 2,
        "is_taker": True,
        "side": "no",
        "action": "sell",
        "purchased_side": "no",
        "outcome_side": "no",
        "book_side": "ask",
        "yes_price_dollars": "0.4000",
        "count_fp": "2.50",
        "post_position_fp": "-2.50",
        "fee_cost": "0.042000",
        "ts": 1795132800,
        "ts_ms": 1795132800123,
    }
    return changed(msg, changes)


def user_order_msg(**changes: Any) -> dict[str, Any]:
    """The payload of a user_order."""
    msg = {
        "order_id": "o-1",
        "user_id": "u-1",
        "ticker": TICKER,
        "exchange_index": 2,
        "status": "canceled",
        "side": "no",
        "is_yes": False,
        "outcome_side": "no",
        "book_side": "ask",
        "yes_price_dollars": "0.3800",
        "initial_count_fp": "10.00",
        "fill_count_fp": "2.50",
        "remaining_count_fp": "0.00",
        "taker_fill_cost_dollars": "1.000000",
        "maker_fill_cost_dollars": "0.500000",
        "taker_fees_dollars": "0.042000",
        "maker_fees_dollars": "0.001000",
        "client_order_id": "sl-1",
        "created_time": "2026-11-20T00:00:00.123Z",
        "created_ts_ms": 1795132800123,
        "last_update_reason": "Trade",
    }
    return changed(msg, changes)


def envelope(kind: str, msg: Any, **members: Any) -> str:
    """Any frame."""
    return json.dumps({"type": kind, "msg": msg, **members})
