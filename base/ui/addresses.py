"""Where alerts and heartbeats may go: https, or this machine; into the private network only if allowed.

An address out of the settings must not turn the monitor into somebody's way into a network, nor send
what it says in clear text.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost"})


class AddressRefused(Exception):
    """Nothing is sent there. The sentence says why, without what may be secret in the address."""


def host_of(url: str) -> tuple[str, bool]:
    """Return the host of an address, and whether it is spoken to encrypted.

    Raises:
        AddressRefused: It is no address of the web.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise AddressRefused("is no address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise AddressRefused("should look like https://host/path")
    return host, parts.scheme == "https"


def check_written(host: str, *, is_encrypted: bool, allow_private: bool) -> None:
    """Check a host as it is written. Nothing is looked up: a start needs no name service.

    Raises:
        AddressRefused: It may not be spoken to.
    """
    if is_loopback_name(host):
        return
    if not is_encrypted:
        raise AddressRefused("should be https: without TLS only this machine is spoken to")
    try:
        _check_number(str(ipaddress.ip_address(host)), allow_private=allow_private)
    except ValueError:
        return  # a name


def check_found(host: str, *, is_encrypted: bool, allow_private: bool) -> None:
    """Check a host before it is spoken to, with every address that its name has now.

    Raises:
        AddressRefused: One of them may not be spoken to, or there is none.
    """
    check_written(host, is_encrypted=is_encrypted, allow_private=allow_private)
    if is_loopback_name(host):
        return
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressRefused("its host is not found") from None
    for *_, address in found:
        _check_number(str(address[0]), allow_private=allow_private)


def is_loopback_name(host: str) -> bool:
    """Whether ``host`` is this machine by its name or number; nothing is looked up."""
    if host.lower() in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_number(text: str, *, allow_private: bool) -> None:
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or address.is_unspecified or not (address.is_global or allow_private):
        raise AddressRefused(
            "leads into a private network: write alerts.allow_private: true if that is meant"
        )
