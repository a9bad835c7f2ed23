"""From frames to the price cache: when a quote is proven, and when it is not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from base.feed.freshness import ConnectionFacts, Lag
from base.kalshi.feed_session import FeedSession
from base.kalshi.feed_stats import FeedStats
from base.kalshi.messages import decode
from base.kalshi.websocket_price_cache import WebSocketPriceCache
from base.model import Side, Source
from tests.kalshi.frames import OTHER, TICKER, delta, envelope, snapshot, ticker
from tests.support import FakeClock

D = Decimal
GOOD_LAG = Lag(value_s=0.01, error_s=0.01)
YES, NO = [("0.40", "10.00"), ("0.39", "5.00")], [("0.45", "7.00")]


class Bench:
    """A session on a fake connection."""

    def __init__(self, held: tuple[str, ...] = (TICKER,), watched: tuple[str, ...] = ()) -> None:
        self.clock = FakeClock()
        self.cache = WebSocketPriceCache(self.clock)
        self.stats = FeedStats()
        self.session = FeedSession(self.cache, self.stats)
        self.session.want(held, watched, self.now_s)
        self.sent: list[dict[str, Any]] = []
        self.epoch = 0
        self.connect()

    @property
    def now_s(self) -> float:
        return self.clock.boot_s()

    def connect(self) -> None:
        self.epoch += 1
        self.cache.set_connection(
            ConnectionFacts(epoch=self.epoch, is_connected=True, heard_s=self.now_s, lag=None)
        )
        self.session.connected(self.epoch, self.now_s)
        self.due()

    def due(self, after_s: float = 0.0) -> list[dict[str, Any]]:
        """Let time pass and return what the session wants to send."""
        self.clock.advance(after_s)
        found = [json.loads(text) for text in self.session.due(self.now_s)]
        self.sent += found
        return found

    def take(self, *frames: str) -> None:
        for frame in frames:
            self.session.on_frame(decode(frame), self.now_s, GOOD_LAG)

    def ack(self, channel: str = "orderbook_delta", sid: int = 2) -> None:
        found = [c for c in self.sent if c["params"].get("channels") == [channel]]
        self.take(envelope("subscribed", {"channel": channel, "sid": sid}, id=found[-1]["id"]))

    def live(self) -> Bench:
        """Ticker and book acknowledged, the book's snapshot seen."""
        self.ack("ticker", 1)
        self.ack()
        self.take(snapshot(1, YES, NO))
        return self

    def missing(self, market: str = TICKER) -> str | None:
        return self.cache.freshness(market).missing

    def snapshots_asked(self, commands: list[dict[str, Any]]) -> list[list[str]]:
        return [
            c["params"]["market_tickers"] for c in commands if c["params"].get("action") == "get_snapshot"
        ]


def test_book_is_the_quote_of_a_held_market():
    """Ack and snapshot on this connection: all five proofs."""
    bench = Bench().live()
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert (quote.bid, quote.ask, quote.source) == (D("0.40"), D("0.45"), Source.BOOK)
    assert bench.missing() is None
    bench.take(ticker(yes_bid_dollars="0.1000"))
    after = bench.cache.quote(TICKER)
    assert after is not None
    assert after.bid == D("0.40")  # the ticker only cross-checks


def test_market_is_live_only_after_ack_and_first_data():
    """Either one alone proves nothing."""
    bench = Bench()
    bench.take(snapshot(1, YES, NO))
    assert bench.missing() == "ack"
    bench = Bench()
    bench.ack()
    assert bench.missing() == "ack"


def test_data_before_its_ack_is_not_lost():
    """Data may overtake the ack; once that comes, the book is whole and in sequence."""
    bench = Bench()
    bench.take(snapshot(1, YES, NO), delta(2, "0.41", "3.00"))
    bench.ack()
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert quote.bid == D("0.41")
    assert bench.missing() is None


def test_added_market_waits_for_its_own_ack():
    """The subscription is known and data flows, but this market was not acknowledged."""
    bench = Bench().live()
    bench.session.want((TICKER, OTHER), (), bench.now_s)
    (add,) = [c for c in bench.due() if c["params"].get("sid") == 2]
    bench.take(snapshot(2, YES, NO, market=OTHER))
    assert bench.missing(OTHER) == "ack"
    bench.take(envelope("ok", {"market_tickers": [TICKER, OTHER]}, id=add["id"], sid=2, seq=3))
    assert bench.missing(OTHER) is None


