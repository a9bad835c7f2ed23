"""The websocket manager against the embedded exchange, over real loopback sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest

from base.clock import SystemClock, boot_ms
from base.errors import TransportError
from base.feed.clock_offset import ClockOffset
from base.kalshi.auth import load_signer
from base.kalshi.buffered_socket import Waker
from base.kalshi.dialing import Dialer
from base.kalshi.handshake import HandshakeRefused
from base.kalshi.websocket_client import WebSocketManager
from base.kalshi.websocket_link import Connector
from base.kalshi.websocket_price_cache import WebSocketPriceCache
from base.model import AccountEvent, Fill, LifecycleEvent, OrderReport, PositionPush, Quote, Side, Source
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.kalshi.frames import delta, snapshot, ticker
from tests.kalshi.rest_bench import client_of, exit_of, rude_server
from tests.support import eventually

pytestmark = pytest.mark.wide

D = Decimal
CLOCK = SystemClock()
A, B = "KXT-26DEC31-A", "KXT-26DEC31-B"


class Feed:
    """A manager, its cache, and what it told."""

    def __init__(self, sim: SimulatorServer, *, key_id: str | None = None, ed25519: bool = False):
        self.sim = sim
        self.cache = WebSocketPriceCache(CLOCK)
        self.events: list[AccountEvent] = []
        self.ups: list[int] = []
        self.downs: list[str] = []
        offset = ClockOffset()
        local_ms, now_ms = boot_ms(CLOCK), CLOCK.utc_ms()
        offset.note(local_ms, local_ms, now_ms, now_ms)
        own_id = sim.ed25519_key_id if ed25519 else sim.key_id
        path = sim.ed25519_private_key_path if ed25519 else sim.private_key_path
        self.manager = WebSocketManager(
            sim.websocket_url,
            load_signer(key_id or own_id, path),
            self.cache,
            CLOCK,
            offset,
            on_account_event=self.events.append,
            on_connected=self.ups.append,
            on_disconnected=self.downs.append,
        )

    def __enter__(self) -> Feed:
        if not self.manager.is_alive():
            self.manager.start()
        return self

    def __exit__(self, *_: object) -> None:
        started_s = CLOCK.boot_s()
        assert self.manager.stop(2.0)
        assert CLOCK.boot_s() - started_s < 2.0

    def missing(self, market: str = A) -> str | None:
        return self.cache.freshness(market).missing

    def quote(self, market: str = A, side: Side = Side.YES) -> Quote:
        found = self.cache.quote(market, side)
        assert found is not None
        return found

    def bid(self, market: str = A) -> Decimal | None:
        found = self.cache.quote(market)
        return None if found is None else found.bid

    def stat(self, name: str) -> int:
        value = self.manager.get_stats()[name]
        assert isinstance(value, int)
        return value

    def live(self, *markets: str) -> Feed:
        self.__enter__()
        for market in markets:
            self.manager.hold(market)
        eventually(lambda: all(self.missing(market) is None for market in markets))
        return self


def make_sim(**semantics: object) -> SimulatorServer:
    return SimulatorServer(semantics=Semantics(read_lag_s=0.0, **semantics))  # type: ignore[arg-type]


def furnish(sim: SimulatorServer) -> None:
    for market in (A, B):
        sim.add_market(market)
        sim.set_book(market, yes=[("0.40", "50"), ("0.39", "20")], no=[("0.55", "70")])


@pytest.fixture
def sim() -> Iterator[SimulatorServer]:
    with make_sim() as server:
        furnish(server)
        yield server


def commands_of(sim: SimulatorServer) -> list[dict[str, object]]:
    return [json.loads(r.body) for r in sim.requests if r.method == "WS"]


@pytest.mark.parametrize("ed25519", [False, True], ids=["RSA", "Ed25519"])
def test_held_market_gets_a_proven_book(sim: SimulatorServer, ed25519: bool):
    """Signed, subscribed, acknowledged, seen: then its changes arrive."""
    with Feed(sim, ed25519=ed25519).live(A) as feed:
        assert (feed.quote().bid, feed.quote().ask, feed.quote().source) == (
            D("0.40"),
            D("0.45"),
            Source.BOOK,
        )
        assert feed.quote(side=Side.NO).bid == D("0.55")
        sim.set_level(A, "bid", "0.41", "5")
        eventually(lambda: feed.bid() == D("0.41"))
        assert feed.ups == [1]
        assert feed.stat("refused") == feed.stat("unknown_type") == 0


def test_watched_market_gets_its_ticker_only(sim: SimulatorServer):
    """The strategy's markets need no book."""
    with Feed(sim) as feed:
        feed.manager.watch_only(B)
        eventually(lambda: feed.missing(B) is None)
        assert feed.quote(B).source is Source.TICKER
        feed.manager.unwatch(B)
        eventually(lambda: feed.cache.quote(B) is None)


