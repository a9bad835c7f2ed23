"""The feed's counts in the words of whoever uses the client. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from base.feed.freshness import ConnectionFacts
from base.kalshi.latency import summary_ms


def stats_of(feed: Mapping[str, object], connection: ConnectionFacts, now_s: float) -> dict[str, object]:
    """Return connection, counts and latency; ``feed`` is what the websocket manager counted."""
    heard_s = connection.heard_s
    return {
        "connected": connection.is_connected,
        "messages": feed["frames"],
        "reconnects": max(0, cast(int, feed["connects"]) - 1),
        "gaps": feed["gaps"],
        "last_message_age_s": None if heard_s is None else max(0.0, now_s - heard_s),
        "latency_ms": summary_ms(cast(list[float], feed["latencies_s"])),
        "refused": feed["refused"],
        "refused_by_reason": feed["refused_by_reason"],
        "last_error": feed["last_error"],
    }
