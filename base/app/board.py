"""What a child writes where its parent can read it, even after the child was killed: shared memory.

One writes, one reads. Nothing is sent, so neither ever waits for the other.
"""

from __future__ import annotations

import mmap
import struct
from decimal import Decimal

from base.risk.views import Tally

_BEAT = struct.Struct("<d")  # eight aligned bytes: stored whole
_GUARDING, _HELD = struct.Struct("<?"), struct.Struct("<I")
_COUNTS = struct.Struct("<4Q64s")  # triggered, filled, closed, alarms, profit as text
_GUARDING_AT, _HELD_AT, _SLOT_AT, _COUNTS_AT = 8, 12, 16, 24


class Board:
    """Anonymous memory that parent and child share. It begins empty."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    # --- the child ------------------------------------------------------------------------------

    def beat(self, now_s: float, held: int) -> None:
        """The process lives; ``held``: positions it guards, or would."""
        _HELD.pack_into(self._memory, _HELD_AT, held)
        _BEAT.pack_into(self._memory, 0, now_s)

    def guards_now(self) -> None:
        """The start is done."""
        _GUARDING.pack_into(self._memory, _GUARDING_AT, True)

    def count(self, tally: Tally) -> None:
        """Note what happened: beside the old counts, then pointed to. A kill leaves one of the two whole."""
        slot = 1 - self._memory[_SLOT_AT]
        profit = str(tally.profit).encode()
        counts = (tally.triggered, tally.filled, tally.closed, tally.alarms, profit)
        _COUNTS.pack_into(self._memory, _COUNTS_AT + slot * _COUNTS.size, *counts)
        self._memory[_SLOT_AT] = slot

    # --- the parent -----------------------------------------------------------------------------

    @property
    def beat_s(self) -> float:
        """The newest beat, boot clock; 0: none yet."""
        beat_s: float = _BEAT.unpack_from(self._memory, 0)[0]
        return beat_s

    @property
    def is_guarding(self) -> bool:
        """Whether the start was done."""
        return bool(_GUARDING.unpack_from(self._memory, _GUARDING_AT)[0])

    @property
    def held(self) -> int:
        """Positions it last knew of."""
        return int(_HELD.unpack_from(self._memory, _HELD_AT)[0])

    @property
    def counts(self) -> Tally:
        """What it last counted."""
        at = _COUNTS_AT + self._memory[_SLOT_AT] * _COUNTS.size
        triggered, filled, closed, alarms, profit = _COUNTS.unpack_from(self._memory, at)
        text = profit.rstrip(b"\0").decode()
        return Tally(triggered, filled, closed, Decimal(text or 0), alarms)
