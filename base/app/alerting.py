"""Plugs the alerts in: channels and sign of life out of the settings, alarms out of the monitor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TextIO, cast

from base.app.config import Config
from base.app.stderr import CurrentStderr
from base.app.stopping import Stops
from base.app.wiring import Parts
from base.clock import Clock
from base.ui.alerts import LAST_WORDS_S, Alerts
from base.ui.channels import open_channels
from base.ui.heartbeat import Heartbeat, moves_on

BEAT_STOP_S = 0.3
SWEPT_WITHIN_S = 3.0
"""The monitor makes its view anew twice a second; one that stays the same this long stands. Seconds."""


class Alerting:
    """What the settings say of alerts, checked before anything is started.

    Raises:
        ConfigError: A channel or the heartbeat's address may not be used.
    """

    def __init__(self, config: Config, clock: Clock):
        alerts = config.alerts
        self._environment, self._clock = config.exchange.environment, clock
        self._channels = open_channels(alerts.urls, allow_private=alerts.allow_private) if alerts.urls else []
        self._heartbeat: Heartbeat | None = None
        self._parts: Parts | None = None  # once positions are guarded, with
        self._missing_part: Callable[[], str | None] = lambda: None
        if alerts.heartbeat_url:
            self._heartbeat = Heartbeat(
                alerts.heartbeat_url,
                alerts.heartbeat_interval_s,
                self._is_well,
                cast(TextIO, CurrentStderr()),
                allow_private=alerts.allow_private,
            )

    def start(self, parts: Parts, stops: Stops, unguarded: Callable[[], int]) -> None:
        """Send alarms from now on. Ended after the monitor: its last words are sent, too.

        ``unguarded``: how many positions nobody guards once all has ended.
        """
        if not self._channels:
            return
        sender = Alerts(
            self._channels,
            self._clock,
            self._environment,
            lambda: parts.monitor.view().alarms,
            parts.submit,
        )
        parts.events.tell(sender.hear)
        stops.add("alerts", lambda left_s: sender.stop(left_s, unguarded()), longest_s=LAST_WORDS_S)
        sender.start()

    def start_heartbeat(self, parts: Parts, stops: Stops, missing_part: Callable[[], str | None]) -> None:
        """Give signs of life: positions are guarded from now on. ``missing_part``: what does not run."""
        if self._heartbeat is not None:
            self._parts, self._missing_part = parts, missing_part
            stops.add("heartbeat", self._heartbeat.stop, longest_s=BEAT_STOP_S)
            self._heartbeat.start()

    def _is_well(self) -> bool:
        """Whether everything runs and the monitor goes round."""
        if self._parts is None or self._missing_part() is not None:
            return False
        return moves_on(self._parts.monitor.view, SWEPT_WITHIN_S, threading.Event().wait)
