"""Pages of a list whose items carry growing numbers, newest first.

The cursor names the last item shown, so new items neither repeat nor hide old ones. A garbage
cursor is silently the first page, as on the real exchange.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import TypeVar

from base.simulator.rest.call import Call

T = TypeVar("T")
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


def page(
    call: Call,
    items: Iterable[T],
    number: Callable[[T], int],
    *,
    lowest_limit: int = 1,
    highest_limit: int = MAX_LIMIT,
    default_limit: int = DEFAULT_LIMIT,
) -> tuple[list[T], str]:
    """Return (items of this page, cursor of the next or ``""``). Raises: BadQuery."""
    asked = call.integer("limit", lowest_limit, highest_limit)
    limit = asked or default_limit
    before = _read_cursor(call.text("cursor"))
    ordered = sorted(items, key=number, reverse=True)
    rest = [item for item in ordered if before is None or number(item) < before]
    shown = rest[:limit]
    return shown, _cursor(number(shown[-1])) if len(rest) > limit else ""


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(f"n:{number}".encode()).decode()


def _read_cursor(cursor: str | None) -> int | None:
    try:
        text = base64.urlsafe_b64decode(cursor or "").decode()
        return int(text.removeprefix("n:")) if text.startswith("n:") else None
    except (binascii.Error, ValueError):
        return None
