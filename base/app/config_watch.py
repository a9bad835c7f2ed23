"""config.yaml read again while the monitor runs: a good file is taken over, a bad one changes nothing.

Of a good file only what can honestly change while it runs is applied; the rest is told to need a restart.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from base.app.config import Config, check_config, read_text
from base.app.effective import Value, applies_while_running, flat, redacted
from base.app.show_settings import value_text
from base.app.stderr import CurrentStderr
from base.app.yaml_text import read_yaml
from base.errors import ConfigError
from base.feed.worker import Worker
from base.risk.messages import AlarmChanged

LOOK_EVERY_S = 1.0
REFUSED, DIED = "config_refused", "config_watch_died"
_ABSENT = "left out"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """Where the settings come from: the file, and what ``--set`` puts over it."""

    path: Path
    overrides: tuple[str, ...] = ()

    def check(self, text: str) -> Config:
        """Turn ``text`` into settings.

        Raises:
            ConfigError: Every mistake in it.
        """
        return check_config(read_yaml(text, self.path.name), self.overrides)


class ConfigWatch:
    """A thread that looks at the file once a second, and at once when told to.

    A file that has just changed may be half written, and half a file may be valid: it is judged when two
    looks in a row find the same, or when a person says so.

    Args:
        file: The file.
        running: The settings that hold now.
        apply: Takes over settings that differ only in what may change; called on this thread.
        ring: Told that the file was refused, and that it is good again.
        out: Where people read what became of a change.
    """

    def __init__(
        self,
        file: ConfigFile,
        running: Config,
        apply: Callable[[Config], None],
        ring: Callable[[AlarmChanged], None],
        out: TextIO | None = None,
    ):
        self._file, self._running = file, running
        self._apply, self._ring = apply, ring
        self._out = out or cast(TextIO, CurrentStderr())
        self._told = threading.Event()
        self._worker = Worker("config watch", self.look, LOOK_EVERY_S, self._crashed)
        # Owned by the thread: what the last look found, and what was judged last.
        self._seen: str | None = None
        self._judged: str | None = None

    def start(self) -> None:
        """Start looking."""
        self._worker.start()

    def stop(self, timeout_s: float) -> bool:
        """End; ``False``: it was still busy after ``timeout_s`` seconds."""
        return self._worker.stop(timeout_s)

    def tell(self) -> None:
        """A person says that the file is complete: judge it now, even if nothing changed in it."""
        self._told.set()
        self._worker.wake()

    def look(self) -> None:
        """Read the file once; judge it when it changed and stands still."""
        is_told = self._told.is_set()
        self._told.clear()
        text, mistake = self._read()
        found = mistake if text is None else text
        is_standing = found == self._seen
        self._seen = found
        if not is_told and (not is_standing or found == self._judged):
            return
        self._judged = found
        if text is None:
            self._refuse(mistake)
            return
        try:
            new = self._check(text)
        except ConfigError as e:
            self._refuse(str(e))
        else:
            self._take(new, is_told)

    def _check(self, text: str) -> Config:
        new = self._file.check(text)
        # An editor that died or a full disk leaves this behind, and it would mean the default stop for all.
        if not text.strip() and changed_settings(self._running, new):
            raise ConfigError("", "the file is empty: a stop is never loosened by that")
        return new

    def _read(self) -> tuple[str | None, str]:
        try:
            return read_text(self._file.path), ""
        except ConfigError as e:
            return None, str(e)

    def _refuse(self, mistakes: str) -> None:
        for mistake in mistakes.splitlines():
            self._say(mistake)
        self._say("refused, so the settings read before stay in force")
        self._ring(AlarmChanged(reason=REFUSED, is_on=True, details=mistakes.partition(":")[0]))

    def _take(self, new: Config, is_told: bool) -> None:
        self._ring(AlarmChanged(reason=REFUSED, is_on=False))
        changes = changed_settings(self._running, new)
        for path, before, after in changes:
            self._say(f"{path}: {_shown(path, before)} → {_shown(path, after)}, {_what_happens(path)}")
        if is_told and not changes:
            self._say("read again, nothing changed")
        if is_told or new.stops != self._running.stops:
            self._running = self._running.model_copy(update={"stops": new.stops})
            self._apply(self._running)

    def _say(self, sentence: str) -> None:
        _log.debug("config_watch %s", sentence)
        self._out.write(f"{self._file.path.name}: {sentence}\n")
        self._out.flush()

    def _crashed(self, name: str, error: BaseException) -> None:
        """Nobody looks any more: no reason to end a guard, but a person must know."""
        _log.error("the %s crashed", name, exc_info=error)
        self._ring(AlarmChanged(reason=DIED, is_on=True, details=type(error).__name__))


def changed_settings(old: Config, new: Config) -> list[tuple[str, Value, Value]]:
    """Return ``(path, before, after)`` of every setting that differs, in the order of the file."""
    before, after = flat(old), flat(new)
    paths = [*after, *(path for path in before if path not in after)]
    return [
        (path, before.get(path, _ABSENT), after.get(path, _ABSENT))
        for path in paths
        if before.get(path, _ABSENT) != after.get(path, _ABSENT)
    ]


def _shown(path: str, value: Value) -> str:
    return value_text(redacted(path, value)) if value != _ABSENT else _ABSENT


def _what_happens(path: str) -> str:
    if not applies_while_running(path):
        return "needs a restart"
    if path.startswith(("stops.default", "stops.rules")):
        return "taken over by each position once it was seen safe"
    return "holds from now on; an exit under way keeps what it began with"
