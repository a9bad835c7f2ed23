"""What a test may break: replies, sequence numbers, sockets, reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from base.simulator.faults import Fault, Faults
from base.simulator.rate_limits import Tier
from base.simulator.running import Running

T = TypeVar("T")


class FaultControls:
    """Faults of the transport and of the read side. ``path_contains`` narrows to some requests."""

    @property
    def running(self) -> Running:
        """Return the running server."""
        raise NotImplementedError

    def _call(self, act: Callable[[], T]) -> T:
        raise NotImplementedError

    @property
    def _faults(self) -> Faults:
        return self.running.venue.faults

    def _plan(self, fault: Fault) -> None:
        self._call(lambda: self._faults.planned.append(fault))

    # Replies

    def drop_reply(
        self, n: int = 1, path_contains: str = "", *, method: str = "", hang: bool = False
    ) -> None:
        """Execute the next ``n`` requests but never answer: reset, or with ``hang`` silence."""
        self._plan(Fault(kind="drop_reply", left=n, path_contains=path_contains, method=method, hang=hang))

    def delay_reply(self, seconds: float, n: int = 1, path_contains: str = "", *, method: str = "") -> None:
        """Execute at once, answer later."""
        self._plan(
            Fault(kind="delay_reply", left=n, path_contains=path_contains, method=method, seconds=seconds)
        )

    def delay_execute(self, seconds: float, n: int = 1, path_contains: str = "", *, method: str = "") -> None:
        """Hold the next ``n`` requests before executing them: a client that gave up is wrong."""
        self._plan(
            Fault(kind="delay_execute", left=n, path_contains=path_contains, method=method, seconds=seconds)
        )

    def fail_next(
        self, status: int, body: object = None, path_contains: str = "", n: int = 1, *, method: str = ""
    ) -> None:
        """Answer with this failure and execute nothing."""
        self._plan(
            Fault(
                kind="fail_next",
                left=n,
                path_contains=path_contains,
                method=method,
                status=status,
                body=body,
            )
        )

    def fail_after_execute(
        self, status: int, body: object = None, path_contains: str = "", n: int = 1, *, method: str = ""
    ) -> None:
        """Execute, then answer with this failure."""
        self._plan(
            Fault(
                kind="fail_after_execute",
                left=n,
                path_contains=path_contains,
                method=method,
                status=status,
                body=body,
            )
        )

    def heal(self) -> None:
        """Forget every planned fault and unmute."""
        self._call(self._faults.clear)
        self.unmute()

    # The feed

    def skip_seq(self, channel: str = "orderbook_delta", n: int = 1) -> None:
        """Leave out ``n`` sequence numbers before the next frame: a gap."""
        self._call(lambda: self._faults.skip_seq.update({channel: n}))

    def duplicate_seq(self, channel: str = "orderbook_delta", n: int = 1) -> None:
        """Send the next frame ``n`` more times."""
        self._call(lambda: self._faults.duplicate_seq.update({channel: n}))

    def fail_command(self, code: int = 18, n: int = 1) -> None:
        """Answer the next ``n`` commands with this error and do nothing; 18 is a timeout."""
        self._call(lambda: self._faults.command_errors.extend([code] * n))

    def drop_acks(self, drops: bool = True) -> None:
        """Send no ``subscribed``, ``ok`` or ``unsubscribed``; data flows."""

        def set_drops() -> None:
            self._faults.drops_acks = drops

        self._call(set_drops)

    def mute(self, *, pings: bool = True) -> None:
        """Send no frame on any socket, which stays open. ``pings=False``: no ping, no pong either.

        Frames that fall due are lost, and their sequence numbers with them.
        """

        def set_mute() -> None:
            self._faults.is_mute = True
            self.running.wires.is_silent = not pings

        self._call(set_mute)

    def unmute(self) -> None:
        """Send again."""

        def clear_mute() -> None:
            self._faults.is_mute = False
            self.running.wires.is_silent = False

        self._call(clear_mute)

    def send_raw(self, text: str | bytes) -> None:
        """Send any text on every open socket, as it is."""
        frame = text.encode() if isinstance(text, str) else text

        def send() -> None:
            for socket in list(self.running.wires.sockets):
                socket.write_text(frame)

        self._call(send)

    def overflow(self, channel: str = "orderbook_delta", code: int = 25) -> None:
        """End a channel's subscriptions with a terminal error; sockets stay."""

        def fail() -> None:
            for session in self.running.gateway.hub.sessions:
                if channel in session.by_channel:
                    session.fail(session.by_channel[channel], code)

        self._call(fail)

    @property
    def frames_sent(self) -> int:
        """Return how many text frames were sent so far."""
        return self.running.gateway.frames_sent

    def record_frames(self) -> list[bytes]:
        """Keep every frame from now on; returns the live list."""
        sent: list[bytes] = []

        def start() -> None:
            self.running.gateway.sent, self.running.gateway.sent_ns = sent, []

        self._call(start)
        return sent

    @property
    def frame_times_ns(self) -> list[int]:
        """Return when each recorded frame was written, ``time.monotonic_ns``."""
        return list(self.running.gateway.sent_ns)

    @property
    def open_sockets(self) -> int:
        """Return how many WebSocket connections are open."""
        return len(self.running.gateway.hub.sessions)

    # Connections

    def cut_connections(self) -> None:
        """Reset every connection, WebSocket and HTTP."""
        self._call(self.running.wires.reset_all)

    def close_connections(self, code: int = 1001) -> None:
        """End every WebSocket with a close frame, as before maintenance."""
        self._call(lambda: self.running.wires.close_all(code))

    def refuse_connections(self, status: int = 503, *, rest: bool = False) -> None:
        """Answer WebSocket upgrades with this status; with ``rest`` every request too."""

        def refuse() -> None:
            self._faults.refuse_status, self._faults.refuse_rest = status, rest

        self._call(refuse)

    def accept_connections(self) -> None:
        """Accept again."""

        def accept() -> None:
            self._faults.refuse_status, self._faults.refuse_rest = None, False

        self._call(accept)

    # Reads and limits

    def lag_reads(self, seconds: float, *, positions: float | None = None) -> None:
        """Let reads (and positions, when given, separately) trail the engine by this much."""

        def lag() -> None:
            reads = self.running.venue.reads
            reads.lag_ms = round(seconds * 1000)
            reads.position_lag_ms = None if positions is None else round(positions * 1000)

        self._call(lag)

    def set_tier(self, tier: Tier) -> None:
        """Give every account full buckets of another tier."""
        self._call(lambda: self.running.venue.set_tier(tier))

    def drain_budget(self) -> None:
        """Empty every write bucket of the member: the next writes answer 429."""

        def drain() -> None:
            budget = self.running.venue.budget("member")
            for bucket in (budget.write, *budget.by_shard.values()):
                bucket.drain()

        self._call(drain)
