"""A stop fires over the real protocol and the exit fills: the main job, end to end on loopback."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from base.model import Key, Position, Side
from base.risk.messages import PersonAsks
from tests.integration.rig import ORDERS, TICKER, Rig
from tests.support import PausedTerminal, eventually

D = Decimal
OTHER = "KXRIG-26DEC31-B"
BOTH = pytest.mark.parametrize("side", ["yes", "no"])


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A rig holding ten YES contracts."""
    with Rig(tmp_path) as rig:
        rig.hold()
        yield rig
        assert rig.deaths == []


@BOTH
def test_a_falling_market_is_left_at_the_stop(tmp_path: Path, side: str) -> None:
    """(C, F, I) Adopted, armed, touched, sold, confirmed, unsubscribed: YES and NO alike."""
    with Rig(tmp_path, side=side) as rig:
        rig.hold()
        rig.start()
        rig.armed()
        rig.slide("0.52", "0.40")
        rig.closed()
        (order, *more) = rig.orders
        assert more == []
        assert order["side"] == ("ask" if side == "yes" else "bid")
        assert (order["time_in_force"], order["reduce_only"]) == ("immediate_or_cancel", True)
        assert order["self_trade_prevention_type"] == "maker"
        assert (order["count"], order["exchange_index"], order["subaccount"]) == ("10.00", 2, 0)
        assert isinstance(order["price"], str)
        names = [event for event in rig.events if event not in ("ALARM", "UNPROTECTED", "PROTECTED")]
        assert names == ["ARMED", "TRIGGERED", "SENT", "FILLED", "CONFIRMING", "CLOSED"]
        eventually(lambda: TICKER not in rig.app._parts.feed.held())  # type: ignore[union-attr]


