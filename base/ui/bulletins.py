"""Which alarms are told when: grouped, the worst first, again every minute, and when they are over. Pure.

Owned by the alert thread. Alarms ring in by name; what is ringing is looked at as well, so that nothing
depends on one call that was missed. However many there are, a bulletin fits on one screen.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from base.ui.alarm_words import Severity, words_of
from base.ui.screen import plain

AGAIN_S = 60.0
"""A ringing alarm is told again this often: seen and forgotten is not over. Seconds."""
PACE_S = 3.0
"""Between two bulletins; what rings meanwhile shares the next one. Seconds."""
RETRY_S = 10.0
"""After no channel took a bulletin. Seconds."""
OVER_S = 5.0
"""An alarm is over when it did not ring for so long: one that comes and goes is one alarm. Seconds."""
MOST_LINES = 20
MOST_CHARACTERS = 160
MOST_KEPT = 200
"""Alarms known at a time; beyond, the least severe and oldest are only counted."""


@dataclass(frozen=True, slots=True)
class Ring:
    """One alarm that rang: ``name`` tells it from others, e.g. ``TICKER:stuck``."""

    name: str
    reason: str
    details: str = ""  # of the line, e.g. side and count
    times: int = 1


@dataclass(slots=True)
class Known:
    """What is known of one alarm."""

    ring: Ring
    severity: Severity
    meaning: str
    times: int  # since it was last told
    seen_s: float  # when it last rang or was seen ringing
    told_s: float | None = None


@dataclass(frozen=True, slots=True)
class Bulletin:
    """One message. ``names``: the alarms it tells; ``over``: those it says are over."""

    title: str
    body: str
    names: tuple[str, ...] = ()
    over: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        """Whether anything rings."""
        return bool(self.names)


def order_of(known: Known) -> tuple[int, float]:
    """Sort key: the most severe first, then the newest."""
    return (known.severity, -known.seen_s)


class AlarmBoard:
    """What rings, what was told of it, and when the next bulletin is due."""

    def __init__(self, environment: str):
        self._environment = environment
        self._known: dict[str, Known] = {}
        self._dropped = 0
        self._next_s = float("-inf")

    def ring(self, ring: Ring, now_s: float) -> None:
        """An alarm rang."""
        if (known := self._known.get(ring.name)) is not None:
            known.ring, known.seen_s = ring, now_s
            known.times += ring.times
            return
        severity, meaning = words_of(ring.reason)
        self._known[ring.name] = Known(ring, severity, meaning, ring.times, now_s)
        if len(self._known) > MOST_KEPT:
            del self._known[max(self._known, key=lambda name: order_of(self._known[name]))]
            self._dropped += 1

    def drop(self, count: int) -> None:
        """So many alarms could not even be kept for us."""
        self._dropped += count

    def look(self, ringing: Collection[str], now_s: float) -> None:
        """Compare with what rings now, by name."""
        for name in ringing:
            if (known := self._known.get(name)) is not None:
                known.seen_s = now_s
            elif len(self._known) < MOST_KEPT:
                self.ring(Ring(name, name.rpartition(":")[2]), now_s)

    def due(self, now_s: float) -> Bulletin | None:
        """Return the bulletin that is to be sent now, if one is."""
        if now_s < self._next_s:
            return None
        over = [known for known in self._known.values() if now_s - known.seen_s >= OVER_S]
        rings = [known for known in self._known.values() if now_s - known.seen_s < OVER_S]
        # One whose ringing and end both come into one bulletin rang all the same: it is told once.
        is_due = over or any(k.told_s is None or now_s - k.told_s >= AGAIN_S for k in rings)
        return self._bulletin(sorted(rings, key=order_of), sorted(over, key=order_of)) if is_due else None

    def sent(self, bulletin: Bulletin, now_s: float, *, is_taken: bool) -> None:
        """Note what became of a bulletin. One that nobody took is put together anew and tried again."""
        self._next_s = now_s + (PACE_S if is_taken else RETRY_S)
        if not is_taken:
            return
        self._dropped = 0
        for name in bulletin.names:
            if (known := self._known.get(name)) is not None:
                known.told_s, known.times = now_s, 0
        for name in bulletin.over:
            self._known.pop(name, None)

    def _bulletin(self, rings: list[Known], over: list[Known]) -> Bulletin:
        fresh = [known for known in rings if known.told_s is None]
        still = [known for known in rings if known.told_s is not None]
        groups = ((fresh, "ALARM"), (still, "STILL"), (over, "OVER"))
        lines = [_line(known, word) for group, word in groups for known in group]
        cut = lines[:MOST_LINES]
        if len(lines) > len(cut):
            cut.append(f"and {len(lines) - len(cut)} more: python run.py status")
        if self._dropped:
            cut.append(f"and {self._dropped} that were too many to keep: logs/stop_loss.log has them")
        new = f" ({len(fresh)} new)" if fresh and still else ""
        what = f"{_alarms(len(rings))}{new}" if rings else f"over: {_alarms(len(over))}"
        return Bulletin(
            f"Stop-loss {self._environment}: {what}",
            "\n".join(cut),
            tuple(known.ring.name for known in rings),
            tuple(known.ring.name for known in over),
        )


def _alarms(count: int) -> str:
    return "1 alarm" if count == 1 else f"{count} alarms"


def _line(known: Known, word: str) -> str:
    """One alarm on one line; what outsiders named cannot break it."""
    times = f" ×{known.times}" if known.times > 1 else ""
    parts = [f"{word} {known.ring.name}{times}", known.meaning, known.ring.details]
    return plain(" - ".join(part for part in parts if part))[:MOST_CHARACTERS]
