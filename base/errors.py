"""One tree of errors. Each class says what the program does about it."""

from __future__ import annotations


class MonitorError(Exception):
    """Root of everything this program raises on purpose."""


class ConfigError(MonitorError):
    """A person must act: a setting, a key file, a command line.

    Args:
        where: Path of the setting, file or line that is wrong, e.g. ``stops.default.stop``.
        what: What is wrong and what to do about it, one sentence.
    """

    def __init__(self, where: str, what: str):
        super().__init__(where, what)
        self.where = where
        self.what = what

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class WireError(MonitorError):
    """The other side broke the format; what it sent is refused whole, never patched up.

    Args:
        field: The field or message that was wrong.
        value: What stood there, cut to a readable length.
    """

    def __init__(self, field: str, value: object):
        super().__init__(field, value)
        self.field = field
        self.value = value

    def __str__(self) -> str:
        return f"{self.field} cannot be {ascii(self.value)[:80]}"


class RequestRefused(MonitorError):
    """The exchange said no. Nothing happened there.

    Args:
        status: HTTP status.
        code: The exchange's own word, e.g. ``invalid_price``; empty when it gave none.
        details: Its explanation, may be empty.
    """

    def __init__(self, status: int, code: str, details: str = ""):
        super().__init__(status, code, details)
        self.status = status
        self.code = code
        self.details = details

    def __str__(self) -> str:
        said = " ".join(part for part in (self.code, self.details) if part)
        return f"the exchange refused ({self.status}{': ' + said if said else ''})"


class OutcomeUnknown(MonitorError):
    """Bytes left us and no readable answer came back: we cannot tell what the exchange did."""


class TransportError(MonitorError):
    """No connection: nothing was sent, so nothing happened."""


class IllegalTransition(MonitorError):
    """An event met a state that the table does not list for it. Our own mistake."""
