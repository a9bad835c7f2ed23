"""The socket under the WebSocket library: large reads, a deadline, and a way to be woken.

The library reads a frame in three small pieces; here each piece comes out of one large read, so
a burst costs one system call instead of hundreds. The library still does all the framing.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Callable

from websocket import ABNF, WebSocketConnectionClosedException, WebSocketProtocolException
from websocket._abnf import continuous_frame, frame_buffer

READ_BYTES = 1 << 16
SEND_TIMEOUT_S = 2.0
_BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def _always() -> bool:
    return True


class Interrupted(Exception):
    """Nothing more to read now: the time is up, or somebody woke the reader. Bytes so far are kept."""


class Waker:
    """Ends the reader's wait from another thread: a pipe of sockets, one byte at most in it."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def wake(self) -> None:
        """Make the next wait, or the one under way, return at once."""
        with contextlib.suppress(OSError):  # full of wake-ups already, or nobody waits any more
            self._write.send(b"\0")

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._read.fileno()

    def clear(self) -> None:
        """Take all wake-ups."""
        with contextlib.suppress(BlockingIOError):
            while self._read.recv(4096):
                pass

    def wait(self, timeout_s: float) -> None:
        """Wait for a wake-up."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        poll.poll(max(0.0, timeout_s) * 1000)

    def close(self) -> None:
        """Free the descriptors."""
        self._read.close()
        self._write.close()


class BufferedSocket:
    """A non-blocking socket that reads much and hands out little. Owned by one thread.

    Args:
        sock: Connected, non-blocking.
        waker: Ends a wait early.
        now_s: The boot clock.
    """

    def __init__(self, sock: socket.socket, waker: Waker, now_s: Callable[[], float]):
        self._sock = sock
        self._now_s = now_s
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._poll.register(waker.fileno(), select.POLLIN)
        self._waker = waker
        self._buffer = b""
        self._at = 0
        self.until_s = float("inf")  # a wait ends here with Interrupted
        self.left_bytes: int | None = None  # how much may still be read; None: no bound
        # Whether a wake-up ends the wait: not during a handshake, unless it is to be given up.
        self.heeds_wake: Callable[[], bool] = _always
        self.read_s = now_s()  # when the newest bytes left the socket
        self._closed = False  # the library asks for this name

    def take(self, count: int) -> bytes:
        """Return exactly ``count`` bytes.

        Raises:
            Interrupted: If they are not there when the wait ends; nothing is lost.
            WebSocketConnectionClosedException: If the other side has ended.
        """
        end = self._at + count
        while end > len(self._buffer):
            self._fill()
            end = self._at + count
        at, self._at = self._at, end
        return self._buffer[at:end]

    @property
    def has_bytes(self) -> bool:
        """Whether bytes wait here unread."""
        return self._at < len(self._buffer)

    def _fill(self) -> None:
        while True:
            try:
                read = self._sock.recv(READ_BYTES)
                break
            except _BLOCKED:
                self._wait()
        self.read_s = self._now_s()
        if not read:
            raise WebSocketConnectionClosedException("the other side ended the connection")
        if self.left_bytes is not None:
            self.left_bytes -= len(read)
            if self.left_bytes < 0:
                raise WebSocketProtocolException("more bytes than a handshake has")
        self._buffer = self._buffer[self._at :] + read
        self._at = 0

    def _wait(self) -> None:
        left_s = self.until_s - self._now_s()
        ready = self._poll.poll(min(max(left_s, 0.0), 3600.0) * 1000 + 1) if left_s > 0 else []
        if not ready:
            raise Interrupted
        if any(descriptor == self._waker.fileno() for descriptor, _ in ready):
            self._waker.clear()
            if self.heeds_wake():
                raise Interrupted

    # --- what the library calls -----------------------------------------------------------------

    def recv(self, count: int) -> bytes:
        """Read up to ``count`` bytes, at least one."""
        return self.take(1) if count == 1 else self.take(min(count, max(1, len(self._buffer) - self._at)))

    def send(self, data: bytes) -> int:
        """Send some of ``data``; a peer that takes nothing for two seconds is gone.

        Raises:
            WebSocketConnectionClosedException: If nothing could be sent in time.
        """
        deadline_s = self._now_s() + SEND_TIMEOUT_S
        while True:
            try:
                return self._sock.send(data)
            except _BLOCKED:
                poll = select.poll()
                poll.register(self._sock, select.POLLOUT)
                if self._now_s() >= deadline_s or not poll.poll(SEND_TIMEOUT_S * 1000):
                    raise WebSocketConnectionClosedException("the other side takes no bytes") from None

    def fileno(self) -> int:
        """The descriptor."""
        return self._sock.fileno()

    def gettimeout(self) -> float:
        """Never 0 to the library: it would then handle blocking itself."""
        return SEND_TIMEOUT_S

    def settimeout(self, timeout: float | None) -> None:
        """Time-outs are ``until_s``; the library's own are not used."""

    def shutdown(self, how: int) -> None:
        """Stop both directions."""
        self._sock.shutdown(how)

    def close(self) -> None:
        """Free the descriptor."""
        self._closed = True
        self._sock.close()


class BoundedFrames(frame_buffer):
    """The library's frame reader over our buffer, with a bound on a frame's length."""

    def __init__(self, source: BufferedSocket, most_bytes: int):
        super().__init__(source.take, skip_utf8_validation=True)  # the JSON decoder checks UTF-8 once
        self._most_bytes = most_bytes
        self.recv_strict = source.take  # type: ignore[assignment, method-assign]

    def recv_length(self) -> None:
        """Read the length and refuse what is too long before any of it is kept."""
        super().recv_length()
        if self.length is not None and self.length > self._most_bytes:
            raise WebSocketProtocolException(f"a frame of {self.length} bytes")


class BoundedMessage(continuous_frame):
    """The library's fragment joiner with a bound on the whole message."""

    def __init__(self, most_bytes: int):
        super().__init__(fire_cont_frame=False, skip_utf8_validation=True)
        self._most_bytes = most_bytes

    def add(self, frame: ABNF) -> None:
        """Append a fragment."""
        super().add(frame)
        if self.cont_data is not None and len(self.cont_data[1]) > self._most_bytes:
            raise WebSocketProtocolException("a fragmented message beyond the bound")
