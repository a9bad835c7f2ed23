"""Where the exchange is reached, per environment. Demo is ``.co``, production ``.com``.

See: docs.kalshi.com/getting_started/api_environments, changelog of 2026-05-07.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from base.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The two addresses of one environment. They are on different hosts: never derive one from the other."""

    rest_url: str
    websocket_url: str


DEMO = Endpoints(
    rest_url="https://external-api.demo.kalshi.co/trade-api/v2",
    websocket_url="wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2",
)
PRODUCTION = Endpoints(
    rest_url="https://external-api.kalshi.com/trade-api/v2",
    websocket_url="wss://external-api-ws.kalshi.com/trade-api/ws/v2",
)


def endpoints_of(environment: str, rest_url: str = "", websocket_url: str = "") -> Endpoints:
    """Return the addresses of ``simulated``, ``demo``, ``production`` or ``custom``.

    The embedded exchange picks its port when it starts, so ``simulated`` is given its addresses
    like ``custom``; the two public environments refuse them.

    Raises:
        ConfigError: Unknown environment, an address missing or superfluous, or one without TLS
            that is not on this machine.
    """
    if environment in ("demo", "production"):
        for setting, url in (("rest_url", rest_url), ("websocket_url", websocket_url)):
            if url:
                raise ConfigError(f"exchange.{setting}", "leave it empty, or set environment: custom")
        return DEMO if environment == "demo" else PRODUCTION
    if environment not in ("simulated", "custom"):
        raise ConfigError("exchange.environment", "it is one of simulated, demo, production, custom")
    return Endpoints(
        rest_url=_checked("exchange.rest_url", rest_url, "http"),
        websocket_url=_checked("exchange.websocket_url", websocket_url, "ws"),
    )


def _checked(setting: str, url: str, scheme: str) -> str:
    if not url:
        raise ConfigError(setting, f"set it, e.g. {scheme}s://host/trade-api/…")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(setting, "this is not an address") from None
    if parts.scheme not in (scheme, f"{scheme}s") or not host:
        raise ConfigError(setting, f"it begins with {scheme}s:// and names a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(setting, "it has no user, password, ? or #")
    if parts.scheme == scheme and not _is_loopback(host):
        raise ConfigError(setting, f"without TLS only on this machine; use {scheme}s://")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
