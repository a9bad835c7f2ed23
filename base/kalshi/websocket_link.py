"""One WebSocket connection: dial, sign, shake hands, read messages, drop. Errors are told in our words.

See: docs.kalshi.com/websockets/websocket-connection and connection-keep-alive, read 2026-11-20.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import websocket
from websocket import ABNF

from base.clock import Clock
from base.errors import MonitorError, TransportError
from base.feed.clock_offset import ClockOffset
from base.kalshi.auth import Signer, stamp_ms
from base.kalshi.buffered_socket import BoundedFrames, BoundedMessage, BufferedSocket, Interrupted, Waker
from base.kalshi.dialing import Dialer, tls_context
from base.kalshi.handshake import refused
from base.kalshi.messages import MOST_BYTES

_HANDSHAKE_BYTES = 1 << 16
_LIBRARY_ERRORS = (websocket.WebSocketException, OSError, ssl.SSLError, ValueError, IndexError)


class LinkLost(MonitorError):
    """The connection ended or broke."""


class WebSocketLink:
    """An open connection, owned by one thread.

    Args:
        socket_: The library's WebSocket, connected.
        source: The socket under it.
    """

    def __init__(self, socket_: websocket.WebSocket, source: BufferedSocket):
        self._socket = socket_
        self.source = source

    def read(self, until_s: float) -> tuple[int, bytes] | None:
        """Return the next message as ``(opcode, payload)``; ``None``: the time is up, or we were woken.

        Raises:
            LinkLost: If the connection is gone, was closed, or breaks the protocol.
        """
        self.source.until_s = until_s
        try:
            message: tuple[int, bytes] = self._socket.recv_data(control_frame=True)
        except Interrupted:
            return None
        except _LIBRARY_ERRORS as e:
            raise LinkLost(f"{type(e).__name__}: {e}") from None
        if message[0] == ABNF.OPCODE_CLOSE:
            raise LinkLost(f"closed by the exchange ({_close_code(message[1])})")
        return message

    def send(self, text: str) -> None:
        """Send one text message.

        Raises:
            LinkLost: If it cannot be sent.
        """
        self._try(lambda: self._socket.send(text))

    def ping(self) -> None:
        """Send a ping; the exchange answers it with a pong.

        Raises:
            LinkLost: If it cannot be sent.
        """
        self._try(lambda: self._socket.ping(b"alive"))

    def drop(self, *, politely: bool = False) -> None:
        """Close the socket now. A dead peer never answers a close, so none is waited for."""
        if politely:
            with contextlib.suppress(*_LIBRARY_ERRORS):
                self._socket.send_close()
        self._socket.shutdown()  # type: ignore[no-untyped-call]

    def _try(self, send: Callable[[], object]) -> None:
        try:
            send()
        except _LIBRARY_ERRORS as e:
            raise LinkLost(f"{type(e).__name__}: {e}") from None


class Connector:
    """Opens links to one address."""

    def __init__(
        self,
        url: str,
        signer: Signer,
        clock: Clock,
        dialer: Dialer,
        waker: Waker,
        timeout_s: float,
        offset: ClockOffset,
    ):
        self._url = url
        self._parts = urlsplit(url)
        self._signer = signer
        self._clock = clock
        self._dialer = dialer
        self._waker = waker
        self._timeout_s = timeout_s
        self._offset = offset

    def open(self, cancelled: Callable[[], bool]) -> WebSocketLink:
        """Connect, signed with the time of now.

        Raises:
            HandshakeRefused: If the exchange says no.
            TransportError: If no connection came about in time.
        """
        deadline_s = self._clock.boot_s() + self._timeout_s
        is_tls = self._parts.scheme == "wss"
        host = self._parts.hostname or ""
        sock = self._dialer.tcp(host, self._parts.port or (443 if is_tls else 80), deadline_s, cancelled)
        try:
            if is_tls:
                sock.settimeout(max(0.01, deadline_s - self._clock.boot_s()))
                sock = tls_context().wrap_socket(sock, server_hostname=host)
                sock.setblocking(False)
            source = BufferedSocket(sock, self._waker, self._clock.boot_s)
            return self._shake_hands(source, deadline_s, cancelled)
        except (OSError, ValueError) as e:
            sock.close()
            raise TransportError(f"cannot open the feed: {e}") from None
        except BaseException:
            sock.close()
            raise

    def _shake_hands(
        self, source: BufferedSocket, deadline_s: float, cancelled: Callable[[], bool]
    ) -> WebSocketLink:
        source.until_s, source.left_bytes = deadline_s, _HANDSHAKE_BYTES
        heeds_wake, source.heeds_wake = source.heeds_wake, cancelled
        socket_ = websocket.WebSocket(enable_multithread=False, skip_utf8_validation=True)
        # Signed per attempt, here: a stamp made before a pause would be refused.
        now_ms = stamp_ms(self._clock, self._offset)
        headers = self._signer.headers("GET", self._parts.path, now_ms)
        try:
            socket_.connect(  # type: ignore[no-untyped-call]
                self._url, socket=source, header=headers, redirect_limit=0, suppress_origin=True
            )
        except websocket.WebSocketBadStatusException as e:
            body = e.resp_body if isinstance(e.resp_body, bytes) else b""
            raise refused(int(e.status_code), body) from None
        except Interrupted:
            raise TransportError("cancelled" if cancelled() else "no handshake in time") from None
        except websocket.WebSocketException as e:
            raise TransportError(f"handshake failed: {type(e).__name__}") from None
        source.left_bytes, source.heeds_wake = None, heeds_wake
        socket_.frame_buffer = BoundedFrames(source, MOST_BYTES)
        socket_.cont_frame = BoundedMessage(MOST_BYTES)
        return WebSocketLink(socket_, source)


def _close_code(payload: bytes) -> str:
    return str(int.from_bytes(payload[:2], "big")) if len(payload) >= 2 else "no code"
