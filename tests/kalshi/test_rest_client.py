"""The REST client against the embedded exchange, over real loopback sockets."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest

from base.clock import SystemClock, boot_ms
from base.errors import OutcomeUnknown, RequestRefused, TransportError, WireError
from base.feed.clock_offset import ClockOffset
from base.kalshi.auth import load_signer, stamp_ms
from base.kalshi.buffered_socket import Waker
from base.kalshi.dialing import Dialer
from base.kalshi.rate_budget import Kind, RateBudget
from base.kalshi.rest_client import KalshiRest
from base.kalshi.websocket_link import Connector
from base.model import Accepted, EntryOrder, MarketStatus, NotSent, Refused, Side, Source, Unanswered
from base.simulator.rate_limits import BASIC
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.kalshi.rest_bench import ORDERS, client_of, exit_of
from tests.support import FakeClock

pytestmark = pytest.mark.wide

D = Decimal
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(semantics=Semantics(read_lag_s=0.0)) as sim:
        yield sim


@pytest.fixture
def sim(server: SimulatorServer) -> SimulatorServer:
    server.heal()
    server.forget_requests()
    return server


@pytest.fixture
def market(sim: SimulatorServer) -> str:
    """A fresh market on shard 2: YES bid 0.40, ask 0.45."""
    ticker = f"KXT-{uuid.uuid4().hex[:8].upper()}"
    sim.add_market(ticker, exchange_index=2)
    sim.set_book(ticker, yes=[("0.40", "50"), ("0.39", "100")], no=[("0.55", "70")])
    return ticker


@pytest.fixture
def rest(sim: SimulatorServer) -> Iterator[KalshiRest]:
    client = client_of(sim)
    yield client
    client.close()


def own_id() -> str:
    return f"sl-{uuid.uuid4().hex[:12]}"


@pytest.mark.parametrize(
    ("signed", "side", "floor", "wire", "paid"),
    [
        pytest.param("10", Side.YES, "0.38", ("ask", "0.3800"), "0.40", id="YES sells into the bids"),
        pytest.param("-10", Side.NO, "0.50", ("bid", "0.5000"), "0.55", id="NO buys YES back"),
    ],
)
def test_exit_sells_the_side_held(
    sim: SimulatorServer, rest: KalshiRest, market: str, signed: str, side: Side, floor: str, wire, paid: str
):
    """Mapped onto the one YES book on the way out, and mapped back on the way in."""
    sim.set_position(market, signed, "0.50")
    outcome = rest.place_exit(exit_of(market, side, price=floor, own_id=own_id(), shard=2))
    assert isinstance(outcome, Accepted)
    assert (outcome.filled, outcome.remaining, outcome.average_price) == (D(10), D(0), D(paid))
    assert sim.position(market) == 0
    sent = sim.orders_received[-1]
    assert (sent["side"], sent["price"]) == wire
    assert (sent["reduce_only"], sent["time_in_force"]) == (True, "immediate_or_cancel")
    assert (sent["exchange_index"], sent["self_trade_prevention_type"]) == (2, "maker")


def test_exit_never_flips(sim: SimulatorServer, rest: KalshiRest, market: str):
    """Asked for more than is held, the exchange caps it."""
    sim.set_position(market, "4", "0.50")
    outcome = rest.place_exit(exit_of(market, count="25", price="0.38", own_id=own_id(), shard=2))
    assert isinstance(outcome, Accepted)
    assert outcome.filled == D(4)
    assert sim.position(market) == 0


def test_ed25519_key_works_as_well(sim: SimulatorServer):
    """Keys of both kinds sign the same text."""
    assert client_of(sim, ed25519=True).shards()


@pytest.mark.parametrize("hang", [False, True], ids=["reset", "silence"])
def test_lost_reply_is_unanswered_and_never_repeated(sim: SimulatorServer, market: str, hang: bool):
    """The order was carried out; a second one would sell twice."""
    sim.set_position(market, "10", "0.50")
    sim.drop_reply(path_contains=ORDERS, hang=hang)
    outcome = client_of(sim, timeout_s=0.5).place_exit(
        exit_of(market, price="0.38", own_id=own_id(), shard=2)
    )
    assert isinstance(outcome, Unanswered)
    assert len(sim.orders_received) == 1
    assert sim.position(market) == 0


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(500, None, Unanswered, id="500"),
        pytest.param(503, "", Unanswered, id="bare 503"),
        pytest.param(429, {"error": "too many requests"}, NotSent, id="429"),
        pytest.param(403, {"error": {"code": "forbidden"}}, Refused, id="403"),
        pytest.param(409, {"error": {"code": "trading_is_paused"}}, Refused, id="paused"),
        pytest.param(200, {"deprecated": True}, Unanswered, id="2xx without an order"),
    ],
)
def test_failed_order_is_classed(
    sim: SimulatorServer, rest: KalshiRest, market: str, status: int, body, kind
):
    """Each answer has its own row; none is repeated."""
    sim.fail_next(status, body, path_contains=ORDERS)
    outcome = rest.place_exit(exit_of(market, own_id=own_id(), shard=2))
    assert type(outcome) is kind
    assert len([r for r in sim.requests if r.method == "POST"]) == 1


def test_refusals_of_the_exchange(sim: SimulatorServer, rest: KalshiRest, market: str):
    """Duplicate ids, prices off the grid and paused shards are definite answers."""
    sim.set_position(market, "10", "0.50")
    first = own_id()
    assert isinstance(rest.place_exit(exit_of(market, price="0.38", own_id=first, shard=2)), Accepted)
    again = rest.place_exit(exit_of(market, price="0.38", own_id=first, shard=2))
    assert isinstance(again, Refused)
    assert (again.status, again.code) == (409, "order_already_exists")
    off_grid = rest.place_exit(exit_of(market, price="0.3850", own_id=own_id(), shard=2))
    assert isinstance(off_grid, Refused)
    assert off_grid.code == "invalid_price"
    sim.pause_trading(2)
    paused = rest.place_exit(exit_of(market, own_id=own_id(), shard=2))
    assert [s.takes_orders for s in rest.shards() if s.exchange_index == 2] == [False]
    sim.resume_trading(2)
    assert isinstance(paused, Refused)
    assert paused.code == "trading_is_paused"


@pytest.mark.parametrize("order_id", ["", " ", ".", "..", "/", "./", None, 5, "\u00e9"], ids=ascii)
def test_a_cancel_without_an_id_is_not_sent(
    sim: SimulatorServer, rest: KalshiRest, market: str, order_id: str
):
    """Its path would be the one that cancels everything, whatever is sent in the minute after included."""
    assert isinstance(rest.cancel(order_id, market, 2, 0), NotSent)
    assert [request for request in sim.requests if request.method == "DELETE"] == []


def test_entry_rests_and_is_cancelled(sim: SimulatorServer, rest: KalshiRest, market: str):
    """A resting order is listed, cancelled once, and gone the second time."""
    entry = EntryOrder(
        client_order_id=own_id(),
        ticker=market,
        subaccount=0,
        exchange_index=2,
        side=Side.NO,
        is_buy=True,
        count=D(5),
        price=D("0.30"),
        time_in_force="good_till_canceled",
    )
    placed = rest.place_entry(entry)
    assert isinstance(placed, Accepted)
    (resting,) = rest.resting_orders(market, 0)
    assert (resting.order_id, resting.is_yes_bid, resting.yes_price) == (placed.order_id, False, D("0.70"))
    assert rest.order(placed.order_id).client_order_id == entry.client_order_id
    assert isinstance(rest.cancel(placed.order_id, market, 2, 0), Accepted)
    gone = rest.cancel(placed.order_id, market, 2, 0)
    assert isinstance(gone, Refused)
    assert gone.status == 404
    assert rest.resting_orders(market, 0) == ()


def test_positions_are_signed_by_side(sim: SimulatorServer, rest: KalshiRest, market: str):
    """Negative is NO; the entry is cost over contracts, on the side held."""
    sim.set_position(market, "-12.50", "0.60")
    read = rest.positions(0)
    (held,) = [p for p in read.positions if p.ticker == market]
    assert (held.side, held.count, held.entry) == (Side.NO, D("12.50"), D("0.60"))
    assert read.as_of_ms is not None
    assert abs(read.as_of_ms - CLOCK.utc_ms()) < 60_000


def test_orders_and_fills_of_one_market(sim: SimulatorServer, rest: KalshiRest, market: str):
    """The evidence for an attempt: our id in the order list, the fills by its order id."""
    before_ms = CLOCK.utc_ms()
    sim.set_position(market, "10", "0.50")
    attempt = own_id()
    placed = rest.place_exit(exit_of(market, price="0.38", own_id=attempt, shard=2))
    assert isinstance(placed, Accepted)
    read = rest.orders_and_fills(market, 0, before_ms)
    (order,) = read.orders
    assert (order.client_order_id, order.filled, order.is_yes_bid) == (attempt, D(10), False)
    assert order.created_ms is not None
    (fill,) = read.fills
    assert (fill.order_id, fill.signed_count, fill.price_for(Side.YES)) == (
        placed.order_id,
        D(-10),
        D("0.40"),
    )
    assert abs(fill.ts_ms - before_ms) < 10_000


def test_pages_are_read_to_the_end(sim: SimulatorServer, rest: KalshiRest, market: str, monkeypatch):
    """An id on the last page is not absent."""
    monkeypatch.setattr("base.kalshi.rest_client.PAGE", 2)
    sim.set_position(market, "10", "0.50")
    ids = [own_id() for _ in range(5)]
    for attempt in ids:
        rest.place_exit(exit_of(market, count="1", price="0.38", own_id=attempt, shard=2))
    read = rest.orders_and_fills(market, 0, CLOCK.utc_ms() - 60_000)
    assert {order.client_order_id for order in read.orders} == set(ids)
    assert len({fill.trade_id for fill in read.fills}) == 5


@pytest.mark.parametrize("cursors", [["x", "x"], ["x", "y", "x"]], ids=["same", "circle"])
def test_cursor_that_loops_fails_the_whole_read(sim: SimulatorServer, rest: KalshiRest, cursors: list[str]):
    """The exchange accepts garbage cursors with 200."""
    for cursor in cursors:
        sim.fail_next(
            200, {"market_positions": [], "event_positions": [], "cursor": cursor}, path_contains="/positions"
        )
    with pytest.raises(WireError):
        rest.positions(0)


def test_failed_second_page_fails_the_whole_read(sim: SimulatorServer, market: str):
    """Half a list of positions would look like flat."""
    sim.fail_next(
        200, {"market_positions": [], "event_positions": [], "cursor": "x"}, path_contains="/positions"
    )
    sim.fail_next(500, None, path_contains="/positions", n=20)
    with pytest.raises(OutcomeUnknown):
        client_of(sim, timeout_s=0.5).positions(0)


def test_reads_are_repeated_within_their_deadline(sim: SimulatorServer, rest: KalshiRest):
    """A short hiccup is not told to the caller."""
    sim.fail_next(503, "", path_contains="/exchange/user_data", n=2)
    assert rest.user_data_as_of_ms() is not None
    sim.fail_next(400, {"msg": "no"}, path_contains="/exchange/user_data")
    with pytest.raises(RequestRefused):
        rest.user_data_as_of_ms()


def test_markets_say_grid_shard_and_times(sim: SimulatorServer, rest: KalshiRest, market: str):
    """Those that exist; a status is a word we know or never open."""
    other = f"{market}-2"
    sim.add_market(other, grid="tapered_deci_cent")
    found = rest.markets([market, other, "KXNONE"])
    assert set(found) == {market, other}
    assert (found[market].exchange_index, found[market].status) == (2, MarketStatus.ACTIVE)
    assert found[other].grid.lowest == D("0.001")
    assert found[other].grid.contains(D("0.055"))
    assert not found[other].grid.contains(D("0.555"))
    assert found[market].is_open_at(CLOCK.utc_ms())
    sim.deactivate(other)
    assert rest.markets([other])[other].status is MarketStatus.INACTIVE


def test_books_are_quotes_from_yes(sim: SimulatorServer, rest: KalshiRest, market: str):
    """NO bids become YES asks; the time is the request's start, for the answer has none."""
    before_s = CLOCK.boot_s()
    (quote,) = rest.read_books([market, "KXNONE"])
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (D("0.40"), D(50), D("0.45"), D(70))
    assert quote.bids == ((D("0.40"), D(50)), (D("0.39"), D(100)))
    assert (quote.source, quote.epoch, quote.exchange_ms) == (Source.REST, 0, None)
    assert before_s <= quote.received_s <= CLOCK.boot_s()
    sim.set_book(market, yes=[], no=[("0.55", "70")])
    (quote,) = rest.read_books([market])
    assert (quote.bid, quote.bid_size, quote.ask) == (None, None, D("0.45"))


