"""How much is held and how much an order filled, from sources that lag and repeat. Pure.

Filled is the maximum over sources (answer, order read, sum of distinct fills), per order, never a
sum of sources. Held is the newest of ``post_position``, fills, and a positions read whose
``as_of`` is later than the last fill by the margin. See stops-and-exits.md, sections 1 and 5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from base.model import ExitOrder, Fill, OrderReport, Side
from base.units import ZERO

AS_OF_MARGIN_MS = 5_000
"""``user_data_timestamp`` is approximate: a read proves nothing nearer than this. Milliseconds."""
CREATED_MARGIN_MS = 5_000
"""An order created this much before its attempt was written is somebody else's (clock error allowed for)."""
CLOCK_MARGIN_MS = 2_000
"""How far our idea of the exchange's clock may be off. Milliseconds."""


class Holding:
    """Signed contracts of one market and sub-account, positive YES."""

    def __init__(self, signed: Decimal, as_of_ms: int | None, until_ms: int | None = None):
        self.signed = signed
        self.last_fill_ms: int | None = None
        self.is_certain = as_of_ms is not None
        self.is_guess = False  # what a journal says, and no report yet
        self.is_contradicted = False  # the newest read misses it, and no trade says why
        self.basis_ms = as_of_ms  # moment of the newest evidence; None: a claim
        self._until_ms = until_ms  # when that read was answered: it may show what happened until then
        self._basis_is_fill = False
        self._basis_names_position = False  # a push that says what is held after its fill
        self._listed_ms: int | None = None  # of the newest fill that does not say it
        self._unsure = ZERO  # signed contracts of fills that the newest evidence may hold or not
        self._trades: set[str] = set()
        self._doubted: set[str] = set()  # of them, those that the newest evidence may hold or not
        self._zero_or_flip_reads: list[tuple[int, Decimal]] = []

    @classmethod
    def believed(cls, signed: Decimal, at_ms: int) -> Holding:
        """What a journal says was held at a moment: later trades count, earlier ones make it doubtful."""
        holding = cls(signed, at_ms)
        holding._basis_is_fill = holding.is_guess = True
        holding.last_fill_ms = at_ms  # a read that may be of before it says nothing
        return holding

    @property
    def is_in_doubt(self) -> bool:
        """Whether a read said gone or turned over, and something else must say so too."""
        return self.is_contradicted or bool(self._zero_or_flip_reads)

    def has_seen(self, trade_id: str) -> bool:
        """Whether the fill is counted already."""
        return trade_id in self._trades

    def add_fill(self, fill: Fill) -> bool:
        """Take in a fill; ``False`` when it was known. A repeat or a late one never counts twice."""
        if fill.trade_id in self._trades:
            return False
        self._trades.add(fill.trade_id)
        self._zero_or_flip_reads.clear()
        if self.last_fill_ms is not None and fill.ts_ms < self.last_fill_ms:
            # A push that came after it holds it already. One counted from a list said nothing of it.
            if self._is_by_count:
                self._doubt(fill)
            return True
        self.last_fill_ms = fill.ts_ms
        if fill.post_position is not None:
            if not self._is_after(fill.ts_ms + AS_OF_MARGIN_MS):
                # Of two fills in one millisecond, the one that was only listed may have come after it.
                is_newest = self._listed_ms != fill.ts_ms
                self._stand(fill.post_position, fill.ts_ms, by_fill=True)
                self._basis_names_position, self.is_certain = True, is_newest
            return True
        self._listed_ms = fill.ts_ms
        if self.is_later(fill.ts_ms):
            self._stand(self.signed + fill.signed_count, fill.ts_ms, by_fill=True)
        else:
            self._doubt(fill)  # the newest read may hold it already: another read must say
        return True

    def _doubt(self, fill: Fill) -> None:
        self.is_certain = False
        self._unsure += fill.signed_count
        if not self._is_after(fill.ts_ms + AS_OF_MARGIN_MS):
            self._doubted.add(fill.trade_id)

    @property
    def may_be_gone(self) -> bool:
        """Whether it was only claimed, or fills that may not be counted yet would explain that it is gone."""
        return self.basis_ms is None or self.signed * (self.signed + self._unsure) <= ZERO

    @property
    def _is_by_count(self) -> bool:
        """Whether the newest evidence is a fill that did not say what is held after it."""
        return self._basis_is_fill and not self._basis_names_position

    def _is_after(self, ts_ms: int) -> bool:
        """Whether a read later than ``ts_ms`` is the newest evidence."""
        return not self._basis_is_fill and self.basis_ms is not None and self.basis_ms > ts_ms

    def has_counted(self, attempt: Attempt) -> bool:
        """Whether all that an order sold is off what is held: by its fills, or by a read of after it."""
        if (attempt.is_settled or not attempt.is_open) and self.unseen(attempt) == ZERO:
            return True
        return attempt.counted_ms is not None and self._is_after(attempt.counted_ms + AS_OF_MARGIN_MS)

    def unseen(self, attempt: Attempt) -> Decimal:
        """Contracts that an order sold and that may not be off what is held: no fill, or one in doubt."""
        shown = (fill for trade_id, fill in attempt.fills.items() if trade_id not in self._doubted)
        taken_off = max(attempt.taken_off, sum((abs(fill.signed_count) for fill in shown), ZERO))
        return max(ZERO, attempt.filled - taken_off)

    def is_later(self, ts_ms: int) -> bool:
        """Whether what happened at that moment cannot be part of the newest evidence yet."""
        if self.basis_ms is None or not self.is_certain:
            return False
        if not self._basis_is_fill:
            # ``as_of`` is approximate and the least a read holds: it may show all that happened until
            # it was answered. What happened in between may be in it or not.
            answered_ms = self.basis_ms if self._until_ms is None else self._until_ms + CLOCK_MARGIN_MS
            return ts_ms > max(self.basis_ms + AS_OF_MARGIN_MS, answered_ms)
        # Of two fills in one millisecond, a push that says what is held may hold the other already.
        return ts_ms > self.basis_ms or (ts_ms == self.basis_ms and self._is_by_count)

    def _stand(self, signed: Decimal, moment_ms: int, *, by_fill: bool, until_ms: int | None = None) -> None:
        self.signed, self.basis_ms, self._basis_is_fill = signed, moment_ms, by_fill
        self._until_ms = until_ms
        self.is_certain, self.is_guess, self._unsure = True, False, ZERO
        self._doubted.clear()
        self._basis_names_position = False

    def is_eligible(self, as_of_ms: int | None) -> bool:
        """Whether a positions read of that moment may speak against what fills said."""
        if as_of_ms is None:
            return False
        return self.last_fill_ms is None or as_of_ms > self.last_fill_ms + AS_OF_MARGIN_MS

    def report(self, signed: Decimal, as_of_ms: int | None, until_ms: int | None = None) -> bool:
        """Take in a positions read that was answered by ``until_ms``; ``True``: it changed what is held.

        One of before the newest says nothing: not all of the exchange's servers are equally late.
        One read resizes. A zero or the other sign needs two eligible reads that agree and are of
        different moments: one answer of an exchange in trouble proves nothing.
        """
        self.is_contradicted = False
        if as_of_ms is not None and until_ms is not None:
            as_of_ms = min(as_of_ms, until_ms + CLOCK_MARGIN_MS)  # nothing is read before it happens
        if not self.is_eligible(as_of_ms) or as_of_ms is None or self._is_after(as_of_ms):
            return False
        keeps_side = signed * self.signed > ZERO
        if signed == self.signed or keeps_side:
            self._zero_or_flip_reads.clear()
            changed = signed != self.signed
            self._stand(signed, as_of_ms, by_fill=False, until_ms=until_ms)
            return changed
        reads = self._zero_or_flip_reads
        if reads and reads[-1][1] != signed:
            reads.clear()
        if not reads or as_of_ms > reads[-1][0]:
            reads.append((as_of_ms, signed))
        if len(reads) < 2:
            return False
        reads.clear()
        self._stand(signed, as_of_ms, by_fill=False, until_ms=until_ms)
        return True


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One order of an intent and what every source says of it. Owned by the monitor thread."""

    number: int
    order: ExitOrder
    written_ms: int  # exchange time when it was journalled
    sent_s: float | None = None  # boot clock, when it was handed to the executor
    sent_ms: int | None = None  # exchange time then
    order_id: str | None = None
    answered: Decimal | None = None
    answered_price: Decimal | None = None
    answered_fee: Decimal | None = None  # dollars per contract
    reported: Decimal | None = None
    counted_ms: int | None = None  # exchange time by which all of that had happened
    taken_off: Decimal = ZERO  # contracts by which a report lowered what is held, with no fill to say why
    is_open: bool = False  # its exit was cancelled before anything said what became of it
    is_terminal: bool = False  # the exchange says nothing more will fill
    absences: int = 0  # complete reads past the margin that did not show it
    absent_as_of_ms: int | None = None
    fills: dict[str, Fill] = field(default_factory=dict)

    @property
    def is_settled(self) -> bool:
        """Whether nothing more of it will fill."""
        return self.is_terminal or self.filled >= self.order.count

    @property
    def filled_by_fills(self) -> Decimal:
        """Sum of the distinct fills known."""
        return sum((abs(fill.signed_count) for fill in self.fills.values()), ZERO)

    @property
    def filled(self) -> Decimal:
        """Contracts this order sold: the maximum over sources."""
        return max(self.answered or ZERO, self.reported or ZERO, self.filled_by_fills)

    def add_report(self, report: OrderReport) -> None:
        """Take in what an order read or push says."""
        self.order_id = report.order_id
        self.reported = max(self.reported or ZERO, report.filled)
        if report.status in ("canceled", "executed"):
            self.is_terminal = True

    def proceeds(self, side: Side) -> tuple[Decimal | None, Decimal | None]:
        """Return ``(sum of price × count, fees)`` in dollars for what it sold; ``None``: not known."""
        fills = self.fills.values()
        if self.filled_by_fills >= self.filled:
            gross = sum((fill.price_for(side) * abs(fill.signed_count) for fill in fills), ZERO)
            return gross, sum((fill.fee for fill in fills), ZERO)
        if self.answered_price is None or self.answered is None or self.answered < self.filled:
            return None, None
        fee = None if self.answered_fee is None else self.answered_fee * self.answered
        return self.answered_price * self.answered, fee


def attempt_of(
    attempts: Iterable[Attempt], client_order_id: str | None, order_id: str | None
) -> Attempt | None:
    """Return the attempt that an order, fill or answer belongs to; ``None``: somebody else's."""
    for attempt in attempts:
        if client_order_id is not None and attempt.order.client_order_id == client_order_id:
            return attempt
        if order_id is not None and attempt.order_id == order_id:
            return attempt
    return None
