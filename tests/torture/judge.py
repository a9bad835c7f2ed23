"""What a round broke, by what the exchange saw. The program's own words count only as alarms."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tests.torture.program import Intents
from tests.torture.witness import FillSeen, OrderSeen, Seen

OWN = "sl-"


@dataclass(slots=True, kw_only=True)
class Verdict:
    """One round. The three counts have to be nought, and ``failures`` empty."""

    lost: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    flips: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # a round that did not go as it had to
    protected_s: list[float] = field(default_factory=list)  # seconds from each start that counts

    @property
    def broken(self) -> list[str]:
        """Everything that is wrong with it."""
        kinds = {"lost": self.lost, "duplicate": self.duplicates, "flip": self.flips, "failed": self.failures}
        return [f"{kind}: {what}" for kind, found in kinds.items() for what in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a round may end with."""

    began_with: Mapping[str, int]  # signed contracts, by ticker
    must_sell: Collection[str]  # their stop was touched and stayed so: nothing of them may be left
    may_sell: Collection[str] = ()  # their stop was touched for a while
    is_forgotten: bool = False  # the journal was damaged: it need not know everything
    has_late_orders: bool = False  # some are executed after their absence was proven; ids are unique for ever


def judge(verdict: Verdict, seen: Seen, intents: Intents, case: Case) -> None:
    """Hold a round against the promises; ``intents`` is what the journal says in the end."""
    verdict.lost += [f"{name} still holds {seen.held[name]}" for name in case.must_sell if seen.held[name]]
    if not case.is_forgotten:
        verdict.lost += [f"the intent {intent} never ended" for intent in sorted(intents.open)]
    for order in seen.orders:
        if not order.is_journalled:
            verdict.lost.append(f"{order.client_id} left before it was durable")
        elif order.client_id not in intents.attempts and not case.is_forgotten:
            verdict.lost.append(f"the journal forgot {order.client_id}")
    for ticker, count in case.began_with.items():
        fills = [fill for fill in seen.fills if fill.ticker == ticker and fill.client_id.startswith(OWN)]
        orders = [order for order in seen.orders if order.ticker == ticker]
        _judge_fills(verdict, ticker, count, fills)
        _judge_orders(verdict, orders, case.has_late_orders)
        if orders and ticker not in {*case.must_sell, *case.may_sell}:
            verdict.failures.append(f"{ticker} was sold though its stop was not touched")


def _judge_fills(verdict: Verdict, ticker: str, held: int, fills: Sequence[FillSeen]) -> None:
    moved = sum((fill.before - fill.after for fill in fills), Decimal(0))
    sold = moved if held > 0 else -moved
    if sold > abs(held):
        verdict.duplicates.append(f"{ticker} sold {sold} of {abs(held)}")
    for fill in fills:
        if fill.before * fill.after < 0 or abs(fill.after) > abs(fill.before):
            verdict.flips.append(f"{fill.client_id} took {ticker} from {fill.before} to {fill.after}")


def _judge_orders(verdict: Verdict, orders: Sequence[OrderSeen], has_late: bool) -> None:
    """Even where the exchange lets none through: an order for more than is held is a second sale.

    The same id once more is none where ids are unique for ever and orders may come late: it is how an order is
    sent again that was proven absent and then came after all.
    """
    for number, order in enumerate(orders):
        is_repeat = any(earlier.client_id == order.client_id for earlier in orders[:number])
        if order.count > order.held and not (is_repeat and has_late):
            verdict.duplicates.append(f"{order.client_id} asks for {order.count} of {order.held}")
        for earlier in orders[:number]:
            is_open = earlier.executed_ns is not None and earlier.executed_ns > order.at_ns
            if is_open and earlier.client_id != order.client_id:
                verdict.duplicates.append(f"{order.client_id} came while {earlier.client_id} was open")
