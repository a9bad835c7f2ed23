"""What the server was sent: evidence for tests. Signatures are never kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec

from base.simulator.decoding import UNREADABLE

KEPT = 100_000
_SECRET = ("kalshi-access-signature", "authorization", "cookie")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One request. ``received_ms`` is the exchange's clock, ``received_ns`` the monotonic one."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    received_ms: int
    received_ns: int
    is_upgrade: bool = False

    @property
    def json(self) -> Any:
        """Return the decoded body, None if it is empty or not JSON."""
        try:
            return msgspec.json.decode(self.body) if self.body else None
        except UNREADABLE:
            return None


class RequestLog:
    """The newest requests, oldest first."""

    def __init__(self) -> None:
        self._kept: deque[RecordedRequest] = deque(maxlen=KEPT)

    def note(self, request: RecordedRequest) -> None:
        """Keep one request."""
        self._kept.append(request)

    def all(self) -> list[RecordedRequest]:
        """Return a copy of what is kept."""
        return list(self._kept)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


def without_secrets(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers minus anything that proves an identity."""
    return {name: value for name, value in headers.items() if name not in _SECRET}
