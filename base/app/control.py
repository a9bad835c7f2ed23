"""The control socket: how commands typed in another shell reach the running monitor.

One JSON object a line, ``{"id","cmd","args"}`` → ``{"id","ok","result"|"error"}``. Only the owner of the
process may connect (mode 0600, folder 0700). A client that sends rubbish gets an error, one that is slow
or too many at once are cut off; the monitor notices none of it.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from typing import Any

from base.app.account_folder import AccountFolder, connectable
from base.errors import ConfigError, MonitorError

LINE_BYTES = 64 * 1024
CLIENT_S = 5.0
"""A client that says or reads nothing for so long is cut off. Seconds."""
ANSWER_S = 2.0
"""What a process may take to answer: a person who waits is told within three seconds that it hangs."""
MOST_CLIENTS = 8

Answer = Callable[[Mapping[str, Any]], object]
"""Answers one command's ``args`` with what JSON can write; raises ``ValueError`` for wrong ones."""


class NotRunning(MonitorError):
    """No process guards this account now."""


class Silent(NotRunning):
    """A process is there, and it does not answer in time: it hangs, or is very busy."""


class ControlServer:
    """Listens until stopped; each client has a short-lived thread."""

    def __init__(self, folder: AccountFolder, answers: Mapping[str, Answer]):
        self._folder = folder
        path = folder.socket_to_bind()
        try:
            self._server = _Server(str(path), answers)
        except OSError as e:
            raise ConfigError(
                "paths.data", f"the control socket {path} cannot be opened: {e.strerror}"
            ) from e
        os.chmod(path, 0o600)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="control", daemon=True
        )

    def start(self) -> None:
        """Start to listen."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Stop listening and take the socket away; ``False``: a client was still being served."""
        if self._thread.ident is not None:
            self._server.shutdown()
            self._thread.join(timeout_s)
        self._server.server_close()
        self._folder.remove_socket()
        return not self._thread.is_alive()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 8 * MOST_CLIENTS  # a full queue would look like a process that hangs

    def __init__(self, path: str, answers: Mapping[str, Answer]):
        self.answers = answers
        self.places = threading.BoundedSemaphore(MOST_CLIENTS)
        super().__init__(path, _Client)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or stayed silent is no event."""


class _Client(socketserver.StreamRequestHandler):
    timeout = CLIENT_S
    server: _Server

    def handle(self) -> None:
        while line := self.rfile.readline(LINE_BYTES + 1):
            if len(line) > LINE_BYTES:
                self._say({"id": None, "ok": False, "error": f"a line has at most {LINE_BYTES} bytes"})
                return
            self._say(answer_line(line, self.server.answers))

    def _say(self, reply: Mapping[str, object]) -> None:
        self.wfile.write(json.dumps(reply).encode() + b"\n")


def answer_line(line: bytes, answers: Mapping[str, Answer]) -> dict[str, object]:
    """Answer one line; whatever it is, the reply is one object."""
    request_id: object = None
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise ValueError('a request is an object: {"id","cmd","args"}')
        request_id = request.get("id")
        command, arguments = request.get("cmd"), request.get("args")
        if not isinstance(command, str) or command not in answers:
            raise ValueError(f"there is no command {str(command)[:40]!r}")
        if not isinstance(arguments, dict | None):
            raise ValueError("args is an object")
        return {"id": request_id, "ok": True, "result": answers[command](arguments or {})}
    except (ValueError, RecursionError, MonitorError) as e:
        return {"id": request_id, "ok": False, "error": str(e) or "unreadable"}


def ask(
    folder: AccountFolder,
    command: str,
    arguments: Mapping[str, object] | None = None,
    *,
    timeout_s: float = ANSWER_S,
) -> Any:
    """Send one command to the process that guards ``folder`` and return its result.

    Raises:
        NotRunning: Nobody listens, or (``Silent``) it does not answer within ``timeout_s``.
        MonitorError: It answered with an error.
    """
    path = connectable(folder.socket)
    if path is None:
        raise NotRunning("process not running")
    request = json.dumps({"id": 1, "cmd": command, "args": arguments or {}}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(request)
            reply = json.loads(connection.makefile("rb").readline())
    except (TimeoutError, BlockingIOError):
        raise Silent(f"the process does not answer within {timeout_s:g} s") from None
    except (OSError, ValueError):
        raise NotRunning("process not running") from None
    if not reply.get("ok"):
        raise MonitorError(str(reply.get("error")))
    return reply.get("result")
