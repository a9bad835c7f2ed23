"""The server's sockets, below ASGI: heartbeat pings, fast frames, abrupt ends.

ASGI can neither choose a ping's payload nor reset a connection, and both are part of what is
simulated; so uvicorn's two protocol classes are extended here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from asyncio.transports import BaseTransport
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEARTBEAT = b"heartbeat"
EXTENSION = "simulator.wire"


class Wires:
    """Open connections of one server. ``ping_interval_s`` and ``pong_deadline_s`` in seconds."""

    def __init__(self, ping_interval_s: float, pong_deadline_s: float) -> None:
        self.ping_interval_s = ping_interval_s
        self.pong_deadline_s = pong_deadline_s
        self.http: dict[Any, asyncio.Transport] = {}  # by peer address
        self.sockets: set[FeedSocket] = set()
        self.is_silent = False  # no pings, no pongs: a dead link that still looks open

    def reset_all(self) -> None:
        """Reset every connection, as when a machine vanishes."""
        for transport in [*self.http.values(), *(s.transport for s in self.sockets)]:
            reset(transport)

    def close_all(self, code: int) -> None:
        """End every WebSocket with a close frame."""
        for each in list(self.sockets):
            each.close_with(code)

    def http_class(self) -> type[asyncio.Protocol]:
        """Return an HTTP protocol class that registers here."""
        return type("BoundHttp", (RestSocket,), {"wires": self})

    def socket_class(self) -> type[asyncio.Protocol]:
        """Return a WebSocket protocol class that registers here."""
        return type("BoundFeed", (FeedSocket,), {"wires": self})


def reset(transport: asyncio.Transport) -> None:
    """Close a connection with a TCP reset and no goodbye."""
    raw = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def send_at_once(transport: BaseTransport) -> None:
    """Switch Nagle's algorithm off: a small frame or answer must not wait 40 ms for an ACK.

    asyncio does so by itself only for sockets whose protocol number is set; accepted ones have 0.
    """
    raw = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class RestSocket(H11Protocol):
    """An HTTP connection that can be found by its peer's address."""

    wires: ClassVar[Wires]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection."""
        super().connection_made(transport)
        send_at_once(transport)
        self.wires.http[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.wires.http.pop(self.client, None)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Hand the connection over to the WebSocket protocol."""
        self.wires.http.pop(self.client, None)
        super().handle_websocket_upgrade(event)


class FeedSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose frames are written at once and whose pings say ``heartbeat``."""

    wires: ClassVar[Wires]
    key_id: str = ""  # of the key that signed the upgrade
    _ponged_at: float = 0.0

    def connection_made(self, transport: BaseTransport) -> None:
        """Register the connection, which was an HTTP one until now."""
        super().connection_made(transport)
        self.wires.sockets.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.wires.sockets.discard(self)
        super().connection_lost(exc)

    def handle_connect(self, event: Any) -> None:
        """Start the application and give it this object, for fast frames."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions = cast(dict[str, Any], self.scope["extensions"])
            extensions[EXTENSION] = {"socket": self}

    def write_text(self, frame: bytes) -> None:
        """Send one text frame now, without a trip through the event loop."""
        if self.disconnected or self.close_sent or self.transport.is_closing():
            return
        self.conn.send_text(frame)
        self.transport.write(b"".join(self.conn.data_to_send()))

    def close_with(self, code: int) -> None:
        """Send a close frame and end the connection without waiting for the peer's."""
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code)
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()

    @property
    def backlog_bytes(self) -> int:
        """Return what the client has not read yet, beyond the kernel's buffers."""
        return self.transport.get_write_buffer_size()

    def start_keepalive(self) -> None:
        """Ping every interval, whether or not pongs come."""
        self._ponged_at = self.loop.time()
        self.ping_timer = self.loop.call_later(self.wires.ping_interval_s, self.send_keepalive_ping)

    def send_keepalive_ping(self) -> None:
        """Send one ``heartbeat``; drop a peer that has not answered for too long."""
        if self.close_sent or self.transport.is_closing():
            return
        if self.loop.time() - self._ponged_at > self.wires.pong_deadline_s:
            reset(self.transport)
            return
        if not self.wires.is_silent:
            self.conn.send_ping(HEARTBEAT)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.ping_timer = self.loop.call_later(self.wires.ping_interval_s, self.send_keepalive_ping)

    def handle_pong(self, event: Any) -> None:
        """Note that the peer lives."""
        self._ponged_at = self.loop.time()

    def handle_ping(self) -> None:
        """Answer a client's ping, unless the link plays dead."""
        output = b"".join(self.conn.data_to_send())
        if not self.wires.is_silent:
            self.transport.write(output)
