"""The exchange's day: Thursday's pause in New York time, planned maintenance, goodbyes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from base.simulator.clock import ManualClock, SystemClock
from base.simulator.engine import pauses
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.simulator.exchange_world import ME, World, refused
from tests.simulator.loopback import A, Client, Feed, eventually


def ms(text: str) -> int:
    """Return a UTC time, e.g. ``2026-11-26T08:00``, in Unix milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("utc", "is_pause"),
    [
        pytest.param("2026-11-26T07:59:59.999", False, id="winter, a moment before"),
        pytest.param("2026-11-26T08:00", True, id="winter, from 08:00 UTC"),
        pytest.param("2026-11-26T09:59:59.999", True, id="winter, the last moment"),
        pytest.param("2026-11-26T10:00", False, id="winter, over"),
        pytest.param("2026-07-09T06:59:59.999", False, id="summer, a moment before"),
        pytest.param("2026-07-09T07:00", True, id="summer, from 07:00 UTC"),
        pytest.param("2026-07-09T09:00", False, id="summer, over"),
        pytest.param("2026-10-29T07:30", True, id="the last Thursday of summer time"),
        pytest.param("2026-11-05T07:30", False, id="the first one after it"),
        pytest.param("2026-11-27T08:30", False, id="a Friday"),
    ],
)
def test_the_weekly_pause_follows_new_york(utc: str, is_pause: bool) -> None:
    """Thursday 03:00 to 05:00 on the wall clock, whatever that is in UTC."""
    assert pauses.is_weekly_pause(ms(utc)) == is_pause


@pytest.mark.parametrize(
    ("now", "resumes"),
    [
        pytest.param("2026-11-26T08:30", "2026-11-26T10:00", id="within"),
        pytest.param("2026-11-26T10:00", "2026-12-03T10:00", id="just over"),
        pytest.param("2026-10-30T12:00", "2026-11-05T10:00", id="across the end of summer time"),
    ],
)
def test_the_end_of_the_pause_is_known(now: str, resumes: str) -> None:
    """As a moment, not as a number of hours."""
    assert pauses.next_resume_ms(ms(now)) == ms(resumes)


def test_thursday_pauses_orders_and_lets_cancels_through() -> None:
    """Orders that asked for it are cancelled as it begins; the rest waits."""
    world = World(Semantics(weekly_pause=True))
    world.market.close_ms = ms("2026-12-31T00:00")
    world.now = ms("2026-11-26T07:59")
    waiting = world.order(ME, "bid", "0.50", "5")
    leaving = world.order(ME, "bid", "0.49", "5", cancel_on_pause=True)
    world.now = ms("2026-11-26T08:00")
    world.exchange.advance(world.now)
    assert (waiting.status, leaving.status, leaving.reason) == ("resting", "canceled", "HaltCancel")
    with refused(409, "trading_is_paused"):
        world.ioc(ME, "ask", "0.50", "5")
    assert world.exchange.cancel(waiting, world.now) == 5
    world.now = ms("2026-11-26T10:00")
    world.exchange.advance(world.now)
    assert world.order(ME, "bid", "0.50", "5").status == "resting"


def test_a_pause_by_hand_outlasts_thursday() -> None:
    """The clock ends only what the clock began."""
    world = World(Semantics(weekly_pause=True))
    world.now = ms("2026-11-26T08:30")
    pauses.set_trading(world.exchange.state, 0, world.now, is_active=False)
    for moment in ("2026-11-26T08:30", "2026-11-26T10:30"):
        world.exchange.advance(ms(moment))
    shards = world.exchange.state.shards
    assert [shards[0].is_trading, shards[2].is_trading] == [False, True]


