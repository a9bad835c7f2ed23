"""One channel on one connection: what is wanted, what the exchange has acknowledged. Pure.

A channel has at most one subscription (``sid``) and, so that replies cannot overtake each other,
at most one changing command under way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from base.kalshi import commands
from base.kalshi.commands import PER_MARKET_CHANNELS

COMMAND_TIMEOUT_S = 5.0
MOST_SENDS = 4
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
LARGEST_BATCH = 250


class Verb(StrEnum):
    """What a command changes."""

    SUBSCRIBE = "subscribe"
    ADD = "add_markets"
    DELETE = "delete_markets"
    UNSUBSCRIBE = "unsubscribe"


@dataclass(slots=True)
class Pending:
    """A command that waits for its reply."""

    verb: Verb
    tickers: frozenset[str]
    ids: set[int]  # every time it was sent it got a new one; the reply to any of them counts
    sent_s: float
    sends: int = 1


class Channel:
    """The state of one channel. ``next_command`` says what to send; replies change the state."""

    def __init__(self, name: str):
        self.name = name
        self.is_per_market = name in PER_MARKET_CHANNELS
        self.wanted: set[str] = set()
        self.connected()

    def connected(self) -> None:
        """Begin a new connection: what an older one acknowledged or refused says nothing."""
        self.sid: int | None = None
        self.acked: set[str] = set()
        self.pending: Pending | None = None
        self.refused_until_s: dict[str, float] = {}
        self.failures = 0
        self.unanswered = 0  # commands given up on
        self._retry_s = float("-inf")
        self._batch = LARGEST_BATCH
        self._adds_by_subscribe = False

    def is_acked(self, ticker: str) -> bool:
        """Whether the exchange has acknowledged this market on this connection."""
        return self.sid is not None and ticker in self.acked

    def is_refused(self, ticker: str, now_s: float) -> bool:
        """Whether the exchange refuses this market, or the whole channel, for now."""
        return self._is_resting(now_s) or self.refused_until_s.get(ticker, now_s) > now_s

    # --- what to send ---------------------------------------------------------------------------

    def next_command(self, now_s: float, new_id: Callable[[], int]) -> str | None:
        """Return the command that is due now, ``None`` if none is."""
        if self.pending is not None:
            return self._again(now_s, new_id) if self._is_overdue(now_s) else None
        if now_s < self._retry_s:
            return None
        choice = self._choose(now_s)
        if choice is None:
            return None
        verb, tickers = choice
        command_id = new_id()
        self.pending = Pending(verb, tickers, {command_id}, now_s)
        return self._written(verb, tickers, command_id)

    def _choose(self, now_s: float) -> tuple[Verb, frozenset[str]] | None:
        if not self.is_per_market:
            return None if self.sid is not None else (Verb.SUBSCRIBE, frozenset())
        if self.wanted and self.wanted == self.acked and self.sid is not None:
            return None  # as nearly always
        missing = sorted(
            ticker for ticker in self.wanted - self.acked if self.refused_until_s.get(ticker, now_s) <= now_s
        )
        if missing:  # first add, then delete: the list must never run empty in between
            is_first = self.sid is None or self._adds_by_subscribe
            return (Verb.SUBSCRIBE if is_first else Verb.ADD), frozenset(missing[: self._batch])
        if self.sid is None:
            return None
        surplus = self.acked - self.wanted
        if surplus == self.acked:
            return Verb.UNSUBSCRIBE, frozenset(surplus)
        return (Verb.DELETE, frozenset(sorted(surplus)[: self._batch])) if surplus else None

    def _written(self, verb: Verb, tickers: frozenset[str], command_id: int) -> str:
        if verb is Verb.SUBSCRIBE:
            return commands.subscribe(command_id, self.name, tickers)
        assert self.sid is not None  # the other verbs are only chosen with a subscription
        if verb is Verb.ADD:
            return commands.add_markets(command_id, self.name, self.sid, tickers)
        if verb is Verb.DELETE:
            return commands.delete_markets(command_id, self.sid, tickers)
        return commands.unsubscribe(command_id, self.sid)

    def _is_overdue(self, now_s: float) -> bool:
        return self.pending is not None and now_s - self.pending.sent_s >= COMMAND_TIMEOUT_S

    def _again(self, now_s: float, new_id: Callable[[], int]) -> str | None:
        pending = self.pending
        assert pending is not None
        if pending.sends >= MOST_SENDS or (pending.verb is not Verb.SUBSCRIBE and self.sid is None):
            self.pending = None
            self.unanswered += 1
            self._wait(now_s)
            return None
        command_id = new_id()
        pending.ids.add(command_id)
        pending.sends += 1
        pending.sent_s = now_s
        return self._written(pending.verb, pending.tickers, command_id)

    # --- replies --------------------------------------------------------------------------------

    def on_subscribed(self, sid: int, command_id: int | None) -> None:
        """The first subscription was accepted."""
        self.sid = sid
        if self._answers(command_id):
            self._carried_out()

    def on_ok(self, sid: int | None, tickers: tuple[str, ...] | None, now_s: float) -> None:
        """The command under way was carried out; ``tickers`` is the whole list after it, if told."""
        pending = self.pending
        if self.sid is None:
            self.sid = sid
        if pending is None:
            return
        self._carried_out()
        if tickers is None:
            return
        self.acked = set(tickers)
        for ticker in pending.tickers - self.acked if pending.verb in (Verb.SUBSCRIBE, Verb.ADD) else ():
            self.refused_until_s[ticker] = now_s + LONGEST_RETRY_S  # accepted, and yet not on the list

    def on_unsubscribed(self) -> None:
        """The subscription has ended, by us or by them."""
        self.sid = None
        self.acked = set()
        if self.pending is not None and self.pending.verb is not Verb.SUBSCRIBE:
            self.pending = None

    def on_error(self, code: int, named: tuple[str, ...], now_s: float, *, is_ours: bool) -> None:
        """A command or the subscription failed. ``is_ours``: it answers the command under way."""
        pending = self.pending if is_ours else None
        if is_ours:
            self.pending = None
        if code in (7, 10, 25):  # unknown sid, channel error, overflow: the subscription is dead
            self.on_unsubscribed()
            self._wait(now_s)
        elif code in (8, 9):  # no such channel, or not for this key: asking again soon is no use
            self.sid, self.acked = None, set()
            self._retry_s = now_s + LONGEST_RETRY_S
            self.failures = MOST_SENDS
        elif code == 13 and pending is not None and pending.verb is Verb.ADD:
            self._adds_by_subscribe = True
        elif code in (11, 14, 16, 26) and pending is not None and pending.tickers:
            self._narrow(pending.tickers, named, now_s)
        else:
            self._wait(now_s)

    def adopt(self, sid: int) -> None:
        """A subscription that we did not know of exists: its markets are asked for again."""
        self.sid = sid
        self._retry_s = float("-inf")

    def _answers(self, command_id: int | None) -> bool:
        return self.pending is not None and (command_id is None or command_id in self.pending.ids)

    def _carried_out(self) -> None:
        pending, self.pending = self.pending, None
        assert pending is not None
        self.failures = 0
        if pending.verb in (Verb.SUBSCRIBE, Verb.ADD):
            self.acked |= pending.tickers
        elif pending.verb is Verb.DELETE:
            self.acked -= pending.tickers
        else:
            self.on_unsubscribed()

    def _narrow(self, tickers: frozenset[str], named: tuple[str, ...], now_s: float) -> None:
        """One of ``tickers`` is not accepted: leave out the named ones, else try smaller batches."""
        bad = tickers.intersection(named)
        if not bad and len(tickers) == 1:
            bad = tickers
        if not bad:
            self._batch = max(1, len(tickers) // 2)
        for ticker in bad:
            self.refused_until_s[ticker] = now_s + LONGEST_RETRY_S

    def _is_resting(self, now_s: float) -> bool:
        return self.failures >= MOST_SENDS and now_s < self._retry_s

    def _wait(self, now_s: float) -> None:
        self._retry_s = now_s + min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self.failures, 10))
        self.failures += 1
