"""One market's book: snapshot plus changes, on the YES scale."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import WireError
from base.kalshi.messages import BookDelta, BookSnapshot
from base.kalshi.order_book import DEPTH, OrderBook
from base.model import Quote, Side

D = Decimal
T = "KXTEST-26DEC31-A"
Levels = dict[Decimal, Decimal]


def make_snapshot(yes: Levels, no: Levels, clock: int | None = None) -> BookSnapshot:
    return BookSnapshot(2, 1, None, T, tuple(yes.items()), tuple(no.items()), clock, None)


def make_delta(price: str, change: str, *, is_yes: bool = True, clock: int | None = None) -> BookDelta:
    return BookDelta(2, 2, T, D(price), D(change), is_yes, clock, None, None)


def quote_of(book: OrderBook) -> Quote:
    return book.quote(received_s=1.0, exchange_ms=None, epoch=1)


BIDS = {D("0.40"): D(10), D("0.38"): D(5)}
ASKS = {D("0.45"): D(7), D("0.44"): D("2.5")}


@pytest.mark.parametrize("use_yes_price", [True, False])
def test_no_levels_become_asks(use_yes_price: bool):
    """A NO bid at q is a YES ask at 1 − q, whichever scale the wire uses."""
    no = ASKS if use_yes_price else {1 - price: count for price, count in ASKS.items()}
    book = OrderBook(make_snapshot(BIDS, no), use_yes_price=use_yes_price)
    quote = quote_of(book)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (D("0.40"), D(10), D("0.44"), D("2.5"))
    assert quote.asks == ((D("0.44"), D("2.5")), (D("0.45"), D(7)))
    change = make_delta("0.43" if use_yes_price else "0.57", "1", is_yes=False)
    assert book.apply(change)
    assert quote_of(book).ask == D("0.43")


def test_empty_side_is_none():
    """No orders, no price."""
    quote = quote_of(OrderBook(make_snapshot({}, ASKS), use_yes_price=True))
    assert (quote.bid, quote.bid_size, quote.bids) == (None, None, ())
    flipped = quote.flipped()
    assert (flipped.side, flipped.ask, flipped.bid) == (Side.NO, None, D("0.56"))


def test_level_below_zero_is_refused_and_changes_nothing():
    """A book is never clamped: below zero it is wrong as a whole."""
    book = OrderBook(make_snapshot(BIDS, ASKS), use_yes_price=True)
    before = quote_of(book)
    with pytest.raises(WireError):
        book.apply(make_delta("0.40", "-10.01"))
    with pytest.raises(WireError):
        book.apply(make_delta("0.20", "-1"))
    assert quote_of(book) == before


@pytest.mark.parametrize(
    ("price", "is_crossed"),
    [
        pytest.param("0.43", False, id="apart"),
        pytest.param("0.44", True, id="locked"),
        pytest.param("0.50", True, id="x"),
    ],
)
def test_crossed_book_is_seen(price: str, is_crossed: bool):
    """A bid at or above the ask is no price."""
    book = OrderBook(make_snapshot(BIDS, ASKS), use_yes_price=True)
    book.apply(make_delta(price, "1"))
    assert book.is_crossed is is_crossed


def test_change_of_before_the_snapshot_is_refused():
    """Those that follow a snapshot have higher clocks: this is another connection's. Later ones may share one."""
    book = OrderBook(make_snapshot(BIDS, ASKS, clock=50), use_yes_price=True)
    with pytest.raises(WireError, match="clock_of_before"):
        book.apply(make_delta("0.40", "5", clock=50))
    assert quote_of(book).bid_size == D(10)
    assert book.apply(make_delta("0.40", "5", clock=51))
    assert book.apply(make_delta("0.40", "1", clock=51))
    assert quote_of(book).bid_size == D(16)
    assert book.clock == 51


def test_tuples_are_rebuilt_only_for_the_best_levels():
    """A change below the twenty best leaves the same tuple."""
    bids = {D("0.50") - D("0.01") * n: D(1) for n in range(DEPTH + 5)}
    book = OrderBook(make_snapshot(bids, {}), use_yes_price=True)
    before = book.bids
    assert not book.apply(make_delta("0.27", "3"))
    assert book.bids is before
    assert book.apply(make_delta("0.31", "3"))
    assert book.bids is not before
    assert len(book.bids) == DEPTH
    assert book.apply(make_delta("0.50", "-1"))
    assert (book.bids[0][0], book.bids[-1][0]) == (D("0.49"), D("0.30"))


prices = st.integers(1, 99).map(lambda cents: D(cents) / 100)
counts = st.integers(1, 500).map(lambda n: D(n) / 4)
ladders = st.dictionaries(prices, counts, max_size=40)
changes = st.lists(st.tuples(prices, st.integers(-300, 300), st.booleans()), max_size=80)


@given(yes=ladders, no=ladders, moves=changes, order=st.randoms(use_true_random=False))
def test_snapshot_plus_any_prefix_of_deltas_is_the_book(yes: Levels, no: Levels, moves, order):
    """The book equals a plain dictionary after every change, whatever the order of the arrays."""
    expected = {True: dict(yes), False: dict(no)}
    shuffled = list(yes.items())
    order.shuffle(shuffled)
    book = OrderBook(make_snapshot(dict(shuffled), no), use_yes_price=True)
    for price, quarters, is_yes in moves:
        side, change = expected[is_yes], D(quarters) / 4
        count = side.get(price, D(0)) + change
        delta = BookDelta(2, 2, T, price, change, is_yes, None, None, None)
        before = (book.bids, book.asks)
        if count < 0:
            with pytest.raises(WireError):
                book.apply(delta)
            continue
        moved = book.apply(delta)
        side.pop(price, None)
        if count:
            side[price] = count
        assert book.bids == tuple(sorted(expected[True].items(), reverse=True)[:DEPTH])
        assert book.asks == tuple(sorted(expected[False].items())[:DEPTH])
        assert moved or before == (book.bids, book.asks)
        assert book.equals(OrderBook(make_snapshot(expected[True], expected[False]), use_yes_price=True))


@given(yes=ladders, no=ladders)
def test_flipped_twice_is_itself(yes: Levels, no: Levels):
    """Seen from NO and back, nothing is lost."""
    quote = quote_of(OrderBook(make_snapshot(yes, no), use_yes_price=True))
    assert quote.flipped().flipped() == quote


@given(yes=ladders, no=ladders)
def test_no_mirrors_yes(yes: Levels, no: Levels):
    """The mirrored book seen from NO is the book seen from YES."""
    mirrored_yes = {1 - price: count for price, count in no.items()}
    mirrored_no = {1 - price: count for price, count in yes.items()}
    quote = quote_of(OrderBook(make_snapshot(yes, no), use_yes_price=True))
    mirror = quote_of(OrderBook(make_snapshot(mirrored_yes, mirrored_no), use_yes_price=True)).flipped()
    assert (mirror.bid, mirror.ask, mirror.bids, mirror.asks) == (
        quote.bid,
        quote.ask,
        quote.bids,
        quote.asks,
    )


def test_a_change_of_nothing_where_nobody_rests_adds_no_level():
    """An order that came and went within one frame leaves no empty level behind."""
    book = OrderBook(make_snapshot(BIDS, ASKS), use_yes_price=True)
    book.apply(make_delta("0.39", "0"))
    book.apply(make_delta("0.50", "0", is_yes=False))
    assert (book.bids, book.asks) == (
        ((D("0.40"), D(10)), (D("0.38"), D(5))),
        ((D("0.44"), D("2.5")), (D("0.45"), D(7))),
    )
