"""Between program and exchange: bytes with delays, and everything that goes wrong with them.

The program's end is a ``requests`` adapter and the link under the websocket manager; the exchange's
end is its protocol front. What is under way goes on when the program is killed.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from websocket import ABNF

from base.errors import TransportError
from base.kalshi.auth import stamp_ms
from base.kalshi.handshake import refused as refused_handshake
from base.kalshi.websocket_link import LinkLost
from base.simulator.engine.refusal import Refused
from tests.simulation import threads
from tests.simulation.exchange import FEED_PATH, SimulatedExchange
from tests.simulation.faults import Fate, Faults
from tests.simulation.scheduler import Process, Scheduler, Task, Waits

ORDERS_PATH = "/portfolio/events/orders"
PING_EVERY_S = 10.0


class Network:
    """The wires of one run."""

    def __init__(self, scheduler: Scheduler, exchange: SimulatedExchange, faults: Faults, watch: Watch):
        self.scheduler = scheduler
        self.exchange = exchange
        self.faults = faults
        self.watch = watch
        self.links: list[Link] = []
        self.before_order: Callable[[str], None] | None = None  # told the market as an order arrives

    # --- REST -----------------------------------------------------------------------------------

    def request(self, seam: CallSeam, request: requests.PreparedRequest) -> requests.Response:
        """One call of the program, on its own task."""
        scheduler, method = self.scheduler, request.method or "GET"
        path = urlsplit(request.url or "").path
        fate = self.faults.fate_of(method, path)
        if fate.never_connects:
            scheduler.sleep(min(fate.connect_s, seam.left_s))
            raise requests.ConnectionError("no connection")
        if fate.connect_s >= seam.left_s:
            scheduler.sleep(max(0.0, seam.left_s))
            raise requests.ConnectTimeout("connect timed out")
        scheduler.sleep(fate.connect_s)
        if not seam.may_leave():
            raise TransportError("evidence_too_old")
        self.watch.stage("leaving", method, path)
        seam.bytes_left = True
        if seam.left_s <= 0:  # as a send with no time left
            raise requests.ReadTimeout("the call's time is up")
        self.watch.request(method, request.url or "", request.body or b"")
        pending = Pending(self, fate, request, path)
        self.watch.stage("left", method, path)
        return pending.await_answer(seam)

    def cut_links(self, why: str, *, silently: bool = False) -> None:
        """End every feed connection; silently: the program is not told."""
        for link in list(self.links):
            link.cut(why, silently=silently)


class Watch:
    """Who looks on; the judge overrides what it needs."""

    def stage(self, name: str, method: str, path: str) -> None:
        """An order's request reached this stage of its way."""

    def request(self, method: str, url: str, body: bytes | str) -> None:
        """Bytes of a request left the program."""

    def arrived(self, method: str, url: str, body: bytes) -> None:
        """A request reached the exchange, before it is carried out."""

    def answered(self, method: str, url: str, request: bytes, status: int, body: bytes) -> None:
        """The program has the whole answer."""

    def linked(self) -> None:
        """The program has a new feed connection."""

    def frame(self, frame: bytes) -> None:
        """The program reads a frame."""


class Pending:
    """A request on its way. It reaches the exchange whether or not anybody waits for the answer."""

    def __init__(self, network: Network, fate: Fate, request: requests.PreparedRequest, path: str):
        self._network, self._fate, self._path = network, fate, path
        self._method = request.method or "GET"
        self._url = request.url or ""
        body = request.body or b""
        self._body = body.encode() if isinstance(body, str) else bytes(body)
        self._sent = self._body
        self._headers = {name.lower(): str(value) for name, value in request.headers.items()}
        self._waits: Waits = deque()
        self._reply: tuple[int, dict[str, str], bytes] | None = None
        self._error: Exception | None = None
        for delay_s in fate.arrives_s:
            network.scheduler.after(delay_s, self._arrive)
        self._to_arrive = len(fate.arrives_s)

    def _arrive(self) -> None:
        self._to_arrive -= 1
        network, fate = self._network, self._fate
        url, body = network.faults.rewrite(self._method, self._url, self._body)
        network.watch.arrived(self._method, url, body)
        if network.before_order is not None and self._method == "POST" and self._path.endswith(ORDERS_PATH):
            network.before_order(json.loads(body)["ticker"])
        if fate.answers_instead is not None:
            reply = fate.answers_instead
            if fate.executes:
                network.exchange.answer(self._method, url, self._headers, body)
        else:
            answered = network.exchange.answer(self._method, url, self._headers, body)
            reply = network.exchange.encoded(answered)
        network.watch.stage("executed", self._method, self._path)
        if fate.resets:
            network.scheduler.after(fate.back_s, lambda: self._come_back(None))
        elif not fate.loses_reply and not (fate.answers_last and self._to_arrive):
            reply = network.faults.garble(self._method, self._path, reply)
            network.scheduler.after(fate.back_s, lambda: self._come_back(reply))

    def _come_back(self, reply: tuple[int, dict[str, str], bytes] | None) -> None:
        if reply is None:
            self._error = requests.ConnectionError("reset")
        elif self._reply is None:
            self._reply = reply
        while self._waits:
            self._waits.popleft().wake()

    def await_answer(self, seam: CallSeam) -> requests.Response:
        """Wait for the answer, at most until the call's deadline."""
        if self._reply is None and self._error is None:
            self._network.scheduler.block(self._waits, seam.left_s)
        if self._reply is not None:
            return self._response(seam, *self._reply)
        raise self._error or requests.ReadTimeout("read timed out")

    def _response(
        self, seam: CallSeam, status: int, headers: dict[str, str], body: bytes
    ) -> requests.Response:
        def done() -> None:
            self._network.watch.answered(self._method, self._url, self._sent, status, body)
            self._network.watch.stage("answered", self._method, self._path)

        response = requests.Response()
        response.status_code = status
        response.headers = CaseInsensitiveDict(headers)
        response.raw = Body(self._network.scheduler, seam, body, self._fate, done)
        response.url = self._url
        return response


