"""What each message means for the holdings under guard: reports, answers, hooks, a person. Pure."""

from __future__ import annotations

from dataclasses import replace

from base.model import (
    Fill,
    Key,
    LifecycleEvent,
    OrderReport,
    OrdersRead,
    Position,
    PositionPush,
    PositionsRead,
    Side,
)
from base.risk import answers, market_news, person, reloading, settling
from base.risk.counting import AS_OF_MARGIN_MS, CREATED_MARGIN_MS, Holding
from base.risk.decide import Moment
from base.risk.explaining import explain
from base.risk.guard import Guard
from base.risk.guards import Guards, Look
from base.risk.messages import (
    AlarmChanged,
    Answered,
    Closed,
    ElsewhereSeen,
    Linked,
    MarketsSeen,
    Message,
    Opened,
    PersonAsks,
    PersonWonders,
    ReadFailed,
    ReadOrders,
    ReadPositions,
    RestingSeen,
    SettingsChanged,
    ShardsSeen,
    Sweep,
    Swept,
    Tell,
)
from base.risk.rules import StopSettings

OfHolding = OrdersRead | OrderReport | Answered | Swept | PersonAsks
"""Messages that speak of one holding."""
READS_FAILING_S = 30.0
"""A report that could not be had for this long rings."""


def take(guards: Guards, message: Message, look: Look, now: Moment) -> None:
    """Apply one message, then step the holding it speaks of."""
    match message:
        case PositionsRead():
            _positions(guards, message, look, now)
        case OrdersRead():
            _take_for(guards, Key(message.subaccount, message.ticker), message, look, now)
        case Fill():
            _fill(guards, message, look, now)
        case OrderReport() | Answered() | Swept() | PersonAsks():
            _take_for(guards, _key_of(message), message, look, now)
        case PersonWonders(key=key, reply=reply):
            guard = guards.by_key.get(key)
            known = None if guard is None else explain(guard, guards.context(guard, look, now, glance=True))
            guards.out.put(Tell(reply, known))
        case RestingSeen():
            _resting(guards, message)
        case PositionPush():
            _push(guards, message, now)
        case LifecycleEvent():
            market_news.take_lifecycle(guards, message, now)
        case MarketsSeen(markets=markets):
            guards.succeeded("ReadMarket")
            for market in markets.values():
                market_news.take_market(guards, market, now)
        case ShardsSeen(shards=shards):
            guards.succeeded("exchange_status")
            market_news.take_shards(guards, shards, now)
        case Opened(position=position):
            _opened(guards, position, now)
        case Closed(key=key):
            _closed(guards, key, now)
        case Linked(is_up=True):
            _relinked(guards, now)
        case Linked():
            pass  # freshness says so by itself
        case ReadFailed(what=what):
            _failed(guards, what, now)
        case SettingsChanged(settings=settings):
            _reload(guards, settings, now)
        case AlarmChanged(is_on=True):
            guards.ring(message.reason, now, details=message.details)
        case AlarmChanged(reason=reason):
            guards.alarms.pop(reason, None)
        case _:  # ElsewhereSeen: no other kind is left
            _elsewhere(guards, message, now)


def _take_for(guards: Guards, key: Key, message: OfHolding, look: Look, now: Moment) -> None:
    if (guard := guards.by_key.get(key)) is None:
        if isinstance(message, PersonAsks):
            buried = guards.buried.get(key)
            sold_ms = now.exchange_ms - buried.ended_ms if buried is not None and buried.had_intent else None
            person.not_held(message, guards.foreign, sold_ms, guards.out)
        return
    ctx = guards.context(guard, look, now, glance=True)
    match message:
        case OrdersRead():
            guards.succeeded("ReadOrders")
            settling.absorb_orders_read(guard, ctx, message)
        case OrderReport():
            settling.absorb_order(guard, ctx, message)
        case Answered():
            answers.answered(guard, ctx, message)
        case Swept(cancelled=cancelled):
            _swept(guard, cancelled)
        case _:  # PersonAsks: no other kind is left
            person.hear(guard, ctx, message)
    guards.bury_if_over(guard, ctx)
    guards.step_all(key.ticker, look, now)


def _swept(guard: Guard, cancelled: tuple[str, ...]) -> None:
    for order_id in cancelled:
        guard.resting.pop(order_id, None)
    if guard.intent is not None:
        guard.intent.swept = True


