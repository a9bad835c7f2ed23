"""The ASGI application: REST and WebSocket on one port."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, cast
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from base.simulator.clock import http_date
from base.simulator.engine.refusal import Refused
from base.simulator.keys import ApiKey, verify
from base.simulator.request_log import RecordedRequest, without_secrets
from base.simulator.rest.call import Answer, Call
from base.simulator.rest.pipeline import answer, error_json, fault_answer
from base.simulator.rest.routes import PREFIX, RULES, Rule
from base.simulator.stream.hub import Hub
from base.simulator.stream.session import Session
from base.simulator.venue import Venue
from base.simulator.wires import EXTENSION, FeedSocket, Wires, reset

FEED_PATH = "/trade-api/ws/v2"
NO_SUCH_PATH = Answer(404, {"error": {"code": "not_found", "message": "not found"}})


class Gateway:
    """Everything between the sockets and the venue."""

    def __init__(self, venue: Venue, wires: Wires, seed: int) -> None:
        self.venue = venue
        self.wires = wires
        self.hub = Hub(venue)
        self.frames_sent = 0
        self.sent: list[bytes] | None = None  # a list once recording is switched on
        self.sent_ns: list[int] = []  # monotonic, one for each of ``sent``
        self._shuffler = random.Random(seed)

    def app(self) -> ASGIApp:
        """Return the application."""
        routes: list[Route | WebSocketRoute] = [
            Route(PREFIX + path, Endpoint(self, [r for r in RULES if r.path == path]))
            for path in dict.fromkeys(rule.path for rule in RULES)
        ]
        routes.append(WebSocketRoute(FEED_PATH, FeedEndpoint(self)))
        missing = Endpoint(self, [])
        return Starlette(routes=[*routes, Route("/{rest:path}", missing)])

    def record(self, scope: Scope, headers: dict[str, str], body: bytes) -> RecordedRequest:
        """Keep a request for tests."""
        request = RecordedRequest(
            method=scope.get("method", "GET"),
            path=scope["raw_path"].decode("latin-1"),
            query=parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True),
            headers=without_secrets(headers),
            body=body,
            received_ms=self.venue.now_ms(),
            received_ns=time.monotonic_ns(),
            is_upgrade=scope["type"] == "websocket",
        )
        self.venue.requests.note(request)
        return request

    def send_to(self, socket: FeedSocket, session: Session, frame: bytes) -> None:
        """Write a frame unless the feed is muted; a slow reader loses its subscriptions."""
        if self.venue.faults.is_mute:
            return
        self.frames_sent += 1
        if self.sent is not None:
            self.sent.append(frame)
            self.sent_ns.append(time.monotonic_ns())
        socket.write_text(frame)
        if socket.backlog_bytes > self.venue.semantics.slow_consumer_bytes:
            for subscription in list(session.by_channel.values()):
                session.fail(subscription, 25)

    def in_turn(self, commands: list[str | bytes]) -> list[str | bytes]:
        """Return commands that came together in the order in which they are carried out."""
        if self.venue.semantics.shuffle_replies and len(commands) > 1:
            self._shuffler.shuffle(commands)
        return commands


class Endpoint:
    """One REST path; its rules differ by method."""

    def __init__(self, gateway: Gateway, rules: list[Rule]) -> None:
        self._gateway = gateway
        self._rules = {rule.method: rule for rule in rules}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with the faults that are planned for it."""
        headers = _headers(scope)
        body = await _read(receive)
        request = self._gateway.record(scope, headers, body)
        venue, path = self._gateway.venue, request.path
        faults = venue.faults
        if faults.refuse_rest:
            await _respond(send, Answer(faults.refuse_status or 503), venue.now_ms())
            return
        if fault := faults.take("fail_next", request.method, path):
            await _respond(send, fault_answer(fault), venue.now_ms())
            return
        if fault := faults.take("delay_execute", request.method, path):
            await asyncio.sleep(fault.seconds)
        reply = self._execute(scope, headers, request)
        if fault := faults.take("fail_after_execute", request.method, path):
            reply = fault_answer(fault)
        if fault := faults.take("delay_reply", request.method, path):
            await asyncio.sleep(fault.seconds)
        if fault := faults.take("drop_reply", request.method, path):
            await self._drop(scope, receive, hang=fault.hang)
            return
        await _respond(send, reply, venue.now_ms())

    def _execute(self, scope: Scope, headers: dict[str, str], request: RecordedRequest) -> Answer:
        rule = self._rules.get(request.method)
        if rule is None:
            return NO_SUCH_PATH
        venue = self._gateway.venue
        call = Call(
            method=request.method,
            path=request.path,
            params=scope["path_params"],
            query=request.query,
            body=request.body,
            now_ms=venue.advance(),
        )
        return answer(venue, rule, call, headers)

    async def _drop(self, scope: Scope, receive: Receive, *, hang: bool) -> None:
        if hang:
            await receive()  # returns when the client gives up
            return
        transport = self._gateway.wires.http.get(tuple(scope["client"] or ()))
        if transport is not None:
            reset(transport)


class FeedEndpoint:
    """The WebSocket path."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the upgrade's signature, then talk until the socket closes."""
        headers = _headers(scope)
        request = self._gateway.record(scope, headers, b"")
        await receive()
        venue = self._gateway.venue
        if venue.faults.refuse_status is not None:
            await _deny(send, Answer(venue.faults.refuse_status), venue.now_ms())
            return
        try:
            key = verify(venue.keys, headers, "GET", request.path, venue.now_ms(), venue.semantics)
        except Refused as refusal:
            reply = Answer(refusal.status, {"error": error_json(refusal)})
            await _deny(send, reply, venue.now_ms())
            return
        await send({"type": "websocket.accept"})
        await self._converse(scope, receive, key)

    async def _converse(self, scope: Scope, receive: Receive, key: ApiKey) -> None:
        gateway = self._gateway
        socket: FeedSocket = scope["extensions"][EXTENSION]["socket"]
        socket.key_id = key.key_id
        session = Session(gateway.venue, key, lambda frame: gateway.send_to(socket, session, frame))
        gateway.hub.sessions.append(session)
        waiting: list[str | bytes] = []

        def carry_out() -> None:
            commands, waiting[:] = gateway.in_turn(list(waiting)), []
            gateway.venue.advance()
            for command in commands:
                session.receive(command)

        try:
            while (message := await receive())["type"] == "websocket.receive":
                # JSON in a binary frame counts too: clients that encode to bytes send it so.
                waiting.append(message.get("text") or message.get("bytes") or "")
                if len(waiting) == 1:
                    window_s = gateway.venue.semantics.shuffle_window_s
                    asyncio.get_running_loop().call_later(window_s, carry_out)
        finally:
            gateway.hub.sessions.remove(session)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += cast(bytes, message.get("body", b""))
        if not message.get("more_body", False):
            return body


def _encoded(reply: Answer, now_ms: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    content = b"" if reply.body is None else msgspec.json.encode(reply.body)
    headers = {"date": http_date(now_ms), "content-length": str(len(content)), **reply.headers}
    if content:
        headers["content-type"] = "application/json"
    return [(name.encode(), value.encode()) for name, value in headers.items()], content


async def _respond(send: Any, reply: Answer, now_ms: int) -> None:
    headers, content = _encoded(reply, now_ms)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _deny(send: Any, reply: Answer, now_ms: int) -> None:
    headers, content = _encoded(reply, now_ms)
    start = "websocket.http.response.start"
    await send({"type": start, "status": reply.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": content})
