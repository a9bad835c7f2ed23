"""Live prices from config.yaml: addresses and key as the monitor has them, without the monitor."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from base.app.config import Config, load_config
from base.app.credentials import access_to
from base.app.embedded import EmbeddedExchange
from base.kalshi import live_prices
from base.kalshi.live_prices import STOP_S, OnPrices


class LivePrices(live_prices.LivePrices):
    """The client with its settings read from a file; ``simulated`` brings the embedded exchange along."""

    _embedded: EmbeddedExchange | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def from_config(
        cls,
        path: str | Path = "config.yaml",
        overrides: Sequence[str] = (),
        *,
        on_orderbook: OnPrices | None = None,
        on_ticker: OnPrices | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Read config.yaml, with ``a.b=value`` overrides on top. Only reads are made with the key.

        Raises:
            ConfigError: Every mistake in it, or a key that is not usable.
        """
        config = load_config(Path(path), overrides)
        embedded, folder = _embedded_of(config)
        try:
            reached = None if embedded is None else embedded.start()
            access = access_to(config, os.environ if environ is None else environ, reached)
        except BaseException:
            _end(embedded, folder)
            raise
        ends = access.endpoints
        prices = cls(
            ends.rest_url, ends.websocket_url, access.signer, on_orderbook=on_orderbook, on_ticker=on_ticker
        )
        prices._embedded, prices._folder = embedded, folder
        return prices

    def stop(self, timeout_s: float = STOP_S) -> list[str]:
        """End everything, the embedded exchange included; return the names of what would not end."""
        late = super().stop(timeout_s)
        _end(self._embedded, self._folder)
        return late


def _embedded_of(config: Config) -> tuple[EmbeddedExchange | None, tempfile.TemporaryDirectory[str] | None]:
    if not config.is_simulated:
        return None, None
    folder = tempfile.TemporaryDirectory(prefix="live-prices-")
    at = Path(folder.name)
    return EmbeddedExchange(config.simulator, at, at), folder


def _end(embedded: EmbeddedExchange | None, folder: tempfile.TemporaryDirectory[str] | None) -> None:
    if embedded is not None:
        embedded.stop()
    if folder is not None:
        folder.cleanup()
