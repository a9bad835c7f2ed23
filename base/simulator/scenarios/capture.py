"""A recording as a scenario: its books become the maker's liquidity, in its own rhythm.

Its trades are reported as they were; whose they were is not known, so they move no position.

The account holds 25 YES of the first market and, if there is a second, 25 NO of that, both
bought at what they cost when first seen; so any client can be tried on a recording.

A recording does not say who won. Some seconds after its close a market is determined for the side
that its last recorded prices favour, and settled a little later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from base.simulator.engine.market import MarketSpec, Status
from base.simulator.engine.money import ONE, ZERO
from base.simulator.engine.orders import Side
from base.simulator.scenarios.capture_file import (
    Line,
    Synopsis,
    lines_of,
    read_synopsis,
    recorded_trade,
    yes_change,
    yes_levels,
)
from base.simulator.scenarios.endings import end_in_time
from base.simulator.scenarios.stage import HOUR_MS, MAKER, Stage
from base.simulator.venue import MEMBER

COUNT = Decimal(25)
CASH = "5000"
SHARD = 2
FAR_S = 6 * 3600.0
Levels = dict[Side, dict[Decimal, Decimal]]


class Capture:
    """Plays a capture file. Mutable: where it stands, and the recorded books up to there."""

    def __init__(self, path: Path) -> None:
        self._synopsis: Synopsis = read_synopsis(path)
        self._lines: Iterator[Line] = lines_of(path)
        self._next: Line | None = next(self._lines, None)
        self._books: dict[str, Levels] = {}
        self._given: set[str] = set()
        self._favours_yes: dict[str, bool] = {}
        self.notice = (
            f"Playing {path.name}: books, trades and prices as recorded; the account, its orders, "
            "and the results of markets are simulated."
        )

    @property
    def tickers(self) -> list[str]:
        """Return the recorded markets, in order of appearance."""
        return self._synopsis.tickers

    def open(self, stage: Stage) -> None:
        """List the recorded markets, their close restamped to this clock."""
        stage.give_cash(CASH, shard=SHARD)
        for ticker in self.tickers:
            close_s = self._synopsis.close_at_s.get(ticker)
            far_ms = round(FAR_S * 1000)
            wait_ms = far_ms if close_s is None else round(close_s * 1000 / stage.speed)
            spec = MarketSpec(
                ticker=ticker,
                title=f"Recorded market {ticker}",
                open_ms=stage.opened_ms - HOUR_MS,
                close_ms=stage.opened_ms + wait_ms,
                exchange_index=SHARD,
                grid=self._synopsis.grid_of(ticker),
            )
            # However fast it plays, no recorded frame comes after the close.
            stage.exchange.add_market(spec, stage.now_ms()).is_held_open = close_s is not None
            self._books[ticker] = {Side.BID: {}, Side.ASK: {}}

    def play(self, stage: Stage, until_s: float) -> None:
        """Perform every recorded frame up to ``until_s``."""
        while self._next is not None and self._next.at_s <= until_s:
            with contextlib.suppress(KeyError, TypeError, ValueError, ArithmeticError):
                self._perform(stage, self._next)  # a malformed frame is skipped
            self._next = next(self._lines, None)
        for ticker in self.tickers:
            self._finish(stage, ticker, until_s)

    def _finish(self, stage: Stage, ticker: str, until_s: float) -> None:
        """Remember whom the open market favours; determine and settle the closed one."""
        market = stage.exchange.state.market(ticker)
        after_close_s = until_s - self._synopsis.close_at_s.get(ticker, until_s)
        market.is_held_open = market.is_held_open and after_close_s < 0
        if market.status is Status.ACTIVE and market.shown and market.shown.bid is not None:
            ask = market.shown.ask if market.shown.ask is not None else ONE
            self._favours_yes[ticker] = market.shown.bid + ask >= 1
        else:
            end_in_time(stage, ticker, after_close_s, favours_yes=self._favours_yes.get(ticker, False))

    def _perform(self, stage: Stage, line: Line) -> None:
        ticker = line.body.get("market_ticker")
        if not isinstance(ticker, str) or ticker not in self._books:
            return
        if stage.exchange.state.market(ticker).status is not Status.ACTIVE:
            return
        no_in_yes = self._synopsis.uses_yes_price
        if line.kind == "orderbook_snapshot":
            self._replace(stage, ticker, yes_levels(line, no_in_yes=no_in_yes))
        elif line.kind == "orderbook_delta":
            side, price, delta = yes_change(line, no_in_yes=no_in_yes)
            count = max(self._books[ticker][side].get(price, ZERO) + delta, ZERO)
            self._set(stage, ticker, side, price, count)
        elif line.kind == "ticker" and ticker not in self._synopsis.with_book:
            self._replace(stage, ticker, _top_of(line))
        elif line.kind == "trade":
            side, price, count = recorded_trade(line)
            is_block = line.body.get("is_block_trade") is True
            stage.exchange.report_trade(ticker, side, price, count, stage.now_ms(), is_block=is_block)
        self._give_position(stage, ticker)

    def _replace(self, stage: Stage, ticker: str, levels: Levels) -> None:
        for side, shown in self._books[ticker].items():
            for price in [p for p in shown if p not in levels[side]]:
                self._set(stage, ticker, side, price, ZERO)
        for side, wanted in levels.items():
            for price, count in wanted.items():
                self._set(stage, ticker, side, price, count)

    def _set(self, stage: Stage, ticker: str, side: Side, price: Decimal, count: Decimal) -> None:
        shown = self._books[ticker][side]
        shown[price] = count
        if not count:
            del shown[price]
        if stage.exchange.state.market(ticker).grid.holds(price):
            stage.exchange.set_level(ticker, side, price, count, stage.now_ms(), maker=MAKER)

    def _give_position(self, stage: Stage, ticker: str) -> None:
        rank = self.tickers.index(ticker)
        if rank > 1 or ticker in self._given:
            return
        top = stage.exchange.state.market(ticker).top()
        if top.bid is None or top.ask is None:
            return
        self._given.add(ticker)
        count, entry = (COUNT, top.ask) if rank == 0 else (-COUNT, ONE - top.bid)
        stage.exchange.assign_position(MEMBER, ticker, count, entry, stage.now_ms())


def _top_of(line: Line) -> Levels:
    """Return a one-level book from a ticker message; sizes that are absent become 100."""
    levels: Levels = {Side.BID: {}, Side.ASK: {}}
    for side, name in ((Side.BID, "bid"), (Side.ASK, "ask")):
        text = line.body.get(f"yes_{name}_dollars")
        size = Decimal(line.body.get(f"yes_{name}_size_fp") or "100")
        price = Decimal(text) if text else ZERO
        if 0 < price < 1 and size:
            levels[side][price] = size
    return levels