def test_gap_distrusts_every_book_of_the_subscription():
    """The counter does not say which market was missed; deltas wait for the snapshots."""
    bench = Bench(held=(TICKER, OTHER))
    bench.ack("ticker", 1)
    bench.ack()
    bench.take(snapshot(1, YES, NO), snapshot(2, YES, NO, market=OTHER))
    assert (bench.missing(), bench.missing(OTHER)) == (None, None)
    bench.take(delta(4, "0.41", "3.00"))
    assert (bench.missing(), bench.missing(OTHER)) == ("sequence", "sequence")
    assert bench.snapshots_asked(bench.due()) == [[TICKER, OTHER]]
    bench.take(delta(5, "0.42", "1.00"))
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert quote.bid == D("0.40")
    bench.take(snapshot(6, [("0.42", "4.00")], NO, id=8))
    assert (bench.missing(), bench.missing(OTHER)) == (None, "sequence")
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert quote.bid == D("0.42")
    bench.take(delta(7, "0.43", "1.00"), snapshot(8, YES, NO, market=OTHER, id=8))
    assert (bench.missing(), bench.missing(OTHER)) == (None, None)
    assert bench.stats.gaps == 1


def test_lost_snapshot_is_asked_for_again_ever_more_rarely():
    """The answer to the resync may be lost as well."""
    bench = Bench().live()
    bench.take(delta(3, "0.41", "3.00"))
    asked_after = []
    waited = 0.0
    for _ in range(100):
        if bench.snapshots_asked(bench.due()):
            asked_after.append(waited)
        bench.clock.advance(0.5)
        waited += 0.5
    assert asked_after[0] == 0.0
    assert asked_after[1] == pytest.approx(2.0, abs=0.6)
    assert len(asked_after) <= 6


def test_duplicate_is_applied_once():
    """The same number again is dropped."""
    bench = Bench().live()
    bench.take(delta(2, "0.41", "3.00"), delta(2, "0.41", "3.00"))
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert quote.bid_size == D("3.00")
    assert (bench.stats.duplicates, bench.missing()) == (1, None)


def test_restarted_counter_resyncs():
    """A number that goes back means that we no longer know where we stand."""
    bench = Bench().live()
    bench.take(delta(2, "0.41", "3.00"), delta(1, "0.42", "3.00"))
    assert bench.missing() == "sequence"
    bench.due()
    bench.take(delta(2, "0.42", "3.00"), snapshot(3, YES, NO, id=8))
    assert bench.missing() is None


def test_replies_use_up_numbers():
    """Skipping ``ok`` before the sequence check makes false gaps."""
    bench = Bench().live()
    bench.session.want((TICKER, OTHER), (), bench.now_s)
    (add,) = [c for c in bench.due() if c["params"].get("sid") == 2]
    bench.take(envelope("ok", {"market_tickers": [TICKER, OTHER]}, id=add["id"], sid=2, seq=2))
    bench.take(
        snapshot(3, YES, NO, market=OTHER), envelope("news", {}, sid=2, seq=4), delta(5, "0.41", "1.00")
    )
    assert bench.stats.gaps == 0
    assert (bench.missing(), bench.missing(OTHER)) == (None, None)


def test_level_below_zero_resyncs_that_book():
    """Never clamped."""
    bench = Bench().live()
    bench.take(delta(2, "0.40", "-11.00"))
    assert bench.missing() == "sequence"
    assert bench.snapshots_asked(bench.due()) == [[TICKER]]
    assert bench.stats.below_zero == 1


@pytest.mark.parametrize(
    ("payload", "is_proven"),
    [
        pytest.param(b'{"type":"orderbook_delta","sid":2,"seq":2,"msg":NaN}', False, id="of the books"),
        pytest.param(b'{"type":"orderbook_delta", "sid" : 2}', False, id="of the books, spaced"),
        pytest.param(b"\x00\xff", False, id="of nobody knows what"),
        pytest.param(b'{"type":"fill","sid":9,"msg":{}}', True, id="of another channel"),
    ],
)
def test_an_unreadable_frame_of_the_books_is_a_lost_change(payload: bytes, is_proven: bool):
    """No price is proven until a new snapshot: the next number may be a long time coming."""
    bench = Bench().live()
    bench.session.missed(payload, bench.now_s)
    bench.due()
    assert bench.missing() == (None if is_proven else "sequence")


def test_refused_delta_shows_as_a_gap():
    """A frame that could not be read is a change we do not have."""
    bench = Bench().live()
    bench.take(delta(3, "0.41", "1.00"))  # number 2 was refused by the parser
    assert bench.missing() == "sequence"


