"""What a restart knows from the journal. Pure, frozen; the exchange's reports win over all of it.

``*_ms`` are the exchange's Unix milliseconds as they were written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from base.model import Key, Quote, Side
from base.risk.exit_lifecycle import Event, State


@dataclass(frozen=True, slots=True, kw_only=True)
class PastOutcome:
    """What the executor said became of an order."""

    at_ms: int
    kind: str  # Accepted | Refused | NotSent | Unanswered
    order_id: str | None
    filled: Decimal | None
    remaining: Decimal | None
    price: Decimal | None  # average, from the side held
    fee: Decimal | None  # dollars per contract
    status: int | None  # HTTP status of a refusal
    why: str  # for a refusal the exchange's word


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """One order of an open intent."""

    number: int
    client_order_id: str
    count: Decimal
    price: Decimal
    exchange_index: int
    written_ms: int
    sent_ms: int | None  # newest sending; None: it was never handed over
    outcomes: tuple[PastOutcome, ...]  # oldest first
    is_unresolved: bool  # it may have reached the exchange, and no row says what became of it
    goes_again: bool = False  # the exchange is known not to have taken it: the same id and bytes may go
    settled: Decimal | None = None  # contracts it sold, where evidence and no answer said so


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIntent:
    """A decision to leave that has not ended: the newest of its key."""

    key: Key
    side: Side
    intent_id: str
    reason: str
    quantity: Decimal
    level: Decimal
    floor: Decimal  # what a person's flatten made of it since
    is_joined: bool  # one came while it was open
    entry: Decimal | None
    rule: str | None  # its name
    evidence: Quote | None  # None: it can no longer be read
    last_floor: Decimal | None  # the price a chase may go down to; None: it waits at ``floor``
    began_ms: int
    state: State
    event: Event  # the newest one that led to ``state``
    event_ms: int
    unlocked: bool  # False: a NO_BID that has not yet seen a bid that passes the filters
    tried: Decimal | None  # price of the newest order of this pass of the ladder
    denied_status: int | None  # of the newest DENIED
    denied_code: str | None
    sold_ms: int | None  # when nothing was left
    attempts: tuple[PastAttempt, ...]


@dataclass(frozen=True, slots=True)
class PastHolding:
    """What was held when the state of a holding last changed."""

    signed: Decimal  # contracts, positive YES
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Everything. An empty one is a first start, or a journal that was damaged."""

    armed: Mapping[Key, Side] = field(default_factory=dict)  # ARMED, or in an open intent
    held: Mapping[Key, PastHolding] = field(default_factory=dict)  # of epochs that go on
    cancelled: Mapping[Key, Side] = field(default_factory=dict)  # exit withdrawn, not seen safe since
    closed_ms: Mapping[Key, int] = field(default_factory=dict)  # newest epoch that ended within a day
    exited_ms: Mapping[Key, int] = field(default_factory=dict)  # those of them that an exit of ours ended
    peaks: Mapping[Key, Decimal] = field(default_factory=dict)  # trailing peaks of these two
    intents: tuple[OpenIntent, ...] = ()  # oldest first, at most one of a key
    # Per key: when a request was handed over, and whether with a new id. The newest minutes, oldest first.
    sends: Mapping[Key, tuple[tuple[int, bool], ...]] = field(default_factory=dict)
    newest_ms: int | None = None  # when the newest row of all was written
    kept_aside: str | None = None  # name of the damaged journal that was put away: nothing of it is known
    is_old: bool = False  # the journal is an older one: what was done since is not in it

    def of_old_journal(self) -> Recovered:
        """What an older journal is good for: exits may have gone on or ended since, so none is known.

        Their holdings count as armed: a breach that is seen now makes a new exit, with ids of its own.
        """
        return replace(self, intents=(), is_old=True)
