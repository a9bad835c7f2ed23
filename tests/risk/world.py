"""A small world for the pure core: a price cache on a fake clock, the guards, and what they ask for.

No exchange here: tests say what the exchange answers. The shells are tested over real sockets in
tests/integration.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

from base.feed.freshness import ConnectionFacts, Freshness, Lag, MarketFacts
from base.feed.price_cache import PriceCache
from base.feed.watch import Sighting
from base.model import (
    Accepted,
    Fill,
    Key,
    Market,
    MarketStatus,
    NotSent,
    OrderReport,
    OrdersRead,
    Outcome,
    Position,
    PositionsRead,
    Quote,
    Refused,
    ShardStatus,
    Side,
    Source,
    Unanswered,
)
from base.risk import news
from base.risk.counting import AS_OF_MARGIN_MS
from base.risk.decide import Moment
from base.risk.guard import Guard
from base.risk.guards import Guards, Terms
from base.risk.messages import Answered, Effect, Line, MarketsSeen, Message, Opened, Send, ShardsSeen
from base.risk.rules import Rule, StopSettings
from base.units import PriceGrid

D = Decimal
GRID = PriceGrid.of([("0.0000", "1.0000", "0.0100")])
TICKER = "KXTEST-26DEC31-A"
KEY = Key(0, TICKER)
EPOCH_MS = 1_795_000_000_000


class World:
    """Time stands still until ``pass_s``; prices and answers are what the test says."""

    def __init__(
        self, rule: Rule, side: Side = Side.YES, *, is_live: bool = True, subaccounts: Collection[int] = (0,),
        armed_before: Mapping[Key, Side] | None = None, **settings: Any,
    ):  # fmt: skip
        self.now_s = 1_000.0
        self.side = side
        self.cache = PriceCache(self)
        self.watch = self.cache.watch(lambda: None)
        self.effects: list[Effect] = []
        self.guards = Guards(
            Terms(
                settings=StopSettings(default=rule, **settings),
                account="a" * 12,
                is_live=is_live,
                subaccounts=frozenset(subaccounts),
                new_bits=lambda: 7,
            ),
            armed_before=dict(armed_before or {}),
        )
        self.market = Market(
            ticker=TICKER,
            status=MarketStatus.ACTIVE,
            open_ms=None,
            close_ms=None,
            grid=GRID,
            exchange_index=2,
        )
        self.link()

    # --- clock (the world is its own) ---------------------------------------------------------

    def boot_s(self) -> float:
        """Seconds of the fake clock."""
        return self.now_s

    def utc_ms(self) -> int:
        """The fake wall clock."""
        return EPOCH_MS + round(self.now_s * 1000)

    def moment(self) -> Moment:
        """Now."""
        return Moment(self.now_s, self.utc_ms())

    # --- the feed -------------------------------------------------------------------------------

    def link(self, epoch: int = 1) -> None:
        """Connect, subscribe and acknowledge."""
        facts = ConnectionFacts(
            epoch=epoch, is_connected=True, heard_s=self.now_s, lag=Lag(value_s=0.01, error_s=0.01)
        )
        self.cache.set_connection(facts)
        self._facts(epoch)
        self.watch.follow(TICKER)

    def _facts(self, epoch: int, *, in_sequence: bool = True) -> None:
        facts = MarketFacts(
            epoch=epoch, has_sequence=True, in_sequence=in_sequence, is_held=True, alive_s=self.now_s
        )
        self.cache.set_facts(TICKER, facts)

    def gap(self) -> None:
        """Lose the sequence."""
        self._facts(1, in_sequence=False)
        self.step()

    def cut(self) -> None:
        """Lose the connection."""
        self.cache.set_connection(ConnectionFacts(epoch=1, is_connected=False, heard_s=None, lag=None))
        self.step()

    def quote(
        self, bid: str | None, ask: str | None = None, size: str = "500", source: Source = Source.BOOK
    ) -> Quote:
        """A quote from the held side; the ask defaults to two cents above the bid."""
        if ask is None and bid is not None:
            ask = str(min(D(bid) + D("0.02"), D("0.99")))
        levels = () if bid is None else tuple((D(bid) - D("0.01") * n, D(size)) for n in range(20))
        seen = Quote(
            ticker=TICKER, side=self.side, bid=None if bid is None else D(bid),
            ask=None if ask in (None, "-") else D(ask), bid_size=None if bid is None else D(size),
            ask_size=D(size), bids=tuple(level for level in levels if level[0] > 0), asks=(),
            source=source, exchange_ms=None, received_s=self.now_s, epoch=0 if source is Source.REST else 1,
        )  # fmt: skip
        return seen.seen_from(Side.YES)

    def bid(self, bid: str | None, ask: str | None = None, size: str = "500") -> World:
        """A book update arrives a moment later; the monitor looks."""
        self.now_s += 0.01
        self.cache.put(self.quote(bid, ask, size), Lag(value_s=0.01, error_s=0.01))
        self.step()
        return self

    def rest(self, bid: str | None, ask: str | None = None, size: str = "500") -> World:
        """A REST book arrives; the monitor looks."""
        self.cache.put_rest(self.quote(bid, ask, size, Source.REST))
        self.step()
        return self

    def quiet(self, seconds: float, step_s: float = 0.5) -> World:
        """Time passes; the book's subscription stays alive in sequence, nothing changes."""
        end_s = self.now_s + seconds
        while self.now_s < end_s - 1e-9:
            self.now_s = min(end_s, self.now_s + step_s)
            self.cache.heard(self.now_s, in_book_sequence=True)
            self.cache.alive(TICKER, self.now_s)
            self.step()
        return self

    def meanwhile(self, answer: Callable[[World], object], seconds: float, step_s: float = 0.5) -> World:
        """Quiet time passes; whatever is in flight gets ``answer``."""
        end_s = self.now_s + seconds
        while self.now_s < end_s - 1e-9:
            if self.state == "IN_FLIGHT":
                answer(self)
            self.quiet(step_s, step_s)
        return self

    def pass_s(self, seconds: float) -> World:
        """Time passes and nothing at all is heard."""
        self.now_s += seconds
        self.step()
        return self

    # --- the monitor ----------------------------------------------------------------------------

    def look(self, guard: Guard, glance: bool) -> tuple[Sighting | None, Freshness]:
        """What the shell does: look at the guard's market."""
        rule, stop = guard.rule, guard.stop
        is_last = self.guards.keys_of[guard.key.ticker][-1] == guard.key
        seen = self.watch.look(
            guard.key.ticker,
            guard.side,
            trigger=stop.trigger if stop else None,
            target=stop.target if stop else None,
            dwell_s=rule.dwell_s if rule else 0.0,
            least_updates=rule.updates if rule else 1,
            keep=glance or not is_last,
        )
        return seen, seen.freshness if seen else self.cache.freshness(guard.key.ticker)

    def step(self) -> None:
        """One round of the monitor."""
        for key in sorted(self.guards.by_key):
            self.guards.step(key, self.look, self.moment())
        self.effects.extend(self.guards.out.take())

    def tell(self, message: Message) -> World:
        """A message reaches the monitor."""
        news.take(self.guards, message, self.look, self.moment())
        self.effects.extend(self.guards.out.take())
        return self

    def hold(self, count: str = "10", entry: str | None = "0.60") -> World:
        """The account holds a position, found by a read; its market is known."""
        self.tell(self.positions(count, entry))
        self.tell(MarketsSeen(markets={TICKER: self.market}))
        return self.tell(
            ShardsSeen(shards=(ShardStatus(exchange_index=2, exchange_active=True, trading_active=True),))
        )

    def positions(self, count: str | None, entry: str | None = "0.60", *, lag_ms: int = 0) -> PositionsRead:
        """A positions read of now (or ``lag_ms`` ago); ``None`` lists nothing."""
        listed = () if count is None else (self.position(count, entry),)
        return PositionsRead(
            subaccount=0, positions=listed, as_of_ms=self.utc_ms() - lag_ms, started_s=self.now_s
        )

    def position(self, count: str, entry: str | None) -> Position:
        """A position on the world's side; a negative count is the other side."""
        amount = D(count)
        side = self.side if amount > 0 else self.side.other
        return Position(
            ticker=TICKER, side=side, count=abs(amount), entry=None if entry is None else D(entry)
        )

    def opened(self, count: str = "10", entry: str | None = "0.60") -> World:
        """The hook."""
        self.tell(Opened(position=self.position(count, entry)))
        return self.tell(MarketsSeen(markets={TICKER: self.market}))

    # --- the exchange's answers -------------------------------------------------------------------

    @property
    def sends(self) -> list[Send]:
        """Orders sent so far."""
        return [effect for effect in self.effects if isinstance(effect, Send)]

    def answer(self, filled: str, price: str = "0.30", remaining: str = "0") -> World:
        """The newest order was accepted and filled so much at once."""
        order = self.sends[-1].order
        is_filled = D(filled) > 0
        return self.outcome(
            Accepted(
                client_order_id=order.client_order_id,
                order_id=f"o-{len(self.sends)}",
                filled=D(filled),
                remaining=D(remaining),
                average_price=D(price) if is_filled else None,
                average_fee=D("0.01") if is_filled else None,
                ts_ms=self.utc_ms(),
            )
        )

    def refuse(self, status: int, code: str) -> World:
        """The newest order was refused."""
        client_id = self.sends[-1].order.client_order_id
        return self.outcome(Refused(client_order_id=client_id, status=status, code=code, details=""))

    def lose(self) -> World:
        """The answer to the newest order was lost."""
        return self.outcome(Unanswered(client_order_id=self.sends[-1].order.client_order_id, why="timeout"))

    def not_sent(self) -> World:
        """The newest order did not leave."""
        return self.outcome(NotSent(client_order_id=self.sends[-1].order.client_order_id, why="refused"))

    def outcome(self, outcome: Outcome) -> World:
        """The executor's word on the newest order."""
        send = self.sends[-1]
        return self.tell(
            Answered(
                key=KEY,
                intent_id=send.intent_id,
                attempt=send.attempt,
                outcome=outcome,
                answered_s=self.now_s,
            )
        )

    def fill(
        self, count: str, after: str | None, *, trade: str = "t1", price: str = "0.30", ours: bool = True
    ) -> Fill:
        """A pushed fill: ``count`` sold from the held side, ``after`` still held."""
        sign = -1 if self.side is Side.YES else 1
        held = None if after is None else D(after) * -sign
        order = self.sends[-1].order if ours else None
        return Fill(
            trade_id=trade, order_id=f"o-{len(self.sends)}" if ours else "elsewhere",
            client_order_id=order.client_order_id if order else None, ticker=TICKER, subaccount=0,
            signed_count=D(count) * sign, yes_price=D(price) if self.side is Side.YES else 1 - D(price),
            fee=D("0.05"), ts_ms=self.utc_ms(), post_position=held,
        )  # fmt: skip

    def report(self, filled: str, status: str = "canceled", created_ms: int | None = None) -> OrderReport:
        """The newest order as a read or push reports it."""
        order = self.sends[-1].order
        return OrderReport(
            order_id=f"o-{len(self.sends)}", client_order_id=order.client_order_id, ticker=TICKER,
            subaccount=0, is_yes_bid=self.side is Side.NO, yes_price=order.price, status=status,
            initial=order.count, filled=D(filled), remaining=D(0), fill_cost=None, fees=None,
            created_ms=self.utc_ms() if created_ms is None else created_ms, updated_ms=None, reason=None,
            exchange_index=2,
        )  # fmt: skip

    def orders(self, *reports: OrderReport, fills: tuple[Fill, ...] = (), lag_ms: int = 0) -> OrdersRead:
        """A complete orders-and-fills read of now, or ``lag_ms`` ago."""
        return OrdersRead(
            ticker=TICKER, subaccount=0, orders=reports, fills=fills, as_of_ms=self.utc_ms() - lag_ms,
            started_s=self.now_s,
        )  # fmt: skip

    # --- what to look at ----------------------------------------------------------------------------

    @property
    def guard(self) -> Guard:
        """The only guard."""
        return self.guards.by_key[KEY]

    @property
    def state(self) -> str:
        """Its state, or GONE."""
        guard = self.guards.by_key.get(KEY)
        return "GONE" if guard is None else guard.state.value

    @property
    def events(self) -> list[str]:
        """Names of the lines written so far."""
        return [effect.event for effect in self.effects if isinstance(effect, Line)]

    def line(self, event: str) -> dict[str, object]:
        """Fields of the newest line of that event."""
        lines = [e for e in self.effects if isinstance(e, Line) and e.event == event]
        return dict(lines[-1].fields)


def armed(rule: Rule | None = None, side: Side = Side.YES, count: str = "10", **settings: Any) -> World:
    """A world whose stop has been seen safe at 0.52 and whose feed has settled."""
    world = World(rule or Rule(name="default", stop=D("0.40")), side, **settings)
    world.hold(count)
    world.bid("0.52")
    world.quiet(6)
    assert world.state == "ARMED", (world.state, world.guard.reason)
    return world


MARGIN_S = AS_OF_MARGIN_MS / 1000 + 1
