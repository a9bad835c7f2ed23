"""The sign of life: sent while the monitor guards, over verified TLS, to where the settings say."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.errors import ConfigError
from base.ui.heartbeat import Heartbeat, moves_on
from tests.kalshi.rest_bench import rude_server
from tests.kalshi.tls_bench import make_certificate, server_context
from tests.support import eventually
from tests.ui.receivers import Receiver, answer, fail, hang, receiving


def beating(url: str, *, is_well: bool = True) -> tuple[Heartbeat, io.StringIO]:
    """A heartbeat that is not started, and what it says."""
    out = io.StringIO()
    return Heartbeat(url, 0.05, lambda: is_well, out, allow_private=False), out


def plain(receiver: Receiver) -> str:
    """The address of a receiver, with a token."""
    return receiver.url.replace("json", "http")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def test_it_beats_until_it_is_stopped(receiver: Receiver) -> None:
    """On a thread of its own, at its interval."""
    heart, out = beating(plain(receiver))
    heart.start()
    eventually(lambda: len(receiver.paths) >= 3)
    assert heart.stop(1.0)
    assert set(receiver.paths) == {"/TOKEN-SECRET"}
    assert out.getvalue() == ""


def test_a_monitor_that_is_not_well_gives_no_sign(receiver: Receiver) -> None:
    """The service outside must find out."""
    heart, _ = beating(plain(receiver), is_well=False)
    heart.beat()
    assert receiver.paths == []


def test_that_it_fails_is_said_once_and_that_it_works_again(receiver: Receiver) -> None:
    """Without the address, which holds a token."""
    heart, out = beating(plain(receiver))
    receiver.manner = fail
    for _ in range(3):
        heart.beat()
    assert out.getvalue().count("\n") == 1
    assert "status 500" in out.getvalue()
    receiver.manner = Receiver().manner
    heart.beat()
    heart.beat()
    assert out.getvalue().split("\n")[1:] == ["alerts.heartbeat_url: the sign of life is taken again", ""]
    assert "SECRET" not in out.getvalue()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/SECRET", "https://nosuch.invalid/SECRET"])
def test_one_that_is_not_reached_is_said_without_its_address(url: str) -> None:
    """Nobody listens, or there is no such name."""
    heart, out = beating(url)
    heart.beat()
    assert "is not taken" in out.getvalue()
    assert "SECRET" not in out.getvalue()


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    """An open redirect would lead anywhere."""
    with receiving(lambda r, request: answer(request, 302, Location=plain(receiver))) as first:
        heart, out = beating(plain(first))
        heart.beat()
    assert receiver.paths == []
    assert "status 302" in out.getvalue()


def test_the_environment_is_ignored(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy, a bundle of certificates or a password file that somebody left there."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password SECRET\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    seen: list[str | None] = []

    def look(made: Receiver, request: object) -> None:
        seen.append(request.headers.get("Authorization"))  # type: ignore[attr-defined]
        answer(request, 200)  # type: ignore[arg-type]

    receiver.manner = look
    heart, out = beating(plain(receiver))
    heart.beat()
    assert seen == [None]
    assert out.getvalue() == ""


def test_an_unknown_certificate_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else learns that we live; a bundle out of the environment trusts nobody for us."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    heads: list[bytes] = []
    with rude_server(lambda connection, head: heads.append(head), server_context(certificate)) as url:
        heart, out = beating(url.replace("/trade-api/v2", "/SECRET"))
        heart.beat()
    assert b"".join(heads) == b""
    assert "SSLError" in out.getvalue()


def test_one_that_hangs_ends_with_the_program(receiver: Receiver) -> None:
    """Its thread is left behind, nobody waits for it."""
    receiver.manner = hang
    heart, _ = beating(plain(receiver))
    heart.start()
    eventually(lambda: receiver.paths)
    assert heart.stop(0.1) is False


@pytest.mark.parametrize(
    "url",
    ["http://example.com/SECRET", "https://10.0.0.1/SECRET", "https://169.254.169.254/SECRET", "SECRET"],
)
def test_an_address_that_may_not_be_used_is_refused_at_the_start(url: str) -> None:
    """Named by its setting, not shown."""
    with pytest.raises(ConfigError) as refused:
        beating(url)
    assert refused.value.where == "alerts.heartbeat_url"
    assert "SECRET" not in str(refused.value)


def test_a_view_that_stays_the_same_is_a_monitor_that_stands() -> None:
    """Another object is a new view, whatever is in it."""
    pause = threading.Event().wait
    assert moves_on(object, 0.3, pause)
    assert not moves_on(lambda: "the same", 0.3, pause)
