"""What must ring: at every moment each contract held is covered, exiting or loudly UNPROTECTED."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from base.model import PositionsRead
from base.risk.counting import AS_OF_MARGIN_MS
from base.risk.decide import missing_proof
from base.risk.exit_lifecycle import EXITING, State
from base.risk.guard import Guard
from base.risk.messages import Line
from base.risk.rules import AlreadyBreached
from tests.risk.promises import must
from tests.risk.world import KEY, TICKER, World

ALARM_S = 5.0
"""How long after it became too long a bad state may be silent."""
AGAIN_S = 60.0
LONGEST_S = {"unprotected": 0.0, "blind": 3.0, "unknown": 3.0, "intent open": 10.0}
"""How long a state may last before it is bad."""
ZERO = Decimal(0)


class Cover:
    """Watches one holding of a world: what is uncovered, and whether somebody was told in time."""

    def __init__(self, world: World):
        self._world = world
        self._since_s: dict[str, float] = {}
        self._epoch: Guard | None = None
        self._intent_id: str | None = None
        self._rung_s: dict[str, float] = {}

    def note(self, line: Line) -> None:
        """Remember when each alarm last rang."""
        if line.event == "ALARM":
            self._rung_s[str(line.fields["reason"])] = self._world.now_s

    def check_adopted(self, read: PositionsRead) -> None:
        """Whoever opened it, what a read of now lists is guarded, unless it may be what was just sold."""
        guards = self._world.guards
        market, buried = guards.markets.get(TICKER), guards.buried.get(KEY)
        is_over = market is not None and market.status.is_settling
        may_be_old = buried is not None and (read.as_of_ms or 0) <= buried.ended_ms + AS_OF_MARGIN_MS
        if read.positions and not is_over and not may_be_old:
            must(KEY in guards.by_key, "a listed position is guarded by nobody")

    def check(self) -> None:
        """Hold what is uncovered now, and since when, against the alarms that ring."""
        guard, now_s = self._world.guards.by_key.get(KEY), self._world.now_s
        if guard is not self._epoch:
            self._epoch, self._since_s = guard, {}  # what an exit left over is a new holding
        intent_id = None if guard is None or guard.intent is None else guard.intent.id
        if intent_id != self._intent_id:  # a stop overtook a take profit, or a person cancelled and sold anew
            self._intent_id = intent_id
            self._since_s.pop("intent open", None)
        found = {} if guard is None else dict(self._bad(guard))
        self._since_s = {what: self._since_s.get(what, now_s) for what in found}
        for what, why in found.items():
            lasted_s = now_s - self._since_s[what] - LONGEST_S[what]
            must(
                lasted_s <= ALARM_S or self._rings, f"{what} for {lasted_s:.1f} s too long and silent: {why}"
            )
        for reason in () if guard is None else guard.alarms:
            silent_s = now_s - self._rung_s.get(reason, float("-inf"))
            must(silent_s <= AGAIN_S + ALARM_S, f"{reason} holds and last rang {silent_s:.1f} s ago")

    @property
    def _rings(self) -> bool:
        guard = self._world.guards.by_key.get(KEY)
        return bool(self._world.guards.alarms) or (guard is not None and bool(guard.alarms))

    def _bad(self, guard: Guard) -> Iterator[tuple[str, str]]:
        """Name what is bad about ``guard`` now, and show it."""
        # What an exit that ended has sold by its answers is not held, whenever its fills come.
        state, held = guard.state, guard.count or abs(guard.holding.signed)
        covered, exiting = self._parts(guard, held)
        must(ZERO <= covered + exiting <= held, f"{covered} covered and {exiting} exiting of {held} held")
        if covered + exiting < held and not self._is_quiet(guard):
            yield "unprotected", f"{held - covered - exiting} of {held} in {state}: {guard.reason}"
        market = self._world.guards.markets.get(TICKER)
        if state is State.ARMED and market is not None and market.is_open_at(self._world.utc_ms()):
            seen, _ = self._world.look(guard, True)
            if seen is None or (missing := missing_proof(seen, self._world.now_s)) not in (None, "age"):
                yield "blind", "nothing seen" if seen is None else str(missing)
        if state is State.UNKNOWN:
            yield "unknown", guard.reason
        if state in EXITING and guard.intent is not None:
            yield "intent open", f"{state}: {guard.reason}"

    def _parts(self, guard: Guard, held: Decimal) -> tuple[Decimal, Decimal]:
        """Contracts that an armed stop covers, and those that an exit is selling."""
        if guard.has_flipped or guard.state is State.FLIPPED:
            return ZERO, ZERO
        if guard.state is State.ARMED:
            stops = [stop for stop in (guard.stop, guard.pending) if stop is not None]
            is_whole = guard.is_outdated or any(stop.count == held for stop in stops)
            return (held if is_whole else ZERO), ZERO
        if guard.state in EXITING and guard.intent is not None:
            return ZERO, min(held, guard.intent.quantity - guard.intent.filled_by_fills)
        return ZERO, ZERO

    def _is_quiet(self, guard: Guard) -> bool:
        """Where nothing can be sold, or a person chose to be left alone with it, nothing rings."""
        chosen = guard.is_adopted and guard.reason == "would_fire_now"
        settings = self._world.guards.terms.settings
        is_hold = chosen and settings.already_breached is AlreadyBreached.HOLD
        return guard.reason == "market_state" or is_hold
