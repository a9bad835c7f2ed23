"""The strategy's thread and how its class is found."""

from __future__ import annotations

import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from base.errors import ConfigError
from base.model import Accepted, Market, MarketStatus, Outcome, Side
from base.strategy.contract import Context, Seen
from base.strategy.demo import Demo
from base.strategy.loading import load_strategy
from base.strategy.runner import StrategyRunner
from base.units import PriceGrid
from tests.app.views import COVERED, PROVEN
from tests.support import FakeClock, eventually

D = Decimal


class Steps:
    """Notes the steps it was called for; fails in one of them if told to."""

    def __init__(self, fails_in: str = "") -> None:
        self.fails_in = fails_in
        self.taken: list[str] = []
        self.threads: set[str] = set()

    def _take(self, step: str) -> None:
        self.taken.append(step)
        self.threads.add(threading.current_thread().name)
        if step == self.fails_in:
            raise KeyError(step)

    def collect(self, ctx: Context) -> None:
        self._take("collect")

    def compute(self, ctx: Context) -> None:
        self._take("compute")

    def execute(self, ctx: Context) -> None:
        self._take("execute")


NO_CONTEXT = cast(Context, None)


def test_round_takes_the_steps_in_order_on_its_own_thread() -> None:
    """collect, compute, execute; then the next round."""
    strategy = Steps()
    runner = StrategyRunner(strategy, NO_CONTEXT, interval_s=0.01)
    runner.start()
    eventually(lambda: runner.rounds >= 2)
    assert runner.stop(2.0)
    assert strategy.taken[:6] == ["collect", "compute", "execute"] * 2
    assert strategy.threads == {"strategy"}


@pytest.mark.parametrize("step", ["collect", "compute", "execute"])
def test_failure_ends_the_round_and_not_the_thread(step: str) -> None:
    """Whatever a strategy raises, the rest of its round is skipped and the next round comes."""
    strategy = Steps(fails_in=step)
    runner = StrategyRunner(strategy, NO_CONTEXT, interval_s=0.01)
    runner.start()
    eventually(lambda: runner.failures >= 3)
    assert runner.stop(2.0)
    names = ["collect", "compute", "execute"]
    assert strategy.taken[: names.index(step) + 2] == [*names[: names.index(step) + 1], "collect"]


@pytest.mark.parametrize("raised", [KeyError, SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_failing_rounds_ring_until_a_minute_was_good(raised: type[BaseException]) -> None:
    """Whatever it raises. One good round after a bad one is no end: it may fail in every second one."""
    rung: list[tuple[str, bool, str]] = []
    clock = FakeClock()
    is_bad = threading.Event()
    is_bad.set()

    class Sometimes(Steps):
        def compute(self, ctx: Context) -> None:
            if is_bad.is_set():
                raise raised

    runner = StrategyRunner(
        Sometimes(), NO_CONTEXT, 0.01, lambda a: rung.append((a.reason, a.is_on, a.details)), clock
    )
    runner.start()
    eventually(lambda: len(rung) >= 2)
    is_bad.clear()
    good = runner.rounds + 3
    eventually(lambda: runner.rounds >= good)
    assert set(rung) == {("strategy_failed", True, raised.__name__)}
    clock.advance(61)
    eventually(lambda: rung[-1] == ("strategy_failed", False, "-"))
    assert runner.stop(5.0)


def test_busy_strategy_does_not_hold_up_the_end() -> None:
    """A strategy that never returns is left behind after the time given."""
    blocked = threading.Event()

    class Busy(Steps):
        def collect(self, ctx: Context) -> None:
            blocked.wait(5.0)

    runner = StrategyRunner(Busy(), NO_CONTEXT, interval_s=1)
    runner.start()
    assert not runner.stop(0.05)
    blocked.set()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("base.strategy.demo", "should look like package.module:Class", id="no class"),
        pytest.param(":Demo", "should look like", id="no module"),
        pytest.param("no_such_module_here:Demo", "cannot be imported", id="no such module"),
        pytest.param("base.strategy.demo:Nothing", "has no class Nothing", id="no such class"),
        pytest.param("base.strategy.demo:COUNT", "has no class COUNT", id="not a class"),
        pytest.param("base.model:Quote", "failed, it should need no arguments", id="needs arguments"),
        pytest.param("tests.support:FakeClock", "lacks collect, compute, execute", id="no strategy"),
    ],
)
def test_wrong_class_is_one_sentence(name: str, said: str) -> None:
    """A strategy that cannot be had is a mistake in strategy.class."""
    with pytest.raises(ConfigError) as caught:
        load_strategy(name)
    assert caught.value.where == "strategy.class"
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_named_class_is_made() -> None:
    """package.module:Class gives a strategy."""
    assert isinstance(load_strategy("base.strategy.demo:Demo"), Demo)


