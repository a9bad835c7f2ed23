"""One holding under guard: what the monitor knows of it. Pure data and its one way to change state.

A guard lives for one position epoch: one continuous holding of one side under one key. It is owned
by the monitor thread; arming.py, selling.py and settling.py say what happens to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from base.feed.freshness import Freshness
from base.feed.watch import Sighting
from base.model import Fill, Key, Market, OrderReport, ShardStatus, Side
from base.risk.counting import Attempt, Holding
from base.risk.decide import Moment
from base.risk.exit_lifecycle import EXITING, Event, State, advance
from base.risk.intent import Intent
from base.risk.limits import Pace
from base.risk.messages import Effect, Line, Outbox, Row
from base.risk.rules import Renewal, Rule, Stop, StopSettings
from base.units import ZERO, PriceGrid, price_text

RING_EVERY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything a step may know besides the guard itself."""

    now: Moment
    settings: StopSettings
    account: str  # hash of the key id: part of every order id
    is_live: bool
    new_bits: Callable[[], int]  # 64 random bits, drawn by the shell
    market: Market | None
    shard: ShardStatus | None  # None: never read; then only the market's own status speaks
    resumed_s: float  # when the market or its shard last began to take orders again
    seen: Sighting | None
    freshness: Freshness

    def grid_of(self, side: Side) -> PriceGrid | None:
        """The price grid seen from ``side``; ``None`` while the market is not known."""
        return None if self.market is None else self.market.grid_of(side)


class Decided(NamedTuple):
    """What the core decided, and what it counted. A change of it is journalled."""

    kind: str  # Hold | Unknown | NoBid | Exit
    reason: str
    peak: Decimal | None  # of a trailing stop
    counters: tuple[object, ...]  # of the filters that wait for time or repetition
    confirmed: bool | None  # None: nothing to confirm


