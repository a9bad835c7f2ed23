"""How long to wait before the next try: full jitter, doubling, with an end. Pure.

See: aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter, read 2026-11-21.
"""

from __future__ import annotations

_MOST_DOUBLINGS = 32


class Backoff:
    """Delays of ``random × min(cap, first × 2ⁿ)`` seconds; owned by one thread."""

    def __init__(self, first_s: float, cap_s: float):
        self._first_s = first_s
        self._cap_s = cap_s
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def next_delay_s(self, random_01: float, cap_s: float | None = None) -> float:
        """Count one failure and say how long to wait.

        Args:
            random_01: A random number in [0, 1).
            cap_s: Bound of this delay where it differs from the usual one.
        """
        cap_s = self._cap_s if cap_s is None else cap_s
        ceiling_s = min(cap_s, self._first_s * 2.0 ** min(self._failures, _MOST_DOUBLINGS))
        self._failures += 1
        return random_01 * ceiling_s

    def reset(self) -> None:
        """Begin anew: something worked."""
        self._failures = 0
