"""What the exchange grants this account and this key."""

from __future__ import annotations

from dataclasses import dataclass

from base.kalshi.rate_budget import BucketLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLimits:
    """The account's request budget."""

    usage_tier: str
    read: BucketLimit
    write: BucketLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTerms:
    """What the key may do."""

    scopes: tuple[str, ...]
    subaccount: int | None  # the key is locked to it; None: to none
    region_expires_ms: int | None  # after this it may not trade sports, elections, entertainment

    @property
    def may_trade(self) -> bool:
        """Whether the listed scopes include trading."""
        return any(scope in ("write", "write::trade") for scope in self.scopes)
