"""One decision to exit one holding, and the orders sent for it. Pure; owned by the monitor thread."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from decimal import Decimal

from base.model import Key, Quote, Side
from base.risk.counting import Attempt, attempt_of
from base.risk.messages import PersonAsks
from base.units import ZERO

NEVER_S = float("-inf")
"""Boot time of what has not been seen."""
ALWAYS_S = float("inf")
"""Evidence that does not grow old: a person's order."""
PERSON = frozenset({"RETRY", "FLATTEN"})
"""Reasons that a person gave: no price has to be touched for them."""


@dataclass(slots=True, kw_only=True)
class Intent:
    """``quantity`` and ``floor`` are fixed at the trigger; only a person's flatten lowers the floor."""

    id: str
    reason: str
    quantity: Decimal
    level: Decimal  # trigger or target
    entry: Decimal | None  # of what it sells: contracts added later have their own price
    floor: Decimal
    last_floor: Decimal | None  # under the floor, if the user chases; as set when it began
    evidence: Quote | None  # None: recovered from a journal that no longer tells
    began_s: float
    began_ms: int
    touched_s: float  # newest moment at which the level was known to be touched, or nobody bid at all
    bid_touched_s: float  # the same by a bid: only that is evidence to sell on
    attempts: list[Attempt] = field(default_factory=list)
    tried: Decimal | None = None  # lowest price tried in this pass of the ladder
    resend: Attempt | None = None  # proven absent or not sent: the same id and bytes go again
    not_before_s: float = 0.0  # backoff after a request that did not leave or was held up
    backoff_s: float = 0.0
    read_again: frozenset[str] = frozenset()  # refusals that were answered by a re-read, once each
    awaits_market: bool = False  # a refusal that a read of the market may cure
    sold_ms: int | None = None  # exchange time when nothing was left
    unlocked: bool = True  # False: a NO_BID that has not yet seen a bid that passes the filters
    swept: bool = False  # our resting orders in the market were dealt with
    sweep_until_s: float | None = None
    position_until_s: float | None = None  # waiting this long for a positions read between rungs
    sold_s: float | None = None
    next_read_s: float = 0.0
    taken_off: Decimal = ZERO  # contracts by which reports lowered what is held meanwhile, unexplained
    is_retried: bool = False  # a reconnect let it try an inactive market again, once
    is_limited: bool = False  # a person named the worst price they take
    is_joined: bool = False  # a person's flatten came while it was open
    cancels: list[PersonAsks] = field(default_factory=list)  # they wait for the answer to what is in flight

    @property
    def is_take_profit(self) -> bool:
        """Whether it takes a profit: it never becomes STUCK and gives way to a stop."""
        return self.reason == "TAKE_PROFIT" and not self.is_joined

    @property
    def is_flatten(self) -> bool:
        """Whether a person wants out at any bid inside the floor, now or as soon as there is one."""
        return self.is_joined or self.reason == "FLATTEN"

    @property
    def is_ordered(self) -> bool:
        """Whether a person ordered it: no price has to be touched for it."""
        return self.is_joined or self.reason in PERSON

    @property
    def filled(self) -> Decimal:
        """Contracts all its orders sold."""
        return sum((attempt.filled for attempt in self.attempts), ZERO)

    @property
    def filled_by_fills(self) -> Decimal:
        """Contracts sold by distinct fills alone: the count that proves an end."""
        return sum((attempt.filled_by_fills for attempt in self.attempts), ZERO)

    @property
    def last(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    def left(self, held: Decimal) -> Decimal:
        """Contracts still to sell: min(q − filled, held); ``held`` unsigned."""
        return max(ZERO, min(self.quantity - self.filled, held))

    def attempt_of(self, client_order_id: str | None, order_id: str | None) -> Attempt | None:
        """The attempt that an order, fill or answer belongs to."""
        return attempt_of(self.attempts, client_order_id, order_id)

    def result(self, side: Side) -> tuple[Decimal | None, Decimal | None]:
        """Return ``(average price, fees)`` of what was sold; ``None`` where no source says."""
        gross, fees = ZERO, ZERO
        for attempt in self.attempts:
            part, fee = attempt.proceeds(side)
            if part is None or fee is None:
                return None, None
            gross, fees = gross + part, fees + fee
        return (gross / self.filled if self.filled > ZERO else None), fees


def client_order_id(account: str, key: Key, intent_id: str, attempt: int) -> str:
    """Name one order: the same after a restart, never the same for two attempts, at most 64 characters."""
    text = "\0".join((account, str(key.subaccount), key.ticker, intent_id, str(attempt)))
    digest = hashlib.sha256(text.encode()).digest()
    return "sl-" + base64.b32encode(digest).decode().rstrip("=").lower()


def intent_id(random_bits: int, trigger_ms: int) -> str:
    """Name one intent: 64 random bits and the time of the trigger."""
    return f"{random_bits:016x}-{trigger_ms}"
