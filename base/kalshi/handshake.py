"""Why a WebSocket handshake was turned away. Pure.

See: bodies recorded at the exchange's auth gateway in 2026.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from base.errors import MonitorError


class Refusal(Enum):
    """The kinds that differ in how soon to try again."""

    CLOCK = auto()  # our timestamp: sign anew and try again
    KEY = auto()  # wrong key, signature or environment: a person must act
    FORBIDDEN = auto()  # 403
    LIMITED = auto()  # 429
    OTHER = auto()


class HandshakeRefused(MonitorError):
    """The exchange answered the upgrade with an error."""

    def __init__(self, status: int, code: str, refusal: Refusal):
        super().__init__(status, code, refusal)
        self.status, self.code, self.refusal = status, code, refusal

    def __str__(self) -> str:
        return f"handshake refused ({' '.join([str(self.status), self.code]).strip()})"


def refused(status: int, body: bytes) -> HandshakeRefused:
    """Return what an error answer to the upgrade means."""
    code, details = _words(body)
    refusal = Refusal.OTHER
    if status == 401:
        refusal = Refusal.CLOCK if code == "header_timestamp_expired" else Refusal.KEY
    elif status == 403:
        refusal = Refusal.FORBIDDEN
    elif status == 429:
        refusal = Refusal.LIMITED
    return HandshakeRefused(status, details or code, refusal)


def _words(body: bytes) -> tuple[str, str]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return "", ""
    error = found.get("error") if isinstance(found, dict) else None
    if not isinstance(error, dict):
        return "", ""
    return str(error.get("code") or "")[:80], str(error.get("details") or "")[:80]
