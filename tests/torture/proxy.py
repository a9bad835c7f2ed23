"""A wire that can be bad: a proxy on loopback that holds back, drips or cuts, on one kind of connection or all."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

_FEED, _ORDER = b"GET /trade-api/ws/", b"POST /trade-api/v2/portfolio/events/orders"
_CHUNK = 1 << 16


class Proxy:
    """Forwards bytes both ways between 127.0.0.1 and the exchange. Controls may be called from any thread."""

    def __init__(self, exchange_url: str):
        self._there = urlsplit(exchange_url).netloc
        host, _, port = self._there.partition(":")
        self._to = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._here = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._flows, self._feed_flows = threading.Event(), threading.Event()
        self._flows.set()
        self._feed_flows.set()
        self.drip_s = 0.0  # between the bytes of an order's answer; 0: whole
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def replaced(self, url: str) -> str:
        """The same address, through here."""
        return url.replace(self._there, self._here)

    def freeze(self, *, only_feed: bool = False) -> None:
        """Forward nothing any more, and close nothing: half-open. New connections are the same."""
        self._feed_flows.clear()
        if not only_feed:
            self._flows.clear()

    def thaw(self) -> None:
        """Forward again, what was held back first."""
        self._flows.set()
        self._feed_flows.set()

    def close(self) -> None:
        """End."""
        self.thaw()
        for sock in [self._listener, *self._sockets]:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(ours,), daemon=True).start()

    def _join(self, ours: socket.socket) -> None:
        with suppress(OSError):
            theirs = socket.create_connection(self._to)
            for sock in (ours, theirs):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(sock)
            wire = _Wire(self, ours, theirs)
            threading.Thread(target=wire.down, daemon=True).start()
            wire.up()

    def pause(self, is_feed: bool) -> None:
        """Wait while bytes of this kind of connection are held back."""
        (self._feed_flows if is_feed else self._flows).wait()


class _Wire:
    """One connection."""

    def __init__(self, proxy: Proxy, ours: socket.socket, theirs: socket.socket):
        self._proxy, self._ours, self._theirs = proxy, ours, theirs
        self._is_feed = self._carries_order = False

    def up(self) -> None:
        """From the program to the exchange."""
        with suppress(OSError):
            while data := self._ours.recv(_CHUNK):
                self._is_feed = self._is_feed or data.startswith(_FEED)
                if data.startswith((b"GET ", b"POST ", b"DELETE ")):
                    self._carries_order = data.startswith(_ORDER)
                self._proxy.pause(self._is_feed)
                self._theirs.sendall(data)
        self._hang_up()

    def down(self) -> None:
        """From the exchange to the program."""
        with suppress(OSError):
            while data := self._theirs.recv(_CHUNK):
                self._proxy.pause(self._is_feed)
                drip_s = self._proxy.drip_s if self._carries_order else 0.0
                step = 1 if drip_s else len(data)
                for at in range(0, len(data), step):
                    self._ours.sendall(data[at : at + step])
                    if drip_s:
                        threading.Event().wait(drip_s)
        self._hang_up()

    def _hang_up(self) -> None:
        for sock in (self._ours, self._theirs):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
