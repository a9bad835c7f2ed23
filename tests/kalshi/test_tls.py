"""TLS: whom we trust, and that the deadline holds under it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.clock import SystemClock
from base.errors import TransportError
from base.feed.clock_offset import ClockOffset
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
    trust(monkeypatch, "base.kalshi.deadline_sockets.tls_context", path)
    return path


def trust(monkeypatch: pytest.MonkeyPatch, where: str, certificate: Path) -> None:
    """Let the context made at ``where`` accept ``certificate`` besides the well-known roots."""

    def trusts_it() -> ssl.SSLContext:
        context = tls_context()
        context.load_verify_locations(certificate)
        return context

    monkeypatch.setattr(where, trusts_it)


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
        trust(monkeypatch, "base.kalshi.deadline_sockets.tls_context", shown)
    heads: list[bytes] = []
    with rude_server(lambda connection, head: heads.append(head), server_context(shown)) as url:
        assert isinstance(client_of(sim, url=url, timeout_s=1.0).place_exit(exit_of("KXA")), NotSent)
    assert b"".join(heads) == b""


def connector_to(sim: SimulatorServer, url: str) -> Connector:
    """Opens the feed at the address of a REST server."""
    signer = load_signer(sim.key_id, sim.private_key_path)
    return Connector(url.replace("http", "ws", 1), signer, CLOCK, Dialer(CLOCK), Waker(), 1.0, ClockOffset())


@pytest.mark.parametrize("flaw", ["unknown authority", "expired", "wrong host"])
def test_feed_refuses_a_flawed_certificate(
    sim: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flaw: str
):
    """Neither does the WebSocket sign anything for a stranger."""
    shown = make_certificate(
        tmp_path, "127.0.0.2" if flaw == "wrong host" else "127.0.0.1", is_expired=flaw == "expired"
    )
    if flaw != "unknown authority":
        trust(monkeypatch, "base.kalshi.websocket_link.tls_context", shown)
    heads: list[bytes] = []
    with (
        rude_server(lambda connection, head: heads.append(head), server_context(shown)) as url,
        pytest.raises(TransportError, match="certificate verify failed"),
    ):
        connector_to(sim, url).open(lambda: False)
    assert b"".join(heads) == b""


def test_feed_speaks_to_a_good_certificate(
    sim: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The flaws above are what is refused, not TLS."""
    shown = make_certificate(tmp_path)
    trust(monkeypatch, "base.kalshi.websocket_link.tls_context", shown)
    heads: list[bytes] = []
    with (
        rude_server(lambda connection, head: heads.append(head), server_context(shown)) as url,
        pytest.raises(TransportError),  # it hangs up without an answer
    ):
        connector_to(sim, url).open(lambda: False)
    assert b"KALSHI-ACCESS-SIGNATURE" in b"".join(heads)


def test_feed_ignores_the_environment(sim: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No proxy sees the handshake, and no bundle of certificates that somebody left there makes a stranger known."""
    shown = make_certificate(tmp_path)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "WEBSOCKET_CLIENT_CA_BUNDLE"):
        monkeypatch.setenv(name, str(shown))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    connector_to(sim, sim.websocket_url).open(lambda: False).drop()
    heads: list[bytes] = []
    with rude_server(lambda connection, head: heads.append(head), server_context(shown)) as url:
        with pytest.raises(TransportError, match="certificate verify failed"):
            connector_to(sim, url).open(lambda: False)
        assert isinstance(client_of(sim, url=url, timeout_s=1.0).place_exit(exit_of("KXA")), NotSent)
    assert b"".join(heads) == b""


def test_a_password_file_names_nobody(sim: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A .netrc entry for the host would put a second identity beside our signature."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password SECRET\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    heads: list[bytes] = []
    with rude_server(lambda connection, head: heads.append(head)) as url:
        client_of(sim, url=url, timeout_s=0.3).place_exit(exit_of("KXA"))
    assert heads
    assert b"authorization" not in b"".join(heads).lower()
