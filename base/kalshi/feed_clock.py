"""Transport lag of a frame: when it was sent by the exchange's clock against when it came."""

from __future__ import annotations

from base.clock import Clock, boot_ms
from base.feed.clock_offset import ClockOffset
from base.feed.freshness import Lag
from base.kalshi.feed_session import FeedSession
from base.kalshi.latency import RecentValues
from base.kalshi.messages import BookDelta, Frame, Ticker, UnknownFrame

IMPOSSIBLE_MS = -50
"""A frame cannot come before it was sent; beyond rounding this means that a clock was set."""


class LagMeter:
    """Measures against the clock offset that REST answers gave; without one nothing is measured."""

    def __init__(self, clock: Clock, offset: ClockOffset, session: FeedSession):
        self._clock = clock
        self._offset = offset
        self._session = session
        self.recent = RecentValues()  # seconds, of the latest reads from the socket

    def measure(self, frame: Frame | UnknownFrame) -> Lag | None:
        """Return the lag of ``frame`` received just now; ``None``: this frame can't tell."""
        sent_ms = frame.sent_ms
        if sent_ms is None and (sent_ms := self._happened_ms(frame)) is None:
            return None
        now = self._offset.exchange_ms(boot_ms(self._clock))
        if now is None:
            return None
        value_ms, error_ms = now[0] - sent_ms, now[1]
        if value_ms + error_ms < IMPOSSIBLE_MS:
            return Lag(value_s=0.0, error_s=float("inf"))
        self.recent.note(value_ms / 1000)
        return Lag(value_s=value_ms / 1000, error_s=error_ms / 1000)

    def _happened_ms(self, frame: Frame | UnknownFrame) -> int | None:
        """When the update happened: never later than the sending, so the lag is not understated."""
        if isinstance(frame, BookDelta):
            return frame.ts_ms
        if isinstance(frame, Ticker) and not self._session.is_first_ticker(frame.ticker):
            return frame.ts_ms
        return None
