"""The counter of one subscription."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.kalshi.sequence import Sequence, Step

N, X, G, B = Step.NEXT, Step.DUPLICATE, Step.GAP, Step.BACK


@pytest.mark.parametrize(
    ("numbers", "steps"),
    [
        pytest.param([1, 2, 3], [N, N, N], id="in order"),
        pytest.param([1, 2, 2, 3], [N, N, X, N], id="twice is once"),
        pytest.param([1, 2, 4, 5], [N, N, G, N], id="gap, then on from there"),
        pytest.param([2], [G], id="the first one is missing"),
        pytest.param([1, 2, 3, 1, 4], [N, N, N, B, N], id="an old one late"),
        pytest.param([1, 2, 3, 1, 2, 3], [N, N, N, B, G, N], id="the counter was restarted"),
        pytest.param([1, None, 2], [N, N, N], id="without a number"),
        pytest.param([0], [B], id="zero"),
    ],
)
def test_numbers(numbers: list[int | None], steps: list[Step]):
    """Last + 1 is good, the same is a duplicate, larger is a gap, smaller is distrusted."""
    sequence = Sequence()
    assert [sequence.see(number) for number in numbers] == steps


@pytest.mark.parametrize(
    ("frames", "steps"),
    [
        pytest.param([(1, False), (2, True), (3, False)], [N, N, N], id="uses up a number"),
        pytest.param([(1, False), (1, True), (2, False)], [N, N, N], id="repeats the last number"),
        pytest.param([(1, False), (None, True), (2, False)], [N, N, N], id="has no number"),
        pytest.param([(1, False), (2, True), (2, False)], [N, N, N], id="announces the next number"),
        pytest.param([(1, False), (3, True)], [N, G], id="after a gap"),
    ],
)
def test_snapshot_reply_may_or_may_not_use_up_a_number(frames, steps: list[Step]):
    """Whether get_snapshot continues ``seq`` isn't documented: every way is understood."""
    sequence = Sequence()
    assert [sequence.see(seq, is_reply=is_reply) for seq, is_reply in frames] == steps


@given(lost=st.sets(st.integers(1, 60)), total=st.integers(1, 60))
def test_every_loss_is_noticed(lost: set[int], total: int):
    """A lost frame shows in the frame after it, and only there."""
    sequence = Sequence()
    kept = [number for number in range(1, total + 1) if number not in lost]
    for number in kept:
        expected = N if number - 1 not in lost else G
        assert sequence.see(number) is expected