@dataclass(slots=True, kw_only=True)
class Guard:
    """The state of one epoch. ``side`` never changes: the other side is another epoch."""

    key: Key
    side: Side
    holding: Holding
    entry: Decimal | None
    rule: Rule | None
    out: Outbox
    began_ms: int
    state: State = State.UNPROTECTED
    reason: str = "no_evidence"
    stop: Stop | None = None
    pending: Stop | None = None  # made by a resize; takes over once it has been seen safe
    renewal: Renewal | None = None  # what new settings say of its rule, until that can be judged
    is_renewed: bool = False  # its rule came with new settings and was never seen safe
    exit_settings: StopSettings | None = None  # those its open exit began with, once they have changed
    is_outdated: bool = False  # count or entry changed during an exit: the stop must be made anew
    target_is_armed: bool = False
    is_adopted: bool = True
    was_armed: bool = False  # the journal shows it ARMED or exiting before this start
    peak_before: Decimal | None = None  # of its trailing stop, before this start or a cancel
    is_cancelled: bool = False  # a person withdrew its exit: nothing fires before it was seen safe
    intent: Intent | None = None
    past: list[Attempt] = field(default_factory=list)  # of exits that ended here, until they are counted
    unplaced: list[Fill] = field(default_factory=list)  # fills whose order is not known yet
    resting: dict[str, OrderReport] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    claimed_s: float | None = None  # a hook's claim that no report has confirmed yet
    claimed_ms: int = 0
    close_claimed_ms: int | None = None
    contradicted_s: float | None = None  # since when positions reads miss what no trade took away
    uncovered_s: float | None = None  # since when it is UNPROTECTED and nothing says so
    beside_s: float | None = None  # since when contracts beside its exit are held and nothing says so
    unknown_since_s: float | None = None
    is_blind: bool = False
    due_s: float | None = None  # when it wants attention again
    asked_s: dict[str, float] = field(default_factory=dict)  # newest request by kind
    alarms: dict[str, float] = field(default_factory=dict)  # ringing: reason → next ring
    said: str = ""  # newest UNPROTECTED reason that was logged
    decided: Decided | None = None  # newest decision, and
    decided_ms: int = 0  # when it last became another one
    looked_ms: int = 0  # the exchange's time of the newest look, and
    bid: Decimal | None = None  # what it showed

    @property
    def count(self) -> Decimal:
        """Contracts held on this epoch's side; 0 when gone or turned over.

        Without those that orders of an exit that ended sold by their answers, whose fills come later:
        the next exit must not sell them again.
        """
        return max(self._reported - self._unseen, ZERO)

    @property
    def is_gone(self) -> bool:
        """Whether nothing is held on this side by fills and reports; an answer alone says no such thing."""
        return self._reported <= ZERO

    @property
    def _reported(self) -> Decimal:
        """Contracts on this side by fills and reports; below 0 when it turned over."""
        return self.holding.signed if self.side is Side.YES else -self.holding.signed

    @property
    def _unseen(self) -> Decimal:
        late = (attempt for attempt in self.past if not self.holding.has_counted(attempt))
        return sum((self.holding.unseen(attempt) for attempt in late), ZERO)

    def leave_behind(self, intent: Intent) -> None:
        """Its exit ends with contracts left: what its orders sold is still to be counted."""
        self.past += intent.attempts
        self._credit_past(intent.taken_off)
        self.forget_counted()

    def credit(self, lowered: Decimal) -> None:
        """A report lowered what is held by so much and no fill says why: orders that sold it do."""
        left = self._credit_past(lowered)
        if self.intent is not None:
            self.intent.taken_off += left  # the answer may still be on its way

    def _credit_past(self, lowered: Decimal) -> Decimal:
        for attempt in self.past:
            unseen = self.holding.unseen(attempt)
            part = min(lowered, unseen)
            attempt.taken_off = attempt.filled - unseen + part
            lowered -= part
        return lowered

    def forget_counted(self) -> None:
        """Let go of past orders that are off what is held."""
        if self.past:
            self.past = [attempt for attempt in self.past if not self.holding.has_counted(attempt)]

    @property
    def has_flipped(self) -> bool:
        """Whether the other side is held now."""
        signed = self.holding.signed
        return signed < 0 if self.side is Side.YES else signed > 0

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held any more, by fills or a report. What a restart guesses is neither."""
        return self.holding.signed == 0 and self.holding.is_certain

    @property
    def is_exiting(self) -> bool:
        """Whether an intent is open."""
        return self.state in EXITING

    @property
    def is_over(self) -> bool:
        """Whether the epoch has ended."""
        return self.state in (State.CLOSED, State.RETIRED)

    def move(self, event: Event, ctx: Context, **inputs: object) -> None:
        """Change state by the table and journal the change with its inputs."""
        before, self.state = self.state, advance(self.state, event)
        intent = self.intent
        self.put(
            Row(
                table="transitions",
                values={
                    "at_ms": ctx.now.exchange_ms,
                    "now_s": ctx.now.boot_s,
                    "subaccount": self.key.subaccount,
                    "ticker": self.key.ticker,
                    "side": self.side.value,
                    "intent_id": None if intent is None else intent.id,
                    "attempt": None if intent is None or intent.last is None else intent.last.number,
                    "from_state": before.value,
                    "event": event.value,
                    "to_state": self.state.value,
                    "inputs": {"count": self.count, "reason": self.reason, **inputs},
                },
            )
        )

    def put(self, effect: Effect) -> None:
        """Ask for one effect."""
        self.out.put(effect)

    def line(self, event: str, **fields: object) -> None:
        """Write one line of the stop-loss log."""
        self.put(Line(event=event, key=self.key, side=self.side, fields=fields))

    def say_armed(self, stop: Stop, bid: Decimal | None, reason: str) -> None:
        """Tell which levels are armed from now on."""
        self.line(
            "ARMED", count=self.count, entry=self.entry, trigger=stop.trigger, target=stop.target, bid=bid,
            rule=stop.rule.name, reason=reason,
        )  # fmt: skip

    def ask(self, effect: Effect, ctx: Context, every_s: float) -> None:
        """Ask for a read, at most once in ``every_s`` seconds for each kind."""
        kind = type(effect).__name__
        if ctx.now.boot_s - self.asked_s.get(kind, float("-inf")) >= every_s:
            self.asked_s[kind] = ctx.now.boot_s
            self.put(effect)

    def wake_at(self, at_s: float) -> None:
        """Want attention at ``at_s`` at the latest."""
        self.due_s = at_s if self.due_s is None else min(self.due_s, at_s)

    def ring(self, reason: str, ctx: Context) -> None:
        """Raise an alarm; while it holds it rings again every minute, never silenced."""
        next_ring = self.alarms.get(reason)
        if next_ring is None or ctx.now.boot_s >= next_ring:
            self.alarms[reason] = ctx.now.boot_s + RING_EVERY_S
            self.line("ALARM", reason=reason)

    def ring_on(self, ctx: Context) -> None:
        """What rings goes on ringing, whether or not the step at hand came by the place that raised it."""
        for reason in list(self.alarms):
            self.ring(reason, ctx)

    def hush(self, reason: str) -> None:
        """The condition is over."""
        self.alarms.pop(reason, None)

    def protect(self) -> None:
        """The contracts are covered or exiting: what said otherwise is over."""
        self.said = ""
        for reason in [ringing for ringing in self.alarms if ringing.startswith("unprotected_")]:
            self.hush(reason)

    def say_added(self, ctx: Context, count: Decimal) -> None:
        """Contracts were added while an exit is open: nothing covers them until it ends."""
        self.line("UNPROTECTED", count=count, reason="added")
        self.ring("unprotected_added", ctx)

    def average_in(self, before: Decimal, more: Decimal, price: Decimal) -> None:
        """Let ``more`` contracts bought at ``price`` move the average entry of the ``before`` held."""
        if self.entry is not None:
            self.entry = (self.entry * before + price * more) / (before + more)

    def unprotected(self, reason: str, ctx: Context, *, is_loud: bool = True) -> None:
        """Say why the contracts are not covered; once per reason, and an alarm while it lasts."""
        for other in [ringing for ringing in self.alarms if ringing.startswith("unprotected_")]:
            if other != f"unprotected_{reason}":
                self.hush(other)
        self.reason = reason
        if self.said != reason and is_loud:
            self.said = reason
            self.line("UNPROTECTED", count=self.count, reason=reason)
        if is_loud:
            self.ring(f"unprotected_{reason}", ctx)


def level_text(level: Decimal | None) -> str:
    """Write a price for a log line; ``-`` for none."""
    return "-" if level is None else price_text(level)