def test_account_terms(sim: SimulatorServer, rest: KalshiRest):
    """What this key may do, and how much cash there is."""
    terms = rest.api_keys()
    assert terms is not None
    assert terms.may_trade
    assert terms.subaccount is None
    assert rest.balance() > 0
    assert rest.limits().write.refill_rate > 0


def test_write_scope_is_proven_without_an_order(sim: SimulatorServer, rest: KalshiRest, market: str):
    """Cancelling an order that can't exist: 404 is scope, 403 is none, the rest proves nothing."""
    assert rest.has_write_scope(market)
    sim.fail_next(403, {"error": {"code": "forbidden"}}, path_contains=ORDERS)
    assert not rest.has_write_scope(market)
    sim.fail_next(401, {"error": {"code": "header_timestamp_expired"}}, path_contains=ORDERS)
    with pytest.raises(RequestRefused):
        rest.has_write_scope(market)
    assert sim.orders_received == []


def test_clock_offset_is_measured_by_answers(sim: SimulatorServer, market: str):
    """``Date`` gives seconds, an order's ``ts_ms`` milliseconds."""
    offset = ClockOffset()
    rest = client_of(sim, offset=offset)
    rest.shards()
    coarse = offset.exchange_ms(boot_ms(CLOCK))
    assert coarse is not None
    assert 500 < coarse[1] < 2_000
    sim.set_position(market, "10", "0.50")
    assert isinstance(rest.place_exit(exit_of(market, price="0.38", own_id=own_id(), shard=2)), Accepted)
    fine, now = offset.exchange_ms(boot_ms(CLOCK)), CLOCK.utc_ms()
    assert fine is not None
    assert fine[1] < 250
    assert abs(fine[0] - now) <= fine[1] + 5


