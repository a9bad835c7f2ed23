"""When to try the next connection. Pure: given random numbers.

See: stops-and-exits.md §8: capped at 3 s with positions held; 60 s only after 401, 403, 429.
"""

from __future__ import annotations

from base.feed.backoff import Backoff
from base.kalshi.handshake import Refusal

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
LONGEST_RETRY_HELD_S = 3.0
"""With positions held the feed is missed at once."""
_TURNED_AWAY = (Refusal.KEY, Refusal.FORBIDDEN, Refusal.LIMITED)


class Reconnecting:
    """The delays between tries; owned by the manager's thread."""

    def __init__(self) -> None:
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        self._refusal: Refusal | None = None  # of the newest try

    @property
    def failures(self) -> int:
        """Tries since data last flowed."""
        return self._backoff.failures

    def connected(self) -> None:
        """A connection came about; it counts as a success only once data flows."""
        self._refusal = None

    def succeeded(self) -> None:
        """Data flows."""
        self._backoff.reset()

    def delay_s(self, random_01: float, *, is_held: bool, refusal: Refusal | None = None) -> float:
        """Count a failure and say how long to wait.

        Args:
            random_01: A random number in [0, 1).
            is_held: Whether positions wait for the feed.
            refusal: Why the exchange turned the handshake away; ``None``: it did not.
        """
        self._refusal = refusal
        if refusal is Refusal.KEY:  # a key that is wrong now is wrong in a second: a person must act
            self._backoff.next_delay_s(random_01)
            return LONGEST_RETRY_S * (0.5 + random_01 / 2)
        is_urgent = is_held and refusal not in _TURNED_AWAY
        return self._backoff.next_delay_s(random_01, LONGEST_RETRY_HELD_S if is_urgent else LONGEST_RETRY_S)

    def shortened_s(self, random_01: float) -> float:
        """REST reached the exchange: say how long to wait at most from now on."""
        if self._refusal in _TURNED_AWAY:
            return float("inf")  # it is there, it only does not want us
        self._backoff.reset()
        return random_01 * FIRST_RETRY_S
