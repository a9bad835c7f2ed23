"""A request and its answer, free of any server library; reading query parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from base.simulator.decoding import UNREADABLE
from base.simulator.engine.refusal import Refused
from base.simulator.keys import ApiKey
from base.simulator.venue import MEMBER, Venue

T = TypeVar("T")
MAX_SUBACCOUNT = 63


class BadQuery(Exception):
    """A query parameter is malformed; answered as ``{"msg": …}``."""


class BadBody(Exception):
    """The body cannot be decoded; answered in the flat error shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. ``now_ms`` is the exchange's time when it was taken up."""

    method: str
    path: str
    params: dict[str, str]
    query: dict[str, list[str]]
    body: bytes
    now_ms: int
    key: ApiKey | None = None

    @property
    def account_id(self) -> str:
        """Return the member's account."""
        return self.key.account_id if self.key else MEMBER

    def text(self, name: str) -> str | None:
        """Return the first value of a query parameter; empty counts as absent."""
        values = self.query.get(name)
        return values[0] if values and values[0] else None

    def texts(self, name: str) -> list[str]:
        """Return a list given comma-separated, repeated, or both."""
        return [part for value in self.query.get(name, []) for part in value.split(",") if part]

    def integer(self, name: str, low: int = -(2**62), high: int = 2**62) -> int | None:
        """Return an integer parameter. Raises: BadQuery."""
        raw = self.text(name)
        if raw is None:
            return None
        try:
            value = int(raw)
        except ValueError:
            raise BadQuery(f"invalid value for {name}: must be an integer") from None
        if not low <= value <= high:
            raise BadQuery(f"invalid value for {name}: must be between {low} and {high}")
        return value

    def flag(self, name: str) -> bool | None:
        """Return a boolean parameter. Raises: BadQuery."""
        raw = self.text(name)
        if raw is None:
            return None
        if raw not in ("true", "false"):
            raise BadQuery(f"invalid value for {name}: must be true or false")
        return raw == "true"

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """Return a parameter that has one of a few values. Raises: BadQuery."""
        raw = self.text(name)
        if raw is not None and raw not in allowed:
            raise BadQuery(f"invalid value for {name}: must be one of {', '.join(allowed)}")
        return raw

    def subaccount(self) -> int | None:
        """Return the sub-account asked for; a locked key has only its own. Raises: Refused(403)."""
        asked = self.integer("subaccount", 0, MAX_SUBACCOUNT)
        if self.locked is None:
            return asked
        if asked is not None:
            self.check_subaccount(asked)
        return self.locked

    @property
    def locked(self) -> int | None:
        """Return the one sub-account that the key is restricted to; None when it is not."""
        return self.key.subaccount if self.key else None

    def meant(self, subaccount: int | None) -> int:
        """Return the sub-account that a body means: as named, else the key's own one, else 0.

        Raises: Refused.
        """
        if subaccount is None:
            return self.locked or 0
        self.check_subaccount(subaccount)
        return subaccount

    def check_subaccount(self, subaccount: int) -> None:
        """Raise Refused unless the key may act for this sub-account."""
        if not 0 <= subaccount <= MAX_SUBACCOUNT:
            raise Refused(400, "invalid_parameters", "invalid parameters", "subaccount")
        if self.locked not in (None, subaccount):
            raise Refused(403, "forbidden", "key is restricted to another subaccount")

    def decode(self, shape: type[T]) -> T:
        """Decode the body. Raises: BadBody."""
        try:
            return msgspec.json.decode(self.body or b"{}", type=shape)
        except UNREADABLE as problem:
            raise BadBody(str(problem)) from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back. ``body`` None sends no content."""

    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Venue, Call], Answer]


def ok(body: object) -> Answer:
    """Return a 200."""
    return Answer(200, body)
