"""The only reader of prices by REST: for what is not proven, for all readers together."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from base.clock import Clock
from base.feed.price_cache import PriceCache
from base.model import Quote


class BookReader(Protocol):
    """Reads order books by REST, at most 100 markets a call."""

    def read_books(self, tickers: Collection[str]) -> list[Quote]:
        """Quotes seen from YES, received at the start of the request."""


class PriceRefresher:
    """Thread; signature first, body follows."""

    def __init__(
        self,
        cache: PriceCache,
        reader: BookReader,
        clock: Clock,
        *,
        stale_after_s: float,
        held: Callable[[], Collection[str]],
    ):
        raise NotImplementedError

    def start(self) -> None:
        """Start the thread."""

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop the thread."""

    def request(self, ticker: str) -> None:
        """Read the book of ``ticker`` once, now; returns at once."""
