"""Where the exchange is reached."""

from __future__ import annotations

import pytest

from base.errors import ConfigError
from base.kalshi.endpoints import DEMO, PRODUCTION, endpoints_of

REST, FEED = "http://127.0.0.1:8080/trade-api/v2", "ws://127.0.0.1:8080/trade-api/ws/v2"


def test_demo_and_production_never_mix():
    """Demo is ``.co``, production is ``.com``; both with TLS."""
    assert endpoints_of("demo") is DEMO
    assert endpoints_of("production") is PRODUCTION
    assert ".demo.kalshi.co/" in DEMO.rest_url
    assert ".demo.kalshi.co/" in DEMO.websocket_url
    assert "external-api.kalshi.com/" in PRODUCTION.rest_url
    for found in (DEMO, PRODUCTION):
        assert found.rest_url.startswith("https://")
        assert found.websocket_url.startswith("wss://")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_needs_no_tls(host: str):
    """The embedded exchange is on this machine."""
    found = endpoints_of("custom", f"http://{host}:1/v2/", f"ws://{host}:1/ws")
    assert (found.rest_url, found.websocket_url) == (f"http://{host}:1/v2", f"ws://{host}:1/ws")


@pytest.mark.parametrize(
    ("rest", "feed", "where"),
    [
        pytest.param("", FEED, "exchange.rest_url", id="missing"),
        pytest.param("http://10.0.0.5/v2", FEED, "exchange.rest_url", id="no TLS elsewhere"),
        pytest.param("http://127.0.0.1.evil.com/v2", FEED, "exchange.rest_url", id="looks like loopback"),
        pytest.param(REST, "ws://example.com/ws", "exchange.websocket_url", id="feed without TLS"),
        pytest.param(REST, "https://example.com/ws", "exchange.websocket_url", id="wrong scheme"),
        pytest.param("https://user:secret@example.com/", FEED, "exchange.rest_url", id="password in it"),
        pytest.param("https://example.com/v2?x=1", FEED, "exchange.rest_url", id="query"),
        pytest.param("https://[::1/v2", FEED, "exchange.rest_url", id="no address"),
        pytest.param("https://example.com:99999/", FEED, "exchange.rest_url", id="no port"),
    ],
)
def test_bad_custom_address_is_refused(rest: str, feed: str, where: str):
    """TLS is given up only on loopback."""
    with pytest.raises(ConfigError) as caught:
        endpoints_of("custom", rest, feed)
    assert caught.value.where == where
    assert "secret" not in str(caught.value)


def test_public_environments_take_no_address():
    """An address left over from a test would send real orders elsewhere."""
    with pytest.raises(ConfigError):
        endpoints_of("production", rest_url=REST)
    with pytest.raises(ConfigError):
        endpoints_of("staging")
