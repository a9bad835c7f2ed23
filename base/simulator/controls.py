"""What a test may do to the exchange while a client is connected to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeVar

from base.simulator.engine import changes, lifecycle
from base.simulator.engine.exchange import HOUSE
from base.simulator.engine.grid import GRIDS, Grid, grid_of
from base.simulator.engine.market import MarketSpec
from base.simulator.engine.money import ONE, ZERO
from base.simulator.engine.orders import Side
from base.simulator.fault_controls import FaultControls
from base.simulator.indices import Tick
from base.simulator.life_controls import LifeControls
from base.simulator.request_log import RecordedRequest
from base.simulator.running import Running
from base.simulator.venue import MEMBER

T = TypeVar("T")
Amount = str | int | Decimal
Levels = Iterable[tuple[Amount, Amount]]
DAY_S = 86_400.0


class Controls(FaultControls, LifeControls):
    """Markets, books and positions. Prices in dollars, counts in contracts, as strings."""

    @property
    def running(self) -> Running:
        """Return the running server."""
        raise NotImplementedError

    def _call(self, act: Callable[[], T]) -> T:
        raise NotImplementedError

    # Markets

    def add_market(
        self,
        ticker: str,
        *,
        title: str = "Test market",
        exchange_index: int = 0,
        grid: str = "linear_cent",
        close_in_s: float = DAY_S,
        open_in_s: float = -DAY_S,
        event_ticker: str = "",
        fee_type: str = "quadratic",
        fee_multiplier: Amount = "1",
        mutually_exclusive: bool = False,
        category: str = "Simulation",
        fees_waived_s: float | None = None,
    ) -> None:
        """List a market; times count from now, negative is past. Fees may be waived for a while."""
        now_ms = self._now()
        spec = MarketSpec(
            ticker=ticker,
            title=title,
            event_ticker=event_ticker,
            open_ms=now_ms + round(open_in_s * 1000),
            close_ms=now_ms + round(close_in_s * 1000),
            exchange_index=exchange_index,
            grid=GRIDS[grid],
            fee_type=fee_type,
            fee_multiplier=Decimal(fee_multiplier),
            mutually_exclusive=mutually_exclusive,
            category=category,
            fee_waiver_until_ms=None if fees_waived_s is None else now_ms + round(fees_waived_s * 1000),
        )
        self._call(lambda: self.running.venue.exchange.add_market(spec, now_ms))

    def set_book(self, ticker: str, *, yes: Levels = (), no: Levels = ()) -> None:
        """Make the house's liquidity exactly this: bids of YES and bids of NO, own prices each.

        What leaves goes first, so moving a book does not trade with itself.
        """
        wanted: dict[Side, dict[Decimal, Decimal]] = {
            Side.BID: {Decimal(p): Decimal(c) for p, c in yes},
            Side.ASK: {ONE - Decimal(p): Decimal(c) for p, c in no},
        }
        self._call(lambda: self._set_book(ticker, wanted))

    def _set_book(self, ticker: str, wanted: dict[Side, dict[Decimal, Decimal]]) -> None:
        exchange, now_ms = self.running.venue.exchange, self._now()
        book = self._market(ticker).book
        for side, levels in wanted.items():
            for price, _ in book.ladder(side).levels():
                exchange.set_level(
                    ticker, side, price, min(levels.get(price, ZERO), _own(book, side, price)), now_ms
                )
        for side, levels in wanted.items():
            for price, count in levels.items():
                exchange.set_level(ticker, side, price, count, now_ms)

    def set_level(self, ticker: str, side: str, price: Amount, count: Amount) -> None:
        """Set one level of the house: side ``bid`` or ``ask``, YES price. One or no frame."""
        exchange = self.running.venue.exchange
        self._call(
            lambda: exchange.set_level(ticker, Side(side), Decimal(price), Decimal(count), self._now())
        )

    def burst(self, ticker: str, frames: int, price: Amount = "0.50") -> None:
        """Change one bid level ``frames`` times at once: as many deltas and tickers."""

        def flood() -> None:
            exchange, now_ms = self.running.venue.exchange, self._now()
            for step in range(frames):
                exchange.set_level(ticker, Side.BID, Decimal(price), Decimal(100 + step % 2), now_ms)

        self._call(flood)

    def tick_index(self, value: Amount, *, index_id: str = "BRTI", source_ms: int | None = None) -> None:
        """Publish a reference value in dollars; without ``source_ms`` it is of now."""
        now_ms = self._now()
        when_ms = now_ms if source_ms is None else source_ms
        tick = Tick(index_id=index_id, value=Decimal(value), source_ms=when_ms, received_ms=now_ms)
        self._call(lambda: self.running.venue.indices.tick(tick))

    def set_grid(self, ticker: str, grid: str, bands: Iterable[tuple[str, str, str]] = ()) -> None:
        """Change a market's grid: a known label, or any label with (start, end, step) bands."""
        new: Grid = grid_of(grid, *bands) if bands else GRIDS[grid]
        self._call(
            lambda: lifecycle.set_grid(
                self.running.venue.exchange.state, self._market(ticker), new, self._now()
            )
        )

    # The member's account

    def deposit(self, amount: Amount, *, exchange_index: int = 0, subaccount: int = 0) -> None:
        """Bring dollars (negative: take them) onto one shard."""
        self._stage(
            lambda: self.running.venue.exchange.deposit(
                MEMBER,
                Decimal(amount),
                self._now(),
                exchange_index=exchange_index,
                subaccount=subaccount,
            )
        )

    def set_position(self, ticker: str, signed_count: Amount, entry: Amount, *, subaccount: int = 0) -> None:
        """Make the member hold this (negative: NO), bought at ``entry`` of its own side."""
        count, price = Decimal(signed_count), Decimal(entry)
        self._stage(
            lambda: self.running.venue.exchange.assign_position(
                MEMBER, ticker, count, price, self._now(), subaccount=subaccount
            )
        )

    def _stage(self, act: Callable[[], None]) -> None:
        """Set something up: reads show it at once, whatever their lag."""

        def act_and_show() -> None:
            act()
            self.running.venue.publish()
            self.running.venue.reads.show_everything(self._now())

        self._call(act_and_show)

    def position(self, ticker: str, subaccount: int = 0) -> Decimal:
        """Return the true signed position, whatever the reads say."""

        def look() -> Decimal:
            holding = self.running.venue.exchange.state.account(MEMBER).holdings.get((subaccount, ticker))
            return holding.count if holding else ZERO

        return self._call(look)

    def cash(self, *, exchange_index: int = 0, subaccount: int = 0) -> Decimal:
        """Return the true cash on one shard."""
        account = self.running.venue.exchange.state.account(MEMBER)
        return self._call(lambda: account.cash.get((subaccount, exchange_index), ZERO))

    def external_fill(self, ticker: str, signed_count: Amount, price: Amount, *, subaccount: int = 0) -> None:
        """Let the member trade elsewhere: buy (negative: sell) YES at a YES price."""
        self._call(
            lambda: self.running.venue.exchange.trade_elsewhere(
                MEMBER, ticker, Decimal(signed_count), Decimal(price), self._now(), subaccount=subaccount
            )
        )

    def block_trade(self, ticker: str, price: Amount, count: Amount) -> None:
        """Let others trade off the book at a YES price: the last price moves, the book does not."""
        exchange = self.running.venue.exchange
        self._call(
            lambda: exchange.report_trade(
                ticker, Side.BID, Decimal(price), Decimal(count), self._now(), is_block=True
            )
        )

    def cancel_orders(self) -> None:
        """Cancel all the member's resting orders, as if done elsewhere."""
        state = self.running.venue.exchange.state
        self._call(lambda: changes.cancel_each(state, MEMBER, None, self._now()))

    # What was sent

    @property
    def requests(self) -> list[RecordedRequest]:
        """Return all requests so far, oldest first."""
        return self.running.venue.requests.all()

    @property
    def orders_received(self) -> list[dict[str, Any]]:
        """Return the bodies of all create requests so far, refused ones too."""
        return [
            r.json
            for r in self.requests
            if r.method == "POST" and r.path.endswith("/portfolio/events/orders")
        ]

    def forget_requests(self) -> None:
        """Start the list of requests anew."""
        self._call(self.running.venue.requests.clear)


def _own(book: Any, side: Side, price: Decimal) -> Decimal:
    own = (o.remaining for o in book.ladder(side).orders_at(price) if o.account_id == HOUSE)
    return sum(own, ZERO)