class WrongClock(SystemClock):
    """This machine's, an hour fast: a time zone mistaken, or a laptop without its time server."""

    def utc_ms(self) -> int:
        """Unix milliseconds, wrong."""
        return super().utc_ms() + 3_600_000


def test_a_wall_clock_that_is_wrong_costs_one_refusal(sim: SimulatorServer, market: str):
    """The refusal's ``Date`` says by how much: from then on requests, the feed and orders are signed right."""
    offset, clock = ClockOffset(), WrongClock()
    rest = client_of(sim, offset=offset, clock=clock)
    with pytest.raises(RequestRefused, match="header_timestamp_expired"):
        rest.positions(0)
    rest.positions(0)
    sim.set_position(market, "10", "0.50")
    assert isinstance(rest.place_exit(exit_of(market, price="0.38", own_id=own_id(), shard=2)), Accepted)
    link = Connector(
        sim.websocket_url,
        load_signer(sim.key_id, sim.private_key_path),
        clock,
        Dialer(clock),
        Waker(),
        2.0,
        offset,
    ).open(lambda: False)
    link.drop()


def test_a_wall_clock_that_is_right_is_signed_with():
    """``Date`` knows seconds only: what it leaves open is not held against our clock."""
    clock, offset = FakeClock(), ClockOffset()
    assert stamp_ms(clock, offset) == clock.utc_ms()
    local_ms = boot_ms(clock)
    offset.note(local_ms - 10, local_ms, clock.utc_ms() - 1_500, clock.utc_ms() + 1_000)
    assert stamp_ms(clock, offset) == clock.utc_ms()
    clock._utc_ms += 3_600_000
    assert abs(stamp_ms(clock, offset) - (clock.utc_ms() - 3_600_000)) < 2_000


