"""The price cache that the WebSocket fills."""

from __future__ import annotations

from base.feed.price_cache import PriceCache


class WebSocketPriceCache(PriceCache):
    """Quotes from ticker and book frames; body follows."""
