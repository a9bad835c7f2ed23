"""Token buckets per account: continuous refill, no windows, no penalty.

See: docs.kalshi.com/getting_started/rate_limits, read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A usage tier. Rates in tokens per second, capacities in tokens; balance reads in calls per second."""

    name: str
    read_rate: int
    read_capacity: int
    write_rate: int
    write_capacity: int
    balance_rate: int = 1  # 5 above Advanced; one second's worth is saved up, no more


BASIC = Tier(name="basic", read_rate=200, read_capacity=600, write_rate=100, write_capacity=100)
ADVANCED = Tier(name="advanced", read_rate=300, read_capacity=900, write_rate=300, write_capacity=900)
UNLIMITED = Tier(
    name="prestige",
    read_rate=1_000_000,
    read_capacity=1_000_000,
    write_rate=1_000_000,
    write_capacity=1_000_000,
    balance_rate=1_000_000,
)


class Bucket:
    """One token bucket. Tokens are counted in thousandths, so that time stays in integers."""

    def __init__(self, rate: int, capacity: int) -> None:
        self.rate = rate
        self.capacity = capacity
        self._level = capacity * 1000
        self._at_ms: int | None = None

    def covers(self, cost: int, now_ms: int) -> bool:
        """Refill up to now and say whether ``cost`` tokens are there."""
        if self._at_ms is not None and now_ms > self._at_ms:
            self._level = min(self.capacity * 1000, self._level + (now_ms - self._at_ms) * self.rate)
        self._at_ms = now_ms if self._at_ms is None else max(now_ms, self._at_ms)
        return self._level >= cost * 1000

    def take(self, cost: int) -> None:
        """Take tokens that ``covers`` has shown to be there."""
        self._level -= cost * 1000

    def drain(self) -> None:
        """Empty the bucket."""
        self._level = 0


class Budget:
    """One account's buckets: reads, balance reads, writes, and a write bucket per nonzero shard."""

    def __init__(self, tier: Tier, shards: Iterable[int]) -> None:
        self.tier = tier
        self.read = Bucket(tier.read_rate, tier.read_capacity)
        self.balance = Bucket(tier.balance_rate, tier.balance_rate)
        self.write = Bucket(tier.write_rate, tier.write_capacity)
        self.by_shard = {
            shard: Bucket(tier.write_rate, tier.write_capacity) for shard in shards if shard != 0
        }

    def spend_read(self, cost: int, now_ms: int) -> bool:
        """Take a read's tokens; False if they are not there."""
        return _spend([self.read], cost, now_ms)

    def spend_balance_read(self, now_ms: int) -> bool:
        """Take one ``GET /portfolio/balance``; the read budget has no part in it."""
        return _spend([self.balance], 1, now_ms)

    def spend_write(self, cost: int, now_ms: int, exchange_index: int | None, *, routed: bool) -> bool:
        """Take a write's tokens; False if one of the buckets billed lacks them.

        An explicit shard from 1 bills its own bucket. A write routed by ticker bills the
        unscoped bucket and every shard's; everything else the unscoped one.
        """
        own = self.by_shard.get(exchange_index or 0)
        if own is not None:
            return _spend([own], cost, now_ms)
        shards = list(self.by_shard.values()) if routed else []
        return _spend([self.write, *shards], cost, now_ms)


def _spend(buckets: list[Bucket], cost: int, now_ms: int) -> bool:
    # All or nothing: a refused request costs no tokens anywhere.
    if not all(bucket.covers(cost, now_ms) for bucket in buckets):
        return False
    for bucket in buckets:
        bucket.take(cost)
    return True
