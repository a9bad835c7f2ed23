"""Commands to the exchange as JSON texts. Pure.

An empty list of markets is refused here: for most channels it would mean *every* market.
See: docs.kalshi.com/websockets, asyncapi.yaml 2.0.0, section 5 of the protocol page.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

TICKER = "ticker"
BOOK = "orderbook_delta"
TRADE = "trade"
ACCOUNT_CHANNELS = ("fill", "user_orders", "market_positions", "market_lifecycle_v2")
PER_MARKET_CHANNELS = frozenset({TICKER, BOOK, TRADE})
SUCCESSORS = {"ticker_v2": "ticker", "multivariate": "multivariate_market_lifecycle"}
"""Channels that are gone, and what took their place (changelog 2026-02-12 and 2026-08-06)."""
USE_YES_PRICE = True
"""Ask for NO levels on the YES scale; sent explicitly because the exchange's default will flip."""

_encode = msgspec.json.Encoder().encode


def refuse_retired(channel: str) -> None:
    """Do nothing for a channel that may exist.

    Raises:
        ValueError: If the channel is retired; it names the successor.
    """
    if channel in SUCCESSORS:
        raise ValueError(f"channel {channel} was removed; use {SUCCESSORS[channel]}")


def subscribe(command_id: int, channel: str, tickers: Collection[str]) -> str:
    """Return the command that opens (or widens) a channel's one subscription.

    Raises:
        ValueError: If the channel is retired, or it is per market and no market is named.
    """
    refuse_retired(channel)
    params: dict[str, object] = {"channels": [channel]}
    if channel in PER_MARKET_CHANNELS:
        params["market_tickers"] = _named(tickers)
    if channel == TICKER:
        params["send_initial_snapshot"] = True
    if channel == BOOK:
        params["use_yes_price"] = USE_YES_PRICE
    return _text(command_id, "subscribe", params)


def add_markets(command_id: int, channel: str, sid: int, tickers: Collection[str]) -> str:
    """Return the command that adds markets to a subscription.

    Raises:
        ValueError: If no market is named.
    """
    params: dict[str, object] = {"sid": sid, "action": "add_markets", "market_tickers": _named(tickers)}
    if channel == TICKER:
        params["send_initial_snapshot"] = True
    return _text(command_id, "update_subscription", params)


def delete_markets(command_id: int, sid: int, tickers: Collection[str]) -> str:
    """Return the command that takes markets off a subscription. Never for its last ones: unsubscribe then.

    Raises:
        ValueError: If no market is named.
    """
    params = {"sid": sid, "action": "delete_markets", "market_tickers": _named(tickers)}
    return _text(command_id, "update_subscription", params)


def get_snapshot(command_id: int, sid: int, tickers: Collection[str]) -> str:
    """Return the command that asks for whole books. Only the array form is accepted.

    Raises:
        ValueError: If no market is named.
    """
    params = {"sid": sid, "action": "get_snapshot", "market_tickers": _named(tickers)}
    return _text(command_id, "update_subscription", params)


def unsubscribe(command_id: int, sid: int) -> str:
    """Return the command that ends a subscription."""
    return _text(command_id, "unsubscribe", {"sids": [sid]})


def list_subscriptions(command_id: int) -> str:
    """Return the command that asks which subscriptions there are."""
    return _encode({"id": command_id, "cmd": "list_subscriptions"}).decode()


def _named(tickers: Collection[str]) -> list[str]:
    if not tickers or isinstance(tickers, str):
        raise ValueError("name at least one market: an empty list could mean all of them")
    return sorted(tickers)


def _text(command_id: int, name: str, params: dict[str, object]) -> str:
    return _encode({"id": command_id, "cmd": name, "params": params}).decode()
