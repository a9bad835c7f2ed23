"""The exchange of one round, in a process of its own, and what it saw: every order, every fill, what is held.

It is the judge's only source of truth. The prices it shows are those of the side held.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from base.simulator.engine.events import Event, Filled, OrderChanged
from base.simulator.engine.orders import OrderRequest, Side
from base.simulator.request_log import RecordedRequest
from base.simulator.server import SimulatorServer
from base.simulator.venue import MEMBER

D = Decimal
ORDERS = "/portfolio/events/orders"
STOP, SAFE_BID, TOUCHING_BID, SUNK_BID = D("0.40"), D("0.44"), D("0.38"), D("0.22")
SPREAD, CENT, DEPTH, SIZE = D("0.02"), D("0.01"), 15, D(200)
THIN_SIZE = D(4)
"""Less than is held: the first order of an exit cannot sell everything."""
REFILL_S = 0.1
ENTRY = D("0.60")
RESTING_PRICE = D("0.93")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSeen:
    """A request for a new order, as it came. Counts in contracts, times of the monotonic clock."""

    at_ns: int
    client_id: str
    ticker: str
    count: Decimal
    held: Decimal  # truly, at that moment, unsigned
    is_journalled: bool  # its row stood in the journal, or in the emergency file
    executed_ns: int | None  # None: the exchange made no order of it


@dataclass(frozen=True, slots=True, kw_only=True)
class FillSeen:
    """A trade of the member's. Positions are signed: negative is NO."""

    at_ns: int
    client_id: str
    ticker: str
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that the exchange saw in one round."""

    orders: tuple[OrderSeen, ...]
    fills: tuple[FillSeen, ...]
    held: Mapping[str, Decimal]  # now, signed

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held in any market."""
        return not any(self.held.values())


