"""When a position is closed, and why. The product, on one screen.

Pure: no clock, no I/O. Prices are seen from the side held, so ``bid`` is what leaving would pay,
and ``bid <= trigger`` and ``bid >= target`` are the only comparisons.
See stops-and-exits.md, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from base.feed.watch import Sighting, Touch
from base.model import Market, Quote
from base.risk.filters import blocking_history_filter, blocking_quote_filter, has_history_filter, spread_of
from base.risk.rules import Stop

FIRE_WITHIN_S = 2.0
"""Evidence of a breach older than this fires nothing."""
REST_STANDS_S = 5.0
"""A book read by REST speaks for a market this long where the feed is not proven."""
SUSPICIOUS_SPREAD = Decimal("0.10")
SETTLING_IN_S = 5.0
"""Prices this soon after an opening, a resume or a resync are confirmed before they fire."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now: on the boot clock for ages, and by the exchange's wall clock for the close."""

    boot_s: float
    exchange_ms: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing to do, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The evidence does not say; ``reason`` names the proof that is missing."""

    reason: str


@dataclass(frozen=True, slots=True)
class NoBid:
    """Nobody buys what we hold, though it is offered."""

    evidence: Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Get out. ``level`` is the trigger or target that was touched, continuously since ``since_s``."""

    reason: str  # STOP, TRAIL, CATASTROPHE, TAKE_PROFIT
    evidence: Quote
    level: Decimal
    since_s: float
    at_s: float  # newest moment at which the evidence is known to have stood
    suspicious: bool


Decision = Hold | Unknown | NoBid | Exit


def decide(stop: Stop, seen: Sighting, market: Market, now: Moment, resumed_s: float = 0.0) -> Decision:
    """Say what ``stop`` asks for: the first row that matches."""
    if not market.is_open_at(now.exchange_ms):
        return Hold("MARKET_STATE")  # a closed book's bid of 0 is not a crash
    if (missing := missing_proof(seen, now.boot_s)) is not None:
        return Unknown(missing)  # an old price is no price; the refresher asks
    quote, trigger = seen.quote, stop.trigger
    if quote.bid is None and quote.ask is None:
        return Unknown("NO_MARKET")
    if quote.bid is None and trigger is not None:
        return NoBid(quote)
    suspicion = _Suspicion(stop, seen, market, now, resumed_s)
    if (level := stop.rule.catastrophe) is not None:
        decision = _fire("CATASTROPHE", level, _at_or_below(level, seen, now), None, stop, now, suspicion)
        if isinstance(decision, Exit | Unknown):
            return decision  # it skips dwell and updates only; a quote filter may still hold it below
    if trigger is not None and (touched := _at_or_below(trigger, seen, now)):
        reason = "TRAIL" if trigger != stop.fixed_trigger else "STOP"
        return _fire(reason, trigger, touched, seen.stop_touch, stop, now, suspicion)
    if stop.target is not None and (touched := _at_or_above(stop.target, seen, now)):
        return _fire("TAKE_PROFIT", stop.target, touched, seen.target_touch, stop, now, suspicion)
    return Hold("ABOVE_TRIGGER")


def follow(
    stop: Stop, seen: Sighting, market: Market, now: Moment, resumed_s: float = 0.0
) -> tuple[Stop, Decision]:
    """Decide, and let a trailing stop follow a new high that passed the same filters."""
    decision = decide(stop, seen, market, now, resumed_s)
    if isinstance(decision, Exit | Unknown) or not market.is_open_at(now.exchange_ms):
        return stop, decision
    peak = peak_of(stop, seen)
    raised = stop if peak is None else stop.ratcheted(peak)
    if raised is stop:
        return stop, decision
    # A low that came before the new high does not count against the trigger the high made.
    is_later = seen.lowest.received_s > seen.highest.received_s
    rest_of_it = replace(seen, lowest=seen.lowest if is_later else seen.quote, stop_touch=None)
    return raised, decide(raised, rest_of_it, market, now, resumed_s)


def missing_proof(seen: Sighting, now_s: float) -> str | None:
    """Name the proof that ``seen`` lacks; a recent book read by REST stands in for the feed."""
    missing = seen.freshness.missing
    if missing is not None and seen.quote.source == "rest" and now_s - seen.quote.received_s <= REST_STANDS_S:
        return None
    return missing


