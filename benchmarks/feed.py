"""Feed: frames a second through decode, price cache and trigger check, stops armed on every market.

The real websocket manager, price cache and stop-loss monitor against websocket-client's own ``recv``
loop that drops every frame, both read from the same sender, in turns, in one run.
"""

from __future__ import annotations

import logging
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import websocket

from benchmarks.flood_process import Flood, Flooded, FloodProcess
from benchmarks.guarded_feed import GuardedFeed
from benchmarks.measuring import is_quick, percentile, report

TICKERS = tuple(f"KXFLOOD-26DEC31-{n:02}" for n in range(50))
FRAMES = {"ticker": 80_000, "delta": 60_000}
TURNS = 4
DEFAULT_SHARE = 5
"""The library as it comes is so slow that a fifth of the frames tells enough."""


def main() -> None:
    """Measure and print."""
    quick = is_quick()
    logging.disable(logging.ERROR)
    figures: dict[str, object] = {}
    sender = FloodProcess()
    try:
        for kind, frames in FRAMES.items():
            flood = Flood(kind=kind, tickers=TICKERS, frames=2_000 if quick else frames)
            figures |= _compare(sender, flood, 1 if quick else TURNS)
    finally:
        sender.close()
    report("feed", markets_held=len(TICKERS), **figures)


def _compare(sender: FloodProcess, flood: Flood, turns: int) -> dict[str, object]:
    """Let each read in turn, so that a busy moment of the machine meets all of them."""
    readers: dict[str, Callable[[FloodProcess, Flood], Flooded]] = {
        "ours": _guarded,
        "bare_unchecked": lambda sender, flood: _bare(sender, flood, skip_utf8_validation=True),
        "bare_default": lambda sender, flood: _bare(sender, flood, skip_utf8_validation=False),
    }
    found: dict[str, list[Flooded]] = {name: [] for name in readers}
    for _ in range(turns):
        for name, read in readers.items():
            found[name].append(read(sender, flood))
    rates = {name: percentile([r.frames_per_s for r in runs], 50) for name, runs in found.items()}
    busiest = max(run.sender_busy_share for runs in found.values() for run in runs)
    kind = flood.kind
    return {
        f"{kind}_frames_per_s": round(rates["ours"]),
        f"{kind}_bare_recv_frames_per_s": round(rates["bare_unchecked"]),
        f"{kind}_bare_recv_default_frames_per_s": round(rates["bare_default"]),
        f"{kind}_ratio": round(rates["ours"] / rates["bare_unchecked"], 2),
        f"{kind}_ratio_to_default": round(rates["ours"] / rates["bare_default"], 2),
        f"{kind}_sender_busy_share": round(busiest, 2),
    }


def _bare(sender: FloodProcess, flood: Flood, *, skip_utf8_validation: bool) -> Flooded:
    """websocket-client as it is. Its own check of UTF-8, in Python, is on unless told otherwise."""
    flood = flood if skip_utf8_validation else replace(flood, frames=flood.frames // DEFAULT_SHARE)
    sender.expect(flood)
    feed = websocket.create_connection(sender.url, skip_utf8_validation=skip_utf8_validation, timeout=30)

    def drop_all() -> None:
        try:
            while True:
                feed.recv()
        except (websocket.WebSocketException, OSError):
            return

    reader = threading.Thread(target=drop_all, daemon=True)
    reader.start()
    time.sleep(0.1)
    sender.go()
    found = sender.result()
    feed.sock.shutdown(socket.SHUT_RDWR)  # ends the recv under way; closing alone would not
    reader.join(5.0)
    feed.shutdown()
    return found


def _guarded(sender: FloodProcess, flood: Flood) -> Flooded:
    sender.expect(flood)
    with (
        tempfile.TemporaryDirectory() as folder,
        GuardedFeed(sender.url, flood.tickers, Path(folder)) as feed,
    ):
        feed.wait_armed()
        sender.go()
        found = sender.result()
        feed.check(flood.frames)
    return found


if __name__ == "__main__":
    main()