class Witness:
    """Shows prices, and notes what the program does. Lives in the exchange's process."""

    def __init__(self, sim: SimulatorServer):
        self._sim = sim
        self._folder: Path | None = None
        self._sides: dict[str, int] = {}
        self._orders: list[dict[str, Any]] = []
        self._executed: dict[str, list[int]] = {}
        self._fills: list[FillSeen] = []
        self._refill: set[str] = set()
        venue = sim.running.venue
        venue.listeners.append(self._on_event)
        self._keep = venue.requests.note
        venue.requests.note = self._on_request  # type: ignore[method-assign]

    # --- before and during a round ------------------------------------------------------------------

    def list_markets(self, held: Mapping[str, int], folder: str) -> None:
        """List a market for each holding (negative: NO) at a safe price; journals are looked for in ``folder``."""
        self._folder = Path(folder)
        for number, (ticker, count) in enumerate(held.items()):
            self._sides[ticker] = 1 if count > 0 else -1
            self._sim.add_market(ticker, exchange_index=number % 3)
            self._show(ticker, SAFE_BID)
            if count:
                self._sim.set_position(ticker, count, ENTRY)

    def touch(self, tickers: list[str], *, thin: bool = False) -> None:
        """Let the bid fall to where the stop is touched, and stay; thin: until the first trade, for a few only."""
        for ticker in tickers:
            if thin:
                self._refill.add(ticker)
            self._show(ticker, TOUCHING_BID, thin=thin)

    def sink(self, tickers: list[str]) -> None:
        """Let the bid fall under the floor of their stops: an exit is made, and nothing can be sold."""
        for ticker in tickers:
            self._show(ticker, SUNK_BID)

    def recover(self, tickers: list[str]) -> None:
        """Let the bid come back to where no stop is touched."""
        for ticker in tickers:
            self._show(ticker, SAFE_BID)

    def rest_orders(self, tickers: list[str]) -> None:
        """Let the member rest a sale far above the market in each, as a person would by hand."""

        def rest() -> None:
            exchange = self._sim.running.venue.exchange
            for ticker in tickers:
                is_yes = self._sides[ticker] > 0
                request = OrderRequest(
                    ticker=ticker,
                    side=Side.ASK if is_yes else Side.BID,
                    count=D(2),
                    price=RESTING_PRICE if is_yes else 1 - RESTING_PRICE,
                )
                exchange.submit(MEMBER, request, self._sim.running.venue.now_ms())

        self._sim.at_once(rest)

    def _show(self, ticker: str, bid: Decimal, *, thin: bool = False) -> None:
        bids = [(bid - CENT * n, SIZE) for n in range(DEPTH)]
        if thin:
            bids = [(bid, THIN_SIZE)]
        asks = [(1 - bid - SPREAD - CENT * n, SIZE) for n in range(5)]
        yes, no = (bids, asks) if self._sides[ticker] > 0 else (asks, bids)
        self._sim.set_book(ticker, yes=yes, no=no)

    def now_ms(self) -> int:
        """The exchange's clock, Unix milliseconds."""
        return self._sim.running.venue.now_ms()

    # --- what was seen ------------------------------------------------------------------------------

    def seen(self) -> Seen:
        """All of it until now."""
        return self._sim.at_once(self._seen)

    def _seen(self) -> Seen:
        executed = {client_id: list(times) for client_id, times in self._executed.items()}
        orders = []
        for order in self._orders:
            times = executed.get(order["client_id"], [])
            orders.append(OrderSeen(**order, executed_ns=times.pop(0) if times else None))
        held = {ticker: self._held(ticker) for ticker in self._sides}
        return Seen(orders=tuple(orders), fills=tuple(self._fills), held=held)

    def sold(self) -> bool:
        """Whether any contract was sold."""
        return bool(self._fills)

    def _held(self, ticker: str) -> Decimal:
        holding = self._sim.running.venue.exchange.state.account(MEMBER).holdings.get((0, ticker))
        return holding.count if holding else D(0)

    def _on_request(self, request: RecordedRequest) -> None:
        """Called on the server's thread before anything is done about the request."""
        self._keep(request)
        if request.method != "POST" or not request.path.endswith(ORDERS):
            return
        body = request.json
        self._orders.append(
            {
                "at_ns": request.received_ns,
                "client_id": body["client_order_id"],
                "ticker": body["ticker"],
                "count": D(body["count"]),
                "held": abs(self._held(body["ticker"])),
                "is_journalled": self._is_journalled(body["client_order_id"]),
            }
        )

    def _on_event(self, event: Event) -> None:
        if isinstance(event, OrderChanged) and event.account_id == MEMBER:
            self._executed.setdefault(event.order.client_order_id, [time.monotonic_ns()])
        if not isinstance(event, Filled) or event.account_id != MEMBER:
            return
        before = event.post_position - event.count * event.side.sign
        fill = FillSeen(
            at_ns=time.monotonic_ns(),
            client_id=event.client_order_id,
            ticker=event.ticker,
            before=before,
            after=event.post_position,
        )
        self._fills.append(fill)
        if event.ticker in self._refill:
            self._refill.discard(event.ticker)
            asyncio.get_running_loop().call_later(REFILL_S, self._fill_up, event.ticker)

    def _fill_up(self, ticker: str) -> None:
        self._sim.at_once(lambda: self._show(ticker, TOUCHING_BID))
        self._sim.running.venue.publish()

    def _is_journalled(self, client_id: str) -> bool:
        """Read as another program would: whatever stands there survives the program's death."""
        assert self._folder is not None
        for journal in self._folder.glob("data/custom-*/journal.sqlite"):
            try:
                with closing(sqlite3.connect(f"file:{quote(str(journal))}?mode=ro", uri=True)) as reader:
                    found = reader.execute("SELECT 1 FROM attempts WHERE client_order_id = ?", (client_id,))
                    if found.fetchone() is not None:
                        return True
            except sqlite3.Error:
                pass  # full or damaged: then it must stand in the emergency file
        kept = self._folder.glob("emergency/*")
        return any(client_id.encode() in path.read_bytes() for path in kept)
