"""One total deadline for a whole HTTP call, on the caller's own thread.

The time-out of ``requests`` is per socket operation: a server that drips a byte a second holds
the caller for minutes. Here every operation on the socket is given only what is left of the
call's deadline, and connecting (name look-up included) goes through the dialer. No second
thread is needed, so nothing is added to a quick call.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Retry

from base.clock import Clock
from base.errors import TransportError
from base.kalshi.dialing import Dialer, tls_context
from base.model import AT_ONCE, Departure

POOL_SIZE = 16
TOO_OLD = "evidence_too_old"


class CallSeam(threading.local):
    """What the sockets must know of the call under way; every thread has its own."""

    deadline_s: float = 0.0  # boot clock
    bytes_left: bool = False  # whether any byte of the request may have left us
    departure: Departure = AT_ONCE


class DeadlineAdapter(HTTPAdapter):
    """Connections of one client. Nothing is ever repeated: an order sent twice would sell twice."""

    def __init__(self, clock: Clock, dialer: Dialer):
        self.seam = CallSeam()
        self._pools = _pools(self.seam, clock, dialer)
        self._context = _deadline_context(self.seam, clock)
        super().__init__(
            pool_connections=2, pool_maxsize=POOL_SIZE, max_retries=Retry(0, read=False), pool_block=False
        )

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use our sockets under the library's pools."""
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)
        self.poolmanager.pool_classes_by_scheme = self._pools


def _let_leave(seam: CallSeam, clock: Clock) -> None:
    """A request is about to write: from here on nobody can say that nothing was sent.

    Raises:
        TransportError: It may not, or it took too long to get here: what it was decided on is too old.
    """
    if not seam.bytes_left and not seam.departure.allows(clock.boot_s, seam.deadline_s):
        raise TransportError(TOO_OLD)
    seam.bytes_left = True


def _left_s(seam: CallSeam, clock: Clock) -> float:
    left_s = seam.deadline_s - clock.boot_s()
    if left_s <= 0:
        raise TimeoutError("the call's time is up")
    return left_s


class _DeadlineSocket(socket.socket):
    """Gives each read what is left of the call's time. Reads from another call's thread are its own."""

    left_s: Callable[[], float]

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Read within the deadline."""
        self.settimeout(self.left_s())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        """Send within the deadline."""
        self.settimeout(self.left_s())
        super().sendall(*args, **kwargs)


def _deadline_context(seam: CallSeam, clock: Clock) -> ssl.SSLContext:
    class DeadlineTls(ssl.SSLSocket):
        """The same, encrypted."""

        def recv_into(self, *args: Any, **kwargs: Any) -> int:
            self.settimeout(_left_s(seam, clock))
            return super().recv_into(*args, **kwargs)

        def sendall(self, *args: Any, **kwargs: Any) -> None:
            self.settimeout(_left_s(seam, clock))
            super().sendall(*args, **kwargs)

    context = tls_context()
    context.sslsocket_class = DeadlineTls
    return context


def _pools(seam: CallSeam, clock: Clock, dialer: Dialer) -> dict[str, type[HTTPConnectionPool]]:
    def dial(host: str, port: int) -> socket.socket:
        plain = dialer.tcp(host, port, seam.deadline_s)
        sock = _DeadlineSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        sock.left_s = lambda: _left_s(seam, clock)
        sock.settimeout(_left_s(seam, clock))  # the TLS handshake is one operation under this
        return sock

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return dial(self.host, self.port or 80)

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            _let_leave(seam, clock)
            super().send(data)

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return dial(self.host, self.port or 443)

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            _let_leave(seam, clock)
            super().send(data)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}