def test_status_and_schedule_tell_of_thursday_and_sockets_are_dropped() -> None:
    """The end is estimated, the schedule has a hole, connections end with 1001."""
    clock = ManualClock(ms("2026-11-26T07:59:58"))
    with SimulatorServer(clock=clock, semantics=Semantics(weekly_pause=True, skew_window_s=1e9)) as sim:
        sim.add_market(A, exchange_index=2)
        client = Client(sim)
        assert client.get("/exchange/status")["exchange_estimated_resume_time"] is None
        with Feed(sim) as feed:
            clock.advance(2.0)
            sim.advance_engine()
            eventually(lambda: sim.open_sockets == 0)
            opcode, data = feed.socket.recv_data()
            assert (opcode, int.from_bytes(data[:2], "big")) == (8, 1001)
        status = client.get("/exchange/status")
        assert (status["exchange_active"], status["trading_active"]) == (True, False)
        assert not any(s["trading_active"] for s in status["exchange_index_statuses"])
        assert status["exchange_estimated_resume_time"] == "2026-11-26T10:00:00.000Z"
        assert client.order().json()["error"]["code"] == "trading_is_paused"
        hours = client.get("/exchange/schedule")["schedule"]["standard_hours"][0]["thursday"]
        assert [(h["open_time"], h["close_time"]) for h in hours] == [("00:00", "03:00"), ("05:00", "00:00")]
        with Feed(sim) as again:
            assert again.subscribe("ticker", tickers=[A])["type"] == "subscribed"


def test_planned_maintenance_stops_everything_for_its_time() -> None:
    """It is in the schedule first, then the exchange is paused, then it goes on."""
    clock = ManualClock(SystemClock().now_ms())
    with SimulatorServer(clock=clock, semantics=Semantics(skew_window_s=1e9)) as sim:
        sim.add_market(A, exchange_index=2)
        client = Client(sim)
        order = client.order(side="bid", price="0.1000", time_in_force="good_till_canceled").json()[
            "order_id"
        ]
        cancel = f"/portfolio/events/orders/{order}?market_ticker={A}"
        sim.plan_maintenance(60.0, 600.0)
        [window] = client.get("/exchange/schedule")["schedule"]["maintenance_windows"]
        assert client.get("/exchange/status")["exchange_active"] is True
        clock.advance(60.0)
        status = client.get("/exchange/status")
        assert (status["exchange_active"], status["trading_active"]) == (False, False)
        assert status["exchange_estimated_resume_time"] == window["end_datetime"]
        assert client.call("DELETE", cancel).json()["error"]["code"] == "exchange_is_paused"
        clock.advance(600.0)
        assert client.get("/exchange/status")["exchange_estimated_resume_time"] is None
        assert client.call("DELETE", cancel).status_code == 200
        assert client.get("/exchange/schedule")["schedule"]["maintenance_windows"] == []


def test_a_goodbye_carries_its_close_code(sim: SimulatorServer, feed: Feed) -> None:
    """1001 before maintenance."""
    feed.subscribe("ticker", tickers=[A])
    sim.close_connections(1001)
    opcode, data = feed.socket.recv_data()
    assert (opcode, int.from_bytes(data[:2], "big")) == (8, 1001)
    eventually(lambda: sim.open_sockets == 0)


def test_cancel_all_has_its_minute_over_the_wire() -> None:
    """What is placed within it is accepted and cancelled; an immediate order is not hit."""
    clock = ManualClock(ms("2026-11-24T12:00"))
    with SimulatorServer(clock=clock, semantics=Semantics(read_lag_s=0.0, skew_window_s=1e9)) as sim:
        sim.add_market(A, exchange_index=2)
        sim.set_book(A, yes=[("0.50", "100")])
        sim.set_position(A, "25", "0.40")
        client = Client(sim)
        rests = {"side": "bid", "price": "0.1000", "time_in_force": "good_till_canceled"}
        assert client.call("DELETE", "/portfolio/events/orders?subaccount=0").status_code == 204
        clock.advance(59.0)
        hit = client.order(**rests).json()
        assert client.get(f"/portfolio/orders/{hit['order_id']}")["order"]["status"] == "canceled"
        assert client.order(reduce_only=True).json()["fill_count"] == "10.00"
        clock.advance(1.0)
        kept = client.order(**rests).json()
        assert client.get(f"/portfolio/orders/{kept['order_id']}")["order"]["status"] == "resting"
