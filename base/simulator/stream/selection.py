"""What a subscription to reference values selects: ids one by one, or all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from base.simulator.stream.commands import Params

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How a family of channels names its ids, its actions and the error without them."""

    member: str
    add: str
    remove: str
    show: str
    shown_as: str  # the answer's type is the channel's name and this
    missing: int

    def named(self, params: Params) -> list[str]:
        """Return the ids of a command."""
        return params.index_ids or [] if self.member == "index_ids" else params.underlying_tickers or []


INDICES = Naming(
    member="index_ids",
    add="subscribe_indices",
    remove="unsubscribe_indices",
    show="indexlist",
    shown_as="_indexlist",
    missing=24,
)
UNDERLYINGS = Naming(
    member="underlying_tickers",
    add="subscribe_underlyings",
    remove="unsubscribe_underlyings",
    show="underlying_list",
    shown_as="_underlying_list",
    missing=28,
)
NAMING = {"cfbenchmarks_value": INDICES, "cfbenchmarks_value_5hz": INDICES, "pyth_value": UNDERLYINGS}


@dataclass(slots=True)
class Selection:
    """The filter of one subscription. All-mode lies over the single ids and hides them."""

    naming: Naming
    is_all: bool = False
    ids: set[str] = field(default_factory=set)

    def add(self, ids: Iterable[str]) -> None:
        """Select more."""
        chosen = set(ids)
        self.is_all = self.is_all or ALL in chosen
        self.ids |= chosen - {ALL}

    def remove(self, ids: Iterable[str]) -> None:
        """Select less; ``all`` ends all-mode and leaves the single ids."""
        chosen = set(ids)
        self.is_all = self.is_all and ALL not in chosen
        self.ids -= chosen

    def wants(self, name: str) -> bool:
        """Say whether the filter lets an id through. An empty one lets nothing through."""
        return self.is_all or name in self.ids

    def shown(self) -> dict[str, list[str]]:
        """Return the filter as an acknowledgement carries it."""
        return {self.naming.member: [ALL] if self.is_all else sorted(self.ids)}
