"""TLS: whom we trust, and that the deadline holds under it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.clock import SystemClock
from base.errors import TransportError
from base.kalshi.auth import load_signer
from base.kalshi.buffered_socket import Waker
from base.kalshi.dialing import Dialer, tls_context
from base.kalshi.websocket_link import Connector
from base.model import Accepted, NotSent, Unanswered
from base.simulator.server import SimulatorServer
from tests.kalshi.rest_bench import client_of, exit_of, rude_server
from tests.kalshi.test_rest_deadline import drip_body, hang
from tests.kalshi.tls_bench import make_certificate, server_context

pytestmark = pytest.mark.wide

CLOCK = SystemClock()
ANSWER = b'{"order_id":"o","client_order_id":"sl-1","fill_count":"10.00","remaining_count":"0.00","ts_ms":1795000000000}'


@pytest.fixture(scope="module")
def sim() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate that our own context accepts besides the well-known roots."""
    path = make_certificate(tmp_path)

    def trusts_it() -> ssl.SSLContext:
        context = tls_context()
        context.load_verify_locations(path)
        return context

    monkeypatch.setattr("base.kalshi.deadline_sockets.tls_context", trusts_it)
    return path


def answer(connection, head: bytes) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)


def test_order_over_tls(sim: SimulatorServer, trusting: Path):
    """The same call, encrypted."""
    with rude_server(answer, server_context(trusting)) as url:
        assert isinstance(client_of(sim, url=url).place_exit(exit_of("KXA")), Accepted)


@pytest.mark.parametrize("talk", [hang, drip_body], ids=lambda talk: talk.__name__)
def test_deadline_holds_under_tls(sim: SimulatorServer, trusting: Path, talk):
    """A slow drip is cut off although each read is quick."""
    with rude_server(talk, server_context(trusting)) as url:
        rest = client_of(sim, url=url, timeout_s=0.6)
        started_s = CLOCK.boot_s()
        assert isinstance(rest.place_exit(exit_of("KXA")), Unanswered)
        assert CLOCK.boot_s() - started_s < 0.9


@pytest.mark.parametrize("flaw", ["unknown authority", "expired", "wrong host"])
def test_flawed_certificate_gets_nothing(
    sim: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flaw: str
):
    """No byte of the order leaves us; there is no switch to accept it anyway."""
    shown = make_certificate(
        tmp_path, "127.0.0.2" if flaw == "wrong host" else "127.0.0.1", is_expired=flaw == "expired"
    )
    if flaw != "unknown authority":

        def trusts_it() -> ssl.SSLContext:
            context = tls_context()
            context.load_verify_locations(shown)
            return context

        monkeypatch.setattr("base.kalshi.deadline_sockets.tls_context", trusts_it)
    heads: list[bytes] = []
    with rude_server(lambda connection, head: heads.append(head), server_context(shown)) as url:
        assert isinstance(client_of(sim, url=url, timeout_s=1.0).place_exit(exit_of("KXA")), NotSent)
    assert b"".join(heads) == b""


def test_feed_refuses_an_unknown_certificate(sim: SimulatorServer, tmp_path: Path):
    """Neither does the WebSocket sign anything for a stranger."""
    heads: list[bytes] = []
    context = server_context(make_certificate(tmp_path))
    with rude_server(lambda connection, head: heads.append(head), context) as url:
        connector = Connector(
            url.replace("https://", "wss://"),
            load_signer(sim.key_id, sim.private_key_path),
            CLOCK,
            Dialer(CLOCK),
            Waker(),
            1.0,
        )
        with pytest.raises(TransportError):
            connector.open(lambda: False)
    assert b"".join(heads) == b""
