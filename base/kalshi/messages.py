"""What the exchange says over the WebSocket, decoded and checked at the border. Pure.

``decode`` is total: any input gives a frame, an ``UnknownFrame`` or a ``WireError``. Unknown
members and unknown types pass, because additions arrive weekly; a known member that is missing
or malformed refuses the whole frame. Prices here are on the scale the exchange used.
See: docs.kalshi.com/asyncapi.yaml 2.0.0 as of 2026-10-26.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import Struct

from base.errors import WireError
from base.kalshi.numbers import level_count, level_price, signed_change, top_price, top_size
from base.kalshi.reports import (
    FillMsg,
    LifecycleMsg,
    PositionMsg,
    UserOrderMsg,
)
from base.model import Fill, Level, LifecycleEvent, OrderReport, PositionPush

MOST_BYTES = 1 << 20
"""A frame beyond this is refused unread. Bytes."""


# --- frames as the program sees them --------------------------------------------------------


class Ticker(Struct, frozen=True, gc=False):
    """Best prices of one market on the YES scale. ``None`` is an empty side."""

    sid: int
    ticker: str
    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    ts_ms: int
    sent_ms: int | None


class BookDelta(Struct, frozen=True, gc=False):
    """A change of the contracts resting at one price. The price is on the wire's scale."""

    sid: int
    seq: int
    ticker: str
    price: Decimal
    change: Decimal
    is_yes: bool
    clock: int | None
    ts_ms: int | None
    sent_ms: int | None


class BookSnapshot(Struct, frozen=True):
    """A whole book: bids of both sides, in any order, on the wire's scale."""

    sid: int
    seq: int | None
    id: int | None  # answers a get_snapshot
    ticker: str
    yes: tuple[Level, ...]
    no: tuple[Level, ...]
    clock: int | None
    sent_ms: int | None


class Trade(Struct, frozen=True):
    """A public trade. A block trade is no touch of any price."""

    sid: int
    seq: int | None
    ticker: str
    trade_id: str
    yes_price: Decimal
    count: Decimal
    is_block_trade: bool | None
    ts_ms: int
    sent_ms: int | None


class AccountFrame(Struct, frozen=True):
    """A report about our account or a market's life."""

    type: str
    sid: int
    seq: int | None
    event: Fill | OrderReport | PositionPush | LifecycleEvent
    sent_ms: int | None


class EventFrame(Struct, frozen=True):
    """News of a whole event (``event_lifecycle``, ``event_fee_update``)."""

    type: str
    sid: int
    seq: int | None
    event_ticker: str
    sent_ms: int | None


class Subscribed(Struct, frozen=True):
    """A channel's first subscription on this connection was accepted."""

    id: int | None
    channel: str
    sid: int
    sent_ms: int | None


class Ok(Struct, frozen=True):
    """A command was carried out. Each list is ``None`` where the reply has none."""

    id: int | None
    sid: int | None
    seq: int | None
    market_tickers: tuple[str, ...] | None
    subscriptions: tuple[tuple[str, int], ...] | None  # (channel, sid), answers list_subscriptions
    sent_ms: int | None


class Unsubscribed(Struct, frozen=True):
    """A subscription has ended."""

    id: int | None
    sid: int
    seq: int | None
    sent_ms: int | None


class ErrorFrame(Struct, frozen=True):
    """A command or a subscription failed; see section 7 of the protocol for the codes."""

    id: int | None
    sid: int | None
    seq: int | None
    code: int
    text: str
    market_tickers: tuple[str, ...]
    sent_ms: int | None


class UnknownFrame(Struct, frozen=True):
    """A type we do not know. It still takes its place in the counter of its subscription."""

    type: str
    sid: int | None
    seq: int | None
    sent_ms: int | None


Frame = (
    Ticker | BookDelta | BookSnapshot | Trade | AccountFrame | EventFrame
    | Subscribed | Ok | Unsubscribed | ErrorFrame
)  # fmt: skip


# --- frames as they come over the wire ------------------------------------------------------


class _TickerMsg(Struct, gc=False):
    market_ticker: str
    price_dollars: str | None  # the last trade; "" when there was none
    yes_bid_dollars: str | None
    yes_ask_dollars: str | None
    yes_bid_size_fp: str
    yes_ask_size_fp: str
    ts_ms: int


