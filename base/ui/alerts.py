"""Tells somebody: alarms go to the first alert channel that takes them, on a thread of its own.

The monitor only leaves an alarm here and goes on; it waits for nothing, and nothing raises into it. What
rings is also looked at twice a second, so an alarm that found no room here is told all the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence

from base.clock import Clock
from base.feed.worker import Worker
from base.risk.messages import AlarmChanged, Line, Message
from base.ui.alarm_words import words_of
from base.ui.bulletins import AlarmBoard, Bulletin, Ring
from base.ui.channels import SEND_S, Channel

LOOK_EVERY_S = 0.5
MOST_WAITING = 200
"""Alarms left for the thread; beyond, the least severe and oldest are only counted."""
REST_S = 60.0
"""A channel that failed is asked last for so long. Seconds."""
LAST_WORDS_S = 1.0
CHANNEL_FAILED, FAILED = "alert_channel_failed", "alerts_failed"
_SHOWN = ("side", "count", "details", "market")
_log = logging.getLogger(__name__)


class Alerts:
    """Sends bulletins until stopped.

    Args:
        channels: In the order in which they are tried.
        clock: Time.
        environment: Named in each message.
        ringing: Names of the alarms that ring now, e.g. ``TICKER:stuck``.
        submit: Told that a channel fails, and that all work again.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        clock: Clock,
        environment: str,
        ringing: Callable[[], Collection[str]],
        submit: Callable[[Message], None],
    ):
        self._channels, self._clock = tuple(channels), clock
        self._ringing, self._submit = ringing, submit
        self._worker = Worker("alerts", self._tick, LOOK_EVERY_S, self._crashed)
        self._lock = threading.Lock()  # the alert inbox
        # Guarded by _lock, filled by any thread, emptied by this one:
        self._inbox: dict[str, Ring] = {}
        self._dropped = 0
        # Owned by the thread:
        self._environment = environment
        self._board = AlarmBoard(environment)
        self._failed_s: dict[str, float] = {}  # channel → when it last failed
        self._has_failed = False  # said, and not yet said to be over
        self._is_broken = False

    def start(self) -> None:
        """Start to send."""
        self._worker.start()

    def hear(self, line: Line) -> None:
        """Take a line of the stop-loss log, from any thread; returns at once."""
        if line.event != "ALARM":
            return
        reason = str(line.fields.get("reason"))
        name = reason if line.key is None else f"{line.key.ticker}:{reason}"
        shown = {"side": line.side, **line.fields}
        details = " ".join(f"{word}={shown[word]}" for word in _SHOWN if shown.get(word) is not None)
        with self._lock:
            times = self._inbox.pop(name).times + 1 if name in self._inbox else 1
            self._inbox[name] = Ring(name, reason, details, times)
            if len(self._inbox) > MOST_WAITING:
                # The dict is in order of arrival, and max finds the first: the oldest of the least severe.
                del self._inbox[max(self._inbox, key=lambda n: words_of(self._inbox[n].reason)[0])]
                self._dropped += 1
        self._worker.wake()

    def stop(self, timeout_s: float, unguarded: int = 0) -> bool:
        """Send what waits and how many positions nobody guards now; ``False``: a message was under way."""
        has_ended = self._worker.stop(timeout_s / 2)
        if has_ended and self._channels:
            now_s = self._clock.boot_s()
            self._take(now_s)
            last = self._board.due(now_s)
            words = [] if last is None else [last.body]
            if unguarded:
                words.insert(0, f"The monitor ended: {unguarded} positions are now UNPROTECTED")
            if words:
                title = f"Stop-loss {self._environment}: ended"
                self._deliver(Bulletin(title, "\n".join(words), ("ended",)), timeout_s / 2)
        return has_ended

    # --- this thread ----------------------------------------------------------------------------

    def _tick(self) -> None:
        try:
            now_s = self._clock.boot_s()
            self._take(now_s)
            self._board.look(self._ringing(), now_s)
            bulletin = self._board.due(now_s)
            if bulletin is not None:
                is_taken = self._deliver(bulletin, SEND_S)
                self._board.sent(bulletin, self._clock.boot_s(), is_taken=is_taken)
            if self._is_broken:
                self._is_broken = False
                self._submit(AlarmChanged(reason=FAILED, is_on=False))
        except Exception as e:
            # Nothing of ours should raise. If it does all the same, the next tick tries anew; its words stay
            # unsaid, for they may hold an address.
            _log.error("alerts_failed why=%s", type(e).__name__)
            self._is_broken = True
            self._submit(AlarmChanged(reason=FAILED, is_on=True, details=type(e).__name__))
            self._worker.pause(LOOK_EVERY_S)

    def _take(self, now_s: float) -> None:
        with self._lock:
            taken, self._inbox = self._inbox, {}
            dropped, self._dropped = self._dropped, 0
        self._board.drop(dropped)
        for ring in taken.values():
            self._board.ring(ring, now_s)

    def _deliver(self, bulletin: Bulletin, timeout_s: float) -> bool:
        """Give ``bulletin`` to the first channel that takes it; whether one did."""
        now_s = self._clock.boot_s()
        self._failed_s = {label: at_s for label, at_s in self._failed_s.items() if now_s - at_s < REST_S}
        failures: list[str] = []
        taken = False
        for channel in self._in_order():
            why = channel.send(bulletin, timeout_s)
            if not why:
                self._failed_s.pop(channel.label, None)
                taken = True
                break
            self._failed_s[channel.label] = self._clock.boot_s()
            failures.append(f"{channel.label}: {why}")
        self._say_failures(failures)
        return taken

    def _in_order(self) -> list[Channel]:
        """As configured; those that failed a moment ago come last, so that they hold nothing up."""
        return sorted(self._channels, key=lambda channel: channel.label in self._failed_s)

    def _say_failures(self, failures: list[str]) -> None:
        """An ALARM line and stderr, as for any alarm; it is told by the channels that work."""
        if failures:
            self._has_failed = True
            self._submit(AlarmChanged(reason=CHANNEL_FAILED, is_on=True, details="; ".join(failures)))
        elif self._has_failed and not self._failed_s:
            self._has_failed = False
            self._submit(AlarmChanged(reason=CHANNEL_FAILED, is_on=False))

    def _crashed(self, name: str, error: BaseException) -> None:
        self._submit(AlarmChanged(reason=FAILED, is_on=True, details=type(error).__name__))