class DemoWorld:
    """Two open markets of the held series, prices and a gateway that fills."""

    def __init__(self, cash: str = "100", ask: str | None = "0.46", environment: str = "simulated") -> None:
        self.cash, self.ask = D(cash), ask
        self.bought: list[tuple[str, Side, Decimal, Decimal]] = []
        self.watched: list[str] = []
        grid = PriceGrid.of([("0.0000", "1.0000", "0.0100")])
        self.listed = [
            Market(
                ticker=ticker,
                status=MarketStatus.ACTIVE,
                open_ms=None,
                close_ms=None,
                grid=grid,
                exchange_index=0,
            )
            for ticker in (COVERED.key.ticker, "KXTEST-26DEC31-UP")
        ]
        self.context = cast(
            Context,
            SimpleNamespace(
                environment=environment,
                prices=self,
                markets=self,
                orders=self,
                positions=(COVERED,),
                watch=self.watched.append,
            ),
        )

    def open_markets(self, series: str) -> list[Market]:
        return self.listed if series == "KXTEST" else []

    def balance(self, subaccount: int = 0) -> Decimal:
        return self.cash

    def wait_for(self, ticker: str, side: Side = Side.YES, *, timeout_s: float) -> Seen | None:
        quote: Any = SimpleNamespace(ask=None if self.ask is None else D(self.ask))
        return Seen(quote=quote, age_s=0.1, freshness=PROVEN)

    def buy(self, ticker: str, side: Side, count: Decimal, price: Decimal) -> Outcome:
        self.bought.append((ticker, side, count, price))
        return Accepted(
            client_order_id="",
            order_id="o",
            filled=count,
            remaining=D(0),
            average_price=price,
            average_fee=None,
            ts_ms=None,
        )

    def play(self, demo: Demo, rounds: int = 1) -> None:
        for _ in range(rounds):
            demo.collect(self.context)
            demo.compute(self.context)
            demo.execute(self.context)


def test_demo_buys_a_third_market_once() -> None:
    """Ten contracts at the ask of a market that is not held yet, then never again."""
    world = DemoWorld()
    world.play(Demo(), rounds=3)
    assert world.bought == [("KXTEST-26DEC31-UP", Side.YES, D(10), D("0.46"))]
    assert world.watched == ["KXTEST-26DEC31-UP"]


@pytest.mark.parametrize(("cash", "ask"), [("5", "0.46"), ("100", None)])
def test_demo_buys_nothing_it_cannot_pay_or_price(cash: str, ask: str | None) -> None:
    """Too little cash, or an empty ask: no order."""
    world = DemoWorld(cash, ask)
    world.play(Demo())
    assert world.bought == []


def test_demo_refuses_real_exchanges() -> None:
    """Outside the embedded exchange the demonstration does nothing but say so."""
    world = DemoWorld(environment="production")
    with pytest.raises(RuntimeError, match="embedded exchange only"):
        world.play(Demo())
    assert world.bought == []
