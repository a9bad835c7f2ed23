"""What Kalshi does not document, as explicit choices.

Every field is one open question of the exchange. The defaults are the likeliest answers;
a fault simulation draws others, and a client has to be right under all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantics:
    """One possible exchange. Durations in seconds, sizes in bytes."""

    # Orders
    dedupe: Literal["forever", "open_only"] = "forever"
    repeat_answer: Literal[409, 201] = 409  # 201: the first order is returned once more
    reduce_only: Literal["honoured", "ignored"] = "honoured"
    reduce_only_excess: Literal["capped", "rejected"] = "capped"
    reduce_only_nothing: Literal["cancelled", "rejected"] = "cancelled"
    reduce_only_counts_resting: bool = False
    ioc_remaining_is_zero: bool = True  # False: the answer shows what was not filled
    ioc_while_paused: Literal["refused", "cancelled"] = "refused"
    maker_prevention: Literal["cancel_resting", "cancel_incoming"] = "cancel_resting"
    closed_market_status: int = 409
    closed_market_code: str = "MARKET_INACTIVE"
    cancel_while_inactive: bool = True
    cancel_all_tail_s: float = 60.0  # "may also be cancelled during the minute after": all are
    cancel_all_tail_hits_ioc: bool = False
    group_trigger: Literal["hit", "exceeded"] = "hit"  # openapi.yaml says hit, the guide exceeded

    # Clock and calendar
    weekly_pause: bool = False  # Thursday 03:00-05:00 New York; False lets tests and plays run then
    weekly_pause_drops_sockets: bool = True  # "expect disconnects"; with close code 1001
    settlement_timer_s: float | None = None  # from determined to finalized; None: by hand only

    # Location attestation that has lapsed: is trading of these categories refused?
    attestation: Literal["shown", "enforced"] = "shown"
    attested_categories: tuple[str, ...] = ("Sports", "Elections", "Entertainment")
    attestation_status: int = 403
    attestation_code: str = "location_attestation_required"

    # Cash
    netted_close: Literal["needs_cash", "allowed"] = "needs_cash"  # closing a leg of a netted set
    shard_transfer_s: float = 0.0  # between shards: "processed asynchronously" [spec]

    # Reads
    read_lag_s: float = 0.2  # orders, fills, balance
    position_lag_s: float | None = None  # None: as the other reads
    timestamp_ahead_s: float = 0.0  # how far as_of_time claims more than reads hold
    historical_after_s: float = 14 * 86_400.0  # what is settled or done for longer is under /historical
    book_order: Literal["ascending", "descending"] = "ascending"
    empty_book: Literal["arrays", "absent"] = "arrays"

    # Signature
    skew_window_s: float = 10.0
    # Documented: as long as the digest. Some published clients sign with the longest possible salt.
    pss_salt: Literal["any", "digest"] = "any"

    # Market end
    close_clear_s: float = 1.0  # after close_time: the empty ticker and the empty snapshot

    # WebSocket
    ping_interval_s: float = 10.0
    pong_deadline_s: float = 30.0
    delete_last_market: Literal["keep_empty", "all"] = "keep_empty"
    duplicate_subscribe_snapshot: bool = False
    unknown_ticker_snapshot: bool = True
    markets_per_subscription: int = 500_000
    commands_per_s: int = 10_000
    seq_on_unsequenced: bool = False
    empty_side_price: Literal["sentinel", "blank"] = "sentinel"
    ok_after_get_snapshot: bool = False
    get_snapshot_consumes_seq: bool = True
    shuffle_replies: bool = True
    shuffle_window_s: float = 0.001
    use_yes_price_default: bool = False
    slow_consumer_bytes: int = 8 * 1024 * 1024


STRICT = Semantics(
    weekly_pause=True,
    settlement_timer_s=60.0,
    attestation="enforced",
    shard_transfer_s=1.0,
    pss_salt="digest",
)
"""All that is documented, also where it makes a play wait: for a rehearsal rather than a test."""
