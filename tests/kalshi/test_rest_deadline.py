"""Servers that drip, hang, lie and flood: one deadline holds, and nothing is sent twice."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from base.clock import SystemClock
from base.errors import MonitorError, OutcomeUnknown, TransportError
from base.kalshi.dialing import Dialer, Resolver
from base.model import Departure, NotSent, Outcome, Unanswered
from base.simulator.server import SimulatorServer
from tests.kalshi.rest_bench import client_of, exit_of, rude_server

pytestmark = pytest.mark.wide

CLOCK = SystemClock()
TIMEOUT_S = 0.4
Talk = Callable[[socket.socket, bytes], None]


@pytest.fixture(scope="module")
def sim() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


def drip(connection: socket.socket, data: bytes, pause_s: float = 0.05) -> None:
    pause = threading.Event()
    for at in range(len(data)):
        connection.sendall(data[at : at + 1])
        pause.wait(pause_s)


def hang(connection: socket.socket, head: bytes) -> None:
    connection.recv(65536)
    threading.Event().wait(3)


def drip_body(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    drip(connection, b" " * 200)


def drip_head(connection: socket.socket, head: bytes) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 200)


def reset(connection: socket.socket, head: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def cut_off(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b'HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n{"order_id":"o')


def flood(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def compressed(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx")


def not_http(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


RUDE = [hang, drip_body, drip_head, reset, cut_off, flood, compressed, not_http]


@pytest.mark.parametrize("talk", RUDE, ids=lambda talk: talk.__name__)
def test_order_to_a_rude_server_is_unanswered_in_time(sim: SimulatorServer, talk: Talk):
    """Bytes left and no whole answer came: unknown, within the deadline, and asked once."""
    asked: list[bytes] = []

    def count(connection: socket.socket, head: bytes) -> None:
        asked.append(head)
        talk(connection, head)

    with rude_server(count) as url:
        rest = client_of(sim, url=url, timeout_s=TIMEOUT_S)
        started_s = CLOCK.boot_s()
        outcome = rest.place_exit(exit_of("KXA"))
        assert CLOCK.boot_s() - started_s < TIMEOUT_S + 0.3
        assert isinstance(outcome, Unanswered)
        assert len(asked) == 1


def test_an_order_that_connects_too_late_does_not_leave(sim: SimulatorServer):
    """What it was decided on is too old by then: nothing is sent, and that is known."""
    asked: list[bytes] = []
    with rude_server(lambda connection, head: asked.append(head)) as url:
        outcome = client_of(sim, url=url).place_exit(exit_of("KXA"), Departure(CLOCK.boot_s()))
        assert isinstance(outcome, NotSent)
        assert "evidence_too_old" in outcome.why or "budget" in outcome.why
    assert b"".join(asked) == b""  # the server may see a connection that ends, but not a byte


def test_an_order_is_made_ready_and_leaves_once_its_rows_are_durable(sim: SimulatorServer):
    """The connection is there, the request is signed; not a byte of it leaves before."""
    asked: list[bytes] = []
    connected, clearance = threading.Event(), threading.Event()
    outcomes: list[Outcome] = []

    def cleared(timeout_s: float) -> bool:
        connected.set()  # asked last, right before the first byte
        return clearance.wait(timeout_s)

    with rude_server(lambda connection, head: asked.append(head)) as url:
        rest = client_of(sim, url=url, timeout_s=TIMEOUT_S)
        departure = Departure(CLOCK.boot_s() + TIMEOUT_S, cleared)
        sending = threading.Thread(
            target=lambda: outcomes.append(rest.place_exit(exit_of("KXA"), departure)), daemon=True
        )
        sending.start()
        assert connected.wait(TIMEOUT_S)
        time.sleep(0.05)
        assert b"".join(asked) == b""
        clearance.set()
        sending.join(5)
        assert b"".join(asked).startswith(b"POST ")
    assert isinstance(outcomes[0], Unanswered)


def test_an_order_that_is_not_cleared_in_time_does_not_leave(sim: SimulatorServer):
    """Nobody said that its rows are durable: it is known that nothing was sent."""
    asked: list[bytes] = []
    with rude_server(lambda connection, head: asked.append(head)) as url:
        rest = client_of(sim, url=url, timeout_s=0.3)
        outcome = rest.place_exit(exit_of("KXA"), Departure(cleared=threading.Event().wait))
        assert isinstance(outcome, NotSent)
        assert "evidence_too_old" in outcome.why
    assert b"".join(asked) == b""


@pytest.mark.parametrize("talk", RUDE, ids=lambda talk: talk.__name__)
def test_read_from_a_rude_server_fails_in_time(sim: SimulatorServer, talk: Talk):
    """Retries included, the caller waits no longer than its deadline."""
    with rude_server(talk) as url:
        rest = client_of(sim, url=url, timeout_s=TIMEOUT_S)
        started_s = CLOCK.boot_s()
        with pytest.raises(MonitorError):
            rest.balance()
        assert CLOCK.boot_s() - started_s < TIMEOUT_S + 0.3


def test_redirect_is_not_followed(sim: SimulatorServer):
    """A signed request goes where we sent it and nowhere else."""
    reached: list[bytes] = []
    with rude_server(lambda connection, head: reached.append(head)) as elsewhere:

        def redirect(connection: socket.socket, head: bytes) -> None:
            connection.sendall(
                f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()
            )

        with rude_server(redirect) as url:
            assert isinstance(client_of(sim, url=url).place_exit(exit_of("KXA")), Unanswered)
    assert reached == []


def test_environment_is_ignored(sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch):
    """A proxy out of the environment would see every order."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    assert client_of(sim).shards()


