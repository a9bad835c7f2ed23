"""A play in steps: every quarter of a second each market moves a little, along its script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from base.simulator.engine.market import Status
from base.simulator.engine.orders import Side
from base.simulator.scenarios.index_path import IndexPath
from base.simulator.scenarios.makers import SIZE, Ladder
from base.simulator.scenarios.stage import Stage

BEAT_S = 0.25
CENT = Decimal("0.01")
FAR_S = 6 * 3600.0

Path = Callable[[float], Decimal | None]  # best bid at a scenario time; None: as it was


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One market of a play. Prices are those of YES; ``count`` negative is a NO position."""

    ticker: str
    title: str
    bid: str
    path: Path
    spread: str = "0.02"
    shard: int = 0
    grid: str = "linear_cent"
    close_in_s: float | None = None  # scenario time; None: hours from now at any speed
    size: tuple[int, int] = SIZE
    count: str = "0"
    entry: str = "0"
    trades_every: int = 6  # beats


@dataclass(slots=True)
class Play:
    """Roles, cash per shard, and cues: what else happens at a scenario time."""

    roles: tuple[Role, ...]
    cash: dict[int, str]
    cues: list[tuple[float, Callable[[Stage], None]]] = field(default_factory=list)
    notice: str = ""
    _ladders: list[Ladder] = field(default_factory=list)
    _beat: int = 0
    _index: IndexPath | None = None

    def open(self, stage: Stage) -> None:
        """List the markets, fill the books, give cash and positions."""
        self._index = IndexPath(stage.seed)
        for shard, amount in self.cash.items():
            stage.give_cash(amount, shard=shard)
        for role in self.roles:
            close_in_s = FAR_S * stage.speed if role.close_in_s is None else role.close_in_s
            stage.list_market(
                role.ticker, role.title, shard=role.shard, grid=role.grid, close_in_s=close_in_s
            )
            ladder = Ladder(role.ticker, Decimal(role.bid), Decimal(role.spread), size=role.size)
            ladder.refresh(stage)
            self._ladders.append(ladder)
            if Decimal(role.count):
                stage.give_position(role.ticker, role.count, role.entry)

    def play(self, stage: Stage, until_s: float) -> None:
        """Perform every beat and cue up to ``until_s``."""
        if self._index is not None:
            self._index.play(stage)
        while (self._beat + 1) * BEAT_S <= until_s:
            self._beat += 1
            now_s = self._beat * BEAT_S
            while self.cues and self.cues[0][0] <= now_s:
                self.cues.pop(0)[1](stage)
            for role, ladder in zip(self.roles, self._ladders, strict=True):
                self._perform(stage, role, ladder, now_s)

    def _perform(self, stage: Stage, role: Role, ladder: Ladder, now_s: float) -> None:
        market = stage.exchange.state.market(role.ticker)
        if market.status is not Status.ACTIVE:
            return
        bid = role.path(now_s)
        if bid is not None and bid != ladder.bid:
            ladder.move_to(stage, bid)
        if (self._beat + market.number) % role.trades_every == 0:
            self._trade(stage, ladder)
        ladder.refresh(stage)

    def _trade(self, stage: Stage, ladder: Ladder) -> None:
        """Let the crowd take a few contracts at the top, on either side."""
        count = Decimal(stage.random.randint(100, 900)) / 100
        if stage.random.random() < 0.5:
            stage.take(ladder.ticker, Side.ASK, ladder.bid, count)
        else:
            stage.take(ladder.ticker, Side.BID, ladder.bid + ladder.spread, count)


def steady(bid: str) -> Path:
    """Stay at ``bid``."""
    price = Decimal(bid)
    return lambda _: price


def sway(bid: str, cents: int, period_s: float) -> Path:
    """Go up and down by whole ``cents`` around ``bid``, once per period."""
    middle = Decimal(bid)

    def path(now_s: float) -> Decimal:
        phase = (now_s / period_s) % 1.0
        rising = phase * 4 if phase < 0.25 else 2 - phase * 4 if phase < 0.75 else phase * 4 - 4
        return middle + CENT * round(cents * rising)

    return path


def drift(bid: str, cents_per_minute: float, limit: str) -> Path:
    """Move by so many cents a minute, until ``limit``."""
    start, end = Decimal(bid), Decimal(limit)

    def path(now_s: float) -> Decimal:
        price = start + CENT * round(cents_per_minute * now_s / 60)
        return min(price, end) if cents_per_minute > 0 else max(price, end)

    return path


def fall(before: Path, at_s: float, cents_per_beat: int, end: str) -> Path:
    """Follow ``before`` until ``at_s``, then fall by so many cents each beat, and stay at ``end``."""
    floor = Decimal(end)

    def path(now_s: float) -> Decimal | None:
        if now_s < at_s:
            return before(now_s)
        top = before(at_s - BEAT_S) or floor
        beats = int((now_s - at_s) / BEAT_S) + 1
        return max(top - CENT * cents_per_beat * beats, floor)

    return path
