"""What a visit of a published client to the exchange is: where it goes, and what it saw there."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

HELD = "KXDEMO-26DEC31-STILL"  # 25 YES of the play ``calm``
PATIENCE_S = 20.0
FEED = {"ticker", "orderbook_snapshot", "fill"}  # what a visitor waits for

# One contract, at any price.
SALE = {
    "ticker": HELD,
    "side": "ask",
    "count": "1.00",
    "price": "0.0100",
    "time_in_force": "immediate_or_cancel",
    "self_trade_prevention_type": "maker",
    "reduce_only": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The first line that ``simulate`` prints."""

    rest_url: str
    websocket_url: str
    key_id: str
    private_key_path: str

    @property
    def rest_origin(self) -> str:
        """Return the address without the path, for clients that add it themselves."""
        return self.rest_url.removesuffix("/trade-api/v2")

    @property
    def websocket_origin(self) -> str:
        """Return the address without the path."""
        return self.websocket_url.removesuffix("/trade-api/ws/v2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the client reported. ``frames``: types of messages; None if it has no feed."""

    markets: list[str]
    position: str  # contracts held of ``HELD``
    sold: str  # contracts
    frames: list[str] | None


def report(visit: Callable[[Exchange], Seen | Awaitable[Seen]]) -> None:
    """Carry out the visit to the exchange named on the command line; print what was seen."""

    async def seen() -> Seen:
        outcome = visit(Exchange(**json.loads(sys.argv[1])))
        return outcome if isinstance(outcome, Seen) else await outcome

    print(json.dumps(asdict(asyncio.run(seen()))))


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds. Raises: TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)
