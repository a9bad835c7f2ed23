"""What paper trades did to the account's positions. Pure.

Two things are kept apart: contracts of the real position that were sold on paper, and positions opened
on paper. When the real position shrinks or settles, what was sold of it on paper shrinks with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from base.model import Key, Position, Side
from base.units import ZERO


@dataclass(slots=True)
class PaperBook:
    """Signed counts, positive YES. Entries are YES prices in dollars."""

    real: dict[Key, Decimal] = field(default_factory=dict)  # as the exchange last said
    sold: dict[Key, Decimal] = field(default_factory=dict)  # of the real position, unsigned
    own: dict[Key, Decimal] = field(default_factory=dict)  # opened on paper
    entries: dict[Key, Decimal] = field(default_factory=dict)  # average YES price of ``own``

    def net(self, key: Key) -> Decimal:
        """What is held with the paper trades on top."""
        real = self.real.get(key, ZERO)
        left = max(ZERO, abs(real) - self.sold.get(key, ZERO))
        return (left if real > ZERO else -left) + self.own.get(key, ZERO)

    def held(self, key: Key, side: Side) -> Decimal:
        """Contracts of ``side`` held, 0 or more."""
        net = self.net(key)
        return max(ZERO, net if side is Side.YES else -net)

    def trade(self, key: Key, signed: Decimal, yes_price: Decimal) -> None:
        """Take in a paper trade: it closes what was opened on paper, then the real position, then opens."""
        own = self.own.get(key, ZERO)
        closing = _opposite(signed, own)
        if closing:
            self._set_own(key, own + closing, self.entries.get(key))
            signed -= closing
        real = self.real.get(key, ZERO)
        left = max(ZERO, abs(real) - self.sold.get(key, ZERO))
        closing = _opposite(signed, left if real > ZERO else -left)
        if closing:
            self.sold[key] = self.sold.get(key, ZERO) + abs(closing)
            signed -= closing
        if signed:
            own = self.own.get(key, ZERO)
            before = self.entries.get(key, ZERO)
            average = (before * abs(own) + yes_price * abs(signed)) / (abs(own) + abs(signed))
            self._set_own(key, own + signed, average)

    def take_report(self, subaccount: int, positions: Iterable[Position]) -> None:
        """Take in a complete read of the real positions of one sub-account."""
        listed = {position.key: position.signed for position in positions}
        for key in [key for key in self.real if key.subaccount == subaccount and key not in listed]:
            self.take_position(key, ZERO)
        for key, signed in listed.items():
            self.take_position(key, signed)

    def take_position(self, key: Key, signed: Decimal) -> None:
        """Take in what is really held of one market."""
        before = self.real.get(key, ZERO)
        self.real[key] = signed
        sold = ZERO if before * signed < ZERO else min(self.sold.get(key, ZERO), abs(signed))
        if sold:
            self.sold[key] = sold
        else:
            self.sold.pop(key, None)
        if not signed:
            self.real.pop(key, None)

    def settle(self, tickers: Collection[str]) -> bool:
        """Drop what was traded on paper in markets whose result is known; whether there was anything."""
        before = len(self.own) + len(self.sold)
        for key in [key for key in {*self.own, *self.sold} if key.ticker in tickers]:
            self._set_own(key, ZERO, None)
            self.sold.pop(key, None)
        return len(self.own) + len(self.sold) < before

    def positions(self, subaccount: int, real: Iterable[Position]) -> tuple[Position, ...]:
        """Every position of the sub-account with the paper trades on top."""
        entry_of = {position.key: position.entry for position in real}
        keys = {key for key in {*self.real, *self.own} if key.subaccount == subaccount}
        return tuple(
            Position(
                ticker=key.ticker,
                side=side,
                count=abs(net),
                entry=self._entry(key, side, entry_of.get(key)),
                subaccount=subaccount,
            )
            for key in sorted(keys)
            if (net := self.net(key))
            for side in [Side.YES if net > ZERO else Side.NO]
        )

    def as_json(self) -> dict[str, Any]:
        """What outlives the process: the trades, not the real positions."""
        return {
            "sold": [[key.subaccount, key.ticker, str(count)] for key, count in self.sold.items()],
            "own": [
                [key.subaccount, key.ticker, str(signed), str(self.entries[key])]
                for key, signed in self.own.items()
            ],
        }

    @classmethod
    def from_json(cls, wire: dict[str, Any]) -> PaperBook:
        """Read what ``as_json`` wrote."""
        book = cls()
        for subaccount, ticker, count in wire["sold"]:
            book.sold[Key(int(subaccount), str(ticker))] = Decimal(count)
        for subaccount, ticker, signed, entry in wire["own"]:
            book._set_own(Key(int(subaccount), str(ticker)), Decimal(signed), Decimal(entry))
        return book

    def _set_own(self, key: Key, signed: Decimal, entry: Decimal | None) -> None:
        if signed and entry is not None:
            self.own[key], self.entries[key] = signed, entry
        else:
            self.own.pop(key, None)
            self.entries.pop(key, None)

    def _entry(self, key: Key, side: Side, real_entry: Decimal | None) -> Decimal | None:
        """Average entry seen from ``side``: of the real part, of the paper part, or of both by count."""
        own = self.own.get(key, ZERO)
        paper = self.entries.get(key)
        if paper is not None and side is Side.NO:
            paper = 1 - paper
        real_left = abs(self.net(key) - own)
        if not own or (own > ZERO) is not (side is Side.YES):
            return real_entry
        if not real_left:
            return paper
        if real_entry is None or paper is None:
            return None
        return (real_entry * real_left + paper * abs(own)) / (real_left + abs(own))


def _opposite(signed: Decimal, held: Decimal) -> Decimal:
    """The part of ``signed`` that closes ``held``, with the sign of ``signed``."""
    if signed * held >= ZERO:
        return ZERO
    return max(signed, -held) if signed < ZERO else min(signed, -held)
