"""The whole program on the benchmark's exchange: as ``run`` starts it, its screen of plain lines included."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from base.app.config import load_config
from base.app.loop import TradingApp
from base.clock import SystemClock
from base.ui.lines import PlainLines
from benchmarks.exchange_process import STOP, Address
from benchmarks.measuring import until

ROOT = Path(__file__).resolve().parents[1]


@contextlib.contextmanager
def guarded_app(address: Address, *settings: str) -> Iterator[TradingApp]:
    """Guard the account with the default settings, live, with one stop for every position."""
    logging.disable(logging.ERROR)
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        nowhere = ends.enter_context(open(os.devnull, "w", encoding="utf-8"))
        # The log's lines go to stderr as they do for a user; here nobody reads them.
        ends.enter_context(contextlib.redirect_stderr(nowhere))
        values = [
            *address.settings,
            f'stops.default={{stop: "{STOP}"}}',
            f"paths.data={folder / 'data'}",
            f"paths.logs={folder / 'logs'}",
            *settings,
        ]
        app = ends.enter_context(TradingApp(load_config(ROOT / "config.yaml", values), died=_end))
        screen = PlainLines(app.look, SystemClock(), out=nowhere)
        screen.start()
        ends.callback(screen.stop, 2.0)
        yield app


def _end(thread: str, error: BaseException | None) -> None:
    print(f"the thread {thread} died: {error!r}", file=sys.__stderr__, flush=True)
    os._exit(1)


def wait_armed(app: TradingApp, tickers: Collection[str], timeout_s: float = 30.0) -> None:
    """Wait until every one of ``tickers`` is guarded on a proven feed.

    Raises:
        NotReached: They were not in time.
    """
    wanted = set(tickers)

    def are_armed() -> bool:
        return wanted <= {
            view.key.ticker
            for view in app.view().positions
            if view.state == "ARMED" and view.freshness.is_proven
        }

    until(are_armed, timeout_s)
