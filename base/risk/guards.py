"""All holdings under guard, and what each message means for them. Pure: given messages, looks and ``now``.

Owned by the monitor thread. What has to be done leaves through ``out``, in order: rows of the
journal before the orders they stand for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
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
from base.risk import answers, arming, reloading, selling, settling, standing
from base.risk.counting import AS_OF_MARGIN_MS, Holding
from base.risk.decide import Moment
from base.risk.exit_lifecycle import State
from base.risk.guard import RING_EVERY_S, Context, Guard
from base.risk.messages import (
    AlarmChanged,
    Answered,
    Closed,
    ElsewhereSeen,
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
    SettingsChanged,
    ShardsSeen,
    Sweep,
    Swept,
)
from base.risk.rules import StopSettings

Look = Callable[[Guard, bool], tuple[Sighting | None, Freshness]]
"""Look at a guard's market; with True only glance, so that the next look still sees the extremes."""
ANSWER_OVERDUE_S = 10.0
MOST_ATTEMPTS = 60
"""Attempts a minute on the account beyond which something is wrong."""
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
    """What the monitor works with. Only ``settings`` are ever replaced: by a person, while it runs."""

    settings: StopSettings
    account: str
    is_live: bool  # False: orders fill on paper; only the words of the log differ
    subaccounts: frozenset[int]
    new_bits: Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Buried:
    """What is remembered of an epoch that ended, so that late news of it begins no new one."""

    ended_ms: int
    holding: Holding
    order_ids: frozenset[str]
    had_intent: bool

    def knows(self, fill: Fill) -> bool:
        """Whether ``fill`` belongs to what ended."""
        last_ms = self.holding.last_fill_ms
        return (
            self.holding.has_seen(fill.trade_id)
            or fill.order_id in self.order_ids
            or (last_ms is not None and fill.ts_ms < last_ms)
        )