def test_cut_connection_is_replaced_and_resubscribed(sim: SimulatorServer):
    """A new epoch: nothing of the old one is trusted, everything is subscribed again."""
    with Feed(sim).live(A, B) as feed:
        sim.cut_connections()
        eventually(lambda: feed.downs != [])
        eventually(lambda: feed.missing(A) is None and feed.missing(B) is None and feed.ups == [1, 2], 8)
        assert feed.cache.connection().epoch == 2
        assert feed.quote().epoch == 2
        sim.set_level(A, "bid", "0.43", "5")
        eventually(lambda: feed.bid() == D("0.43"))


def test_lost_link_is_unknown_at_once(sim: SimulatorServer):
    """Between the connections there is no evidence."""
    with Feed(sim).live(A) as feed:
        sim.refuse_connections(503)
        sim.cut_connections()
        eventually(lambda: feed.missing() == "connection", 2)
        sim.accept_connections()
        eventually(lambda: feed.missing() is None, 8)


def test_wrong_key_is_loud_and_slow(sim: SimulatorServer, caplog: pytest.LogCaptureFixture):
    """A key that is not accepted will not be accepted a second later."""
    with Feed(sim, key_id="00000000-0000-0000-0000-000000000000") as feed:
        feed.manager.hold(A)
        eventually(lambda: feed.stat("connection_errors") == 1)
        for _ in range(5):
            feed.manager.reset_backoff()  # what REST says doesn't change it
        eventually(lambda: any(record.levelname == "ERROR" for record in caplog.records))
        assert "NOT_FOUND" in str(feed.manager.get_stats()["last_error"])
        assert feed.stat("connection_errors") == 1
        assert feed.stat("connects") == 0


def test_rest_success_makes_it_try_again_soon(sim: SimulatorServer):
    """A minute of backoff ends when something else reaches the exchange."""
    sim.refuse_connections(503)
    with Feed(sim) as feed:
        eventually(lambda: feed.stat("connection_errors") >= 3, 15)
        sim.accept_connections()
        feed.manager.reset_backoff()
        eventually(lambda: feed.stat("connects") == 1, 1.5)


def test_gap_is_resynced(sim: SimulatorServer):
    """A lost frame: distrust, ask, trust again with the true book."""
    with Feed(sim).live(A, B) as feed:
        sim.skip_seq("orderbook_delta")
        sim.set_level(A, "bid", "0.42", "5")
        eventually(lambda: feed.stat("gaps") == 1)
        eventually(lambda: feed.missing(A) is None and feed.missing(B) is None)
        assert feed.bid() == D("0.42")
        assert feed.stat("resyncs") == 2


def test_process_that_stood_still_fetches_every_book_anew(sim: SimulatorServer):
    """Nothing is proven until its snapshot has come, and then all of it is, on the same connection."""
    with Feed(sim).live(A, B) as feed:
        feed.manager.stood_still()
        assert feed.missing(A) is not None
        assert feed.missing(B) is not None
        eventually(lambda: feed.stat("resyncs") == 2)
        eventually(lambda: feed.missing(A) is None and feed.missing(B) is None)
        assert feed.stat("connects") == 1


def test_duplicate_is_dropped(sim: SimulatorServer):
    """Applied once."""
    with Feed(sim).live(A) as feed:
        sim.duplicate_seq("orderbook_delta")
        sim.set_level(A, "bid", "0.40", "60")
        eventually(lambda: feed.stat("duplicates") == 1)
        eventually(lambda: feed.quote().bid_size == D(60))
        assert feed.stat("gaps") == 0


def test_dead_feed_is_noticed_within_five_seconds(sim: SimulatorServer):
    """The socket is open and the pings are answered, but nothing comes: life is lost."""
    with Feed(sim).live(A) as feed:
        sim.mute(pings=True)
        muted_s = CLOCK.boot_s()
        sim.set_level(A, "bid", "0.10", "5")
        eventually(lambda: feed.missing() == "life", 6)
        assert CLOCK.boot_s() - muted_s < 5.3


