"""The sign of life for an outside service that alarms when it stays away: our end is what we cannot tell.

Sent only while the app is well; a monitor that hangs must not look alive.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TextIO

import requests

from base.errors import ConfigError
from base.feed.worker import Worker
from base.ui.addresses import AddressRefused, check_found, check_written, host_of
from base.ui.channels import silence_libraries

ANSWER_S = 5.0
_log = logging.getLogger(__name__)


class Heartbeat:
    """Asks the address regularly until stopped, on a thread of its own.

    Args:
        url: The address; it may hold a token and is never shown.
        interval_s: Between two signs of life, seconds.
        is_well: Whether the app guards; may take seconds to find out.
        out: Where people read that it fails.

    Raises:
        ConfigError: The address may not be used.
    """

    def __init__(
        self,
        url: str,
        interval_s: float,
        is_well: Callable[[], bool],
        out: TextIO,
        *,
        allow_private: bool,
    ):
        self._url, self._is_well, self._out = url, is_well, out
        self._allow_private = allow_private
        try:
            self._host, self._is_encrypted = host_of(url)
            check_written(self._host, is_encrypted=self._is_encrypted, allow_private=allow_private)
        except AddressRefused as e:
            raise ConfigError("alerts.heartbeat_url", str(e)) from None
        silence_libraries()
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies, .netrc or bundles out of the environment
        self._worker = Worker("heartbeat", self.beat, interval_s, self._crashed)
        self._is_failing = False  # owned by the thread

    def start(self) -> None:
        """Begin at once."""
        self._worker.start()

    def stop(self, timeout_s: float) -> bool:
        """End; ``False``: a request was still under way after ``timeout_s`` seconds."""
        return self._worker.stop(timeout_s)

    def beat(self) -> None:
        """Send one sign of life, if all is well."""
        if not self._is_well() or self._worker.is_stopping:
            return
        why = self._ask()
        if why and not self._is_failing:
            self._say(f"the sign of life is not taken ({why}); it is tried again, this is said once")
        elif not why and self._is_failing:
            self._say("the sign of life is taken again")
        self._is_failing = bool(why)

    def _ask(self) -> str:
        """Ask the address; return what went wrong."""
        try:
            check_found(self._host, is_encrypted=self._is_encrypted, allow_private=self._allow_private)
            with self._session.get(
                self._url, timeout=ANSWER_S, allow_redirects=False, stream=True, verify=True
            ) as answer:  # only the status is read
                return "" if 200 <= answer.status_code < 300 else f"status {answer.status_code}"
        except AddressRefused as e:
            return str(e)
        except (requests.RequestException, OSError, ValueError) as e:
            return type(e).__name__  # its words hold the address

    def _say(self, sentence: str) -> None:
        self._out.write(f"alerts.heartbeat_url: {sentence}\n")
        self._out.flush()

    def _crashed(self, name: str, error: BaseException) -> None:
        _log.error("the %s crashed why=%s", name, type(error).__name__)


def moves_on(look: Callable[[], object], within_s: float, pause: Callable[[float], object]) -> bool:
    """Whether ``look()`` returns another object within ``within_s`` seconds: what replaces it works."""
    seen, step_s = look(), 0.1
    for _ in range(round(within_s / step_s)):
        pause(step_s)
        if look() is not seen:
            return True
    return False
