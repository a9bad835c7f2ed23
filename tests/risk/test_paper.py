"""Paper execution: fills come from the live book, positions carry them, nothing reaches the exchange."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import ConfigError
from base.model import (
    Accepted,
    EntryOrder,
    ExitOrder,
    Fill,
    Key,
    Market,
    MarketStatus,
    OrderReport,
    OrdersRead,
    Position,
    PositionsRead,
    Refused,
    ShardStatus,
    Side,
)
from base.risk.paper import PaperExchange
from base.risk.paper_book import PaperBook
from base.risk.rules import Rule
from tests.risk.world import EPOCH_MS, KEY, TICKER, World

D = Decimal


class RealAccount:
    """The real account, holding what it is told; it must never be asked to change anything."""

    def __init__(self, *held: Position):
        self.held = held
        self.listed: dict[str, Market] = {}

    def positions(self, subaccount: int) -> PositionsRead:
        """Every position."""
        return PositionsRead(subaccount=subaccount, positions=self.held, as_of_ms=EPOCH_MS, started_s=0.0)

    def orders_and_fills(self, ticker: str, subaccount: int, min_ts_ms: int) -> OrdersRead:
        """Not asked on paper."""
        raise AssertionError("paper reads its own orders")

    def resting_orders(self, ticker: str | None, subaccount: int) -> tuple[OrderReport, ...]:
        """Not asked on paper."""
        raise AssertionError("real orders are not paper's")

    def markets(self, tickers: Collection[str]) -> Mapping[str, Market]:
        """Those that are listed."""
        return self.listed

    def shards(self) -> tuple[ShardStatus, ...]:
        """None known."""
        return ()


class Unmeasured:
    """The exchange's clock was never read."""

    def exchange_ms(self, utc_ms: int) -> tuple[int, int] | None:
        """Nothing."""
        return None


class Paper:
    """A paper exchange on a world's feed, holding ten YES really."""

    def __init__(self, folder: Path, side: Side = Side.YES, *held: Position):
        self.world = World(Rule(name="default", stop=D("0.40")), side)
        self.side = side
        self.path = folder / "paper.json"
        self.real = RealAccount(*held)
        self.pushed: list[object] = []
        self.exchange = self.open()

    def open(self) -> PaperExchange:
        """Open it, as at a start: positions are read first."""
        exchange = PaperExchange(
            self.real, self.world.cache, self.world, Unmeasured(), self.path, self.pushed.append
        )
        exchange.positions(0)
        return exchange

    def sell(self, count: str, price: str, name: str = "a") -> Accepted:
        """An exit order."""
        order = ExitOrder(
            client_order_id=name, ticker=TICKER, subaccount=0, exchange_index=2, side=self.side, count=D(count),
            price=D(price),
        )  # fmt: skip
        outcome = self.exchange.place_exit(order)
        assert isinstance(outcome, Accepted)
        return outcome

    def buy(self, count: str, price: str, side: Side | None = None, *, is_buy: bool = True) -> Accepted:
        """An order of the strategy."""
        order = EntryOrder(
            client_order_id="e", ticker=TICKER, subaccount=0, exchange_index=2, side=side or self.side,
            is_buy=is_buy, count=D(count), price=D(price), time_in_force="immediate_or_cancel",
        )  # fmt: skip
        outcome = self.exchange.place_entry(order)
        assert isinstance(outcome, Accepted)
        return outcome

    @property
    def held(self) -> dict[str, Decimal]:
        """Signed positions as reported."""
        return {p.ticker: p.signed for p in self.exchange.positions(0).positions}


def ten(side: Side = Side.YES) -> Position:
    """Ten contracts at 0.60."""
    return Position(ticker=TICKER, side=side, count=D(10), entry=D("0.60"))


@pytest.mark.parametrize("side", list(Side))
def test_an_exit_walks_the_live_book_and_leaves_the_position(tmp_path: Path, side: Side) -> None:
    """Best bids first, taker's fee each, never under the limit, never more than held."""
    paper = Paper(tmp_path, side, ten(side))
    paper.world.bid("0.40", size="4")
    answer = paper.sell("50", "0.39")
    assert (answer.filled, answer.remaining) == (D(8), D(0))
    assert answer.average_price == D("0.395")
    assert abs(paper.held[TICKER]) == D(2)
    fills = [push for push in paper.pushed if isinstance(push, Fill)]
    assert [fill.price_for(side) for fill in fills] == [D("0.40"), D("0.39")]
    assert fills[-1].post_position is not None
    assert abs(fills[-1].post_position) == D(2)
    assert fills[0].fee == D("0.0672")


