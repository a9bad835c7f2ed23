"""``explain``: why a holding stands as it stands, and what it waits for. It reads, and changes nothing."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from base.app.account_settings import account_settings
from base.app.cli import DONE, NOT_SO, Common
from base.app.control import NotRunning, ask
from base.app.explained_report import lines_of
from base.app.journal_story import moves_of, story
from base.app.show import account_folder, why_silent
from base.clock import Clock, SystemClock, utc_text
from base.errors import ConfigError
from base.model import Key
from base.ui.screen import plain


def explain(common: Common, ticker: str, subaccount: int | None, at: str | None, *, as_json: bool) -> int:
    """Tell what is known now, or was at ``at``; without a process, what the journal knows."""
    config = account_settings(common.config, common.overrides).config
    folder = account_folder(config)
    journal = folder.journal_of(is_live=config.is_live)
    status = DONE
    if at is not None:
        report = story(journal, ticker, subaccount, moment_ms(at, SystemClock()))
    else:
        try:
            found = ask(folder, "explain", {"ticker": ticker, "subaccount": subaccount})
            report = story(journal, ticker, subaccount, None) if found is None else _live(found, journal)
        except NotRunning as e:
            print(f"{why_silent(folder, e)}: this is what the journal knows", file=sys.stderr)
            report, status = story(journal, ticker, subaccount, None), NOT_SO
    print(json.dumps(report) if as_json else "\n".join(plain(line) for line in lines_of(report)))
    return status


def _live(found: dict[str, Any], journal: Path) -> dict[str, Any]:
    key = Key(found["subaccount"], found["ticker"])
    now = utc_text(SystemClock().utc_ms())
    return {**found, "as_of": now, "transitions": moves_of(journal, key), "not_known": []}


def moment_ms(typed: str, clock: Clock) -> int:
    """Read a time: ``2026-11-20T14:03:07Z``, or ``14:03:07`` of today; UTC where no offset is written.

    Raises:
        ConfigError: It is no time, or one that is still to come.
    """
    text = typed if len(typed) > len("14:03:07.123Z") else f"{utc_text(clock.utc_ms())[:10]}T{typed}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        example = "2026-11-20T14:03:07Z, or 14:03:07 for today"
        raise ConfigError("--at", f"{typed!a:.40} is no time; write {example}") from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    at_ms, now_ms = int(moment.timestamp() * 1000), clock.utc_ms()
    if at_ms > now_ms:
        raise ConfigError("--at", f"that is later than now (UTC {utc_text(now_ms)})")
    return at_ms
