"""Frames of the WebSocket as the program sees them: checked, Decimal, frozen. Pure."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from base.model import Fill, Level, LifecycleEvent, OrderReport, PositionPush


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
