"""What the exchange says when it says no. Four shapes of body occur on the wire. Pure.

See: demo recordings of 2026-06-11; docs.kalshi.com/getting_started/rate_limits.
"""

from __future__ import annotations

import msgspec

from base.errors import RequestRefused

_MOST_TEXT = 300


def refusal_of(status: int, body: bytes) -> RequestRefused:
    """Return the refusal that a 4xx answer stands for; an unreadable body leaves its words empty."""
    code, details = _words(body)
    return RequestRefused(status, code[:_MOST_TEXT], details[:_MOST_TEXT])


def _words(body: bytes) -> tuple[str, str]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return "", ""
    if not isinstance(found, dict):
        return "", ""
    error = found.get("error", found)  # nested: most; flat: JSON decoding failures
    if isinstance(error, str):
        return error, ""  # {"error": "too many requests"}
    if not isinstance(error, dict):
        return "", ""
    texts = [error.get("details"), error.get("message"), error.get("msg")]
    details = next((text for text in texts if isinstance(text, str) and text), "")
    code = error.get("code")
    return (code if isinstance(code, str) else ""), details
