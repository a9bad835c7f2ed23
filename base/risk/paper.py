"""Paper execution: real feed, real positions, real decisions; orders fill against the live book, unsent.

Stands where the exchange's clients would: the monitor, the executor and the gateway cannot tell. What
is sold on paper is taken off the reported positions, what is bought on paper is added to them, and
both survive a restart. Nothing here can reach the exchange with anything that changes it.

An order takes the visible book at once, best price first, with the taker's fee; what a standing book
gave once it does not give again. The rest is cancelled: paper orders do not wait in a queue that
nobody can see.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

from base.clock import Clock, boot_ms
from base.errors import ConfigError
from base.feed.price_cache import PriceCache
from base.model import (
    AT_ONCE,
    Accepted,
    AccountEvent,
    Departure,
    EntryOrder,
    ExitOrder,
    Fill,
    Key,
    Level,
    Market,
    NotSent,
    OrderReport,
    OrdersRead,
    Outcome,
    PositionPush,
    PositionsRead,
    Quote,
    Refused,
    ShardStatus,
    Side,
    Source,
)
from base.risk.decide import FIRE_WITHIN_S
from base.risk.paper_book import PaperBook
from base.risk.ports import AccountPort, ExchangeTime
from base.risk.valuation import taker_fee
from base.units import ZERO

LEAVES_WITHIN_S = 3.0
"""As long as a real request would be given. Seconds."""
MOST_ORDERS = 1_000
"""Orders remembered for order reads: the newest of them."""
_log = logging.getLogger(__name__)


class PaperExchange:
    """The account with its paper trades on top. Any thread may call it."""

    def __init__(
        self,
        account: AccountPort,
        cache: PriceCache,
        clock: Clock,
        exchange_time: ExchangeTime,
        path: Path,
        submit: Callable[[AccountEvent], None],
    ):
        self._account = account
        self._cache = cache
        self._clock = clock
        self._exchange_time = exchange_time
        self._path = path
        self._submit = submit
        self._lock = threading.Lock()  # the paper-book lock
        # The paper-file lock: one writer at a time, newest state last. It alone is held over I/O;
        # nobody who waits for it holds another.
        self._file_lock = threading.Lock()
        # Guarded by _lock:
        self._book = _load(path)
        self._orders: list[OrderReport] = []
        self._fills: list[Fill] = []
        self._taken: dict[tuple[str, Side], tuple[tuple[Level, ...], dict[Decimal, Decimal]]] = {}

    # --- orders -------------------------------------------------------------------------------

    def place_exit(self, order: ExitOrder, departure: Departure = AT_ONCE) -> Outcome:
        """Sell what is held, at most ``order.count``, into the bids at ``order.price`` or better."""
        if not departure.allows(self._clock.boot_s, self._clock.boot_s() + LEAVES_WITHIN_S):
            return NotSent(client_order_id=order.client_order_id, why="evidence_too_old")
        quote = self._quote(order.ticker, order.side)
        with self._lock:
            held = self._book.held(Key(order.subaccount, order.ticker), order.side)
            levels = self._free(order.ticker, order.side, () if quote is None else _bids(quote))
            wanted = [level for level in levels if level[0] >= order.price]
            outcome, fills = self._trade(order, order.side, min(order.count, held), wanted)
        return self._tell(outcome, fills)

    def place_entry(self, order: EntryOrder) -> Outcome:
        """Trade for the strategy: buy from the asks, or sell into the bids, at ``order.price`` or better."""
        if order.post_only:
            return _refused(order.client_order_id, "invalid_order", "paper orders do not rest")
        # To buy one side is to sell into the bids of the other.
        side = order.side.other if order.is_buy else order.side
        limit = 1 - order.price if order.is_buy else order.price
        quote = self._quote(order.ticker, side)
        with self._lock:
            levels = self._free(order.ticker, side, () if quote is None else _bids(quote))
            wanted = [level for level in levels if level[0] >= limit]
            if order.time_in_force == "fill_or_kill" and sum(size for _, size in wanted) < order.count:
                return _refused(order.client_order_id, "fill_or_kill_insufficient_resting_volume", "")
            held = self._book.held(Key(order.subaccount, order.ticker), order.side)
            count = min(order.count, held) if order.only_reduces else order.count
            outcome, fills = self._trade(order, side, count, wanted)
        return self._tell(outcome, fills)

    def cancel(self, order_id: str, ticker: str, exchange_index: int, subaccount: int) -> Outcome:
        """Nothing rests on paper, and real orders are not touched."""
        return Refused(client_order_id=order_id, status=404, code="not_found", details="paper: not sent")

    def _tell(self, outcome: Accepted, fills: list[Fill]) -> Outcome:
        """Keep the trades, then push their fills as the exchange would. Without _lock."""
        if fills:
            self._save()
        for fill in fills:
            self._submit(fill)
        return outcome

    # With _lock held:

    def _trade(
        self, order: ExitOrder | EntryOrder, side: Side, count: Decimal, bids: list[Level]
    ) -> tuple[Accepted, list[Fill]]:
        """Give away ``count`` of ``side`` into ``bids``, seen from ``side``, best first."""
        order_id = f"paper-{uuid4().hex}"
        taken = self._taken[order.ticker, side][1]
        fills, left = [], count
        for price, size in bids:
            if left <= ZERO:
                break
            part = min(left, size)
            left -= part
            taken[price] = taken.get(price, ZERO) + part
            fills.append(self._fill(order, order_id, side, part, price))
        filled = count - left
        self._remember(order, order_id, side, filled, fills)
        paid = sum((fill.price_for(order.side) * abs(fill.signed_count) for fill in fills), ZERO)
        accepted = Accepted(
            client_order_id=order.client_order_id,
            order_id=order_id,
            filled=filled,
            remaining=ZERO,
            average_price=paid / filled if filled else None,
            average_fee=sum((fill.fee for fill in fills), ZERO) / filled if filled else None,
            ts_ms=self._now_ms(),
        )
        return accepted, fills

    def _fill(
        self, order: ExitOrder | EntryOrder, order_id: str, side: Side, count: Decimal, price: Decimal
    ) -> Fill:
        key = Key(order.subaccount, order.ticker)
        signed, yes_price = (-count, price) if side is Side.YES else (count, 1 - price)
        self._book.trade(key, signed, yes_price)
        return Fill(
            trade_id=f"paper-{uuid4().hex}",
            order_id=order_id,
            client_order_id=order.client_order_id,
            ticker=order.ticker,
            subaccount=order.subaccount,
            signed_count=signed,
            yes_price=yes_price,
            fee=taker_fee(count, price),
            ts_ms=self._now_ms(),
            post_position=self._book.net(key),
        )

    def _remember(
        self, order: ExitOrder | EntryOrder, order_id: str, side: Side, filled: Decimal, fills: list[Fill]
    ) -> None:
        now_ms = self._now_ms()
        self._orders.append(
            OrderReport(
                order_id=order_id,
                client_order_id=order.client_order_id,
                ticker=order.ticker,
                subaccount=order.subaccount,
                is_yes_bid=side is Side.NO,
                yes_price=order.price if order.side is Side.YES else 1 - order.price,
                status="executed" if filled == order.count else "canceled",
                initial=order.count,
                filled=filled,
                remaining=ZERO,
                fill_cost=None,
                fees=None,
                created_ms=now_ms,
                updated_ms=now_ms,
                reason=None,
                exchange_index=order.exchange_index,
            )
        )
        self._fills.extend(fills)
        del self._orders[:-MOST_ORDERS], self._fills[:-MOST_ORDERS]

    def _quote(self, ticker: str, side: Side) -> Quote | None:
        """The live book, if it is proven or was read by REST within two seconds; else nothing fills."""
        quote = self._cache.quote(ticker, side)
        if quote is None or self._cache.freshness(ticker).is_proven:
            return quote
        is_recent = self._clock.boot_s() - quote.received_s <= FIRE_WITHIN_S
        return quote if quote.source is Source.REST and is_recent else None

    def _free(self, ticker: str, side: Side, levels: tuple[Level, ...]) -> list[Level]:
        """What the standing book still gives: the same book never gives the same contracts twice."""
        before = self._taken.get((ticker, side))
        if before is None or before[0] != levels:
            self._taken[ticker, side] = (levels, {})
            return list(levels)
        return [
            (price, size - before[1].get(price, ZERO))
            for price, size in levels
            if size > before[1].get(price, ZERO)
        ]

    # --- reports ------------------------------------------------------------------------------

    def positions(self, subaccount: int) -> PositionsRead:
        """The account's positions with the paper trades on top."""
        read = self._account.positions(subaccount)
        with self._lock:
            self._book.take_report(subaccount, read.positions)
            positions = self._book.positions(subaccount, read.positions)
        return replace(read, positions=positions)

    def orders_and_fills(self, ticker: str, subaccount: int, min_ts_ms: int) -> OrdersRead:
        """Paper orders and fills of the market; the account's own are not this program's doing."""
        with self._lock:
            orders = tuple(o for o in self._orders if (o.ticker, o.subaccount) == (ticker, subaccount))
            fills = tuple(f for f in self._fills if (f.ticker, f.subaccount) == (ticker, subaccount))
        return OrdersRead(
            ticker=ticker,
            subaccount=subaccount,
            orders=tuple(order for order in orders if (order.created_ms or 0) >= min_ts_ms),
            fills=tuple(fill for fill in fills if fill.ts_ms >= min_ts_ms),
            as_of_ms=self._now_ms(),
            started_s=self._clock.boot_s(),
        )

    def resting_orders(self, ticker: str | None, subaccount: int) -> tuple[OrderReport, ...]:
        """None: on paper no order of ours rests, and real ones are not ours to cancel."""
        return ()

    def markets(self, tickers: Collection[str]) -> Mapping[str, Market]:
        """The markets, as the exchange lists them. Nothing is held any more of one that is settled."""
        found = self._account.markets(tickers)
        settled = [ticker for ticker, market in found.items() if market.status.is_settling]
        with self._lock:
            has_changed = self._book.settle(settled)
        if has_changed:
            self._save()
        return found

    def shards(self) -> tuple[ShardStatus, ...]:
        """The exchange's status."""
        return self._account.shards()

    def on_account_event(self, event: AccountEvent) -> None:
        """Pass on a push about the real account, seen with the paper trades on top."""
        if isinstance(event, OrderReport):
            return  # a real order: nothing of ours
        if isinstance(event, Fill):
            event = self._with_paper(event)
        elif isinstance(event, PositionPush):
            with self._lock:
                self._book.take_position(Key(event.subaccount, event.ticker), event.signed_count)
                net = self._book.net(Key(event.subaccount, event.ticker))
            event = replace(event, signed_count=net)
        self._submit(event)

    def _with_paper(self, fill: Fill) -> Fill:
        if fill.post_position is None:
            return fill
        with self._lock:
            key = Key(fill.subaccount, fill.ticker)
            self._book.take_position(key, fill.post_position)
            return replace(fill, post_position=self._book.net(key))

    # --- files --------------------------------------------------------------------------------

    def _save(self) -> None:
        """Write the paper trades whole, then swap: a kill in between leaves the old file."""
        new = self._path.with_suffix(".new")
        with self._file_lock:
            with self._lock:
                text = json.dumps(self._book.as_json(), indent=1)
            try:
                self._write(new, text)
            except OSError as e:  # a full disk: the next trade writes this one, too
                _log.error("paper_trades_not_written why=%s", ascii(str(e)))

    def _write(self, new: Path, text: str) -> None:
        descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)

    def _now_ms(self) -> int:
        measured = self._exchange_time.exchange_ms(boot_ms(self._clock))
        return self._clock.utc_ms() if measured is None else measured[0]


def _bids(quote: Quote) -> tuple[Level, ...]:
    if quote.bids or quote.bid is None or quote.bid_size is None:
        return quote.bids
    return ((quote.bid, quote.bid_size),)


def _refused(client_order_id: str, code: str, details: str) -> Refused:
    return Refused(client_order_id=client_order_id, status=400, code=code, details=details)


def _load(path: Path) -> PaperBook:
    """Read the paper trades of earlier runs.

    Raises:
        ConfigError: The file is damaged: a person must look, or remove it to begin anew.
    """
    if not path.exists():
        return PaperBook()
    try:
        return PaperBook.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as e:
        raise ConfigError(str(path), f"cannot be read ({e}); remove it to begin paper trading anew") from e
