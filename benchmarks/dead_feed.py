"""Dead feed: how soon a link that died without a word is noticed, REST takes over, and the link is back.

Several independent feeds watch one exchange; all of their links die at once, look open all the while,
and may connect again a moment later. Each feed in each round is one sample.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from base.clock import SystemClock
from base.feed.clock_offset import ClockOffset
from base.feed.freshness import Proof
from base.feed.refresher import PriceRefresher
from base.kalshi.auth import Signer
from base.kalshi.rate_budget import RateBudget
from base.kalshi.rest_client import KalshiRest
from base.kalshi.websocket_client import WebSocketManager
from base.kalshi.websocket_price_cache import WebSocketPriceCache
from base.model import Source
from benchmarks.exchange_process import ExchangeProcess
from benchmarks.measuring import is_quick, report, spread, until

FEEDS, ROUNDS = 5, 3
TICKER = "KXHELD-26DEC31-A"
FRAMES_PER_S = 40
DEAD_S = 8.0
STEP_S = 0.01


class Feed:
    """Websocket manager, price cache and price refresher, as the program plugs them together."""

    def __init__(self, exchange: ExchangeProcess):
        address, clock, offset = exchange.address, SystemClock(), ClockOffset()
        key = load_pem_private_key(Path(address.private_key_path).read_bytes(), password=None)
        signer = Signer(address.key_id, key)  # type: ignore[arg-type]
        self.cache = WebSocketPriceCache(clock)
        self._rest = KalshiRest(address.rest_url, signer, RateBudget(clock), clock, offset, for_exits=False)
        self._rest.user_data_as_of_ms()  # an answer measures the exchange's clock
        self._manager = WebSocketManager(
            address.websocket_url, signer, self.cache, clock, offset, on_account_event=lambda event: None
        )
        self._refresher = PriceRefresher(
            self.cache, self._rest, clock, stale_after_s=60.0, held=self._manager.held
        )
        self._manager.hold(TICKER)
        self._manager.start()
        self._refresher.start()

    def stop(self) -> None:
        """End its threads."""
        self._manager.stop()
        self._refresher.stop()
        self._rest.close()

    @property
    def is_proven(self) -> bool:
        """Whether the price is proven by the feed."""
        return self.cache.freshness(TICKER).is_proven

    @property
    def is_noticed(self) -> bool:
        """Whether the connection is no longer believed in."""
        return self.cache.freshness(TICKER).connection is Proof.NOT_PROVEN

    @property
    def is_by_rest(self) -> bool:
        """Whether the price comes from REST."""
        quote = self.cache.quote(TICKER)
        return quote is not None and quote.source is Source.REST


def main() -> None:
    """Measure and print."""
    quick = is_quick()
    logging.disable(logging.ERROR)
    noticed: list[float] = []
    by_rest: list[float] = []
    back: list[float] = []
    with ExchangeProcess() as exchange:
        exchange.do("list_markets", [TICKER])
        exchange.do("start_traffic", [TICKER], [], FRAMES_PER_S)
        feeds = [Feed(exchange) for _ in range(1 if quick else FEEDS)]
        for _ in range(1 if quick else ROUNDS):
            until(lambda: all(feed.is_proven for feed in feeds), 20.0)
            time.sleep(1.0)
            _one_death(exchange, feeds, noticed, by_rest, back)
        for feed in feeds:
            feed.stop()
        exchange.do("stop_traffic")
    report(
        "dead_feed",
        noticed=spread(noticed),
        rest_in_charge=spread(by_rest),
        proven_again_after_link_returns=spread(back),
    )


def _one_death(
    exchange: ExchangeProcess,
    feeds: list[Feed],
    noticed: list[float],
    by_rest: list[float],
    back: list[float],
) -> None:
    """Milliseconds until each feed noticed, was served by REST, and was proven again."""
    exchange.do("refuse_connections")
    died_s = time.monotonic()
    exchange.do("mute", pings=False)
    seen: dict[int, set[str]] = {n: set() for n in range(len(feeds))}
    while time.monotonic() < died_s + DEAD_S:
        for number, feed in enumerate(feeds):
            for name, holds, found in (
                ("noticed", feed.is_noticed, noticed),
                ("by_rest", feed.is_by_rest, by_rest),
            ):
                if holds and name not in seen[number]:
                    seen[number].add(name)
                    found.append((time.monotonic() - died_s) * 1000)
        time.sleep(STEP_S)
    exchange.do("unmute")
    returned_s = time.monotonic()
    exchange.do("accept_connections")
    waiting = list(feeds)
    while waiting and time.monotonic() < returned_s + 30.0:
        for feed in [feed for feed in waiting if feed.is_proven]:
            waiting.remove(feed)
            back.append((time.monotonic() - returned_s) * 1000)
        time.sleep(STEP_S)


if __name__ == "__main__":
    main()
