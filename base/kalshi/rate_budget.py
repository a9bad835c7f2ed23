"""The account's token buckets, shared by all of its clients; exits have a share of their own.

An order write with ``exchange_index >= 1`` is billed to that shard's own bucket, everything
else to the unscoped ones. Half of each write bucket is only for exits.
See: docs.kalshi.com/getting_started/rate_limits and exchange_sharding, read 2026-11-20.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from base.clock import Clock

DEFAULT_COST = 10.0
CHEAP_COST = 2.0
"""Tokens of a cancel and of ``GET /portfolio/orders/{id}``."""
RESERVED_SHARE = 0.5


class Kind(StrEnum):
    """The independent budgets. ``GET /portfolio/balance`` has its own, counted in calls."""

    READ = "read"
    WRITE = "write"
    BALANCE = "balance"


@dataclass(frozen=True, slots=True)
class BucketLimit:
    """Tokens a second, and tokens that may be saved up."""

    refill_rate: float
    bucket_capacity: float


BASIC = BucketLimit(refill_rate=200, bucket_capacity=200)
BASIC_WRITE = BucketLimit(refill_rate=100, bucket_capacity=100)
BALANCE_READS = BucketLimit(refill_rate=0.8, bucket_capacity=1)
"""Calls. The lowest tiers have one a second, counted at the exchange: the first may take longer to
arrive than the second, hence a little less. See: openapi.yaml 3.34.0, GetBalance."""


class Bucket:
    """One bucket. Pure: told the time; its level is never above the capacity."""

    __slots__ = ("_at_s", "_level", "limit")

    def __init__(self, limit: BucketLimit, now_s: float):
        self.limit = limit
        self._level = limit.bucket_capacity
        self._at_s = now_s

    def wait_s(self, cost: float, reserve: float, now_s: float) -> float:
        """Seconds until ``cost`` tokens above ``reserve`` are there; 0: now."""
        self._refill(now_s)
        # A bucket too small for cost + reserve must be full; it can never hold more.
        needed = min(cost + reserve, max(cost, self.limit.bucket_capacity))
        missing = needed - self._level
        return max(0.0, missing / self.limit.refill_rate) if missing > 1e-9 else 0.0

    def spend(self, cost: float) -> None:
        """Take ``cost`` tokens; call right after ``wait_s`` said 0."""
        self._level -= cost

    def empty(self, now_s: float) -> None:
        """The exchange said 429: whatever we believed, nothing is left."""
        self._refill(now_s)
        self._level = min(self._level, 0.0)

    def _refill(self, now_s: float) -> None:
        gained = max(0.0, now_s - self._at_s) * self.limit.refill_rate
        self._level = min(self.limit.bucket_capacity, self._level + gained)
        self._at_s = now_s


def _template(path: str) -> str:
    """Return a path without the API's root and without the names of its variable parts."""
    parts = path.removeprefix("/trade-api/v2").split("/")
    return "/".join("{}" if part.startswith(("{", ":")) else part for part in parts)


class RateBudget:
    """All buckets of one account. ``_lock`` (rate limit) guards them and is never held while waiting."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._lock = threading.Lock()
        self._limits = {Kind.READ: BASIC, Kind.WRITE: BASIC_WRITE, Kind.BALANCE: BALANCE_READS}
        self._buckets: dict[tuple[Kind, int], Bucket] = {}
        self._costs: dict[tuple[str, str], float] = {}
        self._default_cost = DEFAULT_COST

    def set_costs(self, default_cost: float, costs: Mapping[tuple[str, str], float]) -> None:
        """Take over what ``GET /account/endpoint_costs`` says, keyed by method and path template."""
        told = {(method.upper(), _template(path)): cost for (method, path), cost in costs.items()}
        with self._lock:
            self._default_cost, self._costs = default_cost, told

    def cost(self, method: str, path: str, usually: float | None = None) -> float:
        """Tokens of one call; ``usually`` is what it costs where the exchange hasn't said."""
        key = (method, _template(path))
        with self._lock:
            return self._costs.get(key, self._default_cost if usually is None else usually)

    def set_limits(self, read: BucketLimit, write: BucketLimit) -> None:
        """Take over what ``GET /account/limits`` says."""
        with self._lock:
            self._limits |= {Kind.READ: read, Kind.WRITE: write}
            for (kind, _), bucket in self._buckets.items():
                bucket.limit = self._limits[kind]

    def limit(self, kind: Kind) -> BucketLimit:
        """The limit in force."""
        with self._lock:
            return self._limits[kind]

    def take(
        self,
        kind: Kind,
        cost: float = DEFAULT_COST,
        shard: int = 0,
        for_exit: bool = False,
        deadline_s: float | None = None,
    ) -> bool:
        """Take ``cost`` tokens, waiting for them until ``deadline_s`` (boot clock; ``None``: don't wait).

        Returns:
            Whether they were taken. ``False``: do not send.
        """
        while True:
            now_s = self._clock.boot_s()
            wait_s = self._try(kind, cost, shard, for_exit, now_s)
            if wait_s == 0.0:
                return True
            if deadline_s is None or now_s + wait_s > deadline_s:
                return False
            threading.Event().wait(wait_s)

    def refused(self, kind: Kind, shard: int = 0) -> None:
        """Note a 429: the bucket at the exchange is empty."""
        now_s = self._clock.boot_s()
        with self._lock:
            self._bucket(kind, shard, now_s).empty(now_s)

    def _try(self, kind: Kind, cost: float, shard: int, for_exit: bool, now_s: float) -> float:
        with self._lock:
            bucket = self._bucket(kind, shard, now_s)
            reserve = 0.0 if for_exit else RESERVED_SHARE * bucket.limit.bucket_capacity
            wait_s = bucket.wait_s(cost, reserve, now_s)
            if wait_s == 0.0:
                bucket.spend(cost)
            return wait_s

    def _bucket(self, kind: Kind, shard: int, now_s: float) -> Bucket:
        key = (kind, shard if kind is Kind.WRITE and shard > 0 else 0)
        if (bucket := self._buckets.get(key)) is None:
            bucket = self._buckets[key] = Bucket(self._limits[kind], now_s)
        return bucket
