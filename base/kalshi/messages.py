"""What the exchange says over the WebSocket, decoded and checked at the border. Pure.

``decode`` is total: any input gives a frame, an ``UnknownFrame`` or a ``WireError``. Unknown
members and unknown types pass, because additions arrive weekly; a known member that is missing
or malformed refuses the whole frame. Prices here are on the scale the exchange used.
See: docs.kalshi.com/asyncapi.yaml 2.0.0 as of 2026-10-26.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from base.errors import WireError
from base.kalshi.commands import refuse_retired
from base.kalshi.frames import (
    AccountFrame,
    BookDelta,
    BookSnapshot,
    ErrorFrame,
    EventFrame,
    Frame,
    Ok,
    Subscribed,
    Ticker,
    Trade,
    UnknownFrame,
    Unsubscribed,
)
from base.kalshi.wire_frames import Wire

MOST_BYTES = 1 << 20
"""A frame beyond this is refused unread. Bytes."""


class _Envelope(Struct):
    """What can be read of a frame whose type or shape we do not know."""

    type: str
    sid: int | None = None
    seq: int | None = None
    sending_ts_ms: int | None = None


_decode = msgspec.json.Decoder(Wire).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
KNOWN_TYPES = frozenset(
    {
        "ticker", "orderbook_delta", "orderbook_snapshot", "trade", "fill", "user_order", "market_position",
        "market_lifecycle_v2", "multivariate_market_lifecycle", "event_lifecycle", "event_fee_update",
        "subscribed", "ok", "unsubscribed", "error",
    }
)  # fmt: skip


_SUBSCRIBED_TYPES = KNOWN_TYPES - {"multivariate_market_lifecycle"}  # a channel that nobody here asks for


def refuse_type(name: str) -> None:
    """Do nothing for a type of which frames may come.

    Raises:
        ValueError: None ever comes; a retired channel's successor is named.
    """
    refuse_retired(name)
    if name not in _SUBSCRIBED_TYPES:
        raise ValueError(f"no frame of type {name!r} comes here, only {', '.join(sorted(_SUBSCRIBED_TYPES))}")


def decode(raw: str | bytes) -> Frame | UnknownFrame:
    """Return what one text frame says.

    Raises:
        WireError: If it is too long, not JSON, or a known type with a member missing or malformed.
            ``field`` names the reason; the caller counts by it.
    """
    if len(raw) > MOST_BYTES:
        raise WireError("size", len(raw))
    try:
        frame: Frame = _decode(raw).frame()  # one pass over the text: the type picks the shape
        return frame
    except msgspec.ValidationError as e:
        return _unknown_or_refused(raw, e)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as e:
        raise WireError("json", str(e)) from None


def _unknown_or_refused(raw: str | bytes, error: msgspec.ValidationError) -> UnknownFrame:
    try:
        envelope = _decode_envelope(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise WireError("envelope", str(error)) from None
    if envelope.type in KNOWN_TYPES:
        raise WireError(envelope.type, str(error))
    return UnknownFrame(envelope.type, envelope.sid, envelope.seq, envelope.sending_ts_ms)


__all__ = [
    "KNOWN_TYPES", "MOST_BYTES", "AccountFrame", "BookDelta", "BookSnapshot", "ErrorFrame", "EventFrame",
    "Frame", "Ok", "Subscribed", "Ticker", "Trade", "UnknownFrame", "Unsubscribed", "decode", "refuse_type",
]  # fmt: skip
