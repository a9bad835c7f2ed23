"""Reading lists page by page, without trusting the cursor. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol, TypeVar

from base.errors import WireError

MOST_PAGES = 1000


class Paged(Protocol):
    """An answer with a cursor to the next page; empty on the last one."""

    cursor: str | None


P = TypeVar("P", bound=Paged)
R = TypeVar("R")


def each_page(read: Callable[[Mapping[str, str]], P], rows_of: Callable[[P], list[R]]) -> list[R]:
    """Return the rows of all pages.

    Raises:
        WireError: If a cursor comes twice or there is no end: the exchange accepts garbage cursors
            with 200, so a loop is only seen here. What was read so far is worth nothing then.
    """
    rows: list[R] = []
    seen: set[str] = set()
    more: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        page = read(more)
        rows += rows_of(page)
        if not page.cursor:
            return rows
        if page.cursor in seen:
            raise WireError("cursor", "the same page again")
        seen.add(page.cursor)
        more = {"cursor": page.cursor}
    raise WireError("cursor", f"more than {MOST_PAGES} pages")


def in_batches(tickers: Collection[str], size: int) -> Iterator[list[str]]:
    """Yield the distinct tickers, sorted, at most ``size`` at a time."""
    distinct = sorted(set(tickers))
    for at in range(0, len(distinct), size):
        yield distinct[at : at + size]