class _Ticker(Struct, tag_field="type", tag="ticker", gc=False):
    sid: int
    msg: _TickerMsg
    sending_ts_ms: int | None = None

    def frame(self) -> Ticker:
        msg = self.msg
        bid_size, ask_size = top_size(msg.yes_bid_size_fp), top_size(msg.yes_ask_size_fp)
        bid, ask = top_price(msg.yes_bid_dollars), top_price(msg.yes_ask_dollars)
        # A side without orders is written as 0 or 1 with size 0: a placeholder, not a price.
        if bid is None or bid_size is None:
            bid = bid_size = None
        if ask is None or ask_size is None:
            ask = ask_size = None
        return Ticker(
            self.sid, msg.market_ticker, bid, ask, bid_size, ask_size, msg.ts_ms, self.sending_ts_ms
        )


class _DeltaMsg(Struct, gc=False):
    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: str
    clock: int | None = None
    ts_ms: int | None = None


class _Delta(Struct, tag_field="type", tag="orderbook_delta", gc=False):
    sid: int
    seq: int
    msg: _DeltaMsg
    sending_ts_ms: int | None = None

    def frame(self) -> BookDelta:
        msg = self.msg
        side = msg.side
        if side != "yes" and side != "no":
            raise WireError("side", side)
        return BookDelta(
            self.sid, self.seq, msg.market_ticker, level_price(msg.price_dollars),
            signed_change(msg.delta_fp), side == "yes", msg.clock, msg.ts_ms, self.sending_ts_ms,
        )  # fmt: skip


class _SnapshotMsg(Struct):
    market_ticker: str
    yes_dollars_fp: list[tuple[str, str]] = []  # absent: that side is empty
    no_dollars_fp: list[tuple[str, str]] = []
    clock: int | None = None


class _Snapshot(Struct, tag_field="type", tag="orderbook_snapshot"):
    sid: int
    msg: _SnapshotMsg
    seq: int | None = None
    id: int | None = None
    sending_ts_ms: int | None = None

    def frame(self) -> BookSnapshot:
        msg = self.msg
        return BookSnapshot(
            self.sid, self.seq, self.id, msg.market_ticker, _levels(msg.yes_dollars_fp),
            _levels(msg.no_dollars_fp), msg.clock, self.sending_ts_ms,
        )  # fmt: skip


class _TradeMsg(Struct):
    trade_id: str
    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    ts_ms: int
    is_block_trade: bool | None = None


class _Trade(Struct, tag_field="type", tag="trade"):
    sid: int
    msg: _TradeMsg
    seq: int | None = None
    sending_ts_ms: int | None = None

    def frame(self) -> Trade:
        msg = self.msg
        return Trade(
            self.sid, self.seq, msg.market_ticker, msg.trade_id, level_price(msg.yes_price_dollars),
            level_count(msg.count_fp), msg.is_block_trade, msg.ts_ms, self.sending_ts_ms,
        )  # fmt: skip


class _Fill(Struct, tag_field="type", tag="fill"):
    sid: int
    msg: FillMsg
    seq: int | None = None
    sending_ts_ms: int | None = None

    def frame(self) -> AccountFrame:
        return AccountFrame("fill", self.sid, self.seq, self.msg.report(), self.sending_ts_ms)


class _UserOrder(Struct, tag_field="type", tag="user_order"):
    sid: int
    msg: UserOrderMsg
    seq: int | None = None
    sending_ts_ms: int | None = None

    def frame(self) -> AccountFrame:
        return AccountFrame("user_order", self.sid, self.seq, self.msg.report(), self.sending_ts_ms)


class _Position(Struct, tag_field="type", tag="market_position"):
    sid: int
    msg: PositionMsg
    seq: int | None = None
    sending_ts_ms: int | None = None

    def frame(self) -> AccountFrame:
        return AccountFrame("market_position", self.sid, self.seq, self.msg.report(), self.sending_ts_ms)


class _Lifecycle(Struct, tag_field="type", tag="market_lifecycle_v2"):
    sid: int
    msg: LifecycleMsg
    seq: int | None = None
    sending_ts_ms: int | None = None

    def frame(self) -> AccountFrame:
        return AccountFrame("market_lifecycle_v2", self.sid, self.seq, self.msg.report(), self.sending_ts_ms)


