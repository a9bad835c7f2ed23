"""Which markets of a series to follow now, and when to look at the listing again. Pure.

No message says that a market opened or closed by its clock, so the clock says it: a look is due at
each known edge (a market comes near its open, opens, closes, was closed long enough). An edge seldom
comes alone, and its successor may be listed late: after whatever changed, looks follow 1, 2, 4, … s
apart until they are as rare as the slow look that goes on for ever.
All times are the exchange's Unix milliseconds. See: docs.kalshi.com/getting_started/market_lifecycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from base.model import Market, MarketStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How closely a series is followed. Seconds."""

    first_look_s: float = 1.0  # the look after a change; each further one waits twice as long
    slow_look_s: float = 60.0  # and never longer than this
    lead_s: float = 60.0  # a market listed ahead is followed this long before it opens
    grace_s: float = 120.0  # a closed one until it is determined, but no longer than this
    tick_s: float = 0.1  # how precisely these moments are met
    empty_for_s: float = 10.0  # between two markets nothing is open for a moment; only longer is news


class Phase(StrEnum):
    """Where a market stands in its life, by its status and by the clock."""

    UPCOMING = "upcoming"
    OPEN = "open"
    PAUSED = "paused"  # or a status that we don't know: followed, never called open
    CLOSED = "closed"
    ENDED = "ended"  # the result is known: nothing comes any more


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesView:
    """What the looks at one series have shown. Empty before the first."""

    markets: Mapping[str, Market] = field(default_factory=dict)  # as last read, without those that ended
    closed_ms: Mapping[str, int] = field(default_factory=dict)  # since when the closed ones are closed
    stood: Mapping[str, tuple[Phase, MarketStatus]] = field(default_factory=dict)  # at the last look
    looked_ms: int | None = None
    quiet_looks: int = 0  # in a row, without a change


def phase_of(market: Market, now_ms: int) -> Phase:
    """Say where ``market`` stands at ``now_ms``: the clock is ahead of the status that was read."""
    status = market.status
    if status.is_settling or status in (MarketStatus.DISPUTED, MarketStatus.AMENDED):
        return Phase.ENDED
    if status is MarketStatus.CLOSED or (market.close_ms is not None and now_ms >= market.close_ms):
        return Phase.CLOSED
    if status is MarketStatus.INITIALIZED:
        return Phase.OPEN if market.open_ms is not None and now_ms >= market.open_ms else Phase.UPCOMING
    return Phase.OPEN if status is MarketStatus.ACTIVE else Phase.PAUSED


def to_ask_by_name(view: SeriesView, listed: Iterable[Market]) -> list[str]:
    """The known markets that the listing of open and coming ones no longer shows: what became of them?"""
    return sorted(set(view.markets) - {market.ticker for market in listed})


def take_look(view: SeriesView, found: Iterable[Market], now_ms: int, pace: Pace) -> SeriesView:
    """Take in one look: every market that the listing or a question by name has shown.

    A known market that wasn't shown at all, such as one whose row could not be read, stands as it was.
    """
    markets = dict(view.markets) | {market.ticker: market for market in found}
    phases = {ticker: phase_of(market, now_ms) for ticker, market in markets.items()}
    closed_ms = {
        ticker: _closed_ms(markets[ticker], view.closed_ms.get(ticker, now_ms))
        for ticker, phase in phases.items()
        if phase is Phase.CLOSED
    }
    gone = {ticker for ticker, at_ms in closed_ms.items() if now_ms - at_ms >= pace.grace_s * 1000}
    gone |= {ticker for ticker, phase in phases.items() if phase is Phase.ENDED}
    # The status counts beside the clock: ours may be off, and the successor comes by the exchange's.
    stood = {ticker: (phases[ticker], markets[ticker].status) for ticker in markets if ticker not in gone}
    return SeriesView(
        markets={ticker: market for ticker, market in markets.items() if ticker not in gone},
        closed_ms={ticker: at_ms for ticker, at_ms in closed_ms.items() if ticker not in gone},
        stood=stood,
        looked_ms=now_ms,
        quiet_looks=0 if stood.items() - view.stood.items() else view.quiet_looks + 1,
    )


def to_follow(view: SeriesView, now_ms: int, pace: Pace) -> frozenset[str]:
    """The tickers to be subscribed at ``now_ms``: about to open, open, paused, or just closed."""
    return frozenset(
        ticker for ticker, market in view.markets.items() if _is_followed(view, market, now_ms, pace)
    )


def open_markets(view: SeriesView, now_ms: int) -> tuple[Market, ...]:
    """The markets open at ``now_ms``, the one that closes first in front."""
    found = [market for market in view.markets.values() if phase_of(market, now_ms) is Phase.OPEN]
    return tuple(sorted(found, key=lambda m: (m.close_ms is None, m.close_ms or 0, m.ticker)))


def next_look_ms(view: SeriesView, pace: Pace) -> int | None:
    """When to look again; ``None``: at once, nothing was looked at yet."""
    if (looked_ms := view.looked_ms) is None:
        return None
    pause_s = min(pace.slow_look_s, pace.first_look_s * 2.0 ** min(view.quiet_looks, 32))
    edges = [edge for market in view.markets.values() for edge in _edges_ms(view, market, pace)]
    return min([looked_ms + round(pause_s * 1000), *(edge for edge in edges if edge > looked_ms)])


def _is_followed(view: SeriesView, market: Market, now_ms: int, pace: Pace) -> bool:
    match phase_of(market, now_ms):
        case Phase.UPCOMING:
            return market.open_ms is not None and market.open_ms - now_ms <= pace.lead_s * 1000
        case Phase.OPEN | Phase.PAUSED:
            return True
        case Phase.CLOSED:
            closed_ms = _closed_ms(market, view.closed_ms.get(market.ticker, now_ms))
            return now_ms - closed_ms < pace.grace_s * 1000
    return False  # ended: nothing more comes of it


def _closed_ms(market: Market, seen_ms: int) -> int:
    """Since when it is closed: by its clock, or since it was seen so before its time."""
    return seen_ms if market.close_ms is None else min(market.close_ms, seen_ms)


def _edges_ms(view: SeriesView, market: Market, pace: Pace) -> list[int]:
    """The known moments at which something about ``market`` changes."""
    edges = [] if market.close_ms is None else [market.close_ms]
    if market.open_ms is not None and market.status is MarketStatus.INITIALIZED:
        edges += [market.open_ms - round(pace.lead_s * 1000), market.open_ms]
    if (closed_ms := view.closed_ms.get(market.ticker)) is not None:
        edges.append(closed_ms + round(pace.grace_s * 1000))
    return edges
