"""From engine events to frames on every socket that asked for them."""

from __future__ import annotations

from functools import lru_cache, partial

from base.simulator.engine.events import (
    BookChanged,
    BookCleared,
    Event,
    EventFeesChanged,
    EventListed,
    Filled,
    GroupChanged,
    HoldingChanged,
    MarketChanged,
    OrderChanged,
    TopChanged,
    Traded,
)
from base.simulator.engine.market import is_combo
from base.simulator.indices import FIVE_HZ, Averages, Tick
from base.simulator.stream import frames, index_frames, lifecycle_frames
from base.simulator.stream.session import Session
from base.simulator.stream.subscription import Subscription
from base.simulator.venue import Venue

# The combos' channel has no words for these.
UNTOLD_OF_COMBOS = ("metadata_updated", "price_level_structure_updated")


class Hub:
    """All sessions. Each message is encoded once, whoever reads it."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.sessions: list[Session] = []
        venue.listeners.append(self.publish)
        venue.indices.listeners.append(self.publish_index)

    def publish(self, event: Event) -> None:
        """Send an event to the sessions that subscribed to it."""
        if not self.sessions:
            return
        match event:
            case BookChanged():
                self._publish_delta(event)
            case TopChanged():
                blank = self._venue.semantics.empty_side_price == "blank"
                market_id = self._market_id(event.ticker)
                msg = frames.ticker_msg(market_id, event, blank_empty=blank)
                self._to_all("ticker", "ticker", event.ticker, msg)
            case Traded():
                self._to_all("trade", "trade", event.ticker, frames.trade_msg(event))
            case BookCleared():
                self._publish_cleared(event)
            case MarketChanged():
                self._publish_life(event)
            case EventListed():
                msg = lifecycle_frames.event_msg(event)
                self._to_all(_lifecycle(event.event_ticker), "event_lifecycle", None, msg)
            case EventFeesChanged() if not is_combo(event.event_ticker):
                msg = lifecycle_frames.event_fees_msg(event)
                self._to_all("market_lifecycle_v2", "event_fee_update", None, msg)
            case Filled() | OrderChanged() | HoldingChanged() | GroupChanged():
                self._publish_private(event)

    def publish_index(self, tick: Tick, averages: Averages | None) -> None:
        """Send a reference value to the sessions that selected its index."""
        messages = {}
        if averages is not None:
            messages["cfbenchmarks_value"] = index_frames.second_msg(tick, averages)
        if tick.index_id in FIVE_HZ:
            messages["cfbenchmarks_value_5hz"] = index_frames.five_hz_msg(tick)
        for channel, msg in messages.items():
            self._to_all(channel, channel, tick.index_id, msg)

    def _market_id(self, ticker: str) -> str:
        return self._venue.exchange.state.markets[ticker].market_id

    def _subscribed(self, channel: str, ticker: str | None) -> list[tuple[Session, Subscription]]:
        found = []
        for session in self.sessions:
            subscription = session.by_channel.get(channel)
            if subscription is not None and (ticker is None or subscription.wants(ticker)):
                found.append((session, subscription))
        return found

    def _to_all(self, channel: str, kind: str, ticker: str | None, msg: bytes) -> None:
        for session, subscription in self._subscribed(channel, ticker):
            session.push(subscription, kind, msg)

    def _publish_life(self, event: MarketChanged) -> None:
        if is_combo(event.ticker) and event.kind in UNTOLD_OF_COMBOS:
            return
        msg = lifecycle_frames.lifecycle_msg(self._venue.exchange.state.markets[event.ticker], event)
        channel = _lifecycle(event.ticker)
        self._to_all(channel, channel, None, msg)

    def _publish_delta(self, event: BookChanged) -> None:
        encoded = lru_cache(partial(frames.delta_msg, self._market_id(event.ticker), event))
        for session, subscription in self._subscribed("orderbook_delta", event.ticker):
            is_own = session.sees(event.account_id, event.subaccount)
            msg = encoded(yes_price=subscription.use_yes_price, is_own=is_own)
            session.push(subscription, "orderbook_delta", msg)

    def _publish_cleared(self, event: BookCleared) -> None:
        market = self._venue.exchange.state.markets[event.ticker]
        for session, subscription in self._subscribed("orderbook_delta", event.ticker):
            msg = frames.snapshot_msg(market, yes_price=subscription.use_yes_price)
            session.push(subscription, "orderbook_snapshot", msg)

    def _publish_private(self, event: Filled | OrderChanged | HoldingChanged | GroupChanged) -> None:
        channel, kind, ticker, subaccount, msg = _private(event)
        for session, subscription in self._subscribed(channel, ticker):
            if session.sees(event.account_id, subaccount):
                session.push(subscription, kind, msg)


def _lifecycle(ticker: str) -> str:
    """Return the lifecycle channel."""
    return "multivariate_market_lifecycle" if is_combo(ticker) else "market_lifecycle_v2"


def _private(
    event: Filled | OrderChanged | HoldingChanged | GroupChanged,
) -> tuple[str, str, str | None, int, bytes]:
    """Return (channel, message type, ticker, sub-account, message)."""
    match event:
        case Filled():
            return "fill", "fill", event.ticker, event.subaccount, frames.fill_msg(event)
        case OrderChanged(order=order):
            msg = frames.order_msg(order)
            return "user_orders", "user_order", order.request.ticker, order.subaccount, msg
        case HoldingChanged(holding=holding):
            msg = frames.position_msg(holding)
            return "market_positions", "market_position", holding.ticker, holding.subaccount, msg
        case GroupChanged():
            channel = "order_group_updates"
            return channel, channel, None, event.subaccount, frames.group_msg(event)
