"""Counts of the feed. One thread writes; others may read them at any time."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class FeedStats:
    """Everything counted since the start, over all connections."""

    frames: int = 0
    decoded: int = 0
    unknown_type: int = 0
    refused: int = 0
    refused_by_reason: dict[str, int] = field(default_factory=dict)
    unwanted: int = 0  # data of a market or subscription that we did not ask for
    book_updates: int = 0
    gaps: int = 0
    duplicates: int = 0
    resyncs: int = 0
    below_zero: int = 0
    crossed: int = 0
    probes: int = 0
    probe_mismatches: int = 0
    ticker_disagreements: int = 0
    callback_errors: int = 0
    connects: int = 0
    connection_errors: int = 0
    last_error: str = ""

    def refuse(self, reason: str) -> None:
        """Count a frame that was not understood; reasons are few, but somebody else writes them."""
        self.refused += 1
        if len(self.refused_by_reason) < 100 or reason in self.refused_by_reason:
            self.refused_by_reason[reason] = self.refused_by_reason.get(reason, 0) + 1

    def copy(self) -> dict[str, object]:
        """The counts now."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        found["refused_by_reason"] = dict(self.refused_by_reason)
        return found