def test_half_open_link_is_dropped_within_five_seconds(sim: SimulatorServer):
    """Not even a pong: the connection is given up without waiting for a close."""
    with Feed(sim).live(A) as feed:
        sim.mute(pings=False)
        muted_s = CLOCK.boot_s()
        eventually(lambda: feed.downs != [], 6)
        assert CLOCK.boot_s() - muted_s < 5.3
        sim.unmute()
        eventually(lambda: feed.missing() is None, 6)


def test_lost_ack_is_not_live_until_it_comes(sim: SimulatorServer):
    """Data may flow; without the ack the market is not called live."""
    with Feed(sim) as feed:
        sim.drop_acks()
        feed.manager.hold(A)
        eventually(lambda: feed.stat("frames") >= 2)
        assert feed.missing() is not None
        sim.drop_acks(False)
        eventually(lambda: feed.missing() is None, 8)  # asked for again after five seconds


@pytest.mark.parametrize(
    "semantics",
    [
        pytest.param({"get_snapshot_consumes_seq": False}, id="snapshot without a number"),
        pytest.param({"ok_after_get_snapshot": True}, id="ok after the snapshot"),
        pytest.param({"seq_on_unsequenced": True}, id="numbers everywhere"),
        pytest.param({"book_order": "descending"}, id="descending books"),
        pytest.param({"duplicate_subscribe_snapshot": True}, id="snapshot on resubscribe"),
        pytest.param({"use_yes_price_default": True}, id="yes prices by default"),
        pytest.param({"empty_side_price": "blank"}, id="blank sides"),
    ],
)
def test_right_under_every_semantics(semantics: dict[str, object]):
    """What is not documented must not matter."""
    with make_sim(**semantics) as sim:
        furnish(sim)
        with Feed(sim).live(A, B) as feed:
            for cents in (41, 42, 43):
                probes = feed.stat("probes")
                feed.manager.probe(A)
                eventually(lambda probes=probes: feed.stat("probes") > probes)
                sim.set_level(A, "bid", f"0.{cents}", "5")
                eventually(lambda cents=cents: feed.bid() == D(cents) / 100)
            assert feed.missing(A) is None
            assert feed.quote().ask == D("0.45")
            assert (feed.stat("gaps"), feed.stat("probe_mismatches"), feed.stat("below_zero")) == (0, 0, 0)


def test_quiet_market_keeps_its_proofs(sim: SimulatorServer):
    """Probes that equal the book prove life, second after second."""
    with Feed(sim).live(A, B) as feed:
        lost: list[str] = []

        def look() -> bool:
            for market in (A, B):
                if (missing := feed.missing(market)) is not None:
                    lost.append(missing)
            return feed.stat("probes") >= 4

        eventually(look, 12, every_s=0.02)
        assert lost == []
        assert feed.stat("probe_mismatches") == 0


def test_overflow_subscribes_anew(sim: SimulatorServer):
    """Error 25 kills the subscription, not the socket."""
    with Feed(sim).live(A) as feed:
        sim.overflow("orderbook_delta")
        eventually(lambda: feed.missing() is not None)
        sim.set_level(A, "bid", "0.42", "5")
        eventually(lambda: feed.missing() is None and feed.bid() == D("0.42"), 5)
        assert feed.ups == [1]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param('{"type":"ticker","sid":1,"msg":{}}', id="members missing"),
        pytest.param("[" * 50_000, id="deep nesting"),
        pytest.param('{"type":"ticker","sid":1,"msg":NaN}', id="NaN"),
        pytest.param("\x00", id="no JSON"),
        pytest.param(b'{"type":"ticker"}', id="binary"),
    ],
)
def test_garbage_is_counted_and_survived(sim: SimulatorServer, raw: str | bytes):
    """The thread lives, the feed goes on."""
    with Feed(sim).live(A) as feed:
        sim.send_raw(raw)
        eventually(lambda: feed.stat("refused") == 1)
        sim.set_level(A, "bid", "0.42", "5")
        eventually(lambda: feed.bid() == D("0.42"))
        assert feed.ups == [1]


def test_oversized_frame_ends_the_connection(sim: SimulatorServer):
    """Refused by its length, before any of it is kept; then a new connection."""
    with Feed(sim).live(A) as feed:
        sim.send_raw('{"x":"' + "a" * (2 << 20) + '"}')
        eventually(lambda: feed.downs != [])
        eventually(lambda: feed.missing() is None, 6)


