"""Opening a TCP or TLS connection within a deadline, name look-up included.

``getaddrinfo`` knows no time-out, so it runs on a thread of its own; while it hangs or fails,
the addresses of the last success are used. IPv4 comes first: an IPv6 path that swallows packets
would otherwise cost the whole deadline.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import certifi

from base.clock import Clock
from base.errors import TransportError

FRESH_S = 60.0
_SLICE_S = 0.1  # how soon a cancelled dial notices
_IN_PROGRESS = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN)

Address = tuple[int, Any]
"""Address family and socket address."""
Cancelled = Callable[[], bool]


def tls_context() -> ssl.SSLContext:
    """Return a context that verifies host and chain against the well-known roots, environment ignored."""
    return ssl.create_default_context(cafile=certifi.where())


class _Lookup:
    """One name look-up under way."""

    def __init__(self, host: str, port: int):
        self.done = threading.Event()
        self.addresses: list[Address] = []
        self.error = ""
        self._host, self._port = host, port
        threading.Thread(target=self._run, name=f"resolve {host}", daemon=True).start()

    def _run(self) -> None:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self.addresses = [(int(family), address) for family, _, _, _, address in found]
        except OSError as e:
            self.error = str(e)
        finally:
            self.done.set()


class Resolver:
    """Names to addresses. ``_lock`` (names) guards the two maps; a look-up never runs under it."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        self._running: dict[tuple[str, int], _Lookup] = {}

    def addresses(self, host: str, port: int, deadline_s: float) -> list[Address]:
        """Return the addresses of ``host``, IPv4 first.

        Raises:
            TransportError: If it cannot be resolved in time and never was.
        """
        key, now_s = (host, port), self._clock.boot_s()
        with self._lock:
            known_s, known = self._known.get(key, (float("-inf"), []))
            if now_s - known_s < FRESH_S:
                return known
            lookup = self._running.get(key)
            if lookup is None:  # one at a time per name, however long it hangs
                lookup = self._running[key] = _Lookup(host, port)
        # Known addresses are worth more than the newest ones: wait less for those.
        patience_s = deadline_s - now_s if not known else min(1.0, (deadline_s - now_s) / 3)
        lookup.done.wait(max(0.0, patience_s))
        return self._settle(key, lookup, known)

    def _settle(self, key: tuple[str, int], lookup: _Lookup, known: list[Address]) -> list[Address]:
        if lookup.done.is_set():
            with self._lock:
                if self._running.get(key) is lookup:
                    del self._running[key]
                if lookup.addresses:
                    known = sorted(lookup.addresses, key=lambda found: found[0] != socket.AF_INET)
                    self._known[key] = (self._clock.boot_s(), known)
        if not known:
            raise TransportError(f"cannot resolve {key[0]}: {lookup.error or 'no answer in time'}")
        return known


class Dialer:
    """Opens sockets; shared by the clients of one process."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._resolver = Resolver(clock)

    def tcp(
        self, host: str, port: int, deadline_s: float, cancelled: Cancelled = lambda: False
    ) -> socket.socket:
        """Return a connected socket without Nagle's delay.

        Args:
            host: Name or address.
            port: TCP port.
            deadline_s: Boot-clock time by which it must be connected.
            cancelled: Asked every tenth of a second whether to give up.

        Raises:
            TransportError: If no address took the connection in time.
        """
        addresses = self._resolver.addresses(host, port, deadline_s)
        why = "no time left"
        for left in range(len(addresses), 0, -1):
            family, address = addresses[-left]
            now_s = self._clock.boot_s()
            if now_s >= deadline_s:
                break
            # Each address gets its share of what is left, so that a dead one can't eat it all.
            share_s = now_s + (deadline_s - now_s) / left
            try:
                return self._connect(family, address, share_s, cancelled)
            except OSError as e:
                why = e.strerror or str(e)
        raise TransportError(f"cannot connect to {host}:{port}: {why.lower()}")

    def _connect(self, family: int, address: Any, deadline_s: float, cancelled: Cancelled) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(address)
            if code in _IN_PROGRESS:
                self._wait_connected(sock, deadline_s, cancelled)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, errno.errorcode.get(code, "error"))
            return sock
        except BaseException:
            sock.close()
            raise

    def _wait_connected(self, sock: socket.socket, deadline_s: float, cancelled: Cancelled) -> None:
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        while not poll.poll(_SLICE_S * 1000):
            if cancelled():
                raise TimeoutError("cancelled")
            if self._clock.boot_s() >= deadline_s:
                raise TimeoutError("timed out")
