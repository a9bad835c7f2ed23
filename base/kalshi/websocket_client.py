"""The websocket manager: one thread that keeps the feed alive. Signatures first, body follows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from base.clock import Clock
from base.feed.clock_offset import ClockOffset
from base.kalshi.auth import Signer
from base.kalshi.websocket_price_cache import WebSocketPriceCache
from base.model import AccountEvent


class WebSocketManager:
    """Connect, sign, read, reconnect; every call from another thread returns at once."""

    def __init__(
        self,
        url: str,
        signer: Signer,
        cache: WebSocketPriceCache,
        clock: Clock,
        offset: ClockOffset,
        *,
        on_account_event: Callable[[AccountEvent], None],
        on_connected: Callable[[int], None] | None = None,
        on_disconnected: Callable[[str], None] | None = None,
        handshake_timeout_s: float = 5.0,
    ):
        raise NotImplementedError

    def start(self) -> None:
        """Start the thread."""

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the thread within ``timeout_s``."""

    def hold(self, ticker: str) -> None:
        """Subscribe everything a held market needs."""

    def release(self, ticker: str) -> None:
        """Stop holding ``ticker``."""

    def watch_only(self, ticker: str) -> None:
        """Subscribe the ticker channel of a market that is not held."""

    def unwatch(self, ticker: str) -> None:
        """Stop watching ``ticker``."""

    def probe(self, ticker: str) -> None:
        """Ask for a snapshot of the book; one that equals the local book proves the quote."""

    def held(self) -> Collection[str]:
        """The tickers held now."""
        raise NotImplementedError

    def reset_backoff(self) -> None:
        """Try to connect at once: something else reached the exchange."""

    def register_handler(self, message_type: str, fn: Callable[[Any], None]) -> None:
        """Call ``fn`` with every decoded frame of ``message_type``."""

    def get_stats(self) -> Mapping[str, int | float | str | None]:
        """Counts since the start."""
        raise NotImplementedError