def test_a_standing_book_gives_nothing_twice(tmp_path: Path) -> None:
    """What was taken on paper is gone until the book changes."""
    paper = Paper(tmp_path, Side.YES, ten())
    paper.world.bid("0.40", size="4")
    assert paper.sell("4", "0.40").filled == D(4)
    assert paper.sell("4", "0.40", "b").filled == D(0)
    paper.world.bid("0.40", size="5")
    assert paper.sell("4", "0.40", "c").filled == D(4)


def test_a_price_that_is_not_proven_fills_nothing(tmp_path: Path) -> None:
    """A dead feed is no market."""
    paper = Paper(tmp_path, Side.YES, ten())
    paper.world.bid("0.40")
    paper.world.cut()
    paper.world.pass_s(3)
    assert paper.sell("10", "0.30").filled == D(0)


def test_a_position_opened_on_paper_is_reported_and_can_be_left(tmp_path: Path) -> None:
    """Buying takes the asks; the entry is what was paid; selling closes it again."""
    paper = Paper(tmp_path)
    paper.world.quote("0.40")
    paper.world.cache.put(replace(paper.world.quote("0.40"), asks=((D("0.42"), D(3)), (D("0.43"), D(9)))))
    assert paper.buy("5", "0.43").average_price == (D("0.42") * 3 + D("0.43") * 2) / 5
    (position,) = paper.exchange.positions(0).positions
    assert (position.side, position.count, position.entry) == (Side.YES, D(5), D("0.424"))
    paper.world.bid("0.41")
    paper.sell("5", "0.40")
    assert paper.held == {}


def test_a_strategys_sale_ends_at_what_is_held(tmp_path: Path) -> None:
    """As on the exchange, where it is reduce-only."""
    paper = Paper(tmp_path, Side.YES, ten())
    paper.world.bid("0.40", size="500")
    assert paper.buy("50", "0.30", is_buy=False).filled == D(10)
    assert paper.held == {}
    assert paper.buy("50", "0.30", Side.NO, is_buy=False).filled == D(0)


def test_paper_trades_survive_a_restart(tmp_path: Path) -> None:
    """What was sold on paper is not found again on the account."""
    paper = Paper(tmp_path, Side.YES, ten())
    paper.world.bid("0.40")
    paper.sell("10", "0.30")
    paper.exchange = paper.open()
    assert paper.held == {}


def test_paper_trades_that_cannot_be_kept_are_made_all_the_same(tmp_path: Path) -> None:
    """(D1) A full disk: the exit counts, and the next one that finds room keeps both."""
    paper = Paper(tmp_path, Side.YES, ten())
    in_the_way = paper.path.with_suffix(".new")
    in_the_way.mkdir()
    paper.world.bid("0.40", size="100")
    assert paper.sell("4", "0.39").filled == D(4)
    in_the_way.rmdir()
    paper.sell("1", "0.39", "b")
    paper.exchange = paper.open()
    assert paper.held == {TICKER: D(5)}


def test_a_settled_market_leaves_nothing_on_paper(tmp_path: Path) -> None:
    """Nobody pays out on paper; what stayed would be found anew at every start, for ever."""
    paper = Paper(tmp_path)
    paper.world.cache.put(replace(paper.world.quote("0.40"), asks=((D("0.42"), D(9)),)))
    paper.buy("5", "0.43")
    for status, held in ((MarketStatus.CLOSED, {TICKER: D(5)}), (MarketStatus.FINALIZED, {})):
        paper.real.listed = {TICKER: replace(paper.world.market, status=status)}
        paper.exchange.markets([TICKER])
        assert paper.held == held
        paper.exchange = paper.open()
        assert paper.held == held


