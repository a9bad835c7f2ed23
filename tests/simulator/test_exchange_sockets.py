"""The WebSocket as a connection: pings, slow readers, order of replies, delay."""

from __future__ import annotations

import asyncio
import socket as sockets

import pytest
from websocket import ABNF, WebSocketBadStatusException

from base.simulator.clock import SystemClock
from base.simulator.rate_limits import UNLIMITED
from base.simulator.running import Running
from base.simulator.scenarios.stage import Empty, Stage
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from base.simulator.venue import Venue
from tests.simulator.loopback import A, Client, Feed, eventually


def test_pings_say_heartbeat_and_a_dead_peer_is_dropped() -> None:
    """Every interval; the connection ends when no pong came for too long."""
    with SimulatorServer(semantics=Semantics(ping_interval_s=0.05, pong_deadline_s=0.2)) as sim:
        with Feed(sim) as feed:
            for _ in range(3):
                opcode, frame = feed.socket.recv_data_frame(control_frame=True)
                assert (opcode, frame.data) == (ABNF.OPCODE_PING, b"heartbeat")
        with Feed(sim) as silent:
            eventually(lambda: sim.open_sockets == 1)
            silent.socket.sock.settimeout(5)
            eventually(lambda: sim.open_sockets == 0)


def test_a_slow_reader_loses_its_subscription_but_not_its_socket() -> None:
    """Error 25 is terminal for the sid; a new subscription works."""
    semantics = Semantics(slow_consumer_bytes=100_000)
    with SimulatorServer(semantics=semantics) as sim, Feed(sim) as feed:
        sim.add_market(A)
        feed.subscribe("ticker", tickers=[A])

        def flood() -> bool:
            sim.burst(A, 1000)
            sessions = sim.running.gateway.hub.sessions
            return not any("ticker" in session.by_channel for session in sessions)

        eventually(flood, 20.0)
        assert feed.until_type("error")["msg"]["code"] == 25
        assert feed.subscribe("ticker", tickers=[A])["type"] == "subscribed"


def test_replies_to_commands_sent_together_may_be_out_of_order() -> None:
    """Matching by id is the only way."""
    with SimulatorServer(semantics=Semantics(shuffle_window_s=0.05), seed=3) as sim, Feed(sim) as feed:
        for _ in range(8):
            feed.send("list_subscriptions")
        ids = [feed.receive()["id"] for _ in range(8)]
        assert sorted(ids) == list(range(1, 9))
        assert ids != sorted(ids)


def test_two_connections_count_for_themselves(sim: SimulatorServer, feed: Feed) -> None:
    """Sids and sequences belong to a connection; the clock is the same on both."""
    feed.subscribe("orderbook_delta", tickers=[A])
    with Feed(sim) as other:
        other.subscribe("ticker", tickers=[A])
        other.subscribe("orderbook_delta", tickers=[A])
        sim.set_level(A, "bid", "0.10", "1")
        first, second = feed.until_type("orderbook_delta"), other.until_type("orderbook_delta")
        assert (first["sid"], second["sid"]) == (1, 2)
        assert first["msg"]["clock"] == second["msg"]["clock"]


def test_frames_leave_without_delay(sim: SimulatorServer, feed: Feed) -> None:
    """Small frames do not wait for each other: TCP_NODELAY."""
    feed.subscribe("ticker", tickers=[A])
    server_socket = next(iter(sim.running.wires.sockets)).transport.get_extra_info("socket")
    assert server_socket.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY)


def test_a_play_that_fails_ends_the_server() -> None:
    """A market that stopped moving without a word would look like a quiet one."""
    broken = Running(
        Venue(Semantics(), SystemClock(), UNLIMITED, salt=0), Broken(), listener(), seed=0, speed=1.0
    )
    with pytest.raises(ZeroDivisionError):
        asyncio.run(broken.serve())


class Broken(Empty):
    """A scenario with a mistake in it."""

    def play(self, stage: Stage, until_s: float) -> None:
        """Fail."""
        raise ZeroDivisionError


def listener() -> sockets.socket:
    """Return a free port of the loopback."""
    return sockets.create_server(("127.0.0.1", 0))


def test_a_refused_upgrade_is_no_error_of_the_server(
    sim: SimulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It was answered; whoever reads the log must not look for a mistake."""
    sim.refuse_connections(403)
    with pytest.raises(WebSocketBadStatusException):
        Feed(sim)
    Client(sim).get("/markets")  # the server has gone on since
    assert [record.name for record in caplog.records if record.name.startswith("uvicorn")] == []
