"""The stop-loss monitor: the only thread that reads or writes stop and exit state.

Others send it frozen messages; it reads quotes from the price cache. A change wakes it, and it
sweeps every ``check_interval_s`` for what no wake-up tells: staleness, the clock, a missed call.
Each round: take messages, look, decide, journal, then act, in this order.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections.abc import Callable, Collection
from dataclasses import replace

from base.clock import Clock
from base.feed.freshness import Freshness
from base.feed.heartbeat import STUCK_S, Heartbeat
from base.feed.price_cache import PriceCache
from base.feed.watch import Sighting
from base.model import Key, Position
from base.risk import news, recovering
from base.risk.decide import Moment
from base.risk.event_log import EventLog
from base.risk.exit_executor import ExitExecutor
from base.risk.guard import Guard
from base.risk.guards import Guards, Terms
from base.risk.hold_log import HoldLog, unchanged
from base.risk.journal import Journal
from base.risk.messages import (
    Closed,
    ConfirmPrice,
    Effect,
    Line,
    Message,
    Opened,
    ProbeFeed,
    Row,
    Send,
    Sweep,
    Tell,
)
from base.risk.own_clock import OwnClock
from base.risk.ports import ExchangeTime, FeedPort, MonitorView, RefresherPort
from base.risk.reconciler import Reconciler
from base.risk.rules import StopSettings
from base.risk.views import Tally, monitor_view, position_view
from base.risk.writing_down import look_after, write_down

VIEW_EVERY_S = 0.5
VIEW_SOON_S = 0.02
"""After news: the order that it may be about has left by then, and what follows at once shares the view."""
Counted = Callable[[Tally], None]
"""Told after every line what has happened so far; it must not wait, and not keep it."""
_log = logging.getLogger(__name__)


class StopLossMonitor(threading.Thread):
    """Apply messages and prices one round at a time until stopped."""

    def __init__(
        self,
        settings: StopSettings,
        *,
        cache: PriceCache,
        feed: FeedPort,
        refresher: RefresherPort,
        executor: ExitExecutor,
        reconciler: Reconciler,
        journal: Journal,
        events: EventLog,
        clock: Clock,
        exchange_time: ExchangeTime,
        account: str,
        is_live: bool,
        subaccounts: Collection[int] = (0,),
        holds: HoldLog | None = None,
        crashed: Callable[[str, BaseException], None] | None = None,
        counted: Counted | None = None,
    ):
        super().__init__(name="stop-loss", daemon=True)
        self._cache = cache
        self._feed = feed
        self._refresher = refresher
        self._executor = executor
        self._reconciler = reconciler
        self._journal = journal
        self._holds = holds
        self._events = events
        self._clock = clock
        self._exchange_time, self._own_clock = exchange_time, OwnClock()
        self._crashed, self._counted = crashed, counted
        self.heart = Heartbeat(self.name)
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._watch = cache.watch(self._wake.set)
        # Owned by this thread:
        self._guards = Guards(
            Terms(
                settings=settings,
                account=account,
                is_live=is_live,
                subaccounts=frozenset(subaccounts),
                new_bits=lambda: secrets.randbits(64),
            )
        )
        self._held: frozenset[str] = frozenset()
        self._tally = Tally()
        self._next_sweep_s = 0.0
        self._next_view_s = 0.0
        self._has_news = False  # a line was written since the last look at it
        # Replaced whole by this thread, read by others:
        self._view = MonitorView()
        self._latched: frozenset[Key] = frozenset()

    # --- called from other threads --------------------------------------------------------------

    def submit(self, message: Message) -> None:
        """Tell the monitor something. Fills, reports and answers are never merged or dropped."""
        self._inbox.put(message)
        self._wake.set()

    def guard_subaccounts(self, numbers: Collection[int]) -> None:
        """Guard these instead of the configured ones. Before the start only."""
        self._guards.terms = replace(self._guards.terms, subaccounts=frozenset(numbers))

    def opened(self, position: Position) -> None:
        """Hook: a position was opened. It is subscribed and armed at once."""
        self.submit(Opened(position=position))

    def closed(self, ticker: str, subaccount: int = 0) -> None:
        """Hook: a position was closed. It is released once the exchange agrees."""
        self.submit(Closed(key=Key(subaccount, ticker)))

    def view(self) -> MonitorView:
        """What is known now, at most half a second old."""
        return self._view

    def is_latched(self, key: Key) -> bool:
        """Whether entries in this market must wait for an exit or its cool-down."""
        return key in self._latched

    def stop(self, timeout_s: float) -> None:
        """End after the round under way."""
        self._stopping.set()
        self._wake.set()
        if self.ident is not None:
            self.join(timeout_s)

    # --- this thread ------------------------------------------------------------------------------

    def run(self) -> None:
        """Go round until stopped; a crash is reported, never swallowed."""
        try:
            recovering.recover(self._guards, self._journal.recovered(), self._moment())
            while not self._stopping.is_set():
                self._wait()
                self._round()
        except Exception as e:
            _log.exception("the stop-loss monitor crashed")
            if self._crashed is None:
                raise
            self._crashed(self.name, e)

    def _wait(self) -> None:
        """Until something changes or is due."""
        due = [guard.due_s for guard in self._guards.by_key.values() if guard.due_s is not None]
        now_s = self._clock.boot_s()
        pause_s = max(0.0, min([self._next_sweep_s, self._next_view_s, *due]) - now_s)
        self.heart.due_s = now_s + pause_s + STUCK_S
        self._wake.wait(pause_s)
        self._wake.clear()

    def _round(self) -> None:
        # As many messages as wait now: a flood of them must not keep prices from being looked at.
        for _ in range(self._inbox.qsize()):
            news.take(self._guards, self._inbox.get(), self._look, self._moment())
        # What the messages asked for leaves before the looking begins: an order first of all.
        self._flush()
        began, changed = self._moment(), self._watch.take_changed()
        is_sweep = began.boot_s >= self._next_sweep_s
        for key in sorted(self._guards.by_key) if is_sweep else self._keys_to_step(changed, began.boot_s):
            self._guards.step(key, self._look, self._moment())
        self._hold_markets()
        self._flush()
        if is_sweep:
            self._sweep(began)
        self._publish()

    def _sweep(self, began: Moment) -> None:
        """Do what no news asks for; every holding has looked by now."""
        self._next_sweep_s = began.boot_s + self._guards.terms.settings.check_interval_s
        self._guards.sweep(began)
        look_after(self._journal, self._guards, began)
        measured = self._exchange_time.exchange_ms(round(began.boot_s * 1000))
        self._own_clock.judge(self._guards, self._clock.utc_ms(), measured, began)
        self._flush()
        if self._holds is not None:
            self._holds.write(unchanged(self._guards.by_key.values(), began))

    def _keys_to_step(self, changed: set[str], now_s: float) -> list[Key]:
        guards = self._guards.by_key
        changed |= {key.ticker for key, g in guards.items() if g.due_s is not None and g.due_s <= now_s}
        # All holdings in a market look together, in order: the last one ends the look.
        return [key for ticker in sorted(changed) for key in self._guards.keys_of.get(ticker, ())]

    def _look(self, guard: Guard, glance: bool) -> tuple[Sighting | None, Freshness]:
        ticker, stop = guard.key.ticker, guard.stop
        is_last = self._guards.keys_of[ticker][-1] == guard.key
        seen = self._watch.look(
            ticker,
            guard.side,
            trigger=None if stop is None else stop.trigger,
            target=None if stop is None else stop.target,
            dwell_s=0.0 if guard.rule is None else guard.rule.dwell_s,
            least_updates=1 if guard.rule is None else guard.rule.updates,
            keep=glance or not is_last,
        )
        return seen, self._cache.freshness(ticker) if seen is None else seen.freshness

    def _moment(self) -> Moment:
        """The time, for each message and each look. Whoever asks for it is not stuck."""
        now_s = self._clock.boot_s()
        self.heart.due_s = now_s + STUCK_S
        measured = self._exchange_time.exchange_ms(round(now_s * 1000))
        return Moment(now_s, self._clock.utc_ms() if measured is None else measured[0])

    def _hold_markets(self) -> None:
        wanted = self._guards.tickers
        if wanted == self._held:
            return
        for ticker in sorted(wanted - self._held):
            self._feed.hold(ticker)
            self._watch.follow(ticker)
        for ticker in sorted(self._held - wanted):
            self._watch.unfollow(ticker)
            self._feed.release(ticker)
        self._held = wanted
        self._reconciler.held = wanted

    def _flush(self) -> None:
        """Journal first, then act, then write about it. An order is made ready meanwhile."""
        effects, written = self._guards.out.take(), threading.Event()
        for effect in effects:
            if isinstance(effect, Send):
                self._executor.send(effect, clearance=written)
                self._guards.note_sent(self._moment())
        if effects:
            write_down(self._journal, self._guards, effects, self._moment())
        written.set()
        for effect in [*effects, *self._guards.out.take()]:
            self._do(effect)
        self._reconciler.exits_open = self._guards.exits_open

    def _do(self, effect: Effect) -> None:
        match effect:
            case Line():
                self._tally.note(effect)
                if self._counted is not None:
                    self._counted(self._tally)
                self._events.write(effect)
                self._has_news = True
            case Sweep():
                self._executor.sweep(effect)
            case Tell(reply, heard):
                reply(heard)
            case ConfirmPrice(ticker):
                self._refresher.request(ticker)
            case ProbeFeed(ticker):
                self._feed.probe(ticker)
            case Row() | Send():
                pass  # done above
            case _:
                self._reconciler.request(effect)

    def _publish(self) -> None:
        """Every change of state writes a line: entries are latched at once, the whole view follows soon."""
        now_s = self._clock.boot_s()
        is_due = now_s >= self._next_view_s
        if self._has_news or is_due:
            self._latch(now_s)
        if self._has_news:
            self._has_news = False
            self._next_view_s = min(self._next_view_s, now_s + VIEW_SOON_S)
        if is_due:
            self._next_view_s = now_s + VIEW_EVERY_S
            self._show()

    def _latch(self, now_s: float) -> None:
        guards = self._guards
        self._latched = frozenset(
            key for key in {*guards.by_key, *guards.latched_until_s} if guards.is_latched(key, now_s)
        )

    def _show(self) -> None:
        guards = self._guards
        views = [
            position_view(
                guard,
                self._cache.quote(key.ticker, guard.side),
                self._cache.freshness(key.ticker),
                self._cache.age_s(key.ticker),
            )
            for key, guard in guards.by_key.items()
        ]
        self._view = monitor_view(guards, views, self._tally)
