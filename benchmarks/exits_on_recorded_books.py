"""Send the real ladder of exits against recorded order books, and print how it went as one JSON object.

At every second of two recorded sessions a stop is taken to have just been touched: trigger = the bid
of the side held, floor = trigger − 0.10. The ladder of ``base/risk/ladder.py`` prices its rungs from
the book at that moment; each order meets the book as it was recorded ``latency`` later, with
immediate-or-cancel semantics. What an order took is gone for the orders after it.

The sessions are read from ``$REFERENCE_DIR/data`` (default ``../shared/data``); without them the
answer is ``{"skipped": …}``. What is printed are sums only. docs/exits.md says what they mean.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from base.model import Level, Quote, Side, Source  # noqa: E402
from base.risk.ladder import floor_of, rungs  # noqa: E402
from base.simulator.engine.orders import Side as BookSide  # noqa: E402
from base.simulator.scenarios.capture_file import (  # noqa: E402
    BOOK_TYPES,
    Line,
    lines_of,
    read_synopsis,
    yes_change,
    yes_levels,
)
from base.units import PriceGrid  # noqa: E402

SESSIONS = ("kxbtc15m_ws_20260514T0109Z.jsonl.gz", "kxbtc15m_ws_20260514T1301Z.jsonl.gz")
LATENCIES_S = (0.0, 0.05, 0.1, 0.25)
COUNTS = tuple(Decimal(count) for count in (10, 100, 1000))
MAX_SLIPPAGE = Decimal("0.10")
EVERY_S = 1.0
STALE_AFTER_S = 2.0  # an older book is not acted on
DEPTH = 20  # levels that a quote carries
FALL, FALL_WITHIN_S = Decimal("0.03"), 5  # a stop is touched by a bid that falls
BEFORE_CLOSE_S = 2.0  # no moment so late that the ladder would reach into the close
ZERO = Decimal(0)

Bids = dict[Decimal, Decimal]  # of the side held: price -> contracts


@dataclass(slots=True)
class Market:
    """One recorded market: its book on the YES scale and the bids of the last seconds."""

    grid: PriceGrid
    close_s: float | None
    book: dict[BookSide, Bids] = field(default_factory=lambda: {side: {} for side in BookSide})
    changed_s: float | None = None
    recent: dict[Side, deque[Decimal]] = field(
        default_factory=lambda: {side: deque(maxlen=FALL_WITHIN_S) for side in Side}
    )

    def apply(self, line: Line, *, no_in_yes: bool) -> None:
        """Take a snapshot or a delta in."""
        self.changed_s = line.at_s
        if line.kind == "orderbook_snapshot":
            self.book = yes_levels(line, no_in_yes=no_in_yes)
            return
        side, price, delta = yes_change(line, no_in_yes=no_in_yes)
        left = self.book[side].get(price, ZERO) + delta
        self.book[side][price] = left
        if left <= 0:
            del self.book[side][price]

    def is_usable_at(self, now_s: float) -> bool:
        """Say whether a monitor would act on the book: fresh, and the market open for a while yet."""
        is_fresh = self.changed_s is not None and now_s - self.changed_s <= STALE_AFTER_S
        return is_fresh and (self.close_s is None or now_s <= self.close_s - BEFORE_CLOSE_S)

    def bids(self, held: Side, taken: Bids) -> tuple[Level, ...]:
        """Return the bids of the side held, best first, without what was taken before."""
        yes = held is Side.YES
        levels = self.book[BookSide.BID if yes else BookSide.ASK]
        seen = ((p if yes else 1 - p, c) for p, c in levels.items())
        left = ((p, c - taken.get(p, ZERO)) for p, c in seen)
        return tuple(sorted(((p, c) for p, c in left if c > 0), reverse=True))


@dataclass(slots=True)
class Exit:
    """One exit in the making. ``due_s`` is when its next order meets the book."""

    market: Market
    held: Side
    left: Decimal
    trigger: Decimal
    floor: Decimal
    latency_s: float
    is_falling: bool
    count: Decimal
    due_s: float
    price: Decimal | None = None
    taken: Bids = field(default_factory=dict)
    prices: list[Decimal] = field(default_factory=list)
    first_fill: Decimal | None = None
    at_the_bid: Decimal = ZERO  # the yardstick: what an order at the trigger itself would have sold

    def decide(self, now_s: float) -> bool:
        """Price the next order from the book as it is now; False when the ladder has ended."""
        bids = self.market.bids(self.held, self.taken)[:DEPTH]
        wanted = rungs(_quote(self.held, bids), self.left, self.floor, None, self.market.grid)
        lower = (p for p in wanted if self.price is None or p < self.price)
        self.price = next(lower, None)
        if self.price is None or not self.left:
            return False
        self.prices.append(self.price)
        self.due_s = now_s + self.latency_s
        return True

    def meet(self) -> None:
        """Let the order trade with every bid at its price or better; nothing of it rests."""
        assert self.price is not None
        before, bids = self.left, self.market.bids(self.held, self.taken)
        for price, size in bids:
            if price < self.price or not self.left:
                break
            traded = min(size, self.left)
            self.taken[price] = self.taken.get(price, ZERO) + traded
            self.left -= traded
        if self.first_fill is None:
            self.first_fill = before - self.left
            self.at_the_bid = min(sum((c for p, c in bids if p >= self.trigger), ZERO), before)

    @property
    def slippage(self) -> Decimal | None:
        """Trigger less the average fill, dollars per contract; None when nothing was sold."""
        sold = self.count - self.left
        return self.trigger - sum((p * c for p, c in self.taken.items()), ZERO) / sold if sold else None


def _quote(held: Side, bids: tuple[Level, ...]) -> Quote:
    bid, size = bids[0] if bids else (None, None)
    return Quote(
        ticker="", side=held, bid=bid, ask=None, bid_size=size, ask_size=None, bids=bids, asks=(),
        source=next(iter(Source)), exchange_ms=None, received_s=0.0, epoch=1,
    )  # fmt: skip


def exits_of(market: Market, now_s: float) -> Iterator[Exit]:
    """Begin an exit of either side, in every size and at every latency."""
    for held in Side:
        best = market.bids(held, {})[:1]
        if not best:
            continue
        bid, recent = best[0][0], market.recent[held]
        is_falling = bool(recent) and max(recent) - bid >= FALL
        recent.append(bid)
        floor = floor_of(bid, MAX_SLIPPAGE, market.grid)
        for count in COUNTS:
            for latency_s in LATENCIES_S:
                begun = Exit(market, held, count, bid, floor, latency_s, is_falling, count, now_s)
                if begun.decide(now_s):
                    yield begun


def play(path: Path) -> list[Exit]:
    """Run one session through; return the exits that came to their end."""
    synopsis = read_synopsis(path)
    markets = {t: Market(_grid(synopsis.grid_of(t)), synopsis.close_at_s.get(t)) for t in synopsis.with_book}
    done: list[Exit] = []
    open_exits: list[Exit] = []
    second_s = EVERY_S
    for line in lines_of(path):
        while second_s <= line.at_s:
            open_exits = _advance(open_exits, done, second_s)
            for market in markets.values():
                if market.is_usable_at(second_s):
                    open_exits += exits_of(market, second_s)
            second_s += EVERY_S
        open_exits = _advance(open_exits, done, line.at_s)
        if line.kind in BOOK_TYPES:
            markets[line.body["market_ticker"]].apply(line, no_in_yes=synopsis.uses_yes_price)
    return done


def _advance(waiting: list[Exit], done: list[Exit], until_s: float) -> list[Exit]:
    """Let every order due before ``until_s`` meet the book; nothing has changed it since."""
    still: list[Exit] = []
    for exit_ in waiting:
        while exit_.due_s < until_s:
            exit_.meet()
            if not exit_.left or not exit_.decide(exit_.due_s):
                done.append(exit_)
                break
        else:
            still.append(exit_)
    return still


def _grid(grid: object) -> PriceGrid:
    bands = grid.bands  # type: ignore[attr-defined]
    return PriceGrid.of((str(b.start), str(b.end), str(b.step)) for b in bands)


def summary(exits: list[Exit]) -> dict[str, object]:
    """Return the shares in percent of all exits, and the slippage in dollars per contract."""
    kinds = Counter(
        "all" if e.first_fill == e.count else "partly" if e.first_fill else "nothing" for e in exits
    )
    slippages = sorted(s for e in exits if (s := e.slippage) is not None)
    ladder_is_floor = sum(e.prices[0] == e.floor for e in exits)
    return {
        "exits": len(exits),
        "rung_1_all_pct": _percent(kinds["all"], exits),
        "rung_1_partly_pct": _percent(kinds["partly"], exits),
        "rung_1_nothing_pct": _percent(kinds["nothing"], exits),
        "rung_1_is_the_floor_pct": _percent(ladder_is_floor, exits),
        "floor_needed_pct": _percent(sum(e.floor in e.prices for e in exits), exits),
        "sold_out_pct": _percent(sum(not e.left for e in exits), exits),
        "yardstick_at_the_bid_all_pct": _percent(sum(e.at_the_bid == e.count for e in exits), exits),
        "yardstick_at_the_bid_nothing_pct": _percent(sum(not e.at_the_bid for e in exits), exits),
        "slippage_mean": f"{sum(slippages, ZERO) / len(slippages):.4f}" if slippages else None,
        "slippage_p95": f"{slippages[int(0.95 * (len(slippages) - 1))]:.4f}" if slippages else None,
    }


def _percent(part: int, exits: list[Exit]) -> float:
    return round(100 * part / len(exits), 1) if exits else 0.0


def main() -> None:
    """Print the figures of all sessions together, per latency and size."""
    folder = Path(os.environ.get("REFERENCE_DIR") or ROOT.parent / "shared") / "data"
    missing = [name for name in SESSIONS if not (folder / name).is_file()]
    if missing:
        print(json.dumps({"skipped": f"needs {missing[0]} in {folder}: set REFERENCE_DIR"}))
        return
    exits = [exit_ for name in SESSIONS for exit_ in play(folder / name)]
    rows = []
    for latency_s in LATENCIES_S:
        for count in COUNTS:
            same = [e for e in exits if e.latency_s == latency_s and e.count == count]
            shown = {"latency_ms": round(latency_s * 1000), "contracts": int(count)}
            falling = [e for e in same if e.is_falling]
            rows.append(shown | {"every_second": summary(same), "bid_falling": summary(falling)})
    print(json.dumps({"exits_on_recorded_books": rows}, indent=1))


if __name__ == "__main__":
    main()