def _positions(guards: Guards, read: PositionsRead, look: Look, now: Moment) -> None:
    guards.succeeded("ReadPositions")
    guards.has_positions.add(read.subaccount)
    if (read.as_of_ms or 0) > guards.catching_up_ms.get(read.subaccount, 0):
        guards.catching_up_ms.pop(read.subaccount, None)
    listed = {position.key: position for position in read.positions}
    for key, guard in list(guards.by_key.items()):
        if key.subaccount == read.subaccount:
            ctx = guards.context(guard, look, now, glance=True)
            if key in listed or not settling.is_contradicted(guard, ctx):
                settling.absorb_position(guard, ctx, listed.get(key), read.as_of_ms)
            guards.bury_if_over(guard, ctx)
            _know_entry(guards.by_key.get(key), listed.get(key))
    for ticker in sorted({key.ticker for key in guards.by_key if key.subaccount == read.subaccount}):
        guards.step_all(ticker, look, now)
    for key, position in listed.items():
        market = guards.markets.get(key.ticker)
        is_settling = market is not None and market.status.is_settling
        if key in guards.by_key or is_settling:
            continue
        if _is_old_news(guards, key, read.as_of_ms):
            # Or it is held still: reads go on until one is late enough to tell.
            _catch_up_with(guards, key.subaccount, guards.buried[key].ended_ms)
        else:
            guards.begin(position, now, holding=_holding_of(guards, position, read.as_of_ms, now))


def _holding_of(guards: Guards, position: Position, as_of_ms: int | None, now: Moment) -> Holding:
    """What a read shows is held. One of before the restart may still show what was sold before it."""
    before = guards.held_before.pop(position.key, None)
    if (
        before is None
        or before.signed * position.signed <= 0
        or abs(before.signed) >= position.count
        or (as_of_ms is not None and as_of_ms > before.at_ms + AS_OF_MARGIN_MS)
    ):
        return Holding(position.signed, as_of_ms, now.exchange_ms)
    _catch_up_with(guards, position.subaccount, before.at_ms)
    return Holding.believed(before.signed, before.at_ms)


def _catch_up_with(guards: Guards, subaccount: int, moment_ms: int) -> None:
    """Let positions be read until a read is late enough to speak of that moment."""
    until_ms = moment_ms + AS_OF_MARGIN_MS
    guards.catching_up_ms[subaccount] = max(until_ms, guards.catching_up_ms.get(subaccount, until_ms))


def _know_entry(guard: Guard | None, listed: Position | None) -> None:
    """A holding that turned over begins anew: the read that showed it says what was paid."""
    if guard is not None and listed is not None and guard.entry is None and guard.side is listed.side:
        guard.entry = listed.entry


def _is_old_news(guards: Guards, key: Key, as_of_ms: int | None) -> bool:
    """A read that lags behind the exit we just confirmed may still list what is sold."""
    buried = guards.buried.get(key)
    return buried is not None and (as_of_ms is None or as_of_ms <= buried.ended_ms + AS_OF_MARGIN_MS)


def _fill(guards: Guards, fill: Fill, look: Look, now: Moment) -> None:
    key = Key(fill.subaccount, fill.ticker)
    if fill.subaccount not in guards.terms.subaccounts:
        _foreign(guards, key, fill.post_position != 0, now)
        return
    if (guard := guards.by_key.get(key)) is None:
        _adopt_fill(guards, key, fill, now)
        return
    ctx = guards.context(guard, look, now, glance=True)
    settling.absorb_fill(guard, ctx, fill)
    guards.bury_if_over(guard, ctx)
    guards.step_all(key.ticker, look, now)


def _adopt_fill(guards: Guards, key: Key, fill: Fill, now: Moment) -> None:
    """A trade in a market that is not guarded: its contracts are, from now on."""
    after, buried = fill.post_position, guards.buried.get(key)
    if buried is not None and buried.knows(fill):
        return
    if after is None or after == 0:
        guards.out.put(ReadPositions(key.subaccount))
        return
    side = Side.YES if after > 0 else Side.NO
    is_first = after == fill.signed_count
    entry = fill.price_for(side) if is_first else None
    position = Position(
        ticker=key.ticker, side=side, count=abs(after), entry=entry, subaccount=key.subaccount
    )
    holding = Holding(after, fill.ts_ms)
    holding.add_fill(fill)
    guards.begin(position, now, holding=holding)
    if not is_first:
        guards.out.put(ReadPositions(key.subaccount))  # for the entry


