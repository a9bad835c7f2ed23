"""What has left the live data set: nothing here is old enough, so every list is empty.

See: docs.kalshi.com/getting_started/historical_data, read 2026-11-20.
"""

from __future__ import annotations

from base.simulator.clock import rfc3339
from base.simulator.engine.refusal import Refused
from base.simulator.rest.call import Answer, Call, Handler, ok
from base.simulator.rest.paging import page
from base.simulator.venue import Venue

KEPT_MS = 14 * 86_400_000
CUTOFFS = (
    "market_settled_ts",
    "trades_created_ts",
    "orders_updated_ts",
    "market_positions_last_updated_ts",
)


def get_cutoff(venue: Venue, call: Call) -> Answer:
    """GET /historical/cutoff."""
    return ok(dict.fromkeys(CUTOFFS, rfc3339(call.now_ms - KEPT_MS)))


def empty(*names: str) -> Handler:
    """Return the handler of a list that holds nothing; its parameters are still checked."""

    def answer(venue: Venue, call: Call) -> Answer:
        call.subaccount()
        nothing: list[int] = []
        page(call, nothing, int, lowest_limit=0)
        return ok({**dict.fromkeys(names, nothing), "cursor": ""})

    return answer


def no_market(venue: Venue, call: Call) -> Answer:
    """GET /historical/markets/{ticker} and its candlesticks."""
    raise Refused(404, "market_not_found", "market not found")
