"""The websocket manager: one thread that connects, signs, reads and reconnects, for ever.

Other threads say what they want and return at once; this thread alone touches the socket, the
subscriptions and the books, so those need no lock. It never calls REST and never waits for
anybody: a slow reader would be cut off by the exchange.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

from websocket import ABNF

from base.clock import Clock
from base.errors import TransportError, WireError
from base.feed.clock_offset import ClockOffset
from base.feed.freshness import CONNECTION_S, ConnectionFacts
from base.feed.heartbeat import STUCK_S, Heartbeat
from base.kalshi.auth import Signer
from base.kalshi.buffered_socket import Waker
from base.kalshi.commands import TRADE
from base.kalshi.dialing import Dialer
from base.kalshi.feed_clock import LagMeter
from base.kalshi.feed_session import FeedSession
from base.kalshi.feed_stats import FeedStats
from base.kalshi.frame_handlers import FrameHandlers
from base.kalshi.handshake import HandshakeRefused, Refusal
from base.kalshi.messages import UnknownFrame, decode
from base.kalshi.reconnecting import Reconnecting
from base.kalshi.wanted import Wanted
from base.kalshi.websocket_link import Connector, LinkLost, WebSocketLink
from base.kalshi.websocket_price_cache import WebSocketPriceCache
from base.model import AccountEvent

log = logging.getLogger(__name__)

TICK_S = 0.05
PING_S = 2.0

Crashed = Callable[[str, BaseException], None]


class WebSocketManager:
    """Keeps the feed of one account alive."""

    def __init__(
        self,
        url: str,
        signer: Signer,
        cache: WebSocketPriceCache,
        clock: Clock,
        offset: ClockOffset,
        *,
        on_account_event: Callable[[AccountEvent], None],
        on_connected: Callable[[int], None] | None = None,
        on_disconnected: Callable[[str], None] | None = None,
        on_crashed: Crashed | None = None,
        handshake_timeout_s: float = 5.0,
    ):
        self._cache, self._clock = cache, clock
        self._stats = FeedStats()
        self._handlers = FrameHandlers(self._stats, on_account_event, on_connected, on_disconnected)
        self._on_crashed = on_crashed
        self.heart = Heartbeat("websocket manager")
        self._handshake_timeout_s = handshake_timeout_s
        self._waker = Waker()
        self._connector = Connector(
            url, signer, clock, Dialer(clock), self._waker, handshake_timeout_s, offset
        )
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._wanted = Wanted()
        # Appended by other threads, taken by this one:
        self._asked: deque[tuple[Callable[[str], None], str]] = deque()
        self._reset_asked = False
        # Owned by the thread:
        self._session = FeedSession(cache, self._stats)
        self._lag = LagMeter(clock, offset, self._session)
        self._reconnecting = Reconnecting()
        self._epoch = 0
        self._is_connected = False
        self._next_ping_s = 0.0
        self._measured_s = 0.0  # the read from the socket at which the lag was last measured

    # --- called from other threads; all return at once ------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="websocket manager", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End the thread; ``False``: it was still busy after ``timeout_s`` seconds."""
        self._stopping.set()
        self._waker.wake()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def hold(self, ticker: str) -> None:
        """Subscribe everything a held market needs. Twice is once."""
        if self._wanted.hold(ticker, is_held=True):
            self._waker.wake()

    def release(self, ticker: str) -> None:
        """Stop holding ``ticker``; it is unsubscribed unless it is watched."""
        if self._wanted.hold(ticker, is_held=False):
            self._waker.wake()

    def watch_only(self, ticker: str) -> None:
        """Subscribe the ticker channel of a market that nobody holds."""
        if self._wanted.watch(ticker, is_watched=True):
            self._waker.wake()

    def unwatch(self, ticker: str) -> None:
        """Stop watching ``ticker``; it stays subscribed while it is held."""
        if self._wanted.watch(ticker, is_watched=False):
            self._waker.wake()

    def held(self) -> Collection[str]:
        """The tickers held now."""
        return self._wanted.held

    def probe(self, ticker: str) -> None:
        """Ask for a snapshot of the book; one that equals the local book proves the quote."""
        self._asked.append((self._session.probe, ticker))
        self._waker.wake()

    def distrust(self, ticker: str) -> None:
        """Another source contradicts the book of ``ticker``: fetch it anew."""
        self._asked.append((lambda name: self._session.distrust(name, self._clock.boot_s()), ticker))
        self._waker.wake()

    def stood_still(self) -> None:
        """This process did not run for a while: what is known is no evidence any more, get it anew."""
        self._cache.distrust()
        self._asked.append((lambda _: self._session.distrust_all(self._clock.boot_s()), ""))
        self._waker.wake()

    def reset_backoff(self) -> None:
        """Try to connect again within a second: something else reached the exchange."""
        self._reset_asked = True
        self._waker.wake()

    def register_handler(self, message_type: str, fn: Callable[[Any], None]) -> None:
        """Call ``fn`` on the manager's thread with every decoded frame of ``message_type``."""
        self._handlers.register(message_type, fn)
        if message_type == TRADE:  # nobody else needs them: subscribed for who asks
            self._asked.append((lambda _: self._session.follow_trades(), TRADE))
            self._waker.wake()

    def get_stats(self) -> Mapping[str, object]:
        """Counts since the start, and the state of the connection."""
        state = {"epoch": self._epoch, "is_connected": self._is_connected}
        return self._stats.copy() | state | {"latencies_s": self._lag.recent.copy()}

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._connect_once()
        except Exception as e:
            log.exception("websocket manager died")
            if self._on_crashed is None:
                raise
            self._on_crashed("websocket manager", e)
        finally:
            self._cache.set_connection(
                ConnectionFacts(epoch=self._epoch, is_connected=False, heard_s=None, lag=None)
            )

    def _connect_once(self) -> None:
        self.heart.due_s = self._clock.boot_s() + self._handshake_timeout_s + STUCK_S
        try:
            link = self._connector.open(self._stopping.is_set)
        except (HandshakeRefused, TransportError) as e:
            self._failed(e)
            return
        why = "stopped"
        try:
            self._begin(link)
            self._serve(link)
        except LinkLost as e:
            why = str(e)
            self._stats.connection_errors += 1
            self._stats.last_error = why
        finally:
            link.drop(politely=self._stopping.is_set())
            self._end(why)
        if not self._stopping.is_set():
            self._pause()

    def _begin(self, link: WebSocketLink) -> None:
        now_s = self._clock.boot_s()
        self._epoch += 1
        self._is_connected = True
        self._reconnecting.connected()
        self._stats.connects += 1
        self._cache.set_connection(
            ConnectionFacts(epoch=self._epoch, is_connected=True, heard_s=now_s, lag=None)
        )
        self._session.connected(self._epoch, now_s)
        self._next_ping_s = now_s + PING_S
        log.info("feed connected epoch=%d failures=%d", self._epoch, self._reconnecting.failures)
        self._handlers.connected(self._epoch)

    def _end(self, why: str) -> None:
        self._is_connected = False
        self._cache.set_connection(
            ConnectionFacts(epoch=self._epoch, is_connected=False, heard_s=None, lag=None)
        )
        if not self._stopping.is_set():
            log.warning("feed lost epoch=%d reason=%s", self._epoch, ascii(why))
        self._handlers.disconnected(why)

    def _serve(self, link: WebSocketLink) -> None:
        source, boot_s = link.source, self._clock.boot_s
        heard_s = source.read_s
        next_tick_s = 0.0
        while not self._stopping.is_set():
            message = link.read(next_tick_s)
            now_s = boot_s() if message is None else source.read_s
            if now_s - heard_s > CONNECTION_S:
                raise LinkLost("nothing heard for 5 s")
            if message is not None:
                heard_s = now_s
                self._take(message[0], message[1], now_s, is_new_read=now_s != self._measured_s)
            if message is None or now_s >= next_tick_s:
                next_tick_s = boot_s() + TICK_S
                self._tick(link)

    def _take(self, opcode: int, payload: bytes, at_s: float, *, is_new_read: bool) -> None:
        if opcode != ABNF.OPCODE_TEXT:
            if opcode == ABNF.OPCODE_BINARY:
                self._stats.frames += 1
                self._stats.refuse("binary")
                self._session.missed(payload, at_s)
            self._cache.heard(at_s)
            return
        self._stats.frames += 1
        try:
            frame = decode(payload)
        except WireError as e:
            self._stats.refuse(e.field)
            self._session.missed(payload, at_s)
            self._cache.heard(at_s)
            return
        lag = None
        if is_new_read:
            # Once per read from the socket: the first frame that says when it was sent has waited longest.
            lag = self._lag.measure(frame)
            if lag is not None:
                self._measured_s = at_s
        if type(frame) is UnknownFrame:
            self._stats.unknown_type += 1
        else:
            self._stats.decoded += 1
        self._session.on_frame(frame, at_s, lag)
        if self._handlers.wants(frame):
            self._handlers.on_frame(frame, self._session)

    def _tick(self, link: WebSocketLink) -> None:
        now_s = self._clock.boot_s()
        self.heart.due_s = now_s + STUCK_S
        self._take_wants(now_s)
        for text in self._session.due(now_s):
            link.send(text)
            self.heart.due_s = self._clock.boot_s() + STUCK_S  # each may wait for a slow peer
        if now_s >= self._next_ping_s:
            self._next_ping_s = now_s + PING_S
            link.ping()
        self._reset_asked = False
        if self._reconnecting.failures and self._session.is_live:
            self._reconnecting.succeeded()

    def _take_wants(self, now_s: float) -> None:
        if (wanted := self._wanted.take()) is not None:
            self._session.want(*wanted, now_s)
        while self._asked:
            ask, ticker = self._asked.popleft()
            ask(ticker)

    # --- failures -------------------------------------------------------------------------------

    def _failed(self, error: HandshakeRefused | TransportError) -> None:
        if self._stopping.is_set():
            return
        self._stats.connection_errors += 1
        self._stats.last_error = str(error)
        refusal = error.refusal if isinstance(error, HandshakeRefused) else None
        if refusal is Refusal.KEY:
            log.error("the exchange does not accept this API key: %s", ascii(str(error)))
        elif self._reconnecting.failures == 0:  # a row of failures is one line
            log.warning("feed cannot connect reason=%s", ascii(str(error)))
        self._pause(refusal)

    def _pause(self, refusal: Refusal | None = None) -> None:
        """Wait for the next try; what is wanted meanwhile is taken in, and REST may cut it short."""
        delay_s = self._reconnecting.delay_s(
            random.random(), is_held=bool(self._wanted.held), refusal=refusal
        )
        until_s = self._clock.boot_s() + delay_s
        while not self._stopping.is_set() and (left_s := until_s - self._clock.boot_s()) > 0:
            self.heart.due_s = until_s + STUCK_S
            self._waker.wait(left_s)
            self._waker.clear()
            now_s = self._clock.boot_s()
            self._take_wants(now_s)
            if self._reset_asked:
                self._reset_asked = False
                until_s = min(until_s, now_s + self._reconnecting.shortened_s(random.random()))