def test_recovery_is_told_once(sim: SimulatorServer):
    """The first success after failures lets the feed try again."""
    told: list[int] = []
    rest = client_of(sim, on_recovered=lambda: told.append(1), timeout_s=0.3)
    rest.shards()
    assert told == []
    sim.drop_reply(n=20, path_contains="/exchange/user_data")
    with pytest.raises(OutcomeUnknown):
        rest.user_data_as_of_ms()
    sim.heal()
    rest.shards()
    rest.shards()
    assert told == [1]


def test_stale_signature_is_refused_with_its_word(sim: SimulatorServer):
    """A clock that is a minute off."""
    wrong = FakeClock(boot_s=CLOCK.boot_s(), utc_ms=CLOCK.utc_ms() - 60_000)
    with pytest.raises(RequestRefused) as caught:
        client_of(sim, clock=wrong).balance()
    assert (caught.value.status, caught.value.code) == (401, "header_timestamp_expired")


def test_used_up_budget_sends_nothing(sim: SimulatorServer, market: str):
    """Without tokens nothing leaves, and the caller knows that nothing happened."""
    budget = RateBudget(CLOCK)
    rest = KalshiRest(
        sim.rest_url,
        load_signer(sim.key_id, sim.private_key_path),
        budget,
        CLOCK,
        ClockOffset(),
        for_exits=False,
        timeout_s=0.05,
    )
    while budget.take(Kind.WRITE, shard=2):
        pass
    assert isinstance(rest.place_exit(exit_of(market, own_id=own_id(), shard=2)), NotSent)
    assert sim.orders_received == []