def test_a_real_sale_takes_its_paper_sale_with_it(tmp_path: Path) -> None:
    """The user really sells what was sold on paper: nothing is held, and nothing is held short."""
    paper = Paper(tmp_path, Side.YES, ten())
    paper.world.bid("0.40")
    paper.sell("10", "0.30")
    paper.real.held = ()
    assert paper.held == {}
    paper.real.held = (ten(),)
    assert paper.held == {TICKER: D(10)}, "bought anew: a new holding"


def test_a_real_fill_is_pushed_with_the_paper_trades_on_top(tmp_path: Path) -> None:
    """The monitor sees one account."""
    paper = Paper(tmp_path, Side.YES, ten())
    paper.world.bid("0.40")
    paper.sell("4", "0.30")
    real = Fill(
        trade_id="r", order_id="r", client_order_id=None, ticker=TICKER, subaccount=0, signed_count=D(5),
        yes_price=D("0.40"), fee=D(0), ts_ms=EPOCH_MS, post_position=D(15),
    )  # fmt: skip
    paper.exchange.on_account_event(real)
    assert paper.pushed[-1] == replace(real, post_position=D(11))


def test_nothing_is_cancelled_and_nothing_rests(tmp_path: Path) -> None:
    """Real resting orders are not touched."""
    paper = Paper(tmp_path, Side.YES, ten())
    assert isinstance(paper.exchange.cancel("x", TICKER, 2, 0), Refused)
    assert paper.exchange.resting_orders(TICKER, 0) == ()


def test_orders_and_fills_can_be_read_back(tmp_path: Path) -> None:
    """What the reconciler asks for after a restart of the line."""
    paper = Paper(tmp_path, Side.YES, ten())
    paper.world.bid("0.40")
    paper.sell("10", "0.30", "mine")
    read = paper.exchange.orders_and_fills(TICKER, 0, 0)
    assert [(order.client_order_id, order.filled) for order in read.orders] == [("mine", D(10))]
    assert sum(abs(fill.signed_count) for fill in read.fills) == D(10)


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    """The path, and what to do."""
    (tmp_path / "paper.json").write_text("{")
    with pytest.raises(ConfigError, match="paper trading anew"):
        Paper(tmp_path)


@given(st.lists(st.tuples(st.integers(-30, 30), st.integers(1, 99)), max_size=20), st.integers(-20, 20))
def test_paper_trades_add_up(trades: list[tuple[int, int]], real: int) -> None:
    """Whatever is traded, the net is what was held plus what was traded; it reads back the same."""
    book = PaperBook()
    book.take_position(KEY, D(real))
    expected = D(real)
    for signed, cents in trades:
        if signed:
            book.trade(KEY, D(signed), D(cents) / 100)
            expected += signed
    assert book.net(KEY) == expected
    again = PaperBook.from_json(book.as_json())
    again.take_position(KEY, D(real))
    assert again.net(KEY) == expected
    assert book.sold.get(Key(0, TICKER), D(0)) <= abs(real)


@pytest.mark.parametrize(
    ("real", "own", "expected"),
    [
        pytest.param(("10", "0.60"), ("5", "0.30"), "0.50", id="both, by count"),
        pytest.param(("10", None), ("5", "0.30"), None, id="one price is not known"),
        pytest.param(("-10", "0.60"), ("-5", "0.70"), "0.50", id="both on the NO side"),
        pytest.param(
            ("10", "0.60"), ("-5", "0.30"), "0.60", id="sold on paper: what is left was bought for real"
        ),
        pytest.param(
            ("10", "0.60"), ("-15", "0.30"), "0.70", id="turned over on paper: NO for a dollar less"
        ),
    ],
)
def test_the_entry_of_real_and_paper_contracts(
    real: tuple[str, str | None], own: tuple[str, str], expected: str | None
) -> None:
    """What was paid for what is held, from the side held."""
    count, entry = D(real[0]), None if real[1] is None else D(real[1])
    side = Side.YES if count > 0 else Side.NO
    held = Position(ticker=TICKER, side=side, count=abs(count), entry=entry)
    book = PaperBook()
    book.take_report(0, [held])
    book.trade(KEY, D(own[0]), D(own[1]))
    (position,) = book.positions(0, [held])
    assert position.signed == count + D(own[0])
    assert position.entry == (None if expected is None else D(expected))
