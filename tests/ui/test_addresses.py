"""Where alerts and signs of life may go."""

from __future__ import annotations

import socket
from contextlib import nullcontext

import pytest

from base.ui.addresses import AddressRefused, check_found, check_written, host_of


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("https://8.8.8.8/x", None),
        ("http://127.0.0.1:8080/x", None),
        ("http://localhost/x", None),
        ("http://[::1]/x", None),
        ("http://8.8.8.8/x", "without TLS"),
        ("http://example.com/x", "without TLS"),
        ("https://10.1.2.3/x", "private network"),
        ("https://192.168.1.1/x", "private network"),
        ("https://169.254.169.254/latest/meta-data", "private network"),
        ("https://[fe80::1]/x", "private network"),
        ("https://[fd00::1]/x", "private network"),
        ("https://[::ffff:10.0.0.1]/x", "private network"),
        ("https://100.64.0.1/x", "private network"),
        ("https://0.0.0.0/x", "private network"),
        ("https://224.0.0.1/x", "private network"),
        ("ftp://8.8.8.8/x", "should look like"),
        ("file:///etc/passwd", "should look like"),
        ("https://[", "is no address"),
        ("hc-ping.com/x", "should look like"),
    ],
)
def test_addresses(url: str, refusal: str | None) -> None:
    """https or this machine; no private network."""
    with nullcontext() if refusal is None else pytest.raises(AddressRefused, match=refusal):
        host, is_encrypted = host_of(url)
        check_found(host, is_encrypted=is_encrypted, allow_private=False)


@pytest.mark.parametrize("number", ["127.0.0.1", "169.254.169.254", "10.0.0.7", "::1", "fe80::1%lo"])
def test_a_name_is_judged_by_where_it_leads(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    """Whoever owns the name may point it into our network, this machine included."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(0, 0, 0, "", (number, 443))])
    check_written("alerts.example", is_encrypted=True, allow_private=False)
    with pytest.raises(AddressRefused, match="private network"):
        check_found("alerts.example", is_encrypted=True, allow_private=False)
    check_found("alerts.example", is_encrypted=True, allow_private=True)


def test_a_name_that_is_not_found_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when it is spoken to: a start needs no name service."""

    def fails(*a: object, **k: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    check_written("alerts.example", is_encrypted=True, allow_private=False)
    with pytest.raises(AddressRefused, match="not found"):
        check_found("alerts.example", is_encrypted=True, allow_private=False)


def test_clear_text_is_refused_even_where_private_networks_are_allowed() -> None:
    """The setting opens a network, not the contents."""
    with pytest.raises(AddressRefused, match="without TLS"):
        check_written("10.0.0.1", is_encrypted=False, allow_private=True)
