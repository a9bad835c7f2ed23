"""How far the exchange's clock is from ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from base.feed.clock_offset import ClockOffset

NOW = 1_795_000_000_000


def test_nothing_is_known_before_the_first_answer():
    """Without a measurement there is no proof of lag."""
    assert ClockOffset().exchange_ms(NOW) is None


def test_one_answer_is_exact_to_half_the_way():
    """The exchange's stamp lies somewhere between our two."""
    offset = ClockOffset()
    offset.note(NOW, NOW + 100, NOW + 5_050, NOW + 5_050)
    assert offset.exchange_ms(NOW + 100) == (NOW + 5_100, 51)


def test_answers_are_intersected():
    """Several coarse ones make a fine one."""
    offset = ClockOffset()
    offset.note(NOW, NOW + 10, NOW, NOW + 1_000)
    offset.note(NOW + 600, NOW + 610, NOW, NOW + 1_000)
    found = offset.exchange_ms(NOW + 610)
    assert found is not None
    assert found[1] < 250


def test_single_contradiction_only_widens_the_error():
    """One answer out of a cache must not move the clock; two witnesses do."""
    offset = ClockOffset()
    offset.note(NOW, NOW + 10, NOW, NOW + 10)
    offset.note(NOW + 1_000, NOW + 1_010, NOW - 60_000, NOW - 59_990)
    doubtful = offset.exchange_ms(NOW + 1_010)
    assert doubtful is not None
    assert doubtful[1] > 30_000  # no lag is proven in doubt
    offset.note(NOW + 2_000, NOW + 2_010, NOW + 2_000, NOW + 2_010)
    settled = offset.exchange_ms(NOW + 2_010)
    assert settled is not None
    assert settled[1] < 20
    for at_ms in (3_000, 4_000):  # our own clock was set back a minute: every answer says so
        offset.note(NOW + at_ms, NOW + at_ms + 10, NOW + at_ms + 60_000, NOW + at_ms + 60_010)
    moved = offset.exchange_ms(NOW + 4_010)
    assert moved is not None
    assert abs(moved[0] - (NOW + 64_010)) <= moved[1] < 30


def test_old_measurement_grows_less_certain():
    """Clocks drift apart between answers."""
    offset = ClockOffset()
    offset.note(NOW, NOW, NOW, NOW)
    fresh, old = offset.exchange_ms(NOW), offset.exchange_ms(NOW + 3_600_000)
    assert fresh is not None
    assert old is not None
    assert fresh[1] <= 1
    assert 1_000 < old[1] < 3_000


def test_clock_that_was_set_back_during_the_call_measures_nothing():
    """Our two stamps are in the wrong order."""
    offset = ClockOffset()
    offset.note(NOW, NOW - 5, NOW, NOW)
    assert offset.exchange_ms(NOW) is None


@given(
    true_ms=st.integers(-20_000, 20_000),
    calls=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400), st.integers(0, 1_000)), min_size=1),
)
def test_truth_is_always_within_the_error(true_ms: int, calls: list[tuple[int, int, int]]):
    """Whatever the ways there and back took, and however coarse the stamps were."""
    offset, at_ms = ClockOffset(), NOW
    for there_ms, back_ms, grain_ms in calls:
        stamped = at_ms + there_ms + true_ms
        after_ms = at_ms + there_ms + back_ms
        offset.note(at_ms, after_ms, stamped - grain_ms // 2, stamped + grain_ms - grain_ms // 2)
        found = offset.exchange_ms(after_ms)
        assert found is not None
        assert abs(found[0] - (after_ms + true_ms)) <= found[1]
        at_ms = after_ms + 50
