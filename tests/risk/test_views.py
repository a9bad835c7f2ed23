"""What screens and commands are shown of a holding."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from base.model import Side
from base.risk.exit_lifecycle import State
from base.risk.messages import Line
from base.risk.ports import PositionView
from base.risk.rules import Rule
from base.risk.views import Tally, monitor_view, position_view, protection_of
from tests.risk.world import TICKER, World, armed

D = Decimal
BOTH = pytest.mark.parametrize("side", list(Side), ids=["yes", "no"])


def view_of(world: World, *, is_quoted: bool = True) -> PositionView:
    """The only holding, as the monitor shows it."""
    guard, cache = world.guard, world.cache
    quote = cache.quote(TICKER, guard.side) if is_quoted else None
    return position_view(guard, quote, cache.freshness(TICKER), cache.age_s(TICKER))


@BOTH
def test_a_covered_holding(side: Side) -> None:
    """What it would fetch is net of the taker's fee; the distance is what the bid may still fall."""
    view = view_of(armed(Rule(name="default", stop=D("0.40"), take_profit=D("0.80")), side))
    assert (view.side, view.count, view.entry, view.bid) == (side, D(10), D("0.60"), D("0.52"))
    assert (view.trigger, view.target, view.distance) == (D("0.40"), D("0.80"), D("0.12"))
    fetches = D("0.52") - D("0.07") * D("0.52") * D("0.48")
    assert (view.executable, view.profit) == (fetches, (fetches - D("0.60")) * 10)
    assert (view.state, view.protection, view.freshness.is_proven) == ("ARMED", "covered", True)


def test_a_holding_that_nobody_quotes() -> None:
    """What is not known is not shown as a number."""
    view = view_of(World(Rule(name="default", stop=D("0.40"))).hold("10", None), is_quoted=False)
    assert (view.bid, view.executable, view.profit, view.source) == (None, None, None, None)
    assert (view.trigger, view.target, view.distance, view.protection) == (None, None, None, "unprotected")


def test_a_holding_whose_entry_nobody_knows_has_no_profit() -> None:
    """It has a price all the same."""
    view = view_of(World(Rule(name="default", stop=D("0.40"))).hold("10", None).bid("0.52"))
    assert view.executable is not None
    assert (view.entry, view.profit, view.distance) == (None, None, D("0.12"))


@pytest.mark.parametrize(
    ("changes", "executable"),
    [
        pytest.param({"bids": ()}, "0.3832", id="a ticker knows the top only"),
        pytest.param({"bids": (), "bid_size": D(9)}, None, id="which does not cover it"),
        pytest.param({"bids": (), "bid_size": None}, None, id="or has no size"),
        pytest.param({"bids": (), "bid": None, "bid_size": None}, None, id="nobody bids"),
    ],
)
def test_what_would_be_fetched_is_known_where_depth_says_so(
    changes: dict[str, object], executable: str | None
) -> None:
    """Never a price for more contracts than are seen to be wanted."""
    world = armed().bid("0.40", size="100")
    quote = replace(world.quote("0.40", size="100"), **changes)  # type: ignore[arg-type]
    view = position_view(world.guard, quote, world.cache.freshness(TICKER), 0.0)
    assert view.executable == (None if executable is None else D(executable))


@BOTH
def test_a_holding_that_turned_over_is_shown_as_what_is_held_now(side: Side) -> None:
    """The other side's contracts are nobody's to sell: unprotected, at their own prices."""
    world = armed(side=side).bid("0.40").answer("0")
    world.tell(world.fill("15", "-5", trade="x", ours=False)).quiet(1)
    view = view_of(world)
    assert (view.side, view.count, view.entry) == (side.other, D(5), None)
    assert (view.bid, view.trigger, view.profit) == (D(1) - D("0.42"), None, None)
    assert (view.state, view.protection, view.reason) == ("FLIPPED", "unprotected", "flipped")
    blind = view_of(world, is_quoted=False)
    assert (blind.bid, blind.executable, blind.source, blind.count) == (None, None, None, D(5))


@pytest.mark.parametrize(
    ("state", "protection"),
    [(State.ARMED, "covered"), (State.UNPROTECTED, "unprotected"), (State.FLIPPED, "unprotected")]
    + [(s, "exiting") for s in (State.TRIGGERED, State.IN_FLIGHT, State.UNKNOWN, State.STUCK, State.WAITING, State.REFUSED)],
)  # fmt: skip
def test_every_contract_is_covered_exiting_or_unprotected(state: State, protection: str) -> None:
    """There is no fourth word."""
    assert protection_of(state) == protection


def test_the_tally_counts_lines_and_adds_up_profit() -> None:
    """A withdrawn exit's money counts too; words that are no numbers do not."""
    tally = Tally()
    for event, fields in (
        ("TRIGGERED", {}), ("FILLED", {}), ("CLOSED", {"profit": D("-2.5")}), ("ALARM", {"reason": "x"}),
        ("ARMED", {"profit": D("0.75")}), ("CLOSED", {"profit": None}),
    ):  # fmt: skip
        tally.note(Line(event=event, key=None, side=None, fields=fields))
    assert (tally.triggered, tally.filled, tally.closed, tally.alarms) == (1, 1, 2, 1)
    assert tally.profit == D("-1.75")


def test_everything_is_shown_in_order() -> None:
    """Alarms of the account first, then those of holdings, each with its market."""
    world = armed().bid("0.40").refuse(403, "")
    world.guards.ring("journal_failed", world.moment())
    tally = Tally(triggered=1, filled=2, closed=3, profit=D(4), alarms=5)
    view = monitor_view(world.guards, [view_of(world)], tally)
    assert view.alarms == ("journal_failed", f"{TICKER}:refused")
    assert [shown.state for shown in view.positions] == ["REFUSED"]
    assert (view.exits_open, view.triggered, view.filled, view.closed) == (1, 1, 2, 3)
    assert (view.profit, view.alarms_raised) == (D(4), 5)


def test_tallies_add_up() -> None:
    """What two processes did, one after the other, is what happened."""
    one = Tally(triggered=1, filled=2, closed=3, profit=D("-0.50"), alarms=4)
    two = Tally(triggered=10, filled=20, closed=30, profit=D("0.25"), alarms=40)
    assert one + two == Tally(triggered=11, filled=22, closed=33, profit=D("-0.25"), alarms=44)