def test_crossed_book_is_held_back_then_distrusted():
    """Changes of one action may cross it for a moment; a second is too long."""
    bench = Bench().live()
    bench.take(delta(2, "0.46", "1.00"))
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert quote.bid == D("0.40")
    bench.take(delta(3, "0.45", "-7.00", "no"), delta(4, "0.47", "2.00", "no"))
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert (quote.bid, quote.ask) == (D("0.46"), D("0.47"))
    bench.take(delta(5, "0.48", "1.00"))
    bench.due(0.9)
    assert bench.missing() is None
    bench.take(delta(6, "0.30", "1.00"))
    asked = bench.due(0.2)
    assert bench.missing() == "sequence"
    assert bench.snapshots_asked(asked) == [[TICKER]]


def test_probe_that_equals_the_book_proves_life():
    """A quiet market keeps its proofs by probes."""
    bench = Bench().live()
    for seq in range(2, 12):
        asked = bench.snapshots_asked(bench.due(2.6))
        assert asked == [[TICKER]]
        assert bench.missing() is None
        bench.take(snapshot(seq, YES, NO, id=100 + seq))
    assert bench.stats.probes == 10
    assert bench.stats.probe_mismatches == 0


def test_probe_that_differs_distrusts_the_book():
    """A book can be in sequence and wrong."""
    bench = Bench().live()
    bench.session.probe(TICKER)
    assert bench.snapshots_asked(bench.due()) == [[TICKER]]
    bench.take(snapshot(2, [("0.30", "1.00")], NO, id=8))
    assert bench.missing() == "sequence"
    assert bench.stats.probe_mismatches == 1
    assert bench.snapshots_asked(bench.due()) == [[TICKER]]
    bench.take(snapshot(3, [("0.30", "1.00")], NO, id=9))
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert (quote.bid, bench.missing()) == (D("0.30"), None)


def test_unanswered_probe_loses_life_not_before_five_seconds():
    """Held markets need life; the feed may be dead in silence."""
    bench = Bench().live()
    bench.due(2.6)
    bench.take(ticker(market_ticker=OTHER))  # the connection lives, the market doesn't
    bench.due(2.3)
    assert bench.missing() is None
    bench.cache.heard(bench.now_s)
    bench.due(0.2)
    assert bench.missing() == "life"


def test_probes_are_bounded_per_second_and_reach_everybody():
    """At most 20 a second, the longest silent first; a hundred quiet markets all stay proven."""
    markets = tuple(f"KX{n:03d}" for n in range(100))
    bench = Bench(held=markets)
    bench.ack("ticker", 1)
    bench.ack()
    seq = 0
    for market in markets:
        seq += 1
        bench.take(snapshot(seq, YES, NO, market=market))
    sent: list[tuple[float, str]] = []
    for _ in range(400):
        for batch in bench.snapshots_asked(bench.due(0.05)):
            for market in batch:
                sent.append((bench.now_s, market))
                seq += 1
                bench.take(snapshot(seq, YES, NO, market=market, id=5))
        assert all(bench.missing(market) is None for market in markets)
    for at_s, _ in sent:
        assert sum(1 for other_s, _ in sent if at_s - 0.999 <= other_s <= at_s) <= 20
    assert {market for _, market in sent} == set(markets)


def test_watched_market_is_quoted_by_its_ticker():
    """No book, no sequence, no life proof."""
    bench = Bench(held=(), watched=(TICKER,))
    assert all(c["params"]["channels"] != ["orderbook_delta"] for c in bench.sent)
    bench.ack("ticker", 1)
    assert bench.missing() == "ack"
    bench.take(ticker())
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert (quote.bid, quote.source, quote.bids) == (D("0.5150"), Source.TICKER, ())
    bench.clock.advance(4.9)
    assert bench.missing() is None


def test_refused_book_makes_the_ticker_the_quote():
    """A held market is never without a quote because its book is refused."""
    bench = Bench()
    bench.ack("ticker", 1)
    (command,) = [c for c in bench.sent if c["params"].get("channels") == ["orderbook_delta"]]
    bench.take(envelope("error", {"code": 8, "msg": "no"}, id=command["id"]))
    bench.take(ticker())
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert quote.source is Source.TICKER
    assert bench.missing() is None


def test_unacknowledged_book_makes_the_ticker_the_quote_after_five_seconds():
    """Not before: the book is worth waiting for."""
    bench = Bench()
    bench.ack("ticker", 1)
    bench.due(4.5)
    bench.take(ticker())
    assert bench.cache.quote(TICKER) is None
    bench.due(1.0)
    assert bench.missing() == "ack"  # an older ticker frame is not taken for news
    bench.take(ticker())
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert quote.source is Source.TICKER
    assert bench.missing() is None
    bench.ack()
    bench.take(snapshot(1, YES, NO))
    quote = bench.cache.quote(TICKER)
    assert quote is not None
    assert quote.source is Source.BOOK
    assert bench.missing() is None


