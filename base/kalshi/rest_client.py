"""The exchange over REST: reads that raise, writes that say what became of them.

Reads are repeated within their deadline. Writes never are: a second order could sell twice, so
an answer that did not come is ``Unanswered`` and only evidence settles it.
See: docs.kalshi.com/openapi.yaml 3.34.0.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import TypeVar
from urllib.parse import quote

from base.clock import Clock
from base.errors import MonitorError, OutcomeUnknown, TransportError, WireError
from base.feed.clock_offset import ClockOffset
from base.kalshi import order_writes
from base.kalshi.account_terms import AccountLimits
from base.kalshi.auth import Signer
from base.kalshi.key_reads import KeyReads
from base.kalshi.pages import Paged, each_page, in_batches
from base.kalshi.rate_budget import CHEAP_COST, BucketLimit, Kind, RateBudget
from base.kalshi.rest_calls import RestCalls
from base.kalshi.rest_markets import BooksBody, MarketRow, MarketsPage, StatusBody
from base.kalshi.rest_messages import (
    AsOf,
    BalanceBody,
    CostsBody,
    FillsPage,
    LimitsBody,
    OneOrder,
    OrdersPage,
    PositionsPage,
    read,
    unix_ms,
)
from base.kalshi.rest_transport import Answer, Query
from base.model import (
    AT_ONCE,
    Accepted,
    Departure,
    EntryOrder,
    ExitOrder,
    Market,
    NotSent,
    OrderReport,
    OrdersRead,
    Outcome,
    PositionsRead,
    Quote,
    ShardStatus,
    Unanswered,
)
from base.units import parse_decimal, typed_name

ORDERS = "/portfolio/events/orders"
PAGE = 1000
BATCH = 100
P = TypeVar("P", bound=Paged)
R = TypeVar("R")
Order = TypeVar("Order", ExitOrder, EntryOrder)


class KalshiRest(KeyReads):
    """One client with its own connections; safe for several threads.

    Every read raises ``RequestRefused``, ``TransportError``, ``OutcomeUnknown`` or ``WireError``
    rather than return a part. ``timeout_s`` bounds each request as a whole, name look-up included.

    Args:
        rest_url: Base address, ``/trade-api/v2`` included.
        signer: Signs each request.
        budget: The account's token buckets, shared by all of its clients.
        clock: Time.
        offset: Told of the exchange's clock by every answer.
        for_exits: Whether this client may use the share of the budget kept for exits.
        timeout_s: Seconds for one request.
        on_recovered: Called after the first success that follows a failure.
    """

    def __init__(
        self,
        rest_url: str,
        signer: Signer,
        budget: RateBudget,
        clock: Clock,
        offset: ClockOffset,
        *,
        for_exits: bool,
        timeout_s: float = 3.0,
        on_recovered: Callable[[], None] | None = None,
    ):
        self._key_id = signer.key_id
        self._budget = budget
        self._clock = clock
        self._calls = RestCalls(
            rest_url, signer, budget, clock, offset,
            for_exits=for_exits, timeout_s=timeout_s, on_recovered=on_recovered,
        )  # fmt: skip

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()

    # --- orders: these never raise and are never repeated ---------------------------------------

    def place_exit(self, order: ExitOrder, departure: Departure = AT_ONCE) -> Outcome:
        """``POST /portfolio/events/orders``, immediate-or-cancel and reduce-only.

        Its first byte leaves when ``departure`` allows it, or it does not leave at all.
        """
        return self._place(order, order_writes.exit_body, departure)

    def place_entry(self, order: EntryOrder) -> Outcome:
        """``POST /portfolio/events/orders`` for the strategy."""
        return self._place(order, order_writes.entry_body)

    def cancel(self, order_id: str, ticker: str, exchange_index: int, subaccount: int) -> Outcome:
        """``DELETE /portfolio/events/orders/{id}``. A 404 says little: read the order list."""
        if not _is_id(order_id):
            return NotSent(client_order_id="", why=f"{order_id!a:.60} is no order id")
        query: Query = {"market_ticker": ticker, "exchange_index": exchange_index, "subaccount": subaccount}
        cost = self._budget.cost("DELETE", f"{ORDERS}/{{order_id}}", CHEAP_COST)
        answer = self._write("DELETE", _order_path(order_id), exchange_index, "", query, None, cost)
        if not isinstance(answer, Answer):
            return answer
        return order_writes.cancelled(order_id, answer.status, answer.body)

    def _place(
        self, order: Order, write: Callable[[Order], bytes], departure: Departure = AT_ONCE
    ) -> Outcome:
        own_id = order.client_order_id
        try:
            body = write(order)
        except ValueError as e:
            return NotSent(client_order_id=own_id, why=str(e))
        answer = self._write("POST", ORDERS, order.exchange_index, own_id, None, body, departure=departure)
        if not isinstance(answer, Answer):
            return answer
        outcome = order_writes.created(order, answer.status, answer.body)
        if isinstance(outcome, Accepted) and outcome.ts_ms is not None:
            self._calls.note_exchange_ms(answer, outcome.ts_ms)
        return outcome

    def _write(
        self,
        method: str,
        path: str,
        shard: int,
        own_id: str,
        query: Query | None,
        body: bytes | None,
        cost: float | None = None,
        departure: Departure = AT_ONCE,
    ) -> Answer | NotSent | Unanswered:
        try:
            return self._calls.once(
                method, path, query, body, kind=Kind.WRITE, shard=shard, cost=cost, departure=departure
            )
        except TransportError as e:
            return NotSent(client_order_id=own_id, why=str(e))
        except OutcomeUnknown as e:
            return Unanswered(client_order_id=own_id, why=str(e))

    # --- the account ----------------------------------------------------------------------------

    def positions(self, subaccount: int) -> PositionsRead:
        """``GET /portfolio/positions``, every page, right after the time up to which it is complete."""
        as_of_ms, started_s = self.user_data_as_of_ms(), self._clock.boot_s()
        query: Query = {"subaccount": subaccount, "count_filter": "position", "limit": PAGE}
        rows = self._rows("/portfolio/positions", query, PositionsPage, lambda page: page.market_positions)
        found = [row.position(subaccount) for row in rows]
        return PositionsRead(
            subaccount=subaccount,
            positions=tuple(position for position in found if position is not None),
            as_of_ms=as_of_ms,
            started_s=started_s,
        )

    def orders_and_fills(self, ticker: str, subaccount: int, min_ts_ms: int) -> OrdersRead:
        """``GET /portfolio/orders`` and ``/portfolio/fills`` of one market since then, every page."""
        as_of_ms, started_s = self.user_data_as_of_ms(), self._clock.boot_s()
        since_s = max(0, min_ts_ms // 1000 - 1)  # whole seconds, "after": one second more than asked
        query: Query = {"ticker": ticker, "subaccount": subaccount, "min_ts": since_s, "limit": PAGE}
        orders = self._rows("/portfolio/orders", query, OrdersPage, lambda page: page.orders)
        fills = self._rows("/portfolio/fills", query, FillsPage, lambda page: page.fills)
        return OrdersRead(
            ticker=ticker,
            subaccount=subaccount,
            orders=tuple(row.report(subaccount) for row in orders),
            fills=tuple(row.report(subaccount) for row in fills),
            as_of_ms=as_of_ms,
            started_s=started_s,
        )

    def resting_orders(self, ticker: str | None, subaccount: int) -> tuple[OrderReport, ...]:
        """``GET /portfolio/orders?status=resting`` of one market, or of all (``None``), every page."""
        one: Query = {} if ticker is None else {"ticker": ticker}
        query: Query = {**one, "subaccount": subaccount, "status": "resting", "limit": PAGE}
        rows = self._rows("/portfolio/orders", query, OrdersPage, lambda page: page.orders)
        return tuple(row.report(subaccount) for row in rows)

    def order(self, order_id: str) -> OrderReport:
        """``GET /portfolio/orders/{id}``. It may lag behind the order list."""
        path = f"/portfolio/orders/{quote(order_id, safe='')}"
        return self._calls.get(path, OneOrder, cost=CHEAP_COST).order.report(0)

    def balance(self, subaccount: int = 0) -> Decimal:
        """``GET /portfolio/balance``: cash of all shards, dollars. Once a second; waits until it may."""
        query = {"subaccount": subaccount}
        body = self._calls.get("/portfolio/balance", BalanceBody, query, kind=Kind.BALANCE, cost=1.0)
        return parse_decimal(body.balance_dollars, "balance_dollars")

    def user_data_as_of_ms(self) -> int | None:
        """``GET /exchange/user_data_timestamp``: up to when portfolio reads are complete, roughly."""
        return unix_ms(self._calls.get("/exchange/user_data_timestamp", AsOf).as_of_time)

    def limits(self) -> AccountLimits:
        """``GET /account/limits`` and ``/account/endpoint_costs``; the budget takes them over."""
        body = self._calls.get("/account/limits", LimitsBody)
        if min(body.read.refill_rate, body.write.refill_rate) <= 0:
            raise WireError("refill_rate", 0)
        found = AccountLimits(
            usage_tier=body.usage_tier,
            read=BucketLimit(body.read.refill_rate, body.read.bucket_capacity),
            write=BucketLimit(body.write.refill_rate, body.write.bucket_capacity),
        )
        self._budget.set_limits(found.read, found.write)
        with contextlib.suppress(MonitorError):  # the usual costs are known; this only refines them
            costs = self._calls.get("/account/endpoint_costs", CostsBody)
            told = {(row.method, row.path): row.cost for row in costs.endpoint_costs}
            self._budget.set_costs(costs.default_cost, told)
        return found

    # --- the exchange ---------------------------------------------------------------------------

    def shards(self) -> tuple[ShardStatus, ...]:
        """``GET /exchange/status``; it may answer 500, 503 or 504 with the same body."""
        return self._calls.get("/exchange/status", StatusBody, also=(500, 503, 504)).shards()

    def markets(self, tickers: Collection[str]) -> dict[str, Market]:
        """``GET /markets?tickers=``: those that exist. One that can't be read is left out."""
        found: dict[str, Market] = {}
        for batch in in_batches(tickers, BATCH):
            query: Query = {"tickers": ",".join(batch), "limit": PAGE}
            found |= {market.ticker: market for market in self._markets(query)}
        return {ticker: found[ticker] for ticker in tickers if ticker in found}

    def open_markets(self, series: str) -> tuple[Market, ...]:
        """``GET /markets?series_ticker=&status=open``, every page."""
        return self._series(series, "open")

    def unopened_markets(self, series: str) -> tuple[Market, ...]:
        """``GET /markets?series_ticker=&status=unopened``: listed, not open yet; every page."""
        return self._series(series, "unopened")

    def read_books(self, tickers: Collection[str]) -> list[Quote]:
        """``GET /markets/orderbooks``, at most 100 markets a call, as quotes seen from YES.

        The answer has no time: a quote is as old as the request's start. A crossing book is left out.
        """
        quotes: list[Quote] = []
        for batch in in_batches(tickers, BATCH):
            answer = self._calls.answer("/markets/orderbooks", {"tickers": batch})
            rows = read(answer.body, BooksBody).orderbooks
            seen = [row.quote(answer.started_s) for row in rows if row.ticker in batch]
            quotes += [found for found in seen if found is not None]
        return quotes

    def _series(self, series: str, status: str) -> tuple[Market, ...]:
        # An empty name would be no filter: every market there is, page by page.
        return tuple(self._markets({"series_ticker": typed_name(series), "status": status, "limit": PAGE}))

    def _markets(self, query: Query) -> list[Market]:
        markets = []
        for raw in self._rows("/markets", query, MarketsPage, lambda page: page.markets):
            try:
                markets.append(read(bytes(raw), MarketRow).market())
            except WireError:
                self._calls.refused_rows += 1
        return markets

    def _rows(self, path: str, query: Query, shape: type[P], rows_of: Callable[[P], list[R]]) -> list[R]:
        return each_page(lambda more: self._calls.get(path, shape, {**query, **more}), rows_of)


def _is_id(order_id: object) -> bool:
    """Whether the path with it names one order: without an id, ``DELETE`` cancels all on all sub-accounts."""
    return isinstance(order_id, str) and bool(order_id.strip("./ ")) and order_id.isascii()


def _order_path(order_id: str) -> str:
    return f"{ORDERS}/{quote(order_id, safe='')}"
