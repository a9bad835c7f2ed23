"""What one reader missed since it last looked, kept so that a touched trigger stays touched.

Between two looks quotes of a market are merged, but the merge keeps the whole quotes at the
lowest and highest bid and ask, how many updates there were, and since when each price has
been continuously touched. Pure: no lock, no clock; the price cache guards it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from decimal import Decimal

from base.feed.freshness import Freshness
from base.model import Quote, Side

JUMP = Decimal("0.15")
"""A fall of the bid in one update beyond this is suspicious (stops-and-exits.md §3.8). Dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """A level that is touched now: since when without a break, and in how many distinct updates."""

    since_s: float
    updates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One look at a market, from the side held: the evidence a decision is made on."""

    quote: Quote  # newest
    lowest: Quote  # whole quote at the lowest bid since the last look (the newest where there was none)
    highest: Quote  # whole quote at the highest bid
    updates: int  # distinct updates since the last look
    stop_touch: Touch | None  # bid <= trigger, continuously
    target_touch: Touch | None  # bid >= target, continuously
    sustained_bid: Decimal | None  # highest bid that stood for the rule's dwell and updates; None: none yet
    jumped_s: float | None  # newest update in which the bid fell by more than JUMP
    began_s: float  # since when this market has been watched without a gap (subscribe, resync, resume)
    confirmed_s: float  # newest moment at which ``quote`` was proven to stand: in-sequence frame or probe
    freshness: Freshness
    rest: Quote | None  # newest book read by REST, its time the request's start


class Track:
    """How long one price series has stood at or below, and at or above, any level.

    Two stacks of ``(value, since_s, update)``. In ``_below`` values fall from old to new and
    each says: the series has been <= value since then; in ``_above`` they rise and say >=.
    A new value pops what it contradicts, so a stack holds each grid price at most once.
    """

    __slots__ = ("_above", "_below")

    def __init__(self) -> None:
        self._below: list[tuple[Decimal, float, int]] = []
        self._above: list[tuple[Decimal, float, int]] = []

    def add(self, value: Decimal, at_s: float, update: int) -> None:
        """Append the newest value."""
        since, number = at_s, update
        below = self._below
        while below and below[-1][0] <= value:
            _, since, number = below.pop()
        below.append((value, since, number))
        since, number = at_s, update
        above = self._above
        while above and above[-1][0] >= value:
            _, since, number = above.pop()
        above.append((value, since, number))

    def at_most(self, level: Decimal) -> tuple[float, int] | None:
        """Return ``(since_s, update)`` from which on values were <= ``level``; ``None``: not now."""
        stack = self._below
        at = bisect_left(stack, -level, key=lambda entry: -entry[0])
        return stack[at][1:] if at < len(stack) else None

    def at_least(self, level: Decimal) -> tuple[float, int] | None:
        """Return ``(since_s, update)`` from which on values were >= ``level``; ``None``: not now."""
        stack = self._above
        at = bisect_left(stack, level, key=lambda entry: entry[0])
        return stack[at][1:] if at < len(stack) else None

    def highest_since(self, since_s: float, update: int) -> Decimal | None:
        """Return the highest level the series has kept at or above since then, in that many updates."""
        for value, began_s, number in reversed(self._above):
            if began_s <= since_s and number <= update:
                return value
        return None

    def lowest_since(self, since_s: float, update: int) -> Decimal | None:
        """Return the lowest level the series has kept at or below since then, in that many updates."""
        for value, began_s, number in reversed(self._below):
            if began_s <= since_s and number <= update:
                return value
        return None


class MarketWatch:
    """The merge of one market's quotes for one reader. Quotes are kept as they come, on the YES scale."""

    __slots__ = (
        "_ask_jumped_s", "_asks", "_began_s", "_bid_jumped_s", "_bids", "_high_ask", "_high_bid",
        "_last_ask", "_last_bid",
        "_low_ask", "_low_bid", "_newest", "_pending", "_updates",
    )  # fmt: skip

    def __init__(self, began_s: float) -> None:
        self.restart(began_s)

    def restart(self, at_s: float) -> None:
        """Forget everything: after a gap nothing says what happened in between."""
        self._began_s = at_s
        self._bids, self._asks = Track(), Track()
        self._newest: Quote | None = None
        self._last_bid: Decimal | None = None
        self._last_ask: Decimal | None = None
        self._low_bid: Quote | None = None
        self._high_bid: Quote | None = None
        self._low_ask: Quote | None = None
        self._high_ask: Quote | None = None
        self._bid_jumped_s: float | None = None
        self._ask_jumped_s: float | None = None
        self._updates = 0
        self._pending = 0

    def see(self, quote: Quote) -> None:
        """Take in the newest quote, seen from YES."""
        self._newest = quote
        self._updates += 1
        self._pending += 1
        at_s = quote.received_s
        if (bid := quote.bid) is not None:
            self._bids.add(bid, at_s, self._updates)
            # An empty moment in between hides no jump: compare with the last bid there was.
            if self._last_bid is not None and self._last_bid - bid > JUMP:
                self._bid_jumped_s = at_s
            self._last_bid = bid
            if self._low_bid is None or bid <= self._low_bid.bid:  # type: ignore[operator]
                self._low_bid = quote
            if self._high_bid is None or bid >= self._high_bid.bid:  # type: ignore[operator]
                self._high_bid = quote
        if (ask := quote.ask) is not None:
            self._asks.add(ask, at_s, self._updates)
            if self._last_ask is not None and ask - self._last_ask > JUMP:
                self._ask_jumped_s = at_s
            self._last_ask = ask
            if self._low_ask is None or ask <= self._low_ask.ask:  # type: ignore[operator]
                self._low_ask = quote
            if self._high_ask is None or ask >= self._high_ask.ask:  # type: ignore[operator]
                self._high_ask = quote

    @property
    def newest(self) -> Quote | None:
        """The newest quote seen since the last restart."""
        return self._newest

    def look(
        self,
        side: Side,
        *,
        trigger: Decimal | None,
        target: Decimal | None,
        dwell_s: float,
        least_updates: int,
        now_s: float,
        confirmed_s: float,
        freshness: Freshness,
        rest: Quote | None,
        keep: bool = False,
    ) -> Sighting | None:
        """Say what was seen from ``side`` since the last look; ``None``: nothing yet.

        The next look begins anew unless ``keep``: then this one was only a glance.
        """
        newest = self._newest
        if newest is None:
            return None
        lowest, highest = self._extremes(side)
        sighting = Sighting(
            quote=newest.seen_from(side),
            lowest=(lowest or newest).seen_from(side),
            highest=(highest or newest).seen_from(side),
            updates=self._pending,
            stop_touch=self._touch_below(side, trigger),
            target_touch=self._touch_above(side, target),
            sustained_bid=self._sustained(side, now_s - dwell_s, self._updates - least_updates + 1),
            jumped_s=self._bid_jumped_s if side is Side.YES else self._ask_jumped_s,
            began_s=self._began_s,
            confirmed_s=max(confirmed_s, newest.received_s),
            freshness=freshness,
            rest=None if rest is None else rest.seen_from(side),
        )
        if keep:
            return sighting
        self._pending = 0
        # The next look begins with the quote that stands now: it may be touched without any update.
        self._low_bid = self._high_bid = newest if newest.bid is not None else None
        self._low_ask = self._high_ask = newest if newest.ask is not None else None
        return sighting

    def _extremes(self, side: Side) -> tuple[Quote | None, Quote | None]:
        if side is Side.YES:
            return self._low_bid, self._high_bid
        return self._high_ask, self._low_ask  # a NO bid is 1 − the YES ask

    def _touch_below(self, side: Side, trigger: Decimal | None) -> Touch | None:
        if trigger is None:
            return None
        found = self._bids.at_most(trigger) if side is Side.YES else self._asks.at_least(1 - trigger)
        return self._as_touch(found, side)

    def _touch_above(self, side: Side, target: Decimal | None) -> Touch | None:
        if target is None:
            return None
        found = self._bids.at_least(target) if side is Side.YES else self._asks.at_most(1 - target)
        return self._as_touch(found, side)

    def _as_touch(self, found: tuple[float, int] | None, side: Side) -> Touch | None:
        newest = self._newest
        # An empty side is not a price: nothing is touched now, though the count goes on when it fills.
        if found is None or newest is None or (newest.bid if side is Side.YES else newest.ask) is None:
            return None
        since_s, update = found
        return Touch(since_s=since_s, updates=self._updates - update + 1)

    def _sustained(self, side: Side, since_s: float, update: int) -> Decimal | None:
        if side is Side.YES:
            return self._bids.highest_since(since_s, update)
        ask = self._asks.lowest_since(since_s, update)
        return None if ask is None else 1 - ask
