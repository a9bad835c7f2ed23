"""Alert services of this machine: one that takes messages, and ways not to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Manner = Callable[["Receiver", BaseHTTPRequestHandler], None]


class Receiver:
    """What one service was sent, and how it answers."""

    def __init__(self, manner: Manner | None = None):
        self.messages: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.port = 0
        self.manner = manner or take
        self.goes_on = threading.Event()  # set at the end: who hangs may leave

    @property
    def url(self) -> str:
        """Its address as the library writes it, with a token."""
        return f"json://127.0.0.1:{self.port}/TOKEN-SECRET"

    @property
    def bodies(self) -> list[str]:
        """What it was told, without titles."""
        return [message["message"] for message in self.messages]


def take(receiver: Receiver, request: BaseHTTPRequestHandler) -> None:
    """Take the message."""
    size = int(request.headers.get("Content-Length", 0))
    if size:
        receiver.messages.append(json.loads(request.rfile.read(size)))
    answer(request, 200)


def fail(receiver: Receiver, request: BaseHTTPRequestHandler) -> None:
    """Break."""
    answer(request, 500)


def hang(receiver: Receiver, request: BaseHTTPRequestHandler) -> None:
    """Drip the answer's head, so that no time-out of a single read ends it."""
    while not receiver.goes_on.wait(0.5):
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: "[:1])
        request.wfile.flush()


def answer(request: BaseHTTPRequestHandler, status: int, **headers: str) -> None:
    """Answer without a body."""
    request.send_response(status)
    for name, value in {**headers, "Content-Length": "0"}.items():
        request.send_header(name, value)
    request.end_headers()


@contextmanager
def receiving(manner: Manner | None = None) -> Iterator[Receiver]:
    """A service on a free port."""
    receiver = Receiver(manner)

    class Request(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.paths.append(self.path)
            receiver.manner(receiver, self)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
    server.daemon_threads = True
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.goes_on.set()
        server.shutdown()
        server.server_close()
