"""How long to wait before the next try."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from base.feed.backoff import Backoff


def test_ceiling_doubles_to_the_cap():
    """Full jitter under 1, 2, 4 … seconds, and never beyond the cap."""
    backoff = Backoff(1.0, 60.0)
    assert [backoff.next_delay_s(0.5) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert (backoff.failures, backoff.next_delay_s(0.5)) == (0, 0.5)


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0.1, 100)), max_size=200))
def test_delay_stays_within_its_bounds(tries: list[tuple[float, float]]):
    """Whatever was drawn and however often it failed; a cap given for one delay counts for it."""
    backoff = Backoff(1.0, 60.0)
    for jitter, cap_s in tries:
        assert 0 <= backoff.next_delay_s(jitter, cap_s) <= cap_s
    assert backoff.failures == len(tries)
