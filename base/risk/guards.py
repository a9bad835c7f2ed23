"""All holdings under guard: who is held, who steps, who has ended, what rings. Pure: given looks and ``now``.

Owned by the monitor thread. What has to be done leaves through ``out``, in order: rows of the
journal before the orders they stand for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from base.feed.freshness import UNHEARD, Freshness
from base.feed.watch import Sighting
from base.model import (
    Fill,
    Key,
    Market,
    Position,
    ShardStatus,
    Side,
)
from base.risk import arming, person, readiness, reloading, selling, settling, standing, unsaid
from base.risk.counting import Holding
from base.risk.decide import Moment
from base.risk.exit_lifecycle import State
from base.risk.guard import RING_EVERY_S, Context, Guard
from base.risk.limits import Pace
from base.risk.messages import (
    Line,
    Outbox,
    ReadMarket,
    ReadPositions,
    ReadResting,
)
from base.risk.recovered import PastHolding
from base.risk.rules import StopSettings

Look = Callable[[Guard, bool], tuple[Sighting | None, Freshness]]
"""Look at a guard's market; with True only glance, so that the next look still sees the extremes."""
ANSWER_OVERDUE_S = 10.0
MOST_ATTEMPTS = 60
"""Attempts a minute on the account beyond which something is wrong."""
CATCH_UP_EVERY_S, CATCH_UP_FAILING_S = 2.0, 10.0
"""Between reads that catch up with a new connection, however often we sweep; and while they fail."""
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
    peaks_before: dict[Key, Decimal] = field(default_factory=dict)  # of trailing stops among them
    cancelled_before: dict[Key, Side] = field(default_factory=dict)  # a person withdrew its exit
    held_before: dict[Key, PastHolding] = field(default_factory=dict)  # what the journal knew of holdings
    out: Outbox = field(default_factory=Outbox)
    by_key: dict[Key, Guard] = field(default_factory=dict)
    keys_of: dict[str, tuple[Key, ...]] = field(default_factory=dict)  # by ticker, ascending
    markets: dict[str, Market] = field(default_factory=dict)
    shards: dict[int, ShardStatus] = field(default_factory=dict)
    resumed_s: dict[str, float] = field(default_factory=dict)
    latched_until_s: dict[Key, float] = field(default_factory=dict)
    paces: dict[Key, Pace] = field(default_factory=dict)  # a new epoch goes on at the market's old pace
    buried: dict[Key, Buried] = field(default_factory=dict)  # epochs that ended: late news of them is old
    # Per sub-account: reads of positions are repeated until one speaks for a moment later than this.
    catching_up_ms: dict[int, int] = field(default_factory=dict)
    foreign: dict[Key, str] = field(default_factory=dict)  # held where we may not sell
    sent_s: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_ATTEMPTS + 1))
    alarms: dict[str, float] = field(default_factory=dict)  # those that belong to no holding
    failing_since_s: dict[str, float] = field(default_factory=dict)
    next_catch_up_s: float = float("-inf")
    has_positions: set[int] = field(default_factory=set)  # sub-accounts read at least once

    # --- messages -----------------------------------------------------------------------------

    def step(self, key: Key, look: Look, now: Moment) -> None:
        """Let one holding see, decide and act."""
        if (guard := self.by_key.get(key)) is None:
            return
        guard.due_s = None
        ctx = self.context(guard, look, now, glance=False)
        person.go_on(guard, ctx)
        self._dispatch(guard, ctx)
        settling.count_past(guard, ctx)
        arming.claim_timer(guard, ctx)
        unsaid.say(guard, ctx)
        self.bury_if_over(guard, ctx)

    def ring(self, reason: str, now: Moment, **fields: object) -> None:
        """Raise an alarm that belongs to no holding; it rings again every minute."""
        if now.boot_s >= self.alarms.get(reason, float("-inf")):
            self.alarms[reason] = now.boot_s + RING_EVERY_S
            self.out.put(Line(event="ALARM", key=None, side=None, fields={"reason": reason, **fields}))

    def sweep(self, now: Moment) -> None:
        """Do what no news asks for: reads that must catch up with a new connection, alarms that still hold.

        An alarm that was seen and forgotten comes back every minute.
        """
        if self.catching_up_ms and now.boot_s >= self.next_catch_up_s:
            # While the exchange refuses us, asking as often as we sweep would be hammering.
            is_failing = "ReadPositions" in self.failing_since_s
            self.next_catch_up_s = now.boot_s + (CATCH_UP_FAILING_S if is_failing else CATCH_UP_EVERY_S)
            for subaccount in sorted(self.catching_up_ms):
                self.out.put(ReadPositions(subaccount))
        for reason in list(self.alarms):
            self.ring(reason, now)
        for key, pace in list(self.paces.items()):
            if key not in self.by_key and pace.is_idle(now.boot_s):
                del self.paces[key]

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
        elif guard.state is State.UNKNOWN:
            settling.settle(guard, ctx)
        elif guard.state is State.CONFIRMING:
            settling.confirm_end(guard, ctx)
        elif guard.state is State.IN_FLIGHT:
            self._in_flight(guard, ctx)
        elif guard.state is State.TRIGGERED:
            selling.press(guard, ctx)
        elif ctx.market is None:
            readiness.want_market(guard, ctx)
        else:
            standing.stand(guard, ctx)

    def _in_flight(self, guard: Guard, ctx: Context) -> None:
        sent_s = guard.intent.last.sent_s if guard.intent and guard.intent.last else None
        assert sent_s is not None  # an attempt in flight was sent
        if ctx.now.boot_s - sent_s > ANSWER_OVERDUE_S:
            guard.ring("answer_overdue", ctx)
        guard.wake_at(max(sent_s + ANSWER_OVERDUE_S, ctx.now.boot_s) + 1.0)

    def step_all(self, ticker: str, look: Look, now: Moment) -> None:
        """All holdings in a market look together: the last look ends what was kept for them."""
        for key in self.keys_of.get(ticker, ()):
            self.step(key, look, now)

    def bury_if_over(self, guard: Guard, ctx: Context) -> None:
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
        if guard.state is State.CLOSED and signed != 0:
            self.out.put(ReadPositions(guard.key.subaccount))
        if guard.state is State.CLOSED and guard.holding.is_certain and (guard.count or guard.has_flipped):
            position = Position(
                ticker=guard.key.ticker,
                side=Side.YES if signed > 0 else Side.NO,
                count=guard.count or abs(signed),
                entry=guard.entry if not guard.has_flipped else None,
                subaccount=guard.key.subaccount,
            )
            rest = self.begin(position, ctx.now, holding=guard.holding)
            rest.is_cancelled, rest.past = guard.is_cancelled, [] if guard.has_flipped else guard.past

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

    def succeeded(self, what: str) -> None:
        self.failing_since_s.pop(what, None)
        self.alarms.pop(f"read_failed_{what}", None)

    # --- markets --------------------------------------------------------------------------------

    def of_ticker(self, ticker: str) -> list[Guard]:
        return [self.by_key[key] for key in self.keys_of.get(ticker, ())]

    # --- hooks and adoption -----------------------------------------------------------------------

    def begin(self, position: Position, now: Moment, *, holding: Holding) -> Guard:
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
            pace=self.pace_of(key),
        )
        peak = self.peaks_before.pop(key, None)
        if self.armed_before.pop(key, None) is position.side:
            guard.was_armed, guard.peak_before = True, peak
        if self.cancelled_before.pop(key, None) is position.side:
            guard.is_cancelled, guard.peak_before = True, peak
        self.add(guard, now)
        return guard

    def add(self, guard: Guard, now: Moment) -> None:
        """Guard one more holding: what must be known of its market is read."""
        key = guard.key
        self.by_key[key] = guard
        self.keys_of[key.ticker] = tuple(sorted((*self.keys_of.get(key.ticker, ()), key)))
        guard.wake_at(now.boot_s)
        self.out.put(ReadMarket(key.ticker))
        self.out.put(ReadResting(key, now.boot_s))

    def pace_of(self, key: Key) -> Pace:
        """The pace of the market's exits; it outlives an epoch."""
        return self.paces.setdefault(key, Pace())

    @staticmethod
    def blind(guard: Guard, glance: bool) -> tuple[Sighting | None, Freshness]:
        """The look of one who has seen nothing yet."""
        return None, UNHEARD