def test_a_terminal_that_is_paused_holds_up_no_stop(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """(I11) An alarm is said where nobody reads; the stop of another market fires all the same."""
    rig.sim.add_market(OTHER, exchange_index=2)
    rig.sim.set_book(OTHER, yes=[("0.50", "100")], no=[("0.48", "100")])
    rig.sim.set_position(OTHER, "5", "0.60")
    paused = PausedTerminal()
    monkeypatch.setattr(sys, "stderr", paused)
    try:
        rig.start(f'stops.rules=[{{market: {OTHER}, stop: "0.55"}}]')
        eventually(lambda: any("unprotected_would_fire_now" in line for line in rig.log), 10)
        rig.armed()
        rig.slide("0.52", "0.38")
        rig.closed()
    finally:
        paused.goes_on.set()


def test_profit_is_booked_at_fill_prices(rig: Rig) -> None:
    """(M) Not at the trigger, not at the limit: at what the fills paid, less the fees."""
    rig.start()
    rig.armed()
    rig.slide("0.52", "0.40")
    rig.closed()
    price, fee = D(rig.field("CLOSED", "price")), D(rig.field("CLOSED", "fee"))
    assert price == D("0.40")
    assert D(rig.field("CLOSED", "profit")) == (price - D("0.60")) * 10 - fee
    assert rig.view.profit == pytest.approx(D(rig.field("CLOSED", "profit")), abs=D("0.001"))


def test_a_jump_is_confirmed_by_rest_and_then_sold(rig: Rig) -> None:
    """A fall of more than 15 cents in one update fires after one REST book that shows it."""
    rig.start()
    rig.armed()
    rig.bid("0.52", depth=1)
    rig.sim.set_level(TICKER, "bid", "0.33", "200")
    rig.sim.forget_requests()
    rig.sim.set_level(TICKER, "bid", "0.52", "0")
    rig.closed()
    assert any("/markets/orderbooks" in request.path for request in rig.sim.requests)


def test_partial_fills_go_down_the_ladder_and_never_exceed_what_is_held(rig: Rig) -> None:
    """(A, B) A thin book: each next order asks for the rest, the floor holds, new bids finish it."""
    rig.start()
    rig.armed()
    rig.slide("0.52", "0.42")
    rig.bid("0.39", size="4", depth=1)
    eventually(lambda: "STUCK" in rig.events, 10)
    assert rig.held == D(6)
    rig.bid("0.36", size="100")
    rig.closed(15)
    assert all(D(order["price"]) >= D("0.30") for order in rig.orders)
    assert rig.orders[1]["count"] == "6.00"


def test_an_executed_order_whose_answer_was_lost_is_found_not_repeated(rig: Rig) -> None:
    """The connection dies after the exchange acted: evidence settles it, one order in all."""
    rig.start()
    rig.armed()
    rig.sim.drop_reply(n=1, path_contains=ORDERS, method="POST")
    rig.slide("0.52", "0.40")
    rig.closed()
    assert len(rig.orders) == 1
    assert {"UNKNOWN", "FOUND"} <= set(rig.events)


@pytest.mark.slow
def test_an_order_that_never_arrived_is_proven_absent_and_sent_again_with_its_id(rig: Rig) -> None:
    """A 503 says nothing: only two reads past the margin let the same id go again."""
    rig.start()
    rig.armed()
    rig.sim.fail_next(503, path_contains=ORDERS, n=1, method="POST")
    rig.slide("0.52", "0.40")
    rig.closed(20)
    ids = {order["client_order_id"] for order in rig.orders}
    assert len(ids) == 1


def test_a_pause_holds_the_exit_and_no_thread_dies(rig: Rig) -> None:
    """(K) Trading pauses, the trigger is touched, trading resumes: then it is sold."""
    rig.start()
    rig.armed()
    rig.slide("0.52", "0.42")
    rig.sim.pause_trading(2)
    for price in ("0.42", "0.41"):
        rig.sim.set_level(TICKER, "bid", price, "0")  # buyers may still leave
    eventually(lambda: rig.state == "WAITING")
    rig.sim.resume_trading(2)
    rig.closed(10)


def test_an_adopted_breached_position_is_not_sold_unasked(rig: Rig) -> None:
    """Found below its stop: UNPROTECTED and loud until a person says retry."""
    rig.bid("0.35")
    app = rig.start()
    eventually(lambda: rig.state == "UNPROTECTED" and "UNPROTECTED" in rig.events, 10)
    assert rig.field("UNPROTECTED", "reason") == "would_fire_now"
    assert rig.orders == []
    app._parts.monitor.submit(PersonAsks(key=Key(0, TICKER), command="retry"))  # type: ignore[union-attr]
    rig.closed()


def test_an_empty_bid_neither_fires_from_the_ask_nor_takes_profit(rig: Rig) -> None:
    """(D) Nobody buys: an alarm, no order; the first real bid inside the floor is taken."""
    rig.start('stops.default={stop: "0.40", take_profit: "0.90"}')
    rig.armed()
    rig.sim.set_book(TICKER, yes=[], no=[("0.01", "100")])
    eventually(lambda: "NO_BID" in rig.events)
    assert rig.orders == []
    rig.bid("0.38")
    rig.closed(10)


def test_a_failed_positions_read_closes_nothing(rig: Rig) -> None:
    """(E) The exchange errs on positions for a while: the holding stays guarded and is still sold."""
    app = rig.start()
    rig.armed()
    rig.sim.fail_next(503, path_contains="/portfolio/positions", n=5)
    app._parts.reconciler.run_once()  # type: ignore[union-attr]
    assert rig.state == "ARMED"
    rig.slide("0.52", "0.38")
    rig.closed()


def test_the_close_of_a_market_is_not_a_crash(rig: Rig) -> None:
    """After the close the exchange writes a bid of 0.0000: nothing fires; settled is retired."""
    rig.start()
    rig.armed()
    rig.sim.close_market(TICKER)
    rig.sim.determine(TICKER, "yes")
    eventually(lambda: "RETIRED" in rig.events)
    assert rig.orders == []
    assert "TRIGGERED" not in rig.events


def test_hooks_subscribe_and_release(tmp_path: Path) -> None:
    """(J) Opening arms at once; a closed position that the exchange confirms is unsubscribed."""
    with Rig(tmp_path) as rig:
        app = rig.start()
        rig.hold()
        app.positions.opened(Position(ticker=TICKER, side=Side.YES, count=D(10), entry=D("0.60")))
        rig.armed()
        rig.sim.external_fill(TICKER, "-10", "0.52")
        app.positions.closed(TICKER)
        eventually(lambda: rig.state is None)
        eventually(lambda: TICKER not in app._parts.feed.held())  # type: ignore[union-attr]
        assert rig.orders == []


def test_a_trade_made_elsewhere_is_protected(tmp_path: Path) -> None:
    """Bought on the web site while we run: seen by the fill channel, armed by the default rule."""
    with Rig(tmp_path) as rig:
        rig.start()
        eventually(lambda: rig.connected)
        rig.sim.external_fill(TICKER, "10", "0.53")
        rig.armed()
        rig.slide("0.52", "0.38")
        rig.closed()


def test_verbose_logging_changes_nothing_and_shows_no_secret(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """(H) Everything logged at DEBUG: the same exit, and no key or signature in any output."""
    with caplog.at_level(logging.DEBUG):
        rig.start()
        rig.armed()
        rig.slide("0.52", "0.40")
        rig.closed()
    assert len(rig.orders) == 1
    secret = "".join(Path(rig.sim.private_key_path).read_text().splitlines()[1:-1])[40:80]
    assert secret not in caplog.text.replace("\n", "")
    assert "KALSHI-ACCESS-SIGNATURE" not in caplog.text


class Sleeper:
    """A strategy that never comes back."""

    def collect(self, ctx: object) -> None:
        """Block until the process ends."""
        from threading import Event

        Event().wait(60)

    def compute(self, ctx: object) -> None:
        """Never reached."""

    def execute(self, ctx: object) -> None:
        """Never reached."""


def test_a_stop_never_waits_behind_the_strategy(tmp_path: Path) -> None:
    """(L) The strategy's thread is stuck; the exit goes all the same."""
    with Rig(tmp_path, strategy=f"{__name__}:Sleeper") as rig:
        rig.hold()
        rig.start()
        rig.armed()
        rig.slide("0.52", "0.38")
        rig.closed()


def test_ending_in_mid_exit_leaves_the_attempt_in_the_journal(rig: Rig) -> None:
    """Ctrl-C while the answer is awaited: ended within five seconds, nothing forgotten."""
    app = rig.start()
    rig.armed()
    rig.sim.delay_reply(2.0, n=1, path_contains=ORDERS, method="POST")
    rig.slide("0.52", "0.38")
    eventually(lambda: rig.state == "IN_FLIGHT")
    assert app.stop(timeout_s=5.0) == []
    assert rig.journal_rows("intents") == 1
    assert rig.journal_rows("attempts") == 1


def test_what_was_armed_before_a_restart_fires_on_its_first_fresh_evidence(rig: Rig) -> None:
    """The price fell through the trigger while we were away: the journal knows that it was armed."""
    rig.start()
    rig.armed()
    rig.app.stop()
    rig.bid("0.37")
    rig.start()
    rig.closed(15)
    assert len(rig.orders) == 1
