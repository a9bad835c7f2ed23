"""What every round is made of: an exchange, an installation of the program on it, and how it begins and ends."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from base.simulator.semantics import Semantics
from benchmarks.exchange_process import Address, ExchangeProcess
from tests.torture.judge import Case, Verdict, judge
from tests.torture.program import NotSo, Program
from tests.torture.proxy import Proxy
from tests.torture.witness import Seen, Witness

YES, NO, CALM = "KXTORT-26DEC31-YES", "KXTORT-26DEC31-NO", "KXTORT-26DEC31-CALM"
HELD = {YES: 10, NO: -8, CALM: 5}
"""Signed contracts. The stop of the first two is touched; the third has to stay covered throughout."""
DOOMED = (YES, NO)
START_S = 30.0
OVER_S = 60.0
LINGER_S = 0.3
"""So long after the end nothing more may be sent. Seconds; longer where orders are still on their way."""


class Scene:
    """One round."""

    def __init__(
        self,
        number: int,
        exchange: ExchangeProcess,
        program: Program,
        proxy: Proxy | None,
        held: dict[str, int],
        has_late_orders: bool,
    ):
        self.number = number
        self.exchange, self.program = exchange, program
        self._proxy, self.held, self._has_late_orders = proxy, held, has_late_orders
        self.verdict = Verdict()

    @property
    def proxy(self) -> Proxy:
        """What stands between the two; only where the round asked for it."""
        assert self._proxy is not None
        return self._proxy

    @property
    def doomed(self) -> list[str]:
        """Markets whose stop is touched."""
        return [ticker for ticker in self.held if ticker != CALM]

    # --- the way of a round -------------------------------------------------------------------------

    def start_armed(self, hook: str | None = None, nth: int = 1) -> None:
        """Start the program, to die at ``hook`` if one is given, and wait until everything is armed."""
        if hook is None:
            self.program.start()
        else:
            self.program.start_to_die(hook, nth)
        self.program.wait(self._is_protected, "protected", START_S)

    def touch(self, *, thin: bool | None = None) -> None:
        """Let the stops be touched from now on; in every third round only a few are bid for at first."""
        self.exchange.do("touch", self.doomed, thin=self.number % 3 == 1 if thin is None else thin)

    def restart(self) -> None:
        """Start it again, and measure how long it takes until everything is covered or on its way out."""
        self.program.start()
        self.note_protected()

    def note_protected(self) -> None:
        """Measure from the newest start until everything is covered or on its way out."""
        self.program.wait(self._is_protected, "protected", START_S)
        self.verdict.protected_s.append(time.monotonic() - self.program.began_s)

    def finish(
        self,
        must_sell: Sequence[str] | None = None,
        may_sell: Sequence[str] = (),
        timeout_s: float = OVER_S,
        *,
        linger_s: float = LINGER_S,
        is_forgotten: bool = False,
    ) -> None:
        """Wait until what has to be sold is, and nothing is open, and ``linger_s`` longer; then judge."""
        wanted = self.doomed if must_sell is None else list(must_sell)
        try:
            self.program.wait(lambda: self._is_over(wanted), "over", timeout_s, every_s=0.1)
        except NotSo as e:
            self.verdict.failures.append(str(e))
        time.sleep(linger_s)
        case = Case(began_with=self.held, must_sell=wanted, may_sell=may_sell, is_forgotten=is_forgotten)
        self.judge(case)

    def judge(self, case: Case) -> None:
        """End the program and hold the round against the promises."""
        self.program.kill()
        case = replace(case, has_late_orders=self._has_late_orders)
        judge(self.verdict, self.seen(), self.program.intents(), case)

    def seen(self) -> Seen:
        """What the exchange saw until now."""
        found: Seen = self.exchange.do("seen")
        return found

    # --- what is asked of the program's status --------------------------------------------------------

    def position_of(self, ticker: str) -> dict[str, Any]:
        """Its row in ``status``; empty: it has none, or nobody answers."""
        positions = (self.program.status() or {}).get("positions", [])
        return next((position for position in positions if position["ticker"] == ticker), {})

    def has_exit(self) -> bool:
        """Whether an exit is open."""
        return bool((self.program.status() or {}).get("exits_open"))

    def _is_protected(self) -> bool:
        """Every contract that is truly held is covered on proven prices, or on its way out."""
        status = self.program.status()
        if status is None or not status["connected"]:
            return False
        if not all(is_looked_after(position) for position in status["positions"]):
            return False
        known = {position["ticker"] for position in status["positions"]}
        return known >= {ticker for ticker, count in self.seen().held.items() if count}

    def _is_over(self, must_sell: Sequence[str]) -> bool:
        status = self.program.status()
        if status is None or status["exits_open"]:
            return False
        held = self.seen().held
        return not any(held[ticker] for ticker in must_sell) and not self.program.intents().open


def is_looked_after(position: dict[str, Any]) -> bool:
    """Whether a position of ``status`` is covered on a proven price, or on its way out."""
    if position["protection"] == "covered":
        return all(proof != "not_proven" for proof in position["freshness"].values())
    return bool(position["protection"] == "exiting")


@contextmanager
def scene(
    number: int,
    *,
    is_proxied: bool = False,
    has_late_orders: bool = False,
    held: dict[str, int] | None = None,
    folder: Path | None = None,
) -> Iterator[Scene]:
    """Set up round ``number``; what it waits for in vain is a failure in its verdict, and ends it.

    The exchange is one that punishes a second sale: where orders cannot come late it takes an id again, and in
    every other round it ignores reduce-only, so that a second sale turns the position over.

    Args:
        number: Of the round; it decides what differs from round to round.
        is_proxied: Whether the program reaches the exchange through a proxy.
        has_late_orders: Whether orders may be executed after their absence was proven.
        held: Signed contracts at the beginning.
        folder: Where to install the program; by default a new folder, which is removed.
    """
    held = HELD if held is None else held
    own = Path(tempfile.mkdtemp(prefix="torture-")) if folder is None else folder
    semantics = Semantics(
        dedupe="forever" if has_late_orders else "open_only",
        reduce_only="ignored" if number % 2 else "honoured",
    )
    try:
        with ExchangeProcess(driver=Witness, semantics=semantics) as exchange:
            exchange.do("list_markets", held, str(own))
            proxy = Proxy(exchange.address.rest_url) if is_proxied else None
            address = exchange.address if proxy is None else _through(proxy, exchange.address)
            program = Program(own, address)
            round_ = Scene(number, exchange, program, proxy, held, has_late_orders)
            try:
                yield round_
            except NotSo as e:
                round_.verdict.failures.append(str(e))
                round_.judge(Case(began_with=held, must_sell=(), may_sell=round_.doomed))
            finally:
                program.kill()
                if proxy is not None:
                    proxy.close()
    finally:
        if folder is None:
            shutil.rmtree(own, ignore_errors=True)


def _through(proxy: Proxy, address: Address) -> Address:
    return replace(
        address,
        rest_url=proxy.replaced(address.rest_url),
        websocket_url=proxy.replaced(address.websocket_url),
    )
