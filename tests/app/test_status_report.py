"""What scripts read: fields, formats and when all is well."""

from __future__ import annotations

import json

from base.app.status_report import is_all_well, status_report
from tests.app.views import COVERED, STALE, UNPROTECTED, screen_of

FIELDS = {
    "ticker", "subaccount", "side", "count", "entry", "bid", "executable", "trigger", "distance", "profit",
    "state", "protection", "freshness", "source", "age_ms", "reason",
}  # fmt: skip


def test_status_has_every_field_and_writes_as_json() -> None:
    """One object with the agreed names, nothing else."""
    report = json.loads(
        json.dumps(status_report(screen_of(COVERED, UNPROTECTED, alarms=("journal_failed",))))
    )
    assert set(report) == {
        "environment", "execution", "connected", "halted", "exits_open", "alarms", "positions",
    }  # fmt: skip
    assert [set(position) for position in report["positions"]] == [FIELDS, FIELDS]


def test_numbers_are_strings_of_fixed_length_and_absent_is_null() -> None:
    """Prices have four decimals, counts two; what is not known is null, never 0."""
    first, second = status_report(screen_of(COVERED, UNPROTECTED))["positions"]
    assert (first["count"], first["entry"], first["distance"], first["profit"], first["age_ms"]) == (
        "25.00", "0.5600", "0.2600", "-0.6875", 400,
    )  # fmt: skip
    assert all(
        second[name] is None for name in ("entry", "bid", "executable", "trigger", "distance", "profit")
    )
    assert second["age_ms"] is None
    assert second["source"] is None
    assert second["subaccount"] == 3


def test_freshness_names_its_five_proofs() -> None:
    """Each proof is proven, not_proven or n/a."""
    report = status_report(screen_of(COVERED))["positions"][0]["freshness"]
    assert report == {
        "connection": "proven", "ack": "proven", "sequence": "proven", "lag": "proven", "life": "n/a",
    }  # fmt: skip
    assert STALE.missing == "connection"


def test_all_is_well_only_without_alarm_and_with_every_position_protected() -> None:
    """The exit status of ``status`` follows this."""
    assert is_all_well(status_report(screen_of()))
    assert is_all_well(status_report(screen_of(COVERED)))
    assert not is_all_well(status_report(screen_of(COVERED, UNPROTECTED)))
    assert not is_all_well(status_report(screen_of(COVERED, alarms=("x",))))
