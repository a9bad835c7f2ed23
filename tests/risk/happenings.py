"""What may happen to a monitor on a random day, one function each, and how often it does."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from base.model import LifecycleEvent, MarketStatus, NotSent, OrderReport, Outcome, Refused, Unanswered
from base.risk.messages import Closed, Linked, Opened, PersonAsks, ReadFailed, RestingSeen, Swept
from base.units import PriceGrid
from tests.risk.promises import Violation
from tests.risk.true_exchange import ZERO
from tests.risk.world import GRID, KEY, TICKER

if TYPE_CHECKING:
    from tests.risk.random_days import Day

D = Decimal
HALF_CENTS = PriceGrid.of([("0.0000", "1.0000", "0.0050")])
REFUSALS = (
    (409, "trading_is_paused"), (400, "MARKET_INACTIVE"), (403, ""), (400, "bad_request"),
    (400, "invalid_price"), (400, "insufficient_balance"), (401, "header_timestamp_expired"),
    (401, "authentication_error"), (404, "market_not_found"),
)  # fmt: skip
MOST_ROUNDS = 30
"""Rounds at one moment after which the monitor spins."""


# --- prices and time ---------------------------------------------------------


def time_passes(day: Day) -> None:
    """Nothing changes for a while."""
    seconds = day.random.choice([0.05, 0.05, 0.3, 0.3, 1, 1, 3, 7, 12])
    day.pass_s(seconds, min(seconds, day.random.choice([0.1, 0.5])))


def price_moves(day: Day) -> None:
    """A new best bid: a step, a jump, a crash to a cent, or none at all."""
    bid = _next_bid(day)
    size = day.random.choice(["500", "500", "3"])
    day.quote(None if bid is None else str(bid), _ask_for(day, bid), size)
    if day.chance(0.8):
        day.world.step()


def _next_bid(day: Day) -> Decimal | None:
    if day.chance(0.06):
        return None
    if day.chance(0.05):
        return D("0.01")
    if day.chance(0.1):
        return D(day.random.choice(["0.31", "0.39", "0.40", "0.80", "0.82"]))  # at the levels of the rules
    if day.chance(0.3):
        return D(day.random.randint(2, 95)) / 100
    near = (day.exchange.bid or D("0.40")) + D(day.random.randint(-8, 7)) / 100
    return min(max(near, D("0.02")), D("0.95"))


def _ask_for(day: Day, bid: Decimal | None) -> str | None:
    if day.chance(0.03):
        return "-"
    if bid is None:
        return day.random.choice(["0.50", "0.99"])
    return "0.99" if bid == D("0.01") else None


def rest_book_arrives(day: Day) -> None:
    """The refresher read the book."""
    bid = day.exchange.bid
    day.world.rest(None if bid is None else str(bid))


def monitor_goes_round(day: Day) -> None:
    """The shell steps whoever is due; at one moment that must come to an end."""
    for _ in range(MOST_ROUNDS):
        guard = day.world.guards.by_key.get(KEY)
        if guard is None or guard.due_s is None or guard.due_s > day.world.now_s:
            return
        day.world.step()
        day.check()
    raise Violation(f"busy loop in {day.world.state}")


# --- answers and reports ----------------------------------------------------------------------------


def answer_comes(day: Day) -> None:
    """The order in flight is accepted, lost, not sent or refused."""
    if not day.promises.unanswered:
        return
    send, draw = day.promises.unanswered.pop(), day.random.random()
    outcome: Outcome
    client_id = send.order.client_order_id
    if draw < 0.55:
        outcome = day.exchange.accept(send, rests=day.chance(0.05))
        day.promises.check_sold(send.intent_id)
    elif draw < 0.75:
        if day.chance(0.6):
            day.execute(send)
        elif day.chance(0.5):
            day.delay(send)
        outcome = Unanswered(client_order_id=client_id, why="timeout")
    elif draw < 0.85:
        outcome = NotSent(client_order_id=client_id, why="429")
    else:
        status, code = day.random.choice(REFUSALS)
        outcome = Refused(client_order_id=client_id, status=status, code=code, details="")
    day.answer(send, outcome)


def fill_is_pushed(day: Day) -> None:
    """The oldest or newest fill not yet pushed; one in ten pushes is lost."""
    if day.exchange.unpushed:
        fill = day.exchange.unpushed.pop(0 if day.chance(0.9) else -1)
        if day.chance(0.9):
            day.tell(fill)


def fill_is_pushed_again(day: Day) -> None:
    """Any fill of the day, once more."""
    if day.exchange.fills:
        day.tell(day.random.choice(day.exchange.fills))


def order_is_pushed_again(day: Day) -> None:
    """Any order of the day."""
    if day.exchange.orders:
        day.tell(day.random.choice(day.exchange.orders))


def orders_are_read(day: Day) -> None:
    """A read that was asked for; one in five lags."""
    if day.reads_asked:
        day.reads_asked -= 1
        day.tell(day.exchange.orders_read(_lag_ms(day, 0.2), has_as_of=day.chance(0.95)))


def positions_are_read(day: Day) -> None:
    """A read nobody has to ask for; one in three lags."""
    day.tell(day.exchange.positions_read(_lag_ms(day, 0.3), has_as_of=day.chance(0.95)))


def _lag_ms(day: Day, probability: float) -> int:
    return day.random.randint(0, 8_000) if day.chance(probability) else 0


def read_fails(day: Day) -> None:
    """A report cannot be had."""
    day.tell(ReadFailed(what=day.random.choice(["ReadOrders", "ReadMarket", "ReadPositions"]), why="x"))


# --- people -----------------------------------------------------------------------------------------


def user_trades(day: Day) -> None:
    """By hand, while no order of ours is on its way: some more, some less, or all away."""
    all_away = -day.exchange.held if day.chance(0.5) else D(2)
    count = day.random.choice([D(3), D(-4), D(5), all_away])
    if count and not day.promises.unanswered:
        day.exchange.trade_elsewhere(count)
        day.note(f"the user trades {count}, {day.exchange.held} held")


def person_retries(day: Day) -> None:
    """The word that sells what would fire now."""
    day.tell(PersonAsks(key=KEY, command="retry"))


def person_flattens(day: Day) -> None:
    """Get out now, once or in two shells; with a floor of their own, or one that no order may carry."""
    floor = day.random.choice([None, None, D("0.30"), D("0.05"), D("0.405")])
    for _ in range(day.random.choice([1, 1, 2])):
        day.tell(PersonAsks(key=KEY, command="flatten", floor=floor, reply=day.heard.append))


def person_cancels(day: Day) -> None:
    """Withdraw the exit, sure of it or not."""
    day.tell(PersonAsks(key=KEY, command="cancel", is_confirmed=day.chance(0.5), reply=day.heard.append))


def hook_claims(day: Day) -> None:
    """A strategy says opened or closed, rightly or not."""
    if day.chance(0.5):
        day.tell(Closed(key=KEY))
    else:
        held = day.exchange.held if day.exchange.held > 0 else D(10)
        day.tell(Opened(position=day.world.position(str(held), "0.60")))


def resting_orders_are_seen(day: Day) -> None:
    """An order of ours rests in the market, or none does."""
    resting = OrderReport(
        order_id="rest-1", client_order_id="mine", ticker=TICKER, subaccount=0, is_yes_bid=False,
        yes_price=D("0.90"), status="resting", initial=D(10), filled=ZERO, remaining=D(10),
        fill_cost=None, fees=None, created_ms=day.world.utc_ms(), updated_ms=None, reason=None,
        exchange_index=2,
    )  # fmt: skip
    day.tell(RestingSeen(key=KEY, orders=(resting,) if day.chance(0.5) else ()))
    if day.chance(0.5):
        day.tell(Swept(key=KEY, cancelled=("rest-1",), failed=()))


# --- market and feed --------------------------------------------------------------------------------


def market_changes(day: Day) -> None:
    """Another status, grid or close; read, or pushed."""
    statuses = [MarketStatus.ACTIVE] * 10 + [MarketStatus.INACTIVE, MarketStatus.CLOSED]
    if day.chance(0.2):
        statuses.append(MarketStatus.DETERMINED)
    if day.chance(0.5):
        event = day.random.choice(["activated", "deactivated", "close_date_updated"])
        day.tell(LifecycleEvent(ticker=TICKER, event=event, close_ms=None, result=None, grid=None))
    else:
        day.see_market(
            status=day.random.choice(statuses),
            grid=day.random.choice([GRID, GRID, HALF_CENTS]),
            close_ms=day.random.choice([*[None] * 7, day.world.utc_ms() + 5_000]),
        )


def shard_changes(day: Day) -> None:
    """Trading pauses, or goes on."""
    day.see_shard(trading_active=day.chance(0.8))


def sequence_breaks_or_heals(day: Day) -> None:
    """The book's counter skips, or its snapshot came."""
    if day.chance(0.8):
        day.world.link()
        day.world.step()
    else:
        day.world.gap()


def connection_breaks(day: Day) -> None:
    """It is lost and made again."""
    if day.chance(0.5):
        day.world.cut()
        day.check()
    day.world.link()
    day.world.step()
    day.check()
    day.tell(Linked(True))


HAPPENINGS: dict[Callable[[Day], None], int] = {
    time_passes: 30,
    price_moves: 30,
    answer_comes: 25,
    fill_is_pushed: 20,
    fill_is_pushed_again: 2,
    order_is_pushed_again: 3,
    orders_are_read: 12,
    positions_are_read: 10,
    rest_book_arrives: 14,
    monitor_goes_round: 10,
    user_trades: 3,
    person_retries: 2,
    person_flattens: 1,
    person_cancels: 1,
    market_changes: 2,
    shard_changes: 2,
    read_fails: 1,
    hook_claims: 1,
    resting_orders_are_seen: 1,
    sequence_breaks_or_heals: 1,
    connection_breaks: 1,
}
"""What may happen, and how often in 172 times."""
