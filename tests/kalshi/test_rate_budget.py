"""The account's token buckets and the share that is only for exits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.kalshi.rate_budget import Bucket, BucketLimit, Kind, RateBudget
from tests.support import FakeClock

LIMIT = BucketLimit(refill_rate=100, bucket_capacity=100)


def make_budget() -> tuple[RateBudget, FakeClock]:
    clock = FakeClock()
    budget = RateBudget(clock)
    budget.set_limits(BucketLimit(200, 200), LIMIT)
    return budget, clock


def spend_all(budget: RateBudget, *, for_exit: bool = False, shard: int = 0) -> int:
    """How many orders of ten tokens go through at once."""
    sent = 0
    while sent < 1000 and budget.take(Kind.WRITE, 10, shard, for_exit):
        sent += 1
    return sent


def test_half_of_the_writes_is_only_for_exits():
    """A strategy that burns its share leaves the exits theirs."""
    budget, _ = make_budget()
    assert spend_all(budget) == 5
    assert spend_all(budget, for_exit=True) == 5


def test_strategy_that_never_pauses_cannot_take_the_reserve():
    """However often it asks."""
    budget, clock = make_budget()
    for _ in range(100):
        spend_all(budget)
        clock.advance(0.05)
    assert spend_all(budget, for_exit=True) >= 5


def test_shards_have_buckets_of_their_own():
    """An order with an explicit shard above 0 is billed to that shard only; reads are apart."""
    budget, _ = make_budget()
    spend_all(budget, for_exit=True)
    assert spend_all(budget, for_exit=True, shard=2) == 10
    assert budget.take(Kind.READ)


def test_balance_reads_have_a_bucket_of_their_own():
    """One a second whatever the tier; a refused one does not hold up the reads that prices need."""
    budget, clock = make_budget()
    assert [budget.take(Kind.BALANCE, 1) for _ in range(2)] == [True, False]
    budget.refused(Kind.BALANCE)
    assert budget.take(Kind.READ)
    clock.advance(1.3)
    assert budget.take(Kind.BALANCE, 1)


def test_tokens_come_back_with_time():
    """100 tokens a second are ten orders a second."""
    budget, clock = make_budget()
    spend_all(budget, for_exit=True)
    clock.advance(0.1)
    assert spend_all(budget, for_exit=True) == 1
    clock.advance(3600)
    assert spend_all(budget, for_exit=True) == 10


def test_refusal_by_the_exchange_empties_the_bucket():
    """429: another process of the account has used it."""
    budget, clock = make_budget()
    budget.refused(Kind.WRITE)
    assert not budget.take(Kind.WRITE, 10, for_exit=True)
    clock.advance(0.11)
    assert budget.take(Kind.WRITE, 10, for_exit=True)


def test_waiting_ends_at_the_deadline():
    """What cannot be there in time is not waited for."""
    budget, clock = make_budget()
    spend_all(budget, for_exit=True)
    assert not budget.take(Kind.WRITE, 50, for_exit=True, deadline_s=clock.boot_s() + 0.2)


def test_cost_larger_than_the_bucket_still_goes_when_it_is_full():
    """Otherwise it could never be sent."""
    bucket = Bucket(BucketLimit(10, 5), 0.0)
    assert bucket.wait_s(10, 0, 0.0) > 0
    assert Bucket(BucketLimit(10, 10), 0.0).wait_s(10, 5, 0.0) == 0


def test_endpoint_costs_are_taken_over():
    """What the exchange says a call costs."""
    budget, _ = make_budget()
    assert budget.cost("GET", "/portfolio/positions") == 10
    told = {("GET", "/trade-api/v2/portfolio/positions"): 3, ("DELETE", "/orders/:id"): 2}
    budget.set_costs(7, told)
    assert (budget.cost("GET", "/portfolio/positions"), budget.cost("GET", "/x")) == (3, 7)
    assert budget.cost("DELETE", "/orders/{order_id}", usually=9) == 2
    assert budget.cost("POST", "/orders/{order_id}", usually=9) == 9


@given(steps=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 60)), max_size=60))
def test_never_more_than_capacity_plus_refill(steps: list[tuple[float, int]]):
    """In any span: at most the capacity and what was refilled."""
    bucket, now_s, spent = Bucket(LIMIT, 0.0), 0.0, 0.0
    for pause_s, cost in steps:
        now_s += pause_s
        if bucket.wait_s(cost, 0, now_s) == 0:
            bucket.spend(cost)
            spent += cost
        assert spent <= LIMIT.bucket_capacity + LIMIT.refill_rate * now_s + 1e-6


@pytest.mark.timeout(10)
def test_wait_is_as_long_as_needed():
    """A caller with time waits for its tokens on the real clock."""
    from base.clock import SystemClock

    clock = SystemClock()
    budget = RateBudget(clock)
    budget.set_limits(LIMIT, LIMIT)
    spend_all(budget, for_exit=True)
    started_s = clock.boot_s()
    assert budget.take(Kind.WRITE, 10, for_exit=True, deadline_s=started_s + 2)
    assert 0.05 < clock.boot_s() - started_s < 1
