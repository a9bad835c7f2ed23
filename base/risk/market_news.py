"""What is heard of markets and matching engines, and which exits it lets go on. Pure."""

from __future__ import annotations

from dataclasses import replace

from base.model import LifecycleEvent, Market, MarketStatus, ShardStatus
from base.risk.decide import Moment
from base.risk.exit_lifecycle import State
from base.risk.guard import Guard
from base.risk.guards import Guards
from base.risk.messages import ReadMarket

_PUSHED_STATUS = {
    "activated": MarketStatus.ACTIVE,
    "deactivated": MarketStatus.INACTIVE,
    "determined": MarketStatus.DETERMINED,
    "settled": MarketStatus.FINALIZED,
}


def take_market(guards: Guards, market: Market, now: Moment) -> None:
    """Take over a market as read or pushed; one that opens lets its exits decide anew."""
    before = guards.markets.get(market.ticker)
    guards.markets[market.ticker] = market
    was_open = before is None or before.is_open_at(now.exchange_ms)
    if market.is_open_at(now.exchange_ms) and not was_open:
        _resume(guards, market.ticker, now)
    for guard in guards.of_ticker(market.ticker):
        if guard.intent is not None and guard.intent.awaits_market:
            guard.intent.not_before_s, guard.intent.awaits_market = now.boot_s, False
        guard.wake_at(now.boot_s)


def take_lifecycle(guards: Guards, event: LifecycleEvent, now: Moment) -> None:
    """Apply what the event says at once, and read the market: the report decides."""
    market = guards.markets.get(event.ticker)
    if market is None or event.ticker not in guards.keys_of:
        return
    status = _PUSHED_STATUS.get(event.event)
    take_market(
        guards,
        replace(
            market,
            status=status or market.status,
            close_ms=event.close_ms if event.close_ms is not None else market.close_ms,
            grid=event.grid or market.grid,
            result=event.result or market.result,
        ),
        now,
    )
    if event.event == "activated":
        for guard in guards.of_ticker(event.ticker):
            let_go_on(guard)
            guard.resting.clear()  # the exchange cancels all resting orders on reactivation
    guards.out.put(ReadMarket(event.ticker))


def take_shards(guards: Guards, shards: tuple[ShardStatus, ...], now: Moment) -> None:
    """Take over the exchange's status, engine by engine."""
    for shard in shards:
        before = guards.shards.get(shard.exchange_index)
        guards.shards[shard.exchange_index] = shard
        if before is not None and shard.takes_orders and not before.takes_orders:
            for ticker, market in guards.markets.items():
                if market.exchange_index == shard.exchange_index:
                    _resume(guards, ticker, now)


def _resume(guards: Guards, ticker: str, now: Moment) -> None:
    guards.resumed_s[ticker] = now.boot_s
    for guard in guards.of_ticker(ticker):
        let_go_on(guard)
        guard.wake_at(now.boot_s)


def let_go_on(guard: Guard) -> None:
    """What waits for its market need not wait longer. What else holds an exit up has a time of its own."""
    if guard.intent is not None and guard.state is State.WAITING:
        guard.intent.not_before_s, guard.intent.is_retried = 0.0, False


def try_again_once(guard: Guard) -> None:
    """What reopened its market may have been missed while the feed was down: one order finds out."""
    if guard.intent is not None and not guard.intent.is_retried:
        let_go_on(guard)
        guard.intent.is_retried = guard.state is State.WAITING
