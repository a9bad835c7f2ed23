"""Live prices for a program of your own: subscribe markets or whole series, ask, or be called back.

It only reads. What waits for the exchange runs on threads of its own: every method but the first
``start`` and ``stop`` returns at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, cast

from base.clock import Clock, SystemClock, boot_ms
from base.errors import OutcomeUnknown, TransportError, WireError
from base.feed.clock_offset import ClockOffset
from base.feed.freshness import Freshness
from base.feed.refresher import PriceRefresher
from base.feed.watch_list import WatchList
from base.kalshi import best_prices
from base.kalshi.auth import Signer
from base.kalshi.best_prices import BestPrices
from base.kalshi.callbacks import CallbackThread
from base.kalshi.client_stats import stats_of
from base.kalshi.commands import BOOK, TICKER, refuse_retired
from base.kalshi.messages import BookDelta, BookSnapshot, Ticker, refuse_type
from base.kalshi.rate_budget import RateBudget
from base.kalshi.rest_client import KalshiRest
from base.kalshi.series import Pace
from base.kalshi.series_follower import SeriesFollower
from base.kalshi.websocket_client import WebSocketManager
from base.kalshi.websocket_price_cache import WebSocketPriceCache
from base.model import Market, Quote, Side, Source
from base.units import typed_name

log = logging.getLogger(__name__)

STALE_AFTER_S = 60.0
STOP_S = 4.0
YOU = "you"
"""Who wants the markets that were asked for by name, beside the series."""
REPORTS = frozenset({"fill", "user_order", "market_position"})
"""Messages about the account: never dropped on their way to a handler."""
OnPrices = Callable[[BestPrices], None]


class LivePrices:
    """A client of the exchange's prices. A context manager: threads start on entering, end on leaving.

    Callbacks run on one thread of their own, in no hurry of the feed: of prices that wait only the
    newest of each market is kept. What a callback raises is counted and logged. See ADR 8.

    Args:
        rest_url: Base address, ``/trade-api/v2`` included.
        websocket_url: Address of the WebSocket.
        signer: Signs each request.
        on_orderbook: Called with the best prices whenever a subscribed book changed.
        on_ticker: Called with the best prices of each ticker message.
        clock: Time.
        pace: How closely series are followed.
    """

    _is_started = _is_stopped = False

    def __init__(
        self,
        rest_url: str,
        websocket_url: str,
        signer: Signer,
        *,
        on_orderbook: OnPrices | None = None,
        on_ticker: OnPrices | None = None,
        clock: Clock | None = None,
        pace: Pace | None = None,
    ):
        self._clock = clock = clock or SystemClock()
        self._offset = offset = ClockOffset()
        self._cache = WebSocketPriceCache(clock)
        self._feed = WebSocketManager(
            websocket_url, signer, self._cache, clock, offset,
            on_account_event=lambda event: None, on_crashed=self._crashed,
        )  # fmt: skip
        self._rest = KalshiRest(rest_url, signer, RateBudget(clock), clock, offset, for_exits=False)
        self._refresher = PriceRefresher(
            self._cache, self._rest, clock, stale_after_s=STALE_AFTER_S, held=self._feed.held,
            on_disagreement=self._feed.distrust, on_crashed=self._crashed,
        )  # fmt: skip
        self._books = WatchList(self._feed.hold, self._feed.release)
        self._tickers = WatchList(self._feed.watch_only, self._feed.unwatch)
        self._follower = SeriesFollower(
            self._rest, self._books.want, clock, offset, pace=pace, on_crashed=self._crashed
        )
        self._callbacks, self._dead = CallbackThread(self._crashed), list[str]()
        self._register_prices(on_orderbook, on_ticker)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- start and end --------------------------------------------------------------------------

    def start(self, series: str | None = None) -> None:
        """Start, and follow ``series`` if one is named. Started already, it only follows.

        The first start asks the exchange one thing, for at most 3 s: whether it knows this key. That
        also measures its clock, without which no price is proven. Without an answer it starts as well.

        Raises:
            RequestRefused: The exchange does not let this key in.
            RuntimeError: If it was stopped; make a new one.
        """
        if self._is_stopped:
            raise RuntimeError("these prices were stopped: make new ones")
        if series is not None:
            self.subscribe_series(series)
        if not self._is_started:
            self._ask_for_limits()
            self._is_started = True
            for part in (self._callbacks, self._refresher, self._feed, self._follower):
                part.start()

    def _ask_for_limits(self) -> None:
        try:
            self._rest.limits()
        except (TransportError, OutcomeUnknown, WireError) as e:
            log.warning("exchange not reached reason=%s", ascii(str(e)))

    def stop(self, timeout_s: float = STOP_S) -> list[str]:
        """End everything within ``timeout_s`` seconds; return the names of what would not end."""
        self._is_stopped = True
        if not self._is_started:
            return []
        deadline_s = self._clock.boot_s() + timeout_s
        late = []
        for name, stop in (
            ("series follower", self._follower.stop),
            ("websocket manager", self._feed.stop),
            ("price refresher", self._refresher.stop),
            ("price callbacks", self._callbacks.stop),
        ):
            if not stop(max(0.1, deadline_s - self._clock.boot_s())):
                late.append(name)
        self._rest.close()
        if late:
            log.warning("did not end in time: %s", ", ".join(late))
        return late

    # --- what is subscribed ---------------------------------------------------------------------

    def subscribe_market(self, ticker: str) -> None:
        """Subscribe the book and the ticker of one market. It comes back after every reconnect."""
        self._books.add(YOU, _named([ticker]))

    def subscribe_to_ticker(self, tickers: Collection[str]) -> None:
        """Subscribe only the ticker channel of these markets: best prices, no book.

        Raises:
            ValueError: If no market is named: an empty list would mean all of them.
        """
        self._tickers.add(YOU, _named(tickers))

    def subscribe_series(self, series: str) -> None:
        """Subscribe every open market of ``series``, and each that opens later; closed ones leave.

        Raises:
            ValueError: If ``series`` is empty.
        """
        self._follower.follow(series)

    def unsubscribe_series(self, series: str) -> None:
        """Let go of a series and its markets; one subscribed by name stays."""
        self._follower.unfollow(series)

    def subscribe(self, channel: str, tickers: Collection[str]) -> None:
        """Subscribe a channel by the exchange's name: ``ticker`` or ``orderbook_delta``.

        Raises:
            ValueError: If it is another one; a retired channel's successor is named.
        """
        refuse_retired(channel)
        if channel not in (TICKER, BOOK):
            raise ValueError(
                f"{channel} isn't subscribed by market: prices come by {TICKER} and {BOOK}; "
                "for other messages use register_handler"
            )
        (self._tickers if channel == TICKER else self._books).add(YOU, _named(tickers))

    def unsubscribe_from_markets(self, tickers: Collection[str]) -> None:
        """Unsubscribe these markets altogether, those that a series brought included.

        Raises:
            ValueError: If no market is named.
        """
        named = _named(tickers)
        self._books.leave_out(YOU, named)
        self._tickers.leave_out(YOU, named)

    @property
    def subscribed_markets(self) -> frozenset[str]:
        """Every market that is to be subscribed now; ``freshness(ticker).ack`` says whether it is."""
        return self._books.tickers | self._tickers.tickers

    def series_markets(self, series: str) -> tuple[Market, ...]:
        """The open markets of a followed series, as last read; the one that closes first in front."""
        return self._follower.open_markets(series)

    # --- prices ---------------------------------------------------------------------------------

    def get_price(self, ticker: str, side: Side | str = Side.YES) -> Decimal | None:
        """The best bid on ``side``, dollars: what selling would bring.

        ``None``: nobody bids, or no price is proven to hold now. An old price is no price.
        """
        quote = self.quote(ticker, side)
        return quote.bid if quote is not None and self.freshness(ticker).is_proven else None

    def quote(self, ticker: str, side: Side | str = Side.YES) -> Quote | None:
        """The newest bid, ask and sizes from ``side``, however old; ``None``: none known yet."""
        return self._cache.quote(ticker, Side(side))

    def freshness(self, ticker: str) -> Freshness:
        """Which of the five proofs hold that the quote is true now."""
        return self._cache.freshness(ticker)

    def age_s(self, ticker: str) -> float | None:
        """Seconds since the quote was last proven to stand; ``None``: no quote."""
        return self._cache.age_s(ticker)

    # --- callbacks ------------------------------------------------------------------------------

    def register_handler(self, message_type: str, fn: Callable[[Any], None]) -> None:
        """Call ``fn`` with every decoded frame of a type, such as ``fill``, ``trade`` or ``ticker``.

        Raises:
            ValueError: If no such frame comes here; a retired channel's successor is named.
        """
        refuse_type(message_type)
        queue = self._callbacks.report if message_type in REPORTS else self._callbacks.frame
        self._feed.register_handler(message_type, lambda frame: queue(lambda: fn(frame)))

    def _register_prices(self, on_orderbook: OnPrices | None, on_ticker: OnPrices | None) -> None:
        newest = self._callbacks.newest
        if on_ticker is not None:
            tell = on_ticker

            def ticker_came(frame: Ticker) -> None:
                newest((TICKER, frame.ticker), lambda: self._tell_ticker(tell, frame))

            self._feed.register_handler(TICKER, ticker_came)
        if on_orderbook is not None:
            tell_book = on_orderbook

            def book_changed(frame: BookDelta | BookSnapshot) -> None:
                newest((BOOK, frame.ticker), lambda: self._tell_book(tell_book, frame.ticker))

            self._feed.register_handler(BOOK, book_changed)
            self._feed.register_handler("orderbook_snapshot", book_changed)

    def _tell_ticker(self, tell: OnPrices, frame: Ticker) -> None:
        if frame.ticker in self.subscribed_markets:  # else it was under way when we let go
            tell(best_prices.of_ticker(frame))

    def _tell_book(self, tell: OnPrices, ticker: str) -> None:
        quote = self._cache.quote(ticker)
        if quote is not None and quote.source is Source.BOOK:  # a book with a gap is no price
            tell(best_prices.of_quote(quote))

    # --- how it goes ----------------------------------------------------------------------------

    def get_stats(self) -> Mapping[str, object]:
        """How the feed does, as plain values; docs/client.md says what each is."""
        feed, callbacks = self._feed.get_stats(), self._callbacks
        return stats_of(feed, self._cache.connection(), self._clock.boot_s()) | {
            "clock_error_ms": self._clock_error_ms(),
            "callback_errors": cast(int, feed["callback_errors"]) + callbacks.errors,
            "dropped": callbacks.dropped,
            "merged": callbacks.merged,
            "subscribed": len(self.subscribed_markets),
            "series": self._follower.said(),
            "dead": list(self._dead),
        }

    def _clock_error_ms(self) -> int | None:
        measured = self._offset.exchange_ms(boot_ms(self._clock))
        return None if measured is None else measured[1]

    def _crashed(self, name: str, error: BaseException) -> None:
        self._dead.append(name)
        log.critical("thread died name=%s: its prices are no longer proven", name, exc_info=error)


def _named(tickers: Collection[str]) -> Collection[str]:
    if not tickers or isinstance(tickers, str):
        raise ValueError("name the markets in a list: an empty list could mean all of them")
    return [typed_name(ticker) for ticker in tickers]
