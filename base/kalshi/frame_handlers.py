"""Who is told of frames and of the connection. What they raise is counted and goes no further."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from base.kalshi.feed_session import FeedSession
from base.kalshi.feed_stats import FeedStats
from base.kalshi.messages import (
    AccountFrame,
    BookDelta,
    BookSnapshot,
    ErrorFrame,
    Frame,
    Ok,
    Subscribed,
    Ticker,
    Trade,
    UnknownFrame,
    Unsubscribed,
)
from base.model import AccountEvent, LifecycleEvent

log = logging.getLogger(__name__)

_TYPES: dict[type, str] = {
    Ticker: "ticker",
    BookDelta: "orderbook_delta",
    BookSnapshot: "orderbook_snapshot",
    Trade: "trade",
    Subscribed: "subscribed",
    Ok: "ok",
    Unsubscribed: "unsubscribed",
    ErrorFrame: "error",
}


class FrameHandlers:
    """Calls back on the manager's thread, so whoever is called must be quick."""

    def __init__(
        self,
        stats: FeedStats,
        on_account_event: Callable[[AccountEvent], None],
        on_connected: Callable[[int], None] | None,
        on_disconnected: Callable[[str], None] | None,
    ):
        self._stats = stats
        self._on_account_event = on_account_event
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._by_type: dict[str, tuple[Callable[[Any], None], ...]] = {}

    def register(self, message_type: str, fn: Callable[[Any], None]) -> None:
        """Add a handler; replaced as a whole, so the reading thread sees the old or the new ones."""
        self._by_type = {**self._by_type, message_type: (*self._by_type.get(message_type, ()), fn)}

    def wants(self, frame: Frame | UnknownFrame) -> bool:
        """Whether anybody is to be told of ``frame``: mostly not, and then it costs nothing more."""
        return bool(self._by_type) or type(frame) is AccountFrame

    def on_frame(self, frame: Frame | UnknownFrame, session: FeedSession) -> None:
        """Pass on an account event, and the frame to whoever registered for its type."""
        if type(frame) is AccountFrame:
            event = frame.event
            # Lifecycle is the whole exchange's; only markets that somebody follows matter.
            if not isinstance(event, LifecycleEvent) or session.wants(event.ticker):
                self._call(self._on_account_event, event)
        if self._by_type:
            name = _TYPES.get(type(frame)) or str(getattr(frame, "type", ""))
            for fn in self._by_type.get(name, ()):
                self._call(fn, frame)

    def connected(self, epoch: int) -> None:
        """Tell of a new connection."""
        if self._on_connected is not None:
            self._call(self._on_connected, epoch)

    def disconnected(self, why: str) -> None:
        """Tell of a lost connection."""
        if self._on_disconnected is not None:
            self._call(self._on_disconnected, why)

    def _call(self, fn: Callable[[Any], None], fact: object) -> None:
        try:
            fn(fact)
        except MemoryError:
            raise
        except Exception:  # theirs, and the feed must go on
            self._stats.callback_errors += 1
            log.exception("a feed handler failed")
