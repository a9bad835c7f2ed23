"""All holdings under guard, and what each message means for them. Pure: given messages, looks and ``now``.

Owned by the monitor thread. What has to be done leaves through ``out``, in order: rows of the
journal before the orders they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from base.feed.freshness import Freshness
from base.feed.watch import Sighting
from base.model import (
    Fill,
    Key,
    LifecycleEvent,
    Market,
    MarketStatus,
    OrderReport,
    OrdersRead,
    Position,
    PositionPush,
    PositionsRead,
    ShardStatus,
    Side,
)
from base.risk import answers, arming, selling, settling, standing
from base.risk.counting import Holding
from base.risk.decide import Moment
from base.risk.exit_lifecycle import State
from base.risk.guard import RING_EVERY_S, Context, Guard
from base.risk.messages import (
    Answered,
    Closed,
    Line,
    Linked,
    MarketsSeen,
    Message,
    Opened,
    Outbox,
    PersonAsks,
    ReadFailed,
    ReadMarket,
    ReadOrders,
    ReadPositions,
    ReadResting,
    RestingSeen,
    ShardsSeen,
    Sweep,
    Swept,
)
from base.risk.rules import StopSettings

Look = Callable[[Guard, bool], tuple[Sighting | None, Freshness]]
"""Look at a guard's market; with True only glance, so that the next look still sees the extremes."""
ANSWER_OVERDUE_S = 10.0
READS_FAILING_S = 30.0
_PUSHED_STATUS = {
    "activated": MarketStatus.ACTIVE,
    "deactivated": MarketStatus.INACTIVE,
    "determined": MarketStatus.DETERMINED,
    "settled": MarketStatus.FINALIZED,
}
LATE_LISTINGS_S = (1.0, 5.0)
"""After an exit our resting orders are listed again: what was created before its end is cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What does not change while the monitor runs."""

    settings: StopSettings
    account: str
    is_live: bool
    subaccounts: frozenset[int]
    new_bits: Callable[[], int]


