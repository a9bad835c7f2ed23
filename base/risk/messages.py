"""What reaches the stop-loss monitor, and what it asks others to do. Frozen; nothing else crosses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from base.model import (
    AccountEvent,
    ExitOrder,
    Key,
    Market,
    OrderReport,
    OrdersRead,
    Outcome,
    Position,
    PositionsRead,
    ShardStatus,
    Side,
)
from base.risk.rules import StopSettings

# --- in ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A hook claims that ``position`` was opened."""

    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A hook claims that the holding is gone."""

    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The executor's word on one attempt."""

    key: Key
    intent_id: str
    attempt: int
    outcome: Outcome
    answered_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Our resting orders in the market were cancelled, or could not be; an exit never waits longer."""

    key: Key
    cancelled: tuple[str, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingSeen:
    """A complete read of our resting orders in one market."""

    key: Key
    orders: tuple[OrderReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketsSeen:
    """Markets read by REST."""

    markets: Mapping[str, Market]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardsSeen:
    """The exchange's status, per matching engine."""

    shards: tuple[ShardStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFailed:
    """A report could not be had. It changes no position."""

    what: str
    why: str


class Word(StrEnum):
    """What became of what a person asked."""

    DONE = "done"
    NOTHING = "nothing"  # there is nothing to do
    REFUSED = "refused"  # it cannot be done so; the sentence says why
    SOON = "soon"  # not yet: asked again in a moment, it may
    FLOOR = "floor"  # nobody bids: a person must name the worst price
    TYPED = "typed"  # it needs a person who is sure


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a person is told of what they asked."""

    key: Key
    word: Word
    said: str  # one sentence
    state: str | None  # in which the holding stands now; None: it is not guarded
    intent_id: str | None  # of the exit that is open now


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAsks:
    """A person's word: ``flatten``, ``retry`` or ``cancel``."""

    key: Key
    command: str
    floor: Decimal | None = None  # of a flatten, from the side held; None: the best bid less the slippage
    is_confirmed: bool = False  # of a cancel: though it is not known what the last order did
    reply: Callable[[Heard], None] | None = None  # called on the monitor's thread: it must not wait


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonWonders:
    """A person wants to know what is known of a holding. It changes nothing."""

    key: Key
    reply: Callable[[Any], None]  # given ``explaining.Explained``, or ``None``: it is not held


@dataclass(frozen=True, slots=True)
class Linked:
    """The WebSocket connection came up or went down."""

    is_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChanged:
    """A person changed the settings while the monitor runs; these hold from now on."""

    settings: StopSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChanged:
    """Something that belongs to no holding went wrong, or is right again: settings, the key."""

    reason: str
    is_on: bool
    details: str = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ElsewhereSeen:
    """A complete read of a sub-account that is not guarded: what is held there."""

    subaccount: int
    tickers: frozenset[str]


Message = (
    AccountEvent | Opened | Closed | Answered | Swept | RestingSeen | MarketsSeen | ShardsSeen
    | ReadFailed | PersonAsks | PersonWonders | Linked | PositionsRead | OrdersRead
    | SettingsChanged | AlarmChanged | ElsewhereSeen
)  # fmt: skip


# --- out --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of logs/stop_loss.log."""

    event: str
    key: Key | None
    side: Side | None
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the journal, written before anything it stands for is done."""

    table: str  # intents | attempts | outcomes | transitions
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One exit order to send once. Its evidence may be at most 2 s old when the first byte leaves."""

    key: Key
    intent_id: str
    attempt: int
    order: ExitOrder
    evidence_s: float  # inf for a person's order
    loss: Decimal  # dollars at stake: the largest goes first


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Cancel these resting orders of ours in parallel."""

    key: Key
    exchange_index: int
    order_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadPositions:
    """Read the positions of a sub-account."""

    subaccount: int


@dataclass(frozen=True, slots=True)
class ReadOrders:
    """Read every order and fill of one market since ``since_ms``."""

    key: Key
    since_ms: int


@dataclass(frozen=True, slots=True)
class ReadResting:
    """List our resting orders in one market, not before ``at_s`` (boot clock)."""

    key: Key
    at_s: float


@dataclass(frozen=True, slots=True)
class ReadMarket:
    """Read the market and the exchange's status."""

    ticker: str


@dataclass(frozen=True, slots=True)
class ConfirmPrice:
    """Read the book of ``ticker`` by REST."""

    ticker: str


@dataclass(frozen=True, slots=True)
class ProbeFeed:
    """Ask the feed for a snapshot of ``ticker``."""

    ticker: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Answer a person; what was asked is journalled by then."""

    reply: Callable[[Any], None]
    heard: object


ReadRequest = ReadPositions | ReadOrders | ReadResting | ReadMarket
Effect = Line | Row | Send | Sweep | ReadRequest | ConfirmPrice | ProbeFeed | Tell


@dataclass(slots=True)
class Outbox:
    """Effects of one round of the monitor, in order. Owned by the monitor thread."""

    effects: list[Effect] = field(default_factory=list)

    def put(self, effect: Effect) -> None:
        """Append one effect."""
        self.effects.append(effect)

    def take(self) -> list[Effect]:
        """Return all effects and begin anew."""
        taken, self.effects = self.effects, []
        return taken
