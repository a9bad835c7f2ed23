"""Follows series: its thread reads their listings by REST and says which markets the feed needs."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from base.clock import Clock, boot_ms
from base.errors import MonitorError
from base.feed.backoff import Backoff
from base.feed.clock_offset import ClockOffset
from base.feed.worker import Crashed, Worker
from base.kalshi.series import (
    Pace,
    SeriesView,
    next_look_ms,
    open_markets,
    take_look,
    to_ask_by_name,
    to_follow,
)
from base.model import Market
from base.units import typed_name

log = logging.getLogger(__name__)

LONGEST_RETRY_S = 30.0
Want = Callable[[str, Collection[str]], None]


class Lister(Protocol):
    """Reads what the exchange lists, by REST. Every call may raise ``MonitorError``."""

    def open_markets(self, series: str) -> Collection[Market]:
        """The open markets of a series."""

    def unopened_markets(self, series: str) -> Collection[Market]:
        """Those that are listed and not open yet."""

    def markets(self, tickers: Collection[str]) -> Mapping[str, Market]:
        """The markets that exist among ``tickers``."""


class _Series:
    """What the thread keeps of one series."""

    def __init__(self, pace: Pace):
        self.view = SeriesView()
        self.backoff = Backoff(pace.first_look_s, LONGEST_RETRY_S)
        self.due_s = float("-inf")  # boot clock: a wall clock that is set must not put a look off
        self.empty_since_s: float | None = None
        self.is_said_empty = False
        self.has_been_open = False
        self.problem = ""


class SeriesFollower:
    """Keeps the markets of each followed series subscribed as they come and go.

    Args:
        lister: Reads the listings.
        want: Told who (the series) wants exactly which tickers now.
        clock: Time.
        offset: The exchange's clock against ours; close times are the exchange's.
        pace: How closely a series is followed.
        on_crashed: Told when the thread dies.
    """

    def __init__(
        self,
        lister: Lister,
        want: Want,
        clock: Clock,
        offset: ClockOffset,
        *,
        pace: Pace | None = None,
        on_crashed: Crashed | None = None,
    ):
        self._lister, self._want, self._clock, self._offset = lister, want, clock, offset
        self._pace = pace or Pace()
        tick_s = self._pace.tick_s
        self._worker = Worker("series follower", self.run_once, tick_s, on_crashed or _log_crash)
        self._lock = threading.Lock()  # what is asked for
        # Guarded by _lock for writing; replaced whole, so reading needs none:
        self._asked: frozenset[str] = frozenset()
        # Owned by the thread; others only read the views, which never change after birth:
        self._series: dict[str, _Series] = {}

    # --- called from other threads; all return at once ------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End the thread; ``False``: it was still busy after ``timeout_s`` seconds."""
        return self._worker.stop(timeout_s)

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._worker.is_alive()

    def follow(self, series: str) -> None:
        """Subscribe the markets of ``series`` from now on, as they come and go. Twice is once.

        Raises:
            ValueError: If ``series`` is no name. An empty one would ask for every market there is.
        """
        with self._lock:
            self._asked |= {typed_name(series)}
        self._worker.wake()

    def unfollow(self, series: str) -> None:
        """Let go of ``series`` and of its markets."""
        with self._lock:
            self._asked -= {series}
        self._worker.wake()

    def open_markets(self, series: str) -> tuple[Market, ...]:
        """The markets of ``series`` that are open now as far as the last look knows; no request."""
        known = self._series.get(series)
        return () if known is None else open_markets(known.view, self._now_ms())

    def said(self) -> dict[str, str]:
        """In words, what is wrong with each series that is followed; ``""``: nothing."""
        return {
            series: known.problem if (known := self._series.get(series)) else ""
            for series in sorted(self._asked)
        }

    # --- the thread -----------------------------------------------------------------------------

    def run_once(self) -> None:
        """Look at every series that is due, then say what is wanted of all."""
        asked = self._asked
        for series in set(self._series) - asked:
            self._want(_who(series), ())
            self._series = {name: known for name, known in self._series.items() if name != series}
        for series in sorted(asked):
            if series not in self._series:
                self._series = {**self._series, series: _Series(self._pace)}
            known = self._series[series]
            if self._clock.boot_s() >= known.due_s and not self._worker.is_stopping:
                self._look(series, known)
            # Also between looks and while they fail: what the clock alone says is done in time.
            self._want(_who(series), to_follow(known.view, self._now_ms(), self._pace))

    def _look(self, series: str, known: _Series) -> None:
        try:
            found = self._read(series, known.view)
        except MonitorError as e:
            if not known.backoff.failures:
                log.warning("series not read series=%s reason=%s", ascii(series), ascii(str(e)))
            known.problem = f"series {series} cannot be read: {e}"
            pause_s = known.backoff.next_delay_s(random.random()) + self._pace.first_look_s / 2
            known.due_s = self._clock.boot_s() + pause_s
            return
        known.backoff.reset()
        now_ms = self._now_ms()
        known.view = take_look(known.view, found, now_ms, self._pace)
        due_ms = next_look_ms(known.view, self._pace)
        assert due_ms is not None  # there was a look
        known.due_s = self._clock.boot_s() + max(0, due_ms - now_ms) / 1000
        self._note_emptiness(series, known, now_ms)

    def _read(self, series: str, view: SeriesView) -> list[Market]:
        """Everything one look shows. A market that opens between the calls is in the second one.

        First the coming, then the open: the other way round it would be in neither.
        """
        coming = [*self._lister.unopened_markets(series)]
        listed = [*coming, *self._lister.open_markets(series)]
        names = to_ask_by_name(view, listed)
        return [*listed, *self._lister.markets(names).values()] if names else listed

    def _note_emptiness(self, series: str, known: _Series, now_ms: int) -> None:
        """Say once that nothing is open, and once that it is again."""
        found, now_s = open_markets(known.view, now_ms), self._clock.boot_s()
        known.problem = "" if found else f"no open markets in series {series}"
        if found:
            if known.is_said_empty:
                log.info("series open again series=%s markets=%d", ascii(series), len(found))
            known.empty_since_s, known.is_said_empty, known.has_been_open = None, False, True
            return
        if known.empty_since_s is None:
            # Whoever has just asked for the series is told at once.
            known.empty_since_s = now_s if known.has_been_open else float("-inf")
        if not known.is_said_empty and now_s - known.empty_since_s >= self._pace.empty_for_s:
            known.is_said_empty = True
            log.warning("no open markets in series %s; it is looked for again", series)

    def _now_ms(self) -> int:
        """The exchange's time, or ours as long as it has not answered."""
        measured = self._offset.exchange_ms(boot_ms(self._clock))
        return self._clock.utc_ms() if measured is None else measured[0]


def _who(series: str) -> str:
    return f"series {series}"


def _log_crash(name: str, error: BaseException) -> None:
    log.critical("thread died name=%s", ascii(name), exc_info=error)