def is_safe(stop: Stop, seen: Sighting, market: Market, now: Moment) -> bool:
    """Whether the stop's side would not fire on what is seen: only such a sighting arms it."""
    if not market.is_open_at(now.exchange_ms) or missing_proof(seen, now.boot_s) is not None:
        return False
    levels = [level for level in (stop.trigger, stop.rule.catastrophe) if level is not None]
    bid = seen.quote.bid
    if levels or stop.rule.has_stop:
        return bid is not None and all(bid > level for level in levels)
    return bid is None or stop.target is None or bid < stop.target


def peak_of(stop: Stop, seen: Sighting) -> Decimal | None:
    """The highest bid since the last look that passed the rule's own filters; ``None``: none did."""
    quote = seen.quote if has_history_filter(stop.rule) else seen.highest
    if quote.bid is None or blocking_quote_filter(stop.rule, quote) is not None:
        return None
    return seen.sustained_bid if has_history_filter(stop.rule) else quote.bid


def _at_or_below(level: Decimal, seen: Sighting, now: Moment) -> list[tuple[Quote, float]]:
    """Quotes that touch ``level``, newest first, each with the time it is known to have stood."""
    candidates = [(seen.quote, seen.confirmed_s), (seen.lowest, seen.lowest.received_s)]
    return [
        (quote, at_s)
        for quote, at_s in candidates
        if quote.bid is not None
        and quote.bid <= level
        and (quote is candidates[0][0] or now.boot_s - at_s <= FIRE_WITHIN_S)
    ]


def _at_or_above(level: Decimal, seen: Sighting, now: Moment) -> list[tuple[Quote, float]]:
    candidates = [(seen.quote, seen.confirmed_s), (seen.highest, seen.highest.received_s)]
    return [
        (quote, at_s)
        for quote, at_s in candidates
        if quote.bid is not None
        and quote.bid >= level
        and (quote is candidates[0][0] or now.boot_s - at_s <= FIRE_WITHIN_S)
    ]


def _fire(
    reason: str,
    level: Decimal,
    touched: list[tuple[Quote, float]],
    touch: Touch | None,
    stop: Stop,
    now: Moment,
    suspicion: _Suspicion,
) -> Decision:
    """Fire on the first quote that passes the filters and is recent; else say what holds it."""
    held_by: Decision = Hold("ABOVE_TRIGGER")
    for quote, at_s in touched:
        blocked_by = blocking_quote_filter(stop.rule, quote)
        if blocked_by is None and reason != "CATASTROPHE":
            blocked_by = blocking_history_filter(stop.rule, touch, now.boot_s)
        if blocked_by is not None:
            decision: Decision = Hold(blocked_by.value)
        elif now.boot_s - at_s > FIRE_WITHIN_S:
            decision = Unknown("age")  # it stood long ago; a probe says whether it still does
        else:
            since_s = quote.received_s if touch is None else min(touch.since_s, quote.received_s)
            suspicious = suspicion.of(quote, since_s)
            return Exit(
                reason=reason,
                evidence=quote,
                level=level,
                since_s=since_s,
                at_s=at_s,
                suspicious=suspicious,
            )
        held_by = decision if held_by == Hold("ABOVE_TRIGGER") else held_by
    return held_by


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """Signs that a price may not be real (stops-and-exits.md §3.8): one REST book settles it."""

    stop: Stop
    seen: Sighting
    market: Market
    now: Moment
    resumed_s: float

    def of(self, quote: Quote, since_s: float) -> bool:
        """Whether a touch that began at ``since_s`` and stands at ``quote`` wants confirming."""
        spread = spread_of(quote)
        opened_ms = self.market.open_ms
        return (
            (self.seen.jumped_s is not None and self.seen.jumped_s >= since_s)
            or quote.bid_size is None
            or quote.bid_size < self.stop.count
            or spread is None
            or spread > SUSPICIOUS_SPREAD
            or self.now.boot_s - max(self.seen.began_s, self.resumed_s) < SETTLING_IN_S
            or (opened_ms is not None and self.now.exchange_ms - opened_ms < SETTLING_IN_S * 1000)
        )


def confirm(decision: Exit, seen: Sighting, now: Moment) -> Exit | Hold:
    """Let a suspicious exit through only on a REST book begun after the touch and at most 2 s old."""
    if not decision.suspicious:
        return decision
    rest = seen.rest
    if (
        rest is None
        or rest.received_s <= max(decision.since_s, seen.jumped_s if seen.jumped_s is not None else 0.0)
        or now.boot_s - rest.received_s > FIRE_WITHIN_S
        or rest.bid is None
    ):
        return Hold("UNCONFIRMED")
    is_up = decision.reason == "TAKE_PROFIT"
    shows_it = rest.bid >= decision.level if is_up else rest.bid <= decision.level
    return decision if shows_it else Hold("UNCONFIRMED")
