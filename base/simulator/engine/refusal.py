"""How the exchange says no."""

from __future__ import annotations


class Refused(Exception):
    """The exchange did not do what it was asked. Nothing happened unless the code says so.

    ``status`` is the HTTP status, ``code`` what clients key their reaction on.
    """

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(f"{status} {code}: {message} {details}".strip())
        self.status = status
        self.code = code
        self.message = message
        self.details = details


def not_found(what: str = "not found") -> Refused:
    """Return the one 404 that covers unknown, finished and wrong shard."""
    return Refused(404, "not_found", what)


def bad_order(details: str) -> Refused:
    """Return the 400 for a combination of order fields that is not allowed."""
    return Refused(400, "invalid_order", "invalid order", details)
