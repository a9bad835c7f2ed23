"""What the exchange says about our API key: scopes, sub-account, attestation. Part of ``KalshiRest``."""

from __future__ import annotations

from uuid import uuid4

from msgspec import Struct

from base.kalshi.account_terms import KeyTerms
from base.kalshi.rate_budget import CHEAP_COST, Kind
from base.kalshi.rest_calls import RestCalls


class KeyRow(Struct):
    """One API key."""

    api_key_id: str
    scopes: list[str]
    subaccount: int | None = None


class KeysBody(Struct):
    """``GET /api_keys``."""

    api_keys: list[KeyRow]
    api_key_region_expiration_ts: int | None = None


class SubaccountRow(Struct):
    """Cash of one sub-account on one shard; only whose it is matters here."""

    subaccount_number: int


class SubaccountsBody(Struct):
    """``GET /portfolio/subaccounts/balances``."""

    subaccount_balances: list[SubaccountRow]


class KeyReads:
    """Every read raises as those of ``KalshiRest`` do."""

    _calls: RestCalls
    _key_id: str

    def api_keys(self) -> KeyTerms | None:
        """``GET /api_keys``: what this key may do; ``None``: the exchange doesn't list it."""
        body = self._calls.get("/api_keys", KeysBody)
        expires_s = body.api_key_region_expiration_ts
        for row in body.api_keys:
            if row.api_key_id == self._key_id:
                return KeyTerms(
                    scopes=tuple(row.scopes),
                    subaccount=row.subaccount,
                    region_expires_ms=None if expires_s is None else expires_s * 1000,
                )
        return None

    def subaccounts(self) -> frozenset[int]:
        """``GET /portfolio/subaccounts/balances``: every sub-account that this key may see, 0 included."""
        body = self._calls.get("/portfolio/subaccounts/balances", SubaccountsBody)
        return frozenset(row.subaccount_number for row in body.subaccount_balances)

    def has_write_scope(self, ticker: str) -> bool:
        """Whether this key may trade: cancels an order that can't exist; 404 = scope, 403 = none.

        Raises:
            RequestRefused, TransportError, OutcomeUnknown: If the answer proves neither.
        """
        path = f"/portfolio/events/orders/{uuid4()}"
        answer = self._calls.once(
            "DELETE", path, {"market_ticker": ticker}, None, kind=Kind.WRITE, shard=0, cost=CHEAP_COST
        )
        if answer.status in (403, 404):
            return answer.status == 404
        raise self._calls.error_of(answer)