def test_dead_pooled_connection_is_never_retried(sim: SimulatorServer):
    """The server read the order and closed: it may have acted on it."""
    posts: list[bytes] = []

    def answer_once(connection: socket.socket, head: bytes) -> None:
        body = b'{"as_of_time":"2026-11-20T00:00:00Z"}'
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        posts.append(connection.recv(65536))

    with rude_server(answer_once) as url:
        rest = client_of(sim, url=url)
        rest.user_data_as_of_ms()
        assert isinstance(rest.place_exit(exit_of("KXA")), Unanswered)
        assert len([head for head in posts if head.startswith(b"POST")]) == 1


def test_request_is_signed_named_and_uncompressed(sim: SimulatorServer):
    """What leaves us, to the byte."""
    heads: list[bytes] = []
    with rude_server(lambda connection, head: heads.append(head)) as url:
        client_of(sim, url=url, timeout_s=0.3).place_exit(exit_of("KXA"))
    head = heads[0].lower()
    assert head.startswith(b"post /trade-api/v2/portfolio/events/orders http/1.1")
    for line in (b"kalshi-access-signature: ", b"user-agent: kalshi-stop-loss", b"accept-encoding: identity"):
        assert line in head
    assert b"cookie" not in head


def test_hanging_name_lookup_cannot_hold_the_caller(monkeypatch: pytest.MonkeyPatch):
    """``getaddrinfo`` knows no time-out; the caller does, and known addresses serve meanwhile."""
    answers = threading.Event()
    real = socket.getaddrinfo
    monkeypatch.setattr("base.kalshi.dialing.FRESH_S", 0.0)
    resolver = Resolver(CLOCK)
    first = resolver.addresses("localhost", 80, CLOCK.boot_s() + 2)
    assert first

    def slow(*args, **kwargs):
        answers.wait(5)
        return real(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    started_s = CLOCK.boot_s()
    assert resolver.addresses("localhost", 80, CLOCK.boot_s() + 0.6) == first
    with pytest.raises(TransportError):
        resolver.addresses("never.known", 80, CLOCK.boot_s() + 0.2)
    assert CLOCK.boot_s() - started_s < 1.0
    before = threading.active_count()
    for _ in range(5):
        resolver.addresses("localhost", 80, CLOCK.boot_s() + 0.05)
    assert threading.active_count() <= before  # one look-up per name, however often it is asked
    answers.set()


def test_unroutable_address_ends_in_time():
    """A dead address must not eat the whole deadline of the next one."""
    started_s = time.monotonic()
    with pytest.raises(TransportError):
        Dialer(CLOCK).tcp("192.0.2.1", 9, CLOCK.boot_s() + 0.4)
    assert time.monotonic() - started_s < 1.0


def test_no_connection_is_told_apart_from_no_answer(sim: SimulatorServer):
    """One is safe to repeat, the other is not."""
    assert isinstance(
        client_of(sim, url="http://127.0.0.1:1/v2", timeout_s=0.3).place_exit(exit_of("KXA")), NotSent
    )
    with rude_server(reset) as url, pytest.raises(OutcomeUnknown):
        client_of(sim, url=url, timeout_s=0.3).balance()