def test_distrusted_book_never_lends_its_quote_to_the_ticker():
    """When the ticker takes over, the standing quote of the wrong book is not called fresh."""
    bench = Bench().live()
    bench.take(ticker())
    bench.take(delta(3, "0.41", "1.00"))
    bench.take(ticker())
    bench.due(5.1)
    bench.cache.heard(bench.now_s, GOOD_LAG)
    assert bench.missing() is not None


def test_ticker_that_contradicts_the_book_for_long_probes_it():
    """The two channels are not in lockstep, but they don't differ for long."""
    bench = Bench().live()
    bench.take(ticker(yes_bid_dollars="0.2000"))
    bench.due(1.0)
    bench.take(ticker(yes_bid_dollars="0.2000"))
    assert bench.snapshots_asked(bench.due()) == []
    bench.due(1.1)
    bench.take(ticker(yes_bid_dollars="0.2000"))
    assert bench.snapshots_asked(bench.due()) == [[TICKER]]
    assert bench.stats.ticker_disagreements == 1


def test_reconnect_trusts_nothing_of_the_old_connection():
    """Everything is subscribed again; old sids write nothing."""
    bench = Bench().live()
    bench.connect()
    assert bench.missing() == "ack"
    channels = [c["params"]["channels"][0] for c in bench.sent[-6:]]
    assert channels[:2] == ["ticker", "orderbook_delta"]
    bench.ack("ticker", 1)
    bench.ack()
    assert bench.missing() is not None  # the book of before is not this connection's
    bench.take(snapshot(1, YES, NO))
    assert bench.missing() is None
    assert bench.cache.facts(TICKER) is not None


def test_released_market_is_unsubscribed_and_forgotten():
    """Frames still on their way are counted, not kept."""
    bench = Bench().live()
    bench.session.want((), (), bench.now_s)
    assert [c["cmd"] for c in bench.due()] == ["unsubscribe", "unsubscribe"]
    bench.take(delta(2, "0.41", "1.00"))
    assert bench.cache.quote(TICKER) is None
    assert bench.stats.unwanted == 1


def test_released_but_watched_market_keeps_its_ticker():
    """The book goes, the ticker stays."""
    bench = Bench(held=(TICKER,), watched=(TICKER,)).live()
    bench.session.want((), (TICKER,), bench.now_s)
    assert [c["params"] for c in bench.due()] == [{"sids": [2]}]
    bench.take(ticker())
    quote = bench.cache.quote(TICKER, Side.NO)
    assert quote is not None
    assert quote.bid == D("0.4700")


def test_overflow_is_data_loss():
    """Error 25: the subscription is dead; books are distrusted until the new one brings snapshots."""
    bench = Bench().live()
    bench.take(envelope("error", {"code": 25, "msg": "overflow"}, sid=2, seq=2))
    assert bench.missing() in ("ack", "sequence")
    assert [c["params"]["channels"] for c in bench.due(1.0)] == [["orderbook_delta"]]
    bench.ack(sid=3)
    bench.take(snapshot(1, YES, NO, sid=3))
    assert bench.missing() is None


def test_other_source_may_distrust_a_book():
    """REST contradicts the feed: fetch the book anew."""
    bench = Bench().live()
    bench.session.distrust(TICKER, bench.now_s)
    assert bench.missing() == "sequence"
    assert bench.snapshots_asked(bench.due()) == [[TICKER]]


def test_probes_asked_for_are_bounded_as_well_and_wait_their_turn():
    """What is not held, or not trusted, is not probed; the rest goes out as the bound allows."""
    markets = tuple(f"KX{n:02d}" for n in range(30))
    bench = Bench(held=markets)
    bench.ack("ticker", 1)
    bench.ack()
    bench.take(*(snapshot(seq, YES, NO, market=market) for seq, market in enumerate(markets[:25], 1)))
    for market in ("KXUNHEARD", *markets[::-1]):
        bench.session.probe(market)
    assert bench.snapshots_asked(bench.due()) == [list(markets[5:25])]
    assert bench.snapshots_asked(bench.due(1.0)) == [list(markets[:5])]


def test_a_crossed_book_of_the_old_connection_says_nothing_of_the_new_one():
    """The new subscription brings its own snapshot: none is asked for before it had its time."""
    bench = Bench().live()
    bench.take(delta(2, "0.46", "1.00"))
    bench.connect()
    assert bench.snapshots_asked(bench.due(1.5)) == []
    bench.live()
    assert bench.missing() is None
