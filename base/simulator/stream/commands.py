"""Client commands: decoding, and the errors that can be told without any state.

See: asyncapi.yaml of 2026-10, ``x-error-codes``.
"""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec

from base.simulator.decoding import UNREADABLE

TEXTS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    9: "Authentication required",
    10: "Channel error",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    18: "Command timeout",
    19: "shard_factor must be > 0",
    20: "shard_factor is required when shard_key is set",
    21: "shard_key must be >= 0 and < shard_factor",
    22: "shard_factor must be <= 100",
    24: "Index IDs required",
    25: "Subscription buffer overflow",
    26: "Subscription market limit exceeded",
    27: "Too many requests",
    28: "Underlying tickers required",
}
COMMANDS = ("subscribe", "unsubscribe", "update_subscription", "list_subscriptions")


class CommandError(Exception):
    """An error frame's code; ``sid`` when it belongs to a subscription."""

    def __init__(self, code: int, sid: int | None = None) -> None:
        super().__init__(f"{code} {TEXTS[code]}")
        self.code = code
        self.sid = sid


class Params(msgspec.Struct):
    """Every parameter a command may carry; absent is None."""

    channels: list[str] | None = None
    sids: list[int] | None = None
    sid: int | None = None
    action: str | None = None
    market_ticker: str | None = None
    market_tickers: list[str] | None = None
    market_id: str | None = None
    market_ids: list[str] | None = None
    send_initial_snapshot: bool = False
    skip_ticker_ack: bool | None = None
    use_yes_price: bool | None = None
    user_filter: str = ""
    shard_factor: int | None = None
    shard_key: int | None = None
    index_ids: list[str] | None = None
    underlying_tickers: list[str] | None = None

    def tickers(self) -> list[str]:
        """Return the tickers of either form. Raises: CommandError(11) when both are used."""
        if self.market_ticker is not None and self.market_tickers is not None:
            raise CommandError(11)
        return [self.market_ticker] if self.market_ticker else list(self.market_tickers or [])

    def ids(self) -> list[str]:
        """Return the market ids of either form. Raises: CommandError(11) for a bad UUID."""
        ids = [self.market_id] if self.market_id else list(self.market_ids or [])
        for market_id in ids:
            try:
                uuid.UUID(market_id)
            except ValueError:
                raise CommandError(11) from None
        return ids

    def check_shards(self) -> None:
        """Raise CommandError for a bad fan-out split."""
        if self.shard_key is not None and self.shard_factor is None:
            raise CommandError(20)
        if self.shard_factor is None:
            return
        if self.shard_factor <= 0:
            raise CommandError(19)
        if self.shard_factor > 100:
            raise CommandError(22)
        if not 0 <= (self.shard_key or 0) < self.shard_factor:
            raise CommandError(21)


class CommandRate:
    """How many commands came within the last second."""

    def __init__(self) -> None:
        self._recent: deque[int] = deque()

    def count(self, now_ms: int, allowed: int) -> None:
        """Count one more. Raises: CommandError(27) above ``allowed`` a second."""
        self._recent.append(now_ms)
        while self._recent[0] <= now_ms - 1000:
            self._recent.popleft()
        if len(self._recent) > allowed:
            raise CommandError(27)


@dataclass(frozen=True, slots=True)
class Command:
    """A decoded command. ``id`` None: replies cannot be matched."""

    id: int | None
    cmd: str
    raw_params: Any

    def params(self) -> Params:
        """Return the parameters. Raises: CommandError(2, 11)."""
        if self.raw_params is None:
            raise CommandError(2)
        try:
            return msgspec.convert(self.raw_params, Params)
        except msgspec.ValidationError:
            raise CommandError(11) from None


def decode(frame: str | bytes) -> Command:
    """Decode a frame from a client, text or binary. Raises: CommandError(1)."""
    try:
        body = msgspec.json.decode(frame)
    except UNREADABLE:
        raise CommandError(1) from None
    if not isinstance(body, dict):
        raise CommandError(1)
    command_id, cmd, params = body.get("id"), body.get("cmd"), body.get("params")
    is_id = command_id is None or (isinstance(command_id, int) and not isinstance(command_id, bool))
    if not is_id or not isinstance(cmd, str | None) or not isinstance(params, dict | None):
        raise CommandError(1)
    return Command(command_id or None, cmd or "", params)