class Body:
    """An answer's bytes; they may drip, or end too early."""

    def __init__(
        self, scheduler: Scheduler, seam: CallSeam, content: bytes, fate: Fate, done: Callable[[], None]
    ):
        self._scheduler, self._seam, self._fate, self._done = scheduler, seam, fate, done
        self._left = content[: len(content) // 2] if fate.truncates else content

    def read(self, amount: int, decode_content: bool = False) -> bytes:
        """As urllib3's."""
        if self._fate.drips and self._left:
            if self._seam.left_s < 0.5:
                self._scheduler.sleep(max(0.0, self._seam.left_s))
                raise requests.ReadTimeout("read timed out")
            self._scheduler.sleep(0.5)
            amount = max(1, len(self._left) // 3)
        part, self._left = self._left[:amount], self._left[amount:]
        if not part and self._fate.truncates:
            raise requests.ConnectionError("incomplete read")
        if not self._left and not self._fate.truncates and self._done is not None:
            done, self._done = self._done, lambda: None
            done()
        return part

    def close(self) -> None:
        """Nothing to free."""

    def release_conn(self) -> None:
        """Nothing to give back."""


class CallSeam:
    """What the transport says of the call under way; each task has its own."""

    def __init__(self, clock: Any) -> None:
        object.__setattr__(self, "_of", {})
        object.__setattr__(self, "_clock", clock)

    def _mine(self) -> dict[str, Any]:
        task: Task | None = threads.RUN.scheduler.current
        of: dict[Any, dict[str, Any]] = object.__getattribute__(self, "_of")
        return of.setdefault(task, {})

    def __getattr__(self, name: str) -> Any:
        return self._mine()[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._mine()[name] = value

    def may_leave(self) -> bool:
        """Wait until the first byte may leave; ``False``: it may not any more."""
        mine = self._mine()
        boot_s = object.__getattribute__(self, "_clock").boot_s
        return bool(mine["departure"].allows(boot_s, mine["deadline_s"]))

    @property
    def left_s(self) -> float:
        """Seconds until the call's deadline."""
        return float(self._mine()["deadline_s"]) - float(object.__getattribute__(self, "_clock").boot_s())


class Adapter:
    """A ``requests`` adapter whose connections are the network of the run under way."""

    def __init__(self, clock: Any, dialer: object):
        self.seam = CallSeam(clock)

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:
        """As HTTPAdapter's."""
        network: Network = threads.RUN.network
        return network.request(self.seam, request)

    def close(self) -> None:
        """Nothing to close."""


# --- the feed -----------------------------------------------------------------------------------------


class Waker:
    """Ends the reader's wait from another task."""

    def __init__(self) -> None:
        self.is_woken = False
        self.waits: Waits = deque()

    def wake(self) -> None:
        """Make the next wait, or the one under way, return at once."""
        self.is_woken = True
        while self.waits:
            self.waits.popleft().wake()

    def clear(self) -> None:
        """Take all wake-ups."""
        self.is_woken = False

    def wait(self, timeout_s: float) -> None:
        """Wait for a wake-up."""
        if not self.is_woken:
            threads.RUN.scheduler.block(self.waits, timeout_s)

    def close(self) -> None:
        """Nothing to free."""


class Source:
    """When the newest bytes left the socket."""

    read_s = 0.0


class Link:
    """One feed connection, seen by the websocket manager as a ``WebSocketLink``."""

    def __init__(self, network: Network, waker: Waker, process: Process, clock: Any):
        self._network, self._waker, self._process, self._clock = network, waker, process, clock
        self.source = Source()
        self.source.read_s = clock.boot_s()
        self._inbox: deque[tuple[int, bytes]] = deque()
        self._why_lost: str | None = None
        self._last_s = 0.0
        self.is_cut = False  # nothing passes any more, in either direction
        self.session: Any = None
        self._heartbeat()

    # --- the exchange's end ---------------------------------------------------------------------

    def push(self, frame: bytes) -> None:
        """The exchange sends a frame."""
        for opcode, payload, delay_s in self._network.faults.frames(frame):
            self._deliver(opcode, payload, delay_s)

    def _deliver(self, opcode: int, payload: bytes, delay_s: float) -> None:
        scheduler = self._network.scheduler
        at_s = self._last_s = max(self._last_s, scheduler.now_s + delay_s)

        def come() -> None:
            if not self.is_cut and not self._network.faults.feed_is_silent:
                self._inbox.append((opcode, payload))
                self._waker_wake()

        scheduler.at(at_s, come)

    def _heartbeat(self) -> None:
        if self.is_cut or self._process.is_dead:
            return
        self._deliver(ABNF.OPCODE_PING, b"heartbeat", 0.0)
        self._network.scheduler.after(PING_EVERY_S, self._heartbeat)

    def cut(self, why: str, *, silently: bool = False) -> None:
        """End the connection; what is under way is lost."""
        if not silently:
            self._why_lost = why
        self.is_cut = True
        if self.session is not None:
            self._network.exchange.hang_up(self.session)
        if self in self._network.links:
            self._network.links.remove(self)
        self._waker_wake()

    def _waker_wake(self) -> None:
        while self._waker.waits:
            self._waker.waits.popleft().wake()

    # --- the program's end ----------------------------------------------------------------------

    def read(self, until_s: float) -> tuple[int, bytes] | None:
        """As WebSocketLink's."""
        while True:
            if self._inbox:
                opcode, payload = self._inbox.popleft()
                self.source.read_s = self._clock.boot_s()
                self._network.watch.frame(payload)
                if opcode == ABNF.OPCODE_CLOSE:
                    raise LinkLost(f"closed by the exchange ({int.from_bytes(payload[:2], 'big')})")
                return opcode, payload
            if self._why_lost is not None:
                raise LinkLost(self._why_lost)
            if self._waker.is_woken:
                self._waker.clear()
                return None
            left_s = until_s - self._clock.boot_s()
            if left_s <= 0:
                return None
            self._network.scheduler.block(self._waker.waits, left_s)

    def send(self, text: str) -> None:
        """As WebSocketLink's."""
        if self._why_lost is not None:
            raise LinkLost(self._why_lost)

        def come() -> None:
            if not self.is_cut:
                self._network.exchange.venue.advance()
                self.session.receive(text)

        self._network.scheduler.after(self._network.faults.feed_delay_s(), come)

    def ping(self) -> None:
        """As WebSocketLink's."""
        if self._why_lost is not None:
            raise LinkLost(self._why_lost)
        if not self.is_cut:
            self._network.scheduler.after(0.01, lambda: self._deliver(ABNF.OPCODE_PONG, b"alive", 0.0))

    def drop(self, *, politely: bool = False) -> None:
        """As WebSocketLink's."""
        self.cut("dropped")


class Connector:
    """Opens links, in place of sockets."""

    def __init__(
        self, url: str, signer: Any, clock: Any, dialer: object, waker: Waker, timeout_s: float, offset: Any
    ):
        self._signer, self._clock, self._waker, self._timeout_s = signer, clock, waker, timeout_s
        self._offset = offset

    def open(self, cancelled: Callable[[], bool]) -> Link:
        """As the real one's.

        Raises:
            HandshakeRefused, TransportError: As the real one.
        """
        network: Network = threads.RUN.network
        scheduler, faults = network.scheduler, network.faults
        delay_s, status = faults.handshake()
        if status == "silent" or delay_s >= self._timeout_s:
            scheduler.sleep(self._timeout_s)
            raise TransportError("no handshake in time")
        scheduler.sleep(delay_s)
        if status == "refused":
            raise TransportError("cannot open the feed: refused")
        if isinstance(status, int):
            raise refused_handshake(status, b'{"error":{"code":"planned"}}')
        headers = self._signer.headers("GET", FEED_PATH, stamp_ms(self._clock, self._offset))
        link = Link(network, self._waker, threads.process_now(), self._clock)
        try:
            link.session = network.exchange.accept(headers, link.push)
        except Refused as e:
            link.is_cut = True
            raise refused_handshake(*network.exchange.refusal(e)) from None
        network.links.append(link)
        network.watch.linked()
        scheduler.sleep(delay_s)
        return link
