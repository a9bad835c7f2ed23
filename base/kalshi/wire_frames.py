"""Frames of the WebSocket as they come over the wire; each knows the frame it stands for. Pure.

Members that are not listed here are not read; a member without a default must be there.
See: docs.kalshi.com/asyncapi.yaml 2.0.0 as of 2026-10-26.
"""

from __future__ import annotations

from msgspec import Struct

from base.errors import WireError
from base.kalshi.frames import (
    AccountFrame,
    BookDelta,
    BookSnapshot,
    ErrorFrame,
    EventFrame,
    Ok,
    Subscribed,
    Ticker,
    Trade,
    Unsubscribed,
)
from base.kalshi.numbers import level_count, level_price, signed_change, top_price, top_size
from base.kalshi.reports import FillMsg, LifecycleMsg, PositionMsg, UserOrderMsg
from base.model import Level


def levels_of(pairs: list[tuple[str, str]]) -> tuple[Level, ...]:
    levels = tuple((level_price(price), level_count(count)) for price, count in pairs)
    if len({price for price, _ in levels}) != len(levels):
        raise WireError("levels", "one price twice")
    return levels


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
            self.sid, self.seq, self.id, msg.market_ticker, levels_of(msg.yes_dollars_fp),
            levels_of(msg.no_dollars_fp), msg.clock, self.sending_ts_ms,
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


Wire = (
    _Ticker | _Delta | _Snapshot | _Trade | _Fill | _UserOrder | _Position | _Lifecycle
    | _ComboLifecycle | _EventLifecycle | _EventFees | _Subscribed | _Ok | _Unsubscribed | _Error
)  # fmt: skip