def _push(guards: Guards, push: PositionPush, now: Moment) -> None:
    key = Key(push.subaccount, push.ticker)
    if push.subaccount not in guards.terms.subaccounts:
        _foreign(guards, key, push.signed_count != 0, now)
    elif key not in guards.by_key and push.signed_count != 0:
        _catch_up(guards, push.subaccount, now)


def _foreign(guards: Guards, key: Key, is_held: bool, now: Moment) -> None:
    """A holding in a sub-account we were not told to guard: said loudly while it lasts."""
    reason = f"unprotected_subaccount_{key.subaccount}"
    if is_held:
        guards.foreign[key] = reason
        guards.ring(reason, now, market=key.ticker)
        return
    guards.foreign.pop(key, None)
    if reason not in guards.foreign.values():
        guards.alarms.pop(reason, None)


def _elsewhere(guards: Guards, seen: ElsewhereSeen, now: Moment) -> None:
    gone = {key.ticker for key in guards.foreign if key.subaccount == seen.subaccount} - seen.tickers
    for ticker in sorted(gone | seen.tickers):
        _foreign(guards, Key(seen.subaccount, ticker), ticker in seen.tickers, now)


def _reload(guards: Guards, settings: StopSettings, now: Moment) -> None:
    for guard in guards.by_key.values():
        reloading.announce(guard, guards.terms.settings, settings)
        guard.wake_at(now.boot_s)
    guards.terms = replace(guards.terms, settings=settings)


def _resting(guards: Guards, seen: RestingSeen) -> None:
    guards.succeeded("ReadResting")
    guard, buried = guards.by_key.get(seen.key), guards.buried.get(seen.key)
    if buried is not None and buried.had_intent:
        left_over = tuple(
            order.order_id
            for order in seen.orders
            if order.created_ms is not None and order.created_ms <= buried.ended_ms
        )
        market = guards.markets.get(seen.key.ticker)
        if left_over and market is not None:
            guards.out.put(Sweep(key=seen.key, exchange_index=market.exchange_index, order_ids=left_over))
    if guard is not None:
        is_news = any(order.order_id not in guard.resting for order in seen.orders)
        guard.resting = {order.order_id: order for order in seen.orders}
        if guard.intent is not None and is_news:
            guard.intent.swept, guard.intent.sweep_until_s = False, None


def _relinked(guards: Guards, now: Moment) -> None:
    """Pushed fills and positions have no gap detection: after every reconnect REST speaks."""
    for subaccount in sorted(guards.terms.subaccounts):
        _catch_up(guards, subaccount, now)
    for guard in guards.by_key.values():
        market_news.try_again_once(guard)
        if guard.intent is not None:
            guards.out.put(ReadOrders(guard.key, guard.intent.began_ms - CREATED_MARGIN_MS))


def _catch_up(guards: Guards, subaccount: int, now: Moment) -> None:
    """Read positions until a read speaks for this moment: they lag, the first may not show it yet."""
    guards.catching_up_ms[subaccount] = now.exchange_ms + AS_OF_MARGIN_MS
    guards.out.put(ReadPositions(subaccount))


def _failed(guards: Guards, what: str, now: Moment) -> None:
    since_s = guards.failing_since_s.setdefault(what, now.boot_s)
    if now.boot_s - since_s > READS_FAILING_S:
        guards.ring(f"read_failed_{what}", now)


def _opened(guards: Guards, position: Position, now: Moment) -> None:
    """A hook claims a position: arm and subscribe at once, and have the exchange confirm it."""
    key = position.key
    if (guard := guards.by_key.get(key)) is not None:
        guard.entry = guard.entry if guard.entry is not None else position.entry
        guards.out.put(ReadPositions(key.subaccount))
        return
    guard = guards.begin(position, now, holding=Holding(position.signed, None))
    guard.is_adopted = False
    guard.claimed_s, guard.claimed_ms = now.boot_s, now.exchange_ms
    guards.out.put(ReadPositions(key.subaccount))


def _closed(guards: Guards, key: Key, now: Moment) -> None:
    """A hook claims the holding is gone: believed only once the exchange says so."""
    if (guard := guards.by_key.get(key)) is not None:
        guard.close_claimed_ms = now.exchange_ms
        guard.wake_at(now.boot_s)


def _key_of(message: OrderReport | Answered | Swept | PersonAsks) -> Key:
    if isinstance(message, OrderReport):
        return Key(message.subaccount, message.ticker)
    return message.key
