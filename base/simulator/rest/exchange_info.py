"""The exchange itself: status, schedule, data timestamp, account limits."""

from __future__ import annotations

from base.simulator.clock import rfc3339
from base.simulator.engine.pauses import next_resume_ms
from base.simulator.engine.state import Shard
from base.simulator.rate_limits import Bucket
from base.simulator.rest.call import Answer, Call, ok
from base.simulator.rest.shapes import Json
from base.simulator.venue import Venue

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def get_status(venue: Venue, call: Call) -> Answer:
    """GET /exchange/status. The top-level flags are those of shard 0."""
    shards = venue.exchange.state.shards
    listed = [{"exchange_index": i, **_shard_json(shard)} for i, shard in sorted(shards.items())]
    first = shards[0]
    return ok(
        {
            "exchange_active": first.is_running,
            "trading_active": first.is_trading,
            "intra_exchange_transfers_active": first.is_running,
            "exchange_estimated_resume_time": _resume_time(venue, call.now_ms),
            "exchange_index_statuses": listed,
        }
    )


def _resume_time(venue: Venue, now_ms: int) -> str | None:
    """Return when a pause that the clock decides will end; None when there is none."""
    state = venue.exchange.state
    ends = [end for start, end in state.maintenance if start <= now_ms < end]
    if state.shards[0].in_weekly_pause:
        ends.append(next_resume_ms(now_ms))
    return rfc3339(max(ends)) if ends else None


def _shard_json(shard: Shard) -> Json:
    return {
        "description": shard.description,
        "exchange_active": shard.is_running,
        "trading_active": shard.is_trading,
        "intra_exchange_transfers_active": shard.is_running,
    }


def get_schedule(venue: Venue, call: Call) -> Answer:
    """GET /exchange/schedule. Closed on Thursdays from 03:00 to 05:00 ET."""
    hours: Json = {day: [{"open_time": "00:00", "close_time": "00:00"}] for day in _WEEKDAYS}
    hours["thursday"] = [
        {"open_time": "00:00", "close_time": "03:00"},
        {"open_time": "05:00", "close_time": "00:00"},
    ]
    year_ms = 365 * 86_400_000
    hours["start_time"] = rfc3339(call.now_ms - year_ms)
    hours["end_time"] = rfc3339(call.now_ms + year_ms)
    windows = [
        {"start_datetime": rfc3339(start), "end_datetime": rfc3339(end)}
        for start, end in venue.exchange.state.maintenance
        if end > call.now_ms
    ]
    return ok({"schedule": {"standard_hours": [hours], "maintenance_windows": windows}})


def get_user_data_timestamp(venue: Venue, call: Call) -> Answer:
    """GET /exchange/user_data_timestamp."""
    ahead_ms = round(venue.semantics.timestamp_ahead_s * 1000)
    as_of_ms = min(venue.reads.as_of_ms(call.now_ms) + ahead_ms, call.now_ms)
    return ok({"as_of_time": rfc3339(as_of_ms)})


def get_limits(venue: Venue, call: Call) -> Answer:
    """GET /account/limits."""
    budget = venue.budget(call.account_id)
    return ok(
        {
            "usage_tier": budget.tier.name,
            "read": _bucket_json(budget.read),
            "write": _bucket_json(budget.write),
            "grants": [],
        }
    )


def _bucket_json(bucket: Bucket) -> Json:
    return {"refill_rate": bucket.rate, "bucket_capacity": bucket.capacity}
