"""The counter of one subscription: every frame that carries ``seq`` goes through it. Pure.

It counts all markets of the subscription together, replies included, so a gap means that any of
its books may be wrong. See: kalshi/websocket protocol, "When a gap means resync".
"""

from __future__ import annotations

from enum import Enum, auto


class Step(Enum):
    """What a number says about the frame that carries it."""

    NEXT = auto()
    DUPLICATE = auto()  # seen before: drop it
    GAP = auto()  # frames were lost before this one
    BACK = auto()  # the counter went back: drop it and trust nothing until it counts on


class Sequence:
    """The numbers of one ``sid`` on one connection; the first one expected is 1."""

    __slots__ = ("_back", "_last", "_was_reply")

    def __init__(self) -> None:
        self._last = 0
        self._was_reply = False
        self._back: int | None = None  # newest number below the counter

    def see(self, seq: int | None, *, is_reply: bool = False) -> Step:
        """Judge the next frame. ``is_reply``: a snapshot that answers our command.

        Whether such a reply uses up a number isn't documented: it may carry none, the last one
        or the next one, and the frame after it may carry the same number again.
        """
        last = self._last
        if seq == last + 1:
            self._last = seq
            self._was_reply = is_reply
            self._back = None
            return Step.NEXT
        if seq is None:
            return Step.NEXT
        if seq == last and seq > 0:
            if is_reply or self._was_reply:
                self._was_reply = is_reply
                return Step.NEXT
            return Step.DUPLICATE
        if seq > last:
            self._last, self._was_reply, self._back = seq, is_reply, None
            return Step.GAP
        return self._went_back(seq)

    def _went_back(self, seq: int) -> Step:
        if self._back is not None and seq == self._back + 1:
            # Two in a row below the counter: it was restarted, this is where it stands now.
            self._last, self._was_reply, self._back = seq, False, None
            return Step.GAP
        self._back = seq
        return Step.BACK
