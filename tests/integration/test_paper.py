"""`execution: paper`: the real feed and account, real decisions, and nothing that changes anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from base.model import Side
from base.strategy.contract import Context
from tests.integration.rig import TICKER, Rig
from tests.support import eventually

D = Decimal


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A rig holding ten YES contracts, trading on paper."""
    with Rig(tmp_path, "execution=paper") as rig:
        rig.hold()
        yield rig
        assert rig.orders == []
        assert [request.method for request in rig.sim.requests if request.method not in ("GET", "")] == []


def test_a_stop_on_paper_fills_against_the_live_book_and_sends_nothing(rig: Rig) -> None:
    """Triggered, filled and closed at the book's prices; the exchange still holds the contracts."""
    rig.start()
    rig.armed()
    rig.slide("0.52", "0.40")
    eventually(lambda: rig.view.closed == 1 and rig.state is None)
    assert rig.held == D(10)
    assert rig.field("TRIGGERED", "reason") == "would_execute"
    assert rig.field("TRIGGERED", "decision") == "STOP"
    assert rig.field("CLOSED", "price") == "0.4000"
    assert all("execution=paper" in line for line in rig.log)


def test_what_was_sold_on_paper_is_not_found_again(rig: Rig) -> None:
    """After a restart and after further reads of the account it stays sold."""
    rig.start()
    rig.armed()
    rig.slide("0.52", "0.40")
    eventually(lambda: rig.view.closed == 1 and rig.state is None)
    rig.restart()
    rig.app._parts.reconciler.run_once()  # type: ignore[union-attr]
    assert rig.state is None


def test_paper_and_live_keep_their_journals_apart(rig: Rig) -> None:
    """Switching to live finds nothing of what was done on paper."""
    rig.start()
    rig.armed()
    names = {path.name for path in (rig.folder / "data").rglob("*.sqlite")}
    assert names == {"paper.sqlite"}


class Buyer:
    """Buys five contracts once."""

    def __init__(self) -> None:
        self.has_bought = False

    def collect(self, ctx: Context) -> None:
        """Follow the market."""
        ctx.watch(TICKER)
        ctx.prices.wait_for(TICKER, timeout_s=5)

    def compute(self, ctx: Context) -> None:
        """Nothing to compute."""

    def execute(self, ctx: Context) -> None:
        """Buy at the ask."""
        seen = ctx.prices.quote(TICKER)
        if not self.has_bought and seen is not None and seen.quote.ask is not None:
            self.has_bought = True
            ctx.orders.buy(TICKER, Side.YES, D(5), seen.quote.ask)


def test_a_position_opened_on_paper_is_guarded_and_left_on_paper(tmp_path: Path) -> None:
    """The strategy's paper buy gets a stop like any other, and is sold like any other."""
    with Rig(tmp_path, "execution=paper", strategy=f"{__name__}:Buyer") as rig:
        rig.start()
        eventually(lambda: rig.position is not None and rig.position.count == D(5), 10)
        rig.armed()
        rig.slide("0.52", "0.38")
        eventually(lambda: rig.view.closed == 1)
        assert rig.held == D(0)
        assert rig.orders == []