def test_frames_of_strangers_change_nothing(sim: SimulatorServer):
    """Data of a market or a subscription that we never asked for is counted."""
    with Feed(sim).live(A) as feed:
        before = feed.quote()
        for raw in (
            ticker(sid=77),
            delta(1, "0.99", "5.00", sid=99, ts_ms=CLOCK.utc_ms()),
            snapshot(1, [("0.99", "5.00")], sid=99),
            ticker(market_ticker="KXOTHER"),
        ):
            sim.send_raw(raw)
        eventually(lambda: feed.stat("unwanted") == 4)
        assert feed.quote() == before
        assert feed.missing() is None


def test_account_events_arrive_in_our_words(sim: SimulatorServer):
    """Fill, order and position of an exit; lifecycle only of markets that somebody follows."""
    with Feed(sim).live(A) as feed:
        eventually(lambda: feed.stat("decoded") >= 7)  # every channel acknowledged
        sim.set_position(A, "10", "0.50")
        client_of(sim).place_exit(exit_of(A, price="0.38", own_id="sl-x"))
        eventually(lambda: {type(event) for event in feed.events} >= {Fill, OrderReport, PositionPush})
        (fill,) = [event for event in feed.events if isinstance(event, Fill)]
        assert (fill.client_order_id, fill.signed_count, fill.yes_price) == ("sl-x", D(-10), D("0.40"))
        assert fill.post_position == 0
        sim.deactivate(B)
        sim.deactivate(A)
        eventually(lambda: any(isinstance(event, LifecycleEvent) for event in feed.events))
        assert {e.ticker for e in feed.events if isinstance(e, LifecycleEvent)} == {A}


def test_handler_that_raises_is_isolated(sim: SimulatorServer):
    """Somebody else's mistake is counted; the feed goes on."""
    seen: list[object] = []

    def broken(frame: object) -> None:
        seen.append(frame)
        raise RuntimeError("theirs")

    with Feed(sim) as feed:
        feed.manager.register_handler("orderbook_snapshot", broken)
        feed.live(A)
        eventually(lambda: feed.stat("callback_errors") == len(seen) == 1)


def test_wanting_during_the_handshake_does_not_break_it(sim: SimulatorServer):
    """A wake-up while the exchange has not answered yet is no reason to give up."""
    waker, was_woken = Waker(), threading.Event()

    def answer_late(connection: socket.socket, head: bytes) -> None:
        waker.wake()
        threading.Event().wait(0.1)  # time for the reader to be woken
        was_woken.set()
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with rude_server(answer_late) as url:
        signer = load_signer(sim.key_id, sim.private_key_path)
        connector = Connector(
            url.replace("http", "ws"), signer, CLOCK, Dialer(CLOCK), waker, 2.0, ClockOffset()
        )
        with pytest.raises(HandshakeRefused):
            connector.open(lambda: False)
    assert was_woken.is_set()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 101 Switching", id="cut off"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", id="redirect"),
        pytest.param(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", id="no accept key"),
        pytest.param(b"SSH-2.0\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 401 No\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 200_000, id="flood"),
    ],
)
def test_broken_handshake_is_a_transport_error(sim: SimulatorServer, answer: bytes):
    """Nothing of it reaches the program as another library's exception."""
    with rude_server(lambda connection, head: connection.sendall(answer)) as url:
        signer = load_signer(sim.key_id, sim.private_key_path)
        connector = Connector(
            url.replace("http", "ws"), signer, CLOCK, Dialer(CLOCK), Waker(), 1.0, ClockOffset()
        )
        with pytest.raises(TransportError):
            connector.open(lambda: False)


def test_stop_ends_at_any_moment(sim: SimulatorServer):
    """Connected, connecting, or waiting to try again."""
    Feed(sim).manager.stop(0.1)  # never started
    with Feed(sim).live(A):
        pass
    sim.refuse_connections(503)
    with Feed(sim) as feed:
        eventually(lambda: feed.stat("connection_errors") >= 1)
    assert feed.cache.connection().is_connected is False


def test_flapping_link_leaks_nothing(sim: SimulatorServer):
    """Thread count and sockets stay as they are, however often the link is cut."""
    with Feed(sim).live(A) as feed:
        before = threading.active_count()
        for number in range(2, 6):
            sim.cut_connections()
            feed.manager.reset_backoff()
            eventually(lambda number=number: feed.stat("connects") >= number and feed.missing() is None, 8)
        assert threading.active_count() <= before
        eventually(lambda: sim.open_sockets == 1)
