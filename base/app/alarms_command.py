"""``alarms test``: a message through every channel, and what became of it."""

from __future__ import annotations

import json
import sys

from base.app.cli import DONE, NOT_SO, WRONG, Common
from base.app.config import load_config
from base.ui.bulletins import Bulletin
from base.ui.channels import SEND_S, open_channels

TEST = Bulletin(
    title="Stop-loss: this is a test",
    body="A test of this alert channel, asked for by a person. Nothing is wrong.",
)


def test_channels(common: Common, *, as_json: bool) -> int:
    """Send a test through each, all at once; exit status 1 if one did not take it, 2 if there is none.

    Raises:
        ConfigError: Wrong settings, or an address that is no channel.
    """
    alerts = load_config(common.config, common.overrides).alerts
    if not alerts.urls:
        print("alerts.urls: names no channel, so nobody is told of an alarm", file=sys.stderr)
        return WRONG
    channels = open_channels(alerts.urls, allow_private=alerts.allow_private)
    attempts = [(channel.label, channel.start(TEST)) for channel in channels]
    is_well = True
    for label, attempt in attempts:
        attempt.done.wait(SEND_S)
        why = attempt.why
        is_well = is_well and not why
        if as_json:
            print(json.dumps({"channel": label, "ok": not why, "why": why or None}), flush=True)
        else:
            print(f"{label}: {f'FAILED, {why}' if why else 'taken'}", flush=True)
    return DONE if is_well else NOT_SO
