"""``sol``: a recorded day of a series (CC BY 4.0), its books synthesised from top and totals.

Every market opens, closes and is priced at its recorded time; where the recording has a gap,
nothing is open. Until the first recorded price of a market that price stands, and at high speed
several recorded prices fall on one moment: the last of them is shown.

When a market was listed is not recorded. Two of three are listed as their predecessor opens, the
third a minute after its own open, so that whoever follows the series meets both.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from base.simulator.engine.market import Status
from base.simulator.scenarios.endings import end_in_time
from base.simulator.scenarios.makers import LEVELS, Ladder
from base.simulator.scenarios.sol_recording import LIFE_S, RecordedMarket, Row, read_markets, recording
from base.simulator.scenarios.stage import Stage

SOURCE = "kalshi-crypto-15m-dataset by Johnny-God, CC BY 4.0"
TITLE = f"Solana 15 min of 2026-08-17, book synthesised. Data: {SOURCE}"
HELD = {
    "KXSOL15M-26AUG170145-45": 25,  # the first; falls from 0.37 to 0.012
    "KXSOL15M-26AUG170200-00": -25,
    "KXSOL15M-26AUG170230-30": 25,  # falls from 0.946 to 0.17
}
"""What the account holds once the market is open: contracts, negative is NO."""
MOMENT_S, BEAT_S = 0.02, 0.5  # real time: what is shown at once, how often sizes move
SHARD = 2
LISTED_AHEAD_S, LISTED_LATE_S = LIFE_S, 60.0


@dataclass(slots=True)
class Act:
    """One market on the stage. ``shown`` counts the rows played; 0: nothing was shown yet."""

    market: RecordedMarket
    listed_s: float
    ladder: Ladder
    shown: int = 0

    def due(self, until_s: float) -> int:
        """Count the rows up to ``until_s``; the first is there from the open on."""
        rows, count = self.market.rows, max(self.shown, 1)
        while count < len(rows) and rows[count].at_s <= until_s:
            count += 1
        return count


class Sol:
    """Plays the recorded day over synthetic ladders. Mutable: who is still to come, who is there."""

    notice = (
        f"Data: {SOURCE} (github.com/Johnny-God/kalshi-crypto-15m-dataset, "
        "creativecommons.org/licenses/by/4.0). Prices, opens and closes are recorded; the books are "
        "synthesised from best prices and total depth, results and the account are simulated."
    )

    def __init__(self) -> None:
        acts = [_act(rank, market) for rank, market in enumerate(read_markets(recording()))]
        self._coming = deque(sorted(acts, key=lambda act: act.listed_s))
        self._listed: list[Act] = []
        self._played_s, self._refreshed_s = float("-inf"), 0.0

    def open(self, stage: Stage) -> None:
        """Give cash and begin the day: the first market is open."""
        stage.give_cash("5000", shard=SHARD)
        self.play(stage, 0.0)

    def play(self, stage: Stage, until_s: float) -> None:
        """List what is due, show the prices that are due, end what has closed."""
        if until_s - self._played_s < MOMENT_S * stage.speed:
            return
        self._played_s = until_s
        while self._coming and self._coming[0].listed_s <= until_s:
            self._list(stage, self._coming.popleft())
        is_beat = until_s - self._refreshed_s >= BEAT_S * stage.speed
        if is_beat:
            self._refreshed_s = until_s
        for act in self._listed:
            self._perform(stage, act, until_s, is_beat=is_beat)
        state = stage.exchange.state
        self._listed = [a for a in self._listed if state.market(a.market.ticker).status != Status.FINALIZED]

    def _list(self, stage: Stage, act: Act) -> None:
        times = {"open_in_s": act.market.open_s, "close_in_s": act.market.close_s}
        stage.list_market(act.market.ticker, TITLE, shard=SHARD, grid="deci_cent", **times)
        self._listed.append(act)

    def _perform(self, stage: Stage, act: Act, until_s: float, *, is_beat: bool) -> None:
        """Move the open market to its newest price, or keep its sizes moving; end the closed one."""
        market = act.market
        if stage.exchange.state.market(market.ticker).status is not Status.ACTIVE:
            end_in_time(stage, market.ticker, until_s - market.close_s, favours_yes=market.favours_yes)
        elif (due := act.due(until_s)) > act.shown:
            _show(stage, act.ladder, market.rows[due - 1])
            if not act.shown:
                _give(stage, market)
            act.shown = due
        elif is_beat:
            act.ladder.refresh(stage)


def _act(rank: int, market: RecordedMarket) -> Act:
    is_late = rank % 3 == 2
    listed_s = market.open_s + (LISTED_LATE_S if is_late else -LISTED_AHEAD_S)
    first = market.rows[0]
    return Act(market, listed_s, Ladder(market.ticker, first.bid, first.ask - first.bid))


def _show(stage: Stage, ladder: Ladder, row: Row) -> None:
    ladder.spread = row.ask - row.bid
    ladder.size, ladder.ask_size = _bounds(row.yes_depth), _bounds(row.no_depth)
    ladder.move_to(stage, row.bid)


def _give(stage: Stage, market: RecordedMarket) -> None:
    """Let the member hold what it is to hold of a market, bought at its first price."""
    if count := HELD.get(market.ticker):
        first = market.rows[0]
        stage.give_position(market.ticker, str(count), str(first.ask if count > 0 else 1 - first.bid))


def _bounds(depth: int) -> tuple[int, int]:
    level = max(depth // LEVELS, 4)
    return level // 2, level + level // 2