@dataclass(slots=True)
class Guards:
    """The state of the monitor."""

    terms: Terms
    # What the journal showed ARMED or exiting before this start: it may act on its first fresh evidence.
    armed_before: dict[Key, Side] = field(default_factory=dict)
    out: Outbox = field(default_factory=Outbox)
    by_key: dict[Key, Guard] = field(default_factory=dict)
    keys_of: dict[str, tuple[Key, ...]] = field(default_factory=dict)  # by ticker, ascending
    markets: dict[str, Market] = field(default_factory=dict)
    shards: dict[int, ShardStatus] = field(default_factory=dict)
    resumed_s: dict[str, float] = field(default_factory=dict)
    latched_until_s: dict[Key, float] = field(default_factory=dict)
    buried: dict[Key, Buried] = field(default_factory=dict)  # epochs that ended: late news of them is old
    foreign: dict[Key, str] = field(default_factory=dict)  # held where we may not sell
    sent_s: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_ATTEMPTS + 1))
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
                self._push(message, now)
            case LifecycleEvent():
                self._lifecycle(message, now)
            case MarketsSeen(markets=markets):
                self._succeeded("ReadMarket")
                for market in markets.values():
                    self._market(market, now)
            case ShardsSeen(shards=shards):
                self._succeeded("exchange_status")
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
            case SettingsChanged(settings=settings):
                self._reload(settings, now)
            case AlarmChanged(is_on=True):
                self.ring(message.reason, now, details=message.details)
            case AlarmChanged(reason=reason):
                self.alarms.pop(reason, None)
            case ElsewhereSeen():
                self._elsewhere(message, now)

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

    def note_sent(self, now: Moment) -> None:
        """Count an attempt; more than 60 a minute on the account is an alarm, never a stop."""
        self.sent_s.append(now.boot_s)
        if len(self.sent_s) > MOST_ATTEMPTS and now.boot_s - self.sent_s[0] <= 60.0:
            self.ring("many_attempts", now)
        else:
            self.alarms.pop("many_attempts", None)

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
            settings=guard.exit_settings or self.terms.settings,
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
            reloading.renew(guard, ctx)
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
            guard.wake_at(max(attempt.sent_s + ANSWER_OVERDUE_S, ctx.now.boot_s) + 1.0)

    def _of_key(self, key: Key, message: Message, look: Look, now: Moment) -> None:
        if (guard := self.by_key.get(key)) is None:
            return
        ctx = self.context(guard, look, now, glance=True)
        match message:
            case OrdersRead():
                self._succeeded("ReadOrders")
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
        self._step_all(key.ticker, look, now)

    def _step_all(self, ticker: str, look: Look, now: Moment) -> None:
        """All holdings in a market look together: the last look ends what was kept for them."""
        for key in self.keys_of.get(ticker, ()):
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
        self._remember(guard, ctx)
        signed = guard.holding.signed
        if guard.state is State.CLOSED and signed != 0 and not guard.holding.is_certain:
            self.out.put(ReadPositions(guard.key.subaccount))
        elif guard.state is State.CLOSED and signed != 0:
            position = Position(
                ticker=guard.key.ticker,
                side=Side.YES if signed > 0 else Side.NO,
                count=abs(signed),
                entry=guard.entry if not guard.has_flipped else None,
                subaccount=guard.key.subaccount,
            )
            self._guard(position, ctx.now, holding=guard.holding)
            self.out.put(ReadPositions(guard.key.subaccount))

    def _remember(self, guard: Guard, ctx: Context) -> None:
        intent = guard.intent
        attempts = intent.attempts if intent is not None else []
        self.buried[guard.key] = Buried(
            ended_ms=ctx.now.exchange_ms,
            holding=guard.holding,
            order_ids=frozenset(attempt.order_id for attempt in attempts if attempt.order_id is not None),
            had_intent=intent is not None,
        )
        if intent is not None:
            self.latched_until_s[guard.key] = ctx.now.boot_s + self.terms.settings.reentry_cooldown_s
            for wait_s in LATE_LISTINGS_S:
                self.out.put(ReadResting(guard.key, ctx.now.boot_s + wait_s))

    # --- reports ----------------------------------------------------------------------------------

    def _positions(self, read: PositionsRead, look: Look, now: Moment) -> None:
        self._succeeded("ReadPositions")
        self.has_positions.add(read.subaccount)
        listed = {position.key: position for position in read.positions}
        for key, guard in list(self.by_key.items()):
            if key.subaccount == read.subaccount:
                ctx = self.context(guard, look, now, glance=True)
                settling.absorb_position(guard, ctx, listed.get(key), read.as_of_ms)
                self._bury_if_over(guard, ctx)
        for ticker in sorted({key.ticker for key in self.by_key if key.subaccount == read.subaccount}):
            self._step_all(ticker, look, now)
        for key, position in listed.items():
            market = self.markets.get(key.ticker)
            is_settling = market is not None and market.status.is_settling
            if key not in self.by_key and not is_settling and not self._is_old_news(key, read.as_of_ms):
                self._guard(position, now, holding=Holding(position.signed, read.as_of_ms))

    def _is_old_news(self, key: Key, as_of_ms: int | None) -> bool:
        """A read that lags behind the exit we just confirmed may still list what is sold."""
        buried = self.buried.get(key)
        return buried is not None and (as_of_ms is None or as_of_ms <= buried.ended_ms + AS_OF_MARGIN_MS)

    def _fill(self, fill: Fill, look: Look, now: Moment) -> None:
        key = Key(fill.subaccount, fill.ticker)
        if fill.subaccount not in self.terms.subaccounts:
            self._foreign(key, fill.post_position != 0, now)
            return
        if (guard := self.by_key.get(key)) is None:
            self._adopt_fill(key, fill, now)
            return
        ctx = self.context(guard, look, now, glance=True)
        settling.absorb_fill(guard, ctx, fill)
        self._bury_if_over(guard, ctx)
        self._step_all(key.ticker, look, now)

    def _adopt_fill(self, key: Key, fill: Fill, now: Moment) -> None:
        """A trade in a market that is not guarded: its contracts are, from now on."""
        after, buried = fill.post_position, self.buried.get(key)
        if buried is not None and buried.knows(fill):
            return
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

    def _push(self, push: PositionPush, now: Moment) -> None:
        key = Key(push.subaccount, push.ticker)
        if push.subaccount not in self.terms.subaccounts:
            self._foreign(key, push.signed_count != 0, now)
        elif key not in self.by_key and push.signed_count != 0:
            self.out.put(ReadPositions(push.subaccount))

    def _foreign(self, key: Key, is_held: bool, now: Moment) -> None:
        """A holding in a sub-account we were not told to guard: said loudly while it lasts."""
        reason = f"unprotected_subaccount_{key.subaccount}"
        if is_held:
            self.foreign[key] = reason
            self.ring(reason, now, market=key.ticker)
            return
        self.foreign.pop(key, None)
        if reason not in self.foreign.values():
            self.alarms.pop(reason, None)

    def _elsewhere(self, seen: ElsewhereSeen, now: Moment) -> None:
        gone = {key.ticker for key in self.foreign if key.subaccount == seen.subaccount} - seen.tickers
        for ticker in sorted(gone | seen.tickers):
            self._foreign(Key(seen.subaccount, ticker), ticker in seen.tickers, now)

    def _reload(self, settings: StopSettings, now: Moment) -> None:
        for guard in self.by_key.values():
            reloading.announce(guard, self.terms.settings, settings)
            guard.wake_at(now.boot_s)
        self.terms = replace(self.terms, settings=settings)

    def _resting(self, seen: RestingSeen) -> None:
        self._succeeded("ReadResting")
        guard, buried = self.by_key.get(seen.key), self.buried.get(seen.key)
        if buried is not None and buried.had_intent:
            left_over = tuple(
                order.order_id
                for order in seen.orders
                if order.created_ms is not None and order.created_ms <= buried.ended_ms
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

    def _succeeded(self, what: str) -> None:
        self.failing_since_s.pop(what, None)
        self.alarms.pop(f"read_failed_{what}", None)

    def _failed(self, what: str, now: Moment) -> None:
        since_s = self.failing_since_s.setdefault(what, now.boot_s)
        if now.boot_s - since_s > READS_FAILING_S:
            self.ring(f"read_failed_{what}", now)

    # --- markets --------------------------------------------------------------------------------

    def _market(self, market: Market, now: Moment) -> None:
        before = self.markets.get(market.ticker)
        self.markets[market.ticker] = market
        was_open = before is None or before.is_open_at(now.exchange_ms)
        if market.is_open_at(now.exchange_ms) and not was_open:
            self._resumed(market.ticker, now)
        for guard in self._guards_of(market.ticker):
            if guard.intent is not None and guard.intent.awaits_market:
                guard.intent.not_before_s, guard.intent.awaits_market = now.boot_s, False
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
        guard.was_armed = self.armed_before.pop(key, None) is position.side
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