def test_limit_of_the_exchange_is_respected():
    """The real buckets of the smallest tier: what we let through is never refused."""
    with SimulatorServer(tier=BASIC) as sim:
        sim.add_market("KXT-A")
        budget = RateBudget(CLOCK)
        rest = KalshiRest(
            sim.rest_url,
            load_signer(sim.key_id, sim.private_key_path),
            budget,
            CLOCK,
            ClockOffset(),
            for_exits=True,
            timeout_s=5.0,
        )
        rest.limits()
        outcomes = [rest.place_exit(exit_of("KXT-A", own_id=own_id())) for _ in range(15)]
        assert [outcome for outcome in outcomes if isinstance(outcome, NotSent)] == []


def test_balance_reads_wait_for_their_own_bucket():
    """One a second: the second call waits rather than being refused."""
    with SimulatorServer(tier=BASIC) as sim:
        rest = client_of(sim)
        assert rest.balance() == rest.balance() > 0
        assert sum("/portfolio/balance" in request.path for request in sim.requests) == 2


def test_no_connection_is_not_sent(sim: SimulatorServer):
    """Refused before any byte left: nothing happened."""
    rest = client_of(sim, url="http://127.0.0.1:1/trade-api/v2", timeout_s=0.5)
    assert isinstance(rest.place_exit(exit_of("KXA")), NotSent)
    with pytest.raises(TransportError):
        rest.balance()
