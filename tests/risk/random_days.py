"""Random days: prices, faults, trades by hand and lost answers, in any order, against a true exchange.

After every step the promises must hold; in the evening the faults end, and then the monitor must
know what is held and have nothing left open. The same seed is the same day.

Run with: python -m tests.risk.random_days FIRST COUNT [STEPS]
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

from base.model import MarketStatus, Outcome, PositionsRead, ShardStatus, Side
from base.risk.messages import Answered, Heard, Line, MarketsSeen, Message, ReadOrders, Send, ShardsSeen
from base.risk.rules import AlreadyBreached, BelowFloor, Rule
from tests.risk.cover import Cover
from tests.risk.happenings import HAPPENINGS
from tests.risk.promises import Promises, Violation
from tests.risk.true_exchange import TrueExchange
from tests.risk.world import KEY, TICKER, World

D = Decimal
RULES = (
    Rule(name="default", stop=D("0.40")),
    Rule(name="default", stop=D("0.40"), take_profit=D("0.80")),
    Rule(name="default", loss_percent=D(50), gain_percent=D(50)),
    Rule(name="default", trail_cents=D(10)),
    Rule(name="default", stop=D("0.40"), dwell_s=1.0),
    Rule(name="default", stop=D("0.40"), updates=2, max_spread=D("0.05"), catastrophe=D("0.20")),
    Rule(name="default", take_profit=D("0.80")),
)
LATEST_S = 3.9
"""An order reaches the exchange at most this long after it was sent: the proof of absence allows for five."""
EVENING_S = 90
EVENING_BID = "0.37"  # touched, and inside the floor of every stop


class Day:
    """One day: a world, its exchange, and what happens to them, drawn from ``seed``."""

    def __init__(self, seed: int):
        random = self.random = Random(seed)
        settings: dict[str, Any] = {}
        if self.chance(0.3):
            settings |= {"below_floor": BelowFloor.CHASE, "last_floor": D("0.05")}
        if self.chance(0.3):
            settings |= {"already_breached": AlreadyBreached.EXIT}
        self.world = World(random.choice(RULES), random.choice(list(Side)), **settings)
        guards = self.world.guards
        guards.terms = replace(guards.terms, new_bits=lambda: random.getrandbits(64))
        self.exchange = TrueExchange(self.world, random)
        self.promises = Promises(self.world, self.exchange)
        self.cover = Cover(self.world)
        self.diary: list[str] = []
        self.heard: list[Heard] = []  # what persons were told
        self._checked = 0
        self.reads_asked = 0
        self._late: list[tuple[float, Send]] = []
        if self.chance(0.7):
            self.world.hold("10", "0.60")
        else:
            self.world.opened("10", "0.60")
        self.check()

    def live(self, steps: int) -> None:
        """Let ``steps`` things happen, then end the faults."""
        self.live_for(steps)
        self.evening()

    def live_for(self, steps: int) -> None:
        """Let ``steps`` things happen."""
        for _ in range(steps):
            (happening,) = self.random.choices(list(HAPPENINGS), list(HAPPENINGS.values()))
            happening(self)
            self.check()

    def chance(self, probability: float) -> bool:
        """Whether it happens this time."""
        return self.random.random() < probability

    def tell(self, message: Message) -> None:
        """A message reaches the monitor."""
        self.note(f"tell {message}")
        self.world.tell(message)
        self.check()
        if isinstance(message, PositionsRead):
            self.cover.check_adopted(message)

    def check(self) -> None:
        """Hold all new effects against the promises."""
        for effect in self.world.effects[self._checked :]:
            self._checked += 1
            if isinstance(effect, ReadOrders):
                self.reads_asked = min(self.reads_asked + 1, 2)
            if isinstance(effect, Line | Send):
                self.note(f"  {effect}")
            if isinstance(effect, Line):
                self.cover.note(effect)
            self.promises.check(effect)
        self.cover.check()

    def note(self, text: str) -> None:
        """Write into the diary of this day."""
        self.diary.append(f"{self.world.now_s:.3f} {text}")

    def quote(self, bid: str | None, ask: str | None = None, size: str = "500") -> None:
        """The book changes, at the exchange and on its way to us."""
        quote = self.world.quote(bid, ask, size)
        seen = quote.seen_from(self.world.side)
        self.exchange.bid, self.exchange.ask = seen.bid, seen.ask
        self.note(f"bid {seen.bid} ask {seen.ask}")
        self.world.cache.put(quote)

    def delay(self, send: Send) -> None:
        """``send`` is on its way for seconds yet, or lost when those are over already."""
        latest_s = self.promises.sent_s[send.order.client_order_id] + LATEST_S
        if latest_s > self.world.now_s:
            self._late.append((self.random.uniform(self.world.now_s, latest_s), send))

    def pass_s(self, seconds: float, step_s: float) -> None:
        """Time passes in steps; what is on its way arrives."""
        for _ in range(round(seconds / step_s)):
            self.world.quiet(step_s, step_s)
            self.check()
            self.deliver()

    def deliver(self) -> None:
        """Orders whose answer was lost reach the exchange."""
        for at_s, send in self._late[:]:
            if at_s <= self.world.now_s:
                self._late.remove((at_s, send))
                self.note(f"{send.order.client_order_id} arrives late")
                self.execute(send)

    def execute(self, send: Send) -> None:
        """``send`` reaches the exchange and nobody is told."""
        self.exchange.execute(send)
        self.promises.check_sold(send.intent_id)

    def answer(self, send: Send, outcome: Outcome) -> None:
        """The executor's word on ``send``."""
        self.tell(
            Answered(
                key=KEY, intent_id=send.intent_id, attempt=send.attempt, outcome=outcome,
                answered_s=self.world.now_s,
            )
        )  # fmt: skip

    def see_market(self, **changes: Any) -> None:
        """The market is read."""
        self.tell(MarketsSeen(markets={TICKER: replace(self.world.market, **changes)}))

    def see_shard(self, *, trading_active: bool) -> None:
        """The exchange's status is read."""
        shard = ShardStatus(exchange_index=2, exchange_active=True, trading_active=trading_active)
        self.tell(ShardsSeen(shards=(shard,)))

    # --- the end of the day -----------------------------------------------------------------------

    def evening(self) -> None:
        """The faults end and everything is told, second by second; then all must be in order."""
        self.note("evening")
        for second in range(EVENING_S):
            self._proven_price()
            for send in self.promises.unanswered[:]:
                self.promises.unanswered.remove(send)
                self.answer(send, self.exchange.accept(send))
            while self.exchange.unpushed:
                self.tell(self.exchange.unpushed.pop(0))
            self.tell(self.exchange.orders_read())
            self.tell(self.exchange.positions_read())
            if second < 2 and not self._is_settled:
                self.see_market(status=MarketStatus.ACTIVE if second else MarketStatus.INACTIVE)
                self.see_shard(trading_active=True)
        if not self._is_settled:
            self.promises.check_the_end()

    def _proven_price(self) -> None:
        self.world.now_s += 1
        self.deliver()
        self.world.link()
        self.quote(EVENING_BID)
        self.world.rest(EVENING_BID)
        self.check()

    @property
    def _is_settled(self) -> bool:
        return self.world.guards.markets.get(TICKER, self.world.market).status.is_settling


def violation_of(seed: int, steps: int) -> tuple[str | None, list[str]]:
    """Live one day; return what went wrong on it, if anything did, and its diary."""
    day: Day | None = None
    try:
        day = Day(seed)
        day.live(steps)
    except Violation as e:
        return f"seed {seed}: {e}", [] if day is None else day.diary
    except Exception as e:
        at = traceback.extract_tb(e.__traceback__)[-1]
        where = f"{at.filename.rpartition('/')[2]}:{at.lineno}"
        return f"seed {seed}: {type(e).__name__}: {e} at {where}", [] if day is None else day.diary
    return None, day.diary


def main(first: int, count: int, steps: int = 120) -> int:
    """Live ``count`` days from seed ``first`` and print what went wrong; a single day shows its diary."""
    failed = 0
    for seed in range(first, first + count):
        violation, diary = violation_of(seed, steps)
        if count == 1:
            print(*diary[-60:], sep="\n")
        if violation is not None:
            failed += 1
            print(violation)
    print(f"{failed} of {count} days failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
