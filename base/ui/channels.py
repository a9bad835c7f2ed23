"""The alert channels: any service that the library apprise knows, one address each.

The addresses hold tokens. They are kept here and shown nowhere: whatever is said of a channel names its place
in the settings and its kind. The libraries under it write whole addresses into their own logs, so these are
silenced.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import apprise
from apprise.plugins.base import NotifyBase

from base.errors import ConfigError
from base.ui.addresses import AddressRefused, check_found, check_written
from base.ui.bulletins import Bulletin

SEND_S = 8.0
"""What one channel may take for one message before the next is tried. Seconds."""
TALKATIVE = ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib")
"""Loggers that show addresses, some at debug level, some in warnings."""
_WEBHOOKS = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
_OFF = logging.CRITICAL + 1


def silence_libraries() -> None:
    """Let no library write an address with its token into our logs."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(_OFF)


@dataclass(slots=True)
class _Attempt:
    """One message on its way, on a thread of its own; ``why``: what went wrong, empty when it was taken."""

    done: threading.Event = field(default_factory=threading.Event)
    why: str = "no answer in time"


class Channel:
    """One channel. Not for several threads at once."""

    def __init__(self, label: str, service: NotifyBase, *, allow_private: bool):
        self.label = label
        self._service = service
        self._allow_private = allow_private
        self._under_way: _Attempt | None = None

    def start(self, bulletin: Bulletin) -> _Attempt:
        """Begin to send. One that still hangs in an earlier message is not given another."""
        if self._under_way is not None and not self._under_way.done.is_set():
            return _Attempt(why="still hangs in an earlier message")
        attempt = self._under_way = _Attempt()
        threading.Thread(
            target=self._run, args=(bulletin, attempt), name="alert channel", daemon=True
        ).start()
        return attempt

    def send(self, bulletin: Bulletin, timeout_s: float) -> str:
        """Send, and wait at most ``timeout_s`` seconds; return what went wrong, empty when it was taken."""
        attempt = self.start(bulletin)
        if attempt is self._under_way:
            attempt.done.wait(timeout_s)
        return attempt.why

    def _run(self, bulletin: Bulletin, attempt: _Attempt) -> None:
        try:
            attempt.why = self._send(bulletin)
        except AddressRefused as e:
            attempt.why = str(e)
        except Exception as e:  # a plugin's own mistake; its words may hold the address, its kind does not
            attempt.why = type(e).__name__
        finally:
            attempt.done.set()

    def _send(self, bulletin: Bulletin) -> str:
        if self._service.schema in _WEBHOOKS:  # where its name leads now
            check_found(
                str(self._service.host),
                is_encrypted=bool(self._service.secure),
                allow_private=self._allow_private,
            )
        kind = apprise.NotifyType.FAILURE if bulletin.is_bad else apprise.NotifyType.SUCCESS
        is_taken = self._service.notify(
            body=bulletin.body, title=bulletin.title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
        )
        return "" if is_taken else "the service did not take it"


def open_channels(urls: Sequence[str], *, allow_private: bool) -> list[Channel]:
    """Build the channels; nothing is sent.

    Raises:
        ConfigError: An address that names no service, or may not be used.
    """
    silence_libraries()
    asset = apprise.AppriseAsset(
        app_id="Stop-loss",
        app_desc="Stop-loss monitor",
        app_url="",
        async_mode=False,
        http_redirects=False,
        secure_logging=True,
        storage_mode="memory",
        allow_templates=False,
    )
    return [_open(i, url, asset, allow_private=allow_private) for i, url in enumerate(urls)]


def _open(index: int, url: str, asset: apprise.AppriseAsset, *, allow_private: bool) -> Channel:
    where = f"alerts.urls[{index}]"
    try:
        service = apprise.Apprise.instantiate(url, asset=asset)
    except Exception:  # whatever it is, its words may hold the token
        service = None
    if not isinstance(service, NotifyBase):
        raise ConfigError(
            where, "is no alert channel: https://github.com/caronc/apprise says how one is written"
        )
    if not service.verify_certificate:
        raise ConfigError(where, "should not say verify=no: certificates are always verified")
    service.redirects = False
    if service.schema in _WEBHOOKS:
        try:
            check_written(str(service.host), is_encrypted=bool(service.secure), allow_private=allow_private)
        except AddressRefused as e:
            raise ConfigError(where, str(e)) from None
    return Channel(f"{where} ({service.schema})", service, allow_private=allow_private)