@dataclass(slots=True)
class Guards:
    """The state of the monitor."""

    terms: Terms
    # What the journal showed ARMED or exiting before this start: it may act on its first fresh evidence.
    armed_before: Mapping[Key, Side] = field(default_factory=dict)
    out: Outbox = field(default_factory=Outbox)
    by_key: dict[Key, Guard] = field(default_factory=dict)
    keys_of: dict[str, tuple[Key, ...]] = field(default_factory=dict)  # by ticker, ascending
    markets: dict[str, Market] = field(default_factory=dict)
    shards: dict[int, ShardStatus] = field(default_factory=dict)
    resumed_s: dict[str, float] = field(default_factory=dict)
    latched_until_s: dict[Key, float] = field(default_factory=dict)
    ended_ms: dict[Key, int] = field(default_factory=dict)  # exits that ended, for the late listings
    alarms: dict[str, float] = field(default_factory=dict)  # those that belong to no holding
    failing_since_s: dict[str, float] = field(default_factory=dict)
    has_positions: set[int] = field(default_factory=set)  # sub-accounts read at least once

    # --- messages -----------------------------------------------------------------------------

    def take(self, message: Message, look: Look, now: Moment) -> None:
        """Apply one message, then step the holding it speaks of."""
        match message:
            case PositionsRead():
                self._positions(message, look, now)
            case OrdersRead():
                self._of_key(Key(message.subaccount, message.ticker), message, look, now)
            case Fill():
                self._fill(message, look, now)
            case OrderReport() | Answered() | Swept() | PersonAsks():
                self._of_key(_key_of(message), message, look, now)
            case RestingSeen():
                self._resting(message)
            case PositionPush():
                self._push(message)
            case LifecycleEvent():
                self._lifecycle(message, now)
            case MarketsSeen(markets=markets):
                for market in markets.values():
                    self._market(market, now)
            case ShardsSeen(shards=shards):
                self._shards(shards, now)
            case Opened(position=position):
                self._opened(position, now)
            case Closed(key=key):
                self._closed(key, now)
            case Linked(is_up=True):
                self._relinked()
            case Linked():
                pass  # freshness says so by itself
            case ReadFailed(what=what):
                self._failed(what, now)

    def step(self, key: Key, look: Look, now: Moment) -> None:
        """Let one holding see, decide and act."""
        if (guard := self.by_key.get(key)) is None:
            return
        guard.due_s = None
        ctx = self.context(guard, look, now, glance=False)
        self._dispatch(guard, ctx)
        arming.claim_timer(guard, ctx)
        self._bury_if_over(guard, ctx)

    def ring(self, reason: str, now: Moment, **fields: object) -> None:
        """Raise an alarm that belongs to no holding; it rings again every minute."""
        if now.boot_s >= self.alarms.get(reason, float("-inf")):
            self.alarms[reason] = now.boot_s + RING_EVERY_S
            self.out.put(Line(event="ALARM", key=None, side=None, fields={"reason": reason, **fields}))

    def ring_again(self, now: Moment) -> None:
        """Ring what still holds: an alarm that was seen and forgotten comes back every minute."""
        for reason in list(self.alarms):
            self.ring(reason, now)

    def is_latched(self, key: Key, now_s: float) -> bool:
        """Whether entries in this market wait: an exit is open, or ended within the cool-down."""
        guard = self.by_key.get(key)
        return (guard is not None and guard.is_exiting) or now_s < self.latched_until_s.get(key, 0.0)

    @property
    def exits_open(self) -> int:
        """How many holdings have an open intent."""
        return sum(guard.is_exiting for guard in self.by_key.values())

    @property
    def tickers(self) -> frozenset[str]:
        """Markets that must be held by the feed."""
        return frozenset(self.keys_of)

    def context(self, guard: Guard, look: Look, now: Moment, *, glance: bool) -> Context:
        """Everything a step may know."""
        market = self.markets.get(guard.key.ticker)
        seen, freshness = look(guard, glance)
        return Context(
            now=now,
            settings=self.terms.settings,
            account=self.terms.account,
            is_live=self.terms.is_live,
            new_bits=self.terms.new_bits,
            market=market,
            shard=None if market is None else self.shards.get(market.exchange_index),
            resumed_s=self.resumed_s.get(guard.key.ticker, 0.0),
            seen=seen,
            freshness=freshness,
        )

    # --- one holding ----------------------------------------------------------------------------

    def _dispatch(self, guard: Guard, ctx: Context) -> None:
        if guard.state in (State.UNPROTECTED, State.ARMED):
            arming.watch(guard, ctx)
        elif guard.state is State.TRIGGERED:
            selling.press(guard, ctx)
        elif guard.state is State.UNKNOWN:
            settling.settle(guard, ctx)
        elif guard.state is State.CONFIRMING:
            settling.confirm_end(guard, ctx)
        elif guard.state is State.IN_FLIGHT:
            self._in_flight(guard, ctx)
        else:
            standing.stand(guard, ctx)

    def _in_flight(self, guard: Guard, ctx: Context) -> None:
        attempt = guard.intent.last if guard.intent else None
        if attempt is not None and attempt.sent_s is not None:
            if ctx.now.boot_s - attempt.sent_s > ANSWER_OVERDUE_S:
                guard.ring("answer_overdue", ctx)
            guard.wake_at(attempt.sent_s + ANSWER_OVERDUE_S + 1.0)

    def _of_key(self, key: Key, message: Message, look: Look, now: Moment) -> None:
        if (guard := self.by_key.get(key)) is None:
            return
        ctx = self.context(guard, look, now, glance=True)
        match message:
            case OrdersRead():
                settling.absorb_orders_read(guard, ctx, message)
            case OrderReport():
                settling.absorb_order(guard, ctx, message)
            case Answered():
                answers.answered(guard, ctx, message)
            case Swept(cancelled=cancelled):
                self._swept(guard, cancelled)
            case PersonAsks(command="retry"):
                arming.retry(guard, ctx)
        self._bury_if_over(guard, ctx)
        self.step(key, look, now)

    @staticmethod
    def _swept(guard: Guard, cancelled: tuple[str, ...]) -> None:
        for order_id in cancelled:
            guard.resting.pop(order_id, None)
        if guard.intent is not None:
            guard.intent.swept = True

    def _bury_if_over(self, guard: Guard, ctx: Context) -> None:
        """An epoch ended: release it; contracts that are still held begin a new one."""
        if not guard.is_over or self.by_key.get(guard.key) is not guard:
            return
        del self.by_key[guard.key]
        left = tuple(key for key in self.keys_of[guard.key.ticker] if key != guard.key)
        if left:
            self.keys_of[guard.key.ticker] = left
        else:
            del self.keys_of[guard.key.ticker]
        if guard.intent is not None:
            self.latched_until_s[guard.key] = ctx.now.boot_s + self.terms.settings.reentry_cooldown_s
            self.ended_ms[guard.key] = ctx.now.exchange_ms
            for wait_s in LATE_LISTINGS_S:
                self.out.put(ReadResting(guard.key, ctx.now.boot_s + wait_s))
        signed = guard.holding.signed
        if guard.state is State.CLOSED and signed != 0:
            position = Position(
                ticker=guard.key.ticker,
                side=Side.YES if signed > 0 else Side.NO,
                count=abs(signed),
                entry=guard.entry if not guard.has_flipped else None,
                subaccount=guard.key.subaccount,
            )
            self._guard(position, ctx.now, holding=guard.holding)
            self.out.put(ReadPositions(guard.key.subaccount))

    # --- reports ----------------------------------------------------------------------------------

    def _positions(self, read: PositionsRead, look: Look, now: Moment) -> None:
        self.failing_since_s.pop("ReadPositions", None)
        self.alarms.pop("read_failed_ReadPositions", None)
        self.has_positions.add(read.subaccount)
        listed = {position.key: position for position in read.positions}
        for key, guard in list(self.by_key.items()):
            if key.subaccount == read.subaccount:
                ctx = self.context(guard, look, now, glance=True)
                settling.absorb_position(guard, ctx, listed.get(key), read.as_of_ms)
                self._bury_if_over(guard, ctx)
                self.step(key, look, now)
        for key, position in listed.items():
            if key not in self.by_key and not self._is_old_news(key, read.as_of_ms):
                self._guard(position, now, holding=Holding(position.signed, read.as_of_ms))

    def _is_old_news(self, key: Key, as_of_ms: int | None) -> bool:
        """A read that lags behind the exit we just confirmed may still list what is sold."""
        ended_ms = self.ended_ms.get(key)
        return ended_ms is not None and (as_of_ms is None or as_of_ms <= ended_ms + 5_000)

    def _fill(self, fill: Fill, look: Look, now: Moment) -> None:
        if fill.subaccount not in self.terms.subaccounts:
            self.ring(f"unprotected_subaccount_{fill.subaccount}", now, market=fill.ticker)
            return
        key = Key(fill.subaccount, fill.ticker)
        if (guard := self.by_key.get(key)) is None:
            self._adopt_fill(key, fill, now)
            return
        ctx = self.context(guard, look, now, glance=True)
        settling.absorb_fill(guard, ctx, fill)
        self._bury_if_over(guard, ctx)
        self.step(key, look, now)

    def _adopt_fill(self, key: Key, fill: Fill, now: Moment) -> None:
        """A trade in a market that is not guarded: its contracts are, from now on."""
        after = fill.post_position
        if after is None or after == 0:
            self.out.put(ReadPositions(key.subaccount))
            return
        side = Side.YES if after > 0 else Side.NO
        is_first = after == fill.signed_count
        entry = fill.price_for(side) if is_first else None
        position = Position(
            ticker=key.ticker, side=side, count=abs(after), entry=entry, subaccount=key.subaccount
        )
        holding = Holding(after, fill.ts_ms)
        holding.add_fill(fill)
        self._guard(position, now, holding=holding)
        if not is_first:
            self.out.put(ReadPositions(key.subaccount))  # for the entry

    def _push(self, push: PositionPush) -> None:
        guard = self.by_key.get(Key(push.subaccount, push.ticker))
        if guard is None and push.signed_count != 0 and push.subaccount in self.terms.subaccounts:
            self.out.put(ReadPositions(push.subaccount))

    def _resting(self, seen: RestingSeen) -> None:
        guard = self.by_key.get(seen.key)
        ended_ms = self.ended_ms.get(seen.key)
        if ended_ms is not None:
            left_over = tuple(
                order.order_id
                for order in seen.orders
                if order.created_ms is not None and order.created_ms <= ended_ms
            )
            market = self.markets.get(seen.key.ticker)
            if left_over and market is not None:
                self.out.put(Sweep(key=seen.key, exchange_index=market.exchange_index, order_ids=left_over))
        if guard is not None:
            guard.resting = {order.order_id: order for order in seen.orders}

    def _relinked(self) -> None:
        """Pushed fills and positions have no gap detection: after every reconnect REST speaks."""
        for subaccount in sorted(self.terms.subaccounts):
            self.out.put(ReadPositions(subaccount))
        for guard in self.by_key.values():
            if guard.intent is not None:
                self.out.put(ReadOrders(guard.key, guard.intent.began_ms - settling.CREATED_MARGIN_MS))

    def _failed(self, what: str, now: Moment) -> None:
        since_s = self.failing_since_s.setdefault(what, now.boot_s)
        if now.boot_s - since_s > READS_FAILING_S:
            self.ring(f"read_failed_{what}", now)

    # --- markets --------------------------------------------------------------------------------

    def _market(self, market: Market, now: Moment) -> None:
        self.failing_since_s.pop("ReadMarket", None)
        before = self.markets.get(market.ticker)
        self.markets[market.ticker] = market
        was_open = before is None or before.is_open_at(now.exchange_ms)
        if market.is_open_at(now.exchange_ms) and not was_open:
            self._resumed(market.ticker, now)
        for guard in self._guards_of(market.ticker):
            guard.wake_at(now.boot_s)

    def _lifecycle(self, event: LifecycleEvent, now: Moment) -> None:
        """Apply what the event says at once, and read the market: the report decides."""
        market = self.markets.get(event.ticker)
        if market is None or event.ticker not in self.keys_of:
            return
        status = _PUSHED_STATUS.get(event.event)
        self._market(
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
            for guard in self._guards_of(event.ticker):
                if guard.intent is not None:
                    guard.intent.not_before_s = 0.0
                guard.resting.clear()  # the exchange cancels all resting orders on reactivation
        self.out.put(ReadMarket(event.ticker))

    def _shards(self, shards: tuple[ShardStatus, ...], now: Moment) -> None:
        self.failing_since_s.pop("exchange_status", None)
        for shard in shards:
            before = self.shards.get(shard.exchange_index)
            self.shards[shard.exchange_index] = shard
            if before is not None and shard.takes_orders and not before.takes_orders:
                for ticker, market in self.markets.items():
                    if market.exchange_index == shard.exchange_index:
                        self._resumed(ticker, now)

    def _resumed(self, ticker: str, now: Moment) -> None:
        self.resumed_s[ticker] = now.boot_s
        for guard in self._guards_of(ticker):
            if guard.intent is not None:
                guard.intent.not_before_s = 0.0
            guard.wake_at(now.boot_s)

    def _guards_of(self, ticker: str) -> list[Guard]:
        return [self.by_key[key] for key in self.keys_of.get(ticker, ())]

    # --- hooks and adoption -----------------------------------------------------------------------

    def _opened(self, position: Position, now: Moment) -> None:
        """A hook claims a position: arm and subscribe at once, and have the exchange confirm it."""
        key = position.key
        if (guard := self.by_key.get(key)) is not None:
            guard.entry = guard.entry if guard.entry is not None else position.entry
            self.out.put(ReadPositions(key.subaccount))
            return
        guard = self._guard(position, now, holding=Holding(position.signed, None))
        guard.is_adopted = False
        guard.claimed_s, guard.claimed_ms = now.boot_s, now.exchange_ms
        self.out.put(ReadPositions(key.subaccount))

    def _closed(self, key: Key, now: Moment) -> None:
        """A hook claims the holding is gone: believed only once the exchange says so."""
        if (guard := self.by_key.get(key)) is not None:
            guard.close_claimed_ms = now.exchange_ms
            guard.wake_at(now.boot_s)

    def _guard(self, position: Position, now: Moment, *, holding: Holding) -> Guard:
        """Begin a new epoch."""
        settings, key = self.terms.settings, position.key
        guard = Guard(
            key=key,
            side=position.side,
            holding=holding,
            entry=position.entry,
            rule=settings.rule_for(key.ticker) if settings.adopt_default else None,
            out=self.out,
            began_ms=now.exchange_ms,
        )
        guard.was_armed = self.armed_before.get(key) is position.side and key not in self.ended_ms
        self.by_key[key] = guard
        self.keys_of[key.ticker] = tuple(sorted((*self.keys_of.get(key.ticker, ()), key)))
        guard.wake_at(now.boot_s)
        self.out.put(ReadMarket(key.ticker))
        self.out.put(ReadResting(key, now.boot_s))
        return guard


def _key_of(message: OrderReport | Answered | Swept | PersonAsks) -> Key:
    if isinstance(message, OrderReport):
        return Key(message.subaccount, message.ticker)
    return message.key