class _ComboLifecycle(_Lifecycle, tag_field="type", tag="multivariate_market_lifecycle"):
    def frame(self) -> AccountFrame:
        return AccountFrame(
            "multivariate_market_lifecycle", self.sid, self.seq, self.msg.report(), self.sending_ts_ms
        )


class _EventMsg(Struct):
    event_ticker: str


class _EventLifecycle(Struct, tag_field="type", tag="event_lifecycle"):
    sid: int
    msg: _EventMsg
    seq: int | None = None
    sending_ts_ms: int | None = None

    def frame(self) -> EventFrame:
        return EventFrame("event_lifecycle", self.sid, self.seq, self.msg.event_ticker, self.sending_ts_ms)


class _EventFees(_EventLifecycle, tag_field="type", tag="event_fee_update"):
    def frame(self) -> EventFrame:
        return EventFrame("event_fee_update", self.sid, self.seq, self.msg.event_ticker, self.sending_ts_ms)


class _Listed(Struct):
    channel: str
    sid: int


class _Subscribed(Struct, tag_field="type", tag="subscribed"):
    msg: _Listed
    id: int | None = None
    sending_ts_ms: int | None = None

    def frame(self) -> Subscribed:
        return Subscribed(self.id, self.msg.channel, self.msg.sid, self.sending_ts_ms)


class _OkMsg(Struct):
    market_tickers: tuple[str, ...] | None = None


class _Ok(Struct, tag_field="type", tag="ok"):
    id: int | None = None
    sid: int | None = None
    seq: int | None = None
    msg: _OkMsg | list[_Listed] | None = None  # an array answers list_subscriptions
    sending_ts_ms: int | None = None

    def frame(self) -> Ok:
        msg = self.msg
        listed = tuple((s.channel, s.sid) for s in msg) if isinstance(msg, list) else None
        tickers = msg.market_tickers if isinstance(msg, _OkMsg) else None
        return Ok(self.id, self.sid, self.seq, tickers, listed, self.sending_ts_ms)


class _Unsubscribed(Struct, tag_field="type", tag="unsubscribed"):
    sid: int
    id: int | None = None
    seq: int | None = None
    sending_ts_ms: int | None = None

    def frame(self) -> Unsubscribed:
        return Unsubscribed(self.id, self.sid, self.seq, self.sending_ts_ms)


class _ErrorMsg(Struct):
    code: int
    msg: str = ""
    market_ticker: str | None = None
    market_tickers: tuple[str, ...] | None = None


class _Error(Struct, tag_field="type", tag="error"):
    msg: _ErrorMsg
    id: int | None = None
    sid: int | None = None
    seq: int | None = None
    sending_ts_ms: int | None = None

    def frame(self) -> ErrorFrame:
        msg = self.msg
        named = () if msg.market_ticker is None else (msg.market_ticker,)
        tickers = named if msg.market_tickers is None else msg.market_tickers
        return ErrorFrame(self.id, self.sid, self.seq, msg.code, msg.msg, tickers, self.sending_ts_ms)


class _Envelope(Struct):
    """What can be read of a frame whose type or shape we do not know."""

    type: str
    sid: int | None = None
    seq: int | None = None
    sending_ts_ms: int | None = None


_Wire = (
    _Ticker | _Delta | _Snapshot | _Trade | _Fill | _UserOrder | _Position | _Lifecycle
    | _ComboLifecycle | _EventLifecycle | _EventFees | _Subscribed | _Ok | _Unsubscribed | _Error
)  # fmt: skip
_decode = msgspec.json.Decoder(_Wire).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
KNOWN_TYPES = frozenset(
    {
        "ticker", "orderbook_delta", "orderbook_snapshot", "trade", "fill", "user_order", "market_position",
        "market_lifecycle_v2", "multivariate_market_lifecycle", "event_lifecycle", "event_fee_update",
        "subscribed", "ok", "unsubscribed", "error",
    }
)  # fmt: skip


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


def _levels(pairs: list[tuple[str, str]]) -> tuple[Level, ...]:
    levels = tuple((level_price(price), level_count(count)) for price, count in pairs)
    if len({price for price, _ in levels}) != len(levels):
        raise WireError("levels", "one price twice")
    return levels
