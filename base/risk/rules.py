"""What a user may ask for, and the stop it becomes for one position. Pure.

All prices are from the side held. Typed prices lie on the grid; computed triggers need not.
See stops-and-exits.md, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase

from base.model import Side
from base.units import ONE, ZERO, PriceGrid

CENT = Decimal("0.01")
HUNDRED = Decimal(100)


class BelowFloor(StrEnum):
    """What an exit does when nobody bids inside its floor."""

    WAIT = "wait"
    CHASE = "chase"  # one more order, down to ``last_floor``


class AlreadyBreached(StrEnum):
    """What happens to an adopted position whose stop would fire at once."""

    ASK = "ask"
    EXIT = "exit"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule as configured. ``None`` switches a part off."""

    name: str  # "default", "rules[0]"
    market: str | None = None  # shell pattern of tickers; None matches every market
    stop: Decimal | None = None  # price
    take_profit: Decimal | None = None  # price
    loss_percent: Decimal | None = None  # of the entry
    gain_percent: Decimal | None = None
    trail_cents: Decimal | None = None  # distance under the highest bid
    trail_percent: Decimal | None = None  # of the highest bid
    trail_activation_cents: Decimal | None = None  # gain from entry before the trail begins
    dwell_s: float = 0.0
    updates: int = 1
    max_spread: Decimal | None = None
    min_size: Decimal | None = None
    catastrophe: Decimal | None = None  # price

    def matches(self, ticker: str) -> bool:
        """Whether the rule is meant for ``ticker``."""
        return self.market is None or fnmatchcase(ticker, self.market)

    @property
    def has_stop(self) -> bool:
        """Whether any part of the rule gets out at a loss."""
        parts = (self.stop, self.loss_percent, self.trail_cents, self.trail_percent)
        return any(part is not None for part in parts)

    @property
    def has_target(self) -> bool:
        """Whether any part of the rule takes a profit."""
        return self.take_profit is not None or self.gain_percent is not None

    @property
    def needs_entry(self) -> bool:
        """Whether the trigger cannot be computed without the entry price."""
        parts = (self.loss_percent, self.gain_percent, self.trail_activation_cents)
        return any(part is not None for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSettings:
    """Everything under ``stops`` in config.yaml."""

    default: Rule | None
    rules: tuple[Rule, ...] = ()
    check_interval_s: float = 2.0
    stale_after_s: float = 60.0
    max_slippage: Decimal = Decimal("0.10")
    below_floor: BelowFloor = BelowFloor.WAIT
    last_floor: Decimal | None = None
    adopt_default: bool = True  # adopt.rule: default; False leaves adopted positions UNPROTECTED(no_rule)
    already_breached: AlreadyBreached = AlreadyBreached.ASK
    reentry_cooldown_s: float = 60.0

    def rule_for(self, ticker: str) -> Rule | None:
        """The first rule that matches ``ticker``, else the default."""
        for rule in self.rules:
            if rule.matches(ticker):
                return rule
        return self.default


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A rule that new settings give a holding, until it took over or was refused. ``None``: none any more."""

    rule: Rule | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A rule made concrete for one position. ``peak`` is the highest bid that passed the filters."""

    rule: Rule
    side: Side
    count: Decimal
    entry: Decimal | None
    fixed_trigger: Decimal | None
    target: Decimal | None
    peak: Decimal | None = None

    @property
    def trigger(self) -> Decimal | None:
        """The price at which it fires: the higher of the fixed and the trailing trigger."""
        candidates = [t for t in (self.fixed_trigger, self.trailing_trigger) if t is not None]
        return max(candidates) if candidates else None

    @property
    def trailing_trigger(self) -> Decimal | None:
        """The trigger that follows the peak; ``None`` before it is active."""
        rule, peak = self.rule, self.peak
        if peak is None or (rule.trail_cents is None and rule.trail_percent is None):
            return None
        if rule.trail_activation_cents is not None and (
            self.entry is None or peak < self.entry + rule.trail_activation_cents * CENT
        ):
            return None
        distances = []
        if rule.trail_cents is not None:
            distances.append(rule.trail_cents * CENT)
        if rule.trail_percent is not None:
            distances.append(peak * rule.trail_percent / HUNDRED)
        trigger = peak - min(distances)
        return trigger if trigger > ZERO else None

    def ratcheted(self, bid: Decimal) -> Stop:
        """Follow a new high; a lower bid changes nothing: a trailing trigger never loosens."""
        if self.rule.trail_cents is None and self.rule.trail_percent is None:
            return self
        return replace(self, peak=bid) if self.peak is None or bid > self.peak else self


class Impossible(Exception):
    """The rule cannot protect this position; ``reason`` says why, in one word."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def make_stop(rule: Rule, side: Side, count: Decimal, entry: Decimal | None, grid: PriceGrid | None) -> Stop:
    """Make ``rule`` concrete. ``grid`` is seen from ``side``; ``None`` while the market is not known.

    Raises:
        Impossible: ``no_entry`` (a percent of an unknown price), ``off_grid`` (a typed price no order
            may carry), ``can_never_fire``, ``contradicts`` (stop at or above the target).
    """
    if rule.needs_entry and entry is None:
        raise Impossible("no_entry")
    for typed in (rule.stop, rule.take_profit, rule.catastrophe):
        if typed is not None and grid is not None and not grid.contains(typed):
            raise Impossible("off_grid")
    trigger = _highest(rule.stop, _percent_of(entry, rule.loss_percent, down=True))
    target = _lowest(rule.take_profit, _percent_of(entry, rule.gain_percent, down=False))
    lowest, highest = (grid.lowest, grid.highest) if grid else (ZERO, ONE)
    if (trigger is not None and not max(lowest, ZERO) <= trigger < ONE) or trigger == ZERO:
        raise Impossible("can_never_fire")
    if target is not None and target > highest:
        if not rule.has_stop:
            raise Impossible("can_never_fire")
        target = None  # a gain beyond 1 dollar never comes; the stop still protects
    if trigger is not None and target is not None and trigger >= target:
        raise Impossible("contradicts")
    if not rule.has_stop and target is None:
        raise Impossible("no_rule")
    return Stop(rule=rule, side=side, count=count, entry=entry, fixed_trigger=trigger, target=target)


def _percent_of(entry: Decimal | None, percent: Decimal | None, *, down: bool) -> Decimal | None:
    if entry is None or percent is None:
        return None
    return entry * (HUNDRED - percent if down else HUNDRED + percent) / HUNDRED


def _highest(*prices: Decimal | None) -> Decimal | None:
    known = [price for price in prices if price is not None]
    return max(known) if known else None


def _lowest(*prices: Decimal | None) -> Decimal | None:
    known = [price for price in prices if price is not None]
    return min(known) if known else None
