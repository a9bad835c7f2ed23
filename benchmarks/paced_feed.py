"""A feed that keeps a given pace whatever its reader does, from a process of its own.

Half of its frames are deltas of held books, half tickers of watched markets. What is late is sent late,
never left out, and every time stamp is that at which the frame was due: a reader that falls behind shows it.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.flood_process import DELTA, LEVELS, OTHER_SID, SIDS, TICKER, Talk, framed

SLICE_S = 0.005
SIZE = 1000
"""Contracts at each level in the beginning."""
BEST_CENTS, ASK_CENTS, TOUCHED_CENTS = 44, 46, 40
ALIVE_S = 0.5
"""Before and after the flood a market is heard of so often: none needs to be asked for."""
MARKS = 2000
"""Marks show as many different sizes, in turn: ten seconds of them."""
NO_MARK = 9_999_999
"""Contracts in a ticker that is no mark."""
NS_PER_S = 1_000_000_000
_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was sent. Marks are due times, monotonic ns: the n-th shows n % MARKS + 1 contracts."""

    frames: int
    seconds: float
    marks_ns: Sequence[int]
    most_behind_s: float  # the sender waited so long for its reader, or for the machine


class PacedFeed:
    """The handle on the process; it takes one connection."""

    def __init__(self, held: Sequence[str], watched: Sequence[str]):
        self._pipe, theirs = _spawn.Pipe()
        arguments = (theirs, tuple(held), tuple(watched))
        self._process = _spawn.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self.url = f"ws://127.0.0.1:{self._pipe.recv()}/trade-api/ws/v2"

    def begin(self, frames_per_s: int) -> None:
        """Flood from now on."""
        self._pipe.send(("begin", frames_per_s))

    def touch(self, ticker: str) -> int:
        """Let the bid of ``ticker`` fall to 0.40; return when those frames left, monotonic ns."""
        self._pipe.send(("touch", ticker))
        return int(self._pipe.recv())

    def end(self) -> Sent:
        """End the flood."""
        self._pipe.send(("end", None))
        found: Sent = self._pipe.recv()
        return found

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5.0)


def _serve(pipe: Connection, held: tuple[str, ...], watched: tuple[str, ...]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    pipe.send(listener.getsockname()[1])
    sock, _ = listener.accept()
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        PacedTalk(sock, pipe, held, watched).serve()


class PacedTalk(Talk):
    """The one connection. Books are kept here, so that every delta and every snapshot is true."""

    def __init__(self, sock: socket.socket, pipe: Connection, held: Sequence[str], watched: Sequence[str]):
        super().__init__(sock)
        self._pipe, self._held, self._watched = pipe, held, watched
        self._sizes = {
            (ticker, cents): SIZE
            for ticker in held
            for first, step in ((BEST_CENTS, -1), (ASK_CENTS, 1))
            for cents in range(first, first + step * LEVELS, step)
        }
        self._levels = list(self._sizes)
        self._chance = random.Random(0)
        self._marks: list[int] = []
        self._rate, self._began_ns, self._frames, self._turn = 0, 0, 0, 0
        self._behind_s = 0.0

    def serve(self) -> None:
        """Talk until the reader or the benchmark goes."""
        due_ns = alive_ns = time.monotonic_ns()
        while True:
            wait_s = max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S)
            ready = select.select([self._sock.fileno(), self._pipe.fileno()], [], [], wait_s)[0]
            if self._sock.fileno() in ready and not self._hear():
                return
            if self._pipe.fileno() in ready and not self._obey_benchmark(due_ns):
                return
            if (now_ns := time.monotonic_ns()) < due_ns:
                continue
            if self._rate:
                self._behind_s = max(self._behind_s, (now_ns - due_ns) / NS_PER_S)
                self._send_slice(due_ns)
            elif now_ns >= alive_ns and "ticker" in self._channels:
                alive_ns = now_ns + int(ALIVE_S * NS_PER_S)
                self._send([self._ticker(ticker, NO_MARK) for ticker in (*self._held, *self._watched)])
            due_ns = due_ns + int(SLICE_S * NS_PER_S) if self._rate else now_ns + int(SLICE_S * NS_PER_S)

    # --- frames -------------------------------------------------------------------------------------

    def _send_slice(self, due_ns: int) -> None:
        count = round(self._rate * SLICE_S)
        frames = [self._ticker(self._watched[0], len(self._marks) % MARKS + 1)]
        self._marks.append(due_ns)
        for _ in range(count // 2 - 1):
            self._turn += 1
            ticker = self._watched[1 + self._turn % (len(self._watched) - 1)]
            frames.append(self._ticker(ticker, self._turn % 9 + 1))
        for _ in range(count - count // 2):
            ticker, cents = self._levels[self._chance.randrange(len(self._levels))]
            is_over = self._sizes[ticker, cents] > SIZE
            frames.append(self._delta(ticker, cents, -1 if is_over or self._chance.random() < 0.5 else 1))
        self._frames += len(frames)
        self._send(frames)

    def _send(self, payloads: Sequence[bytes]) -> None:
        self._sock.sendall(b"".join([framed(payload) for payload in payloads]))

    def _ticker(self, ticker: str, size: int) -> bytes:
        now_ms = time.time_ns() // 1_000_000
        return (TICKER % (ticker, f"0.{BEST_CENTS}00", size, now_ms // 1000, now_ms, now_ms)).encode()

    def _delta(self, ticker: str, cents: int, change: int) -> bytes:
        self._sizes[ticker, cents] += change
        now_ms, seq = time.time_ns() // 1_000_000, self._next_seq()
        side = "yes" if cents <= BEST_CENTS else "no"
        text = DELTA % (seq, ticker, seq, f"0.{cents}00", f"{change}.00", side, now_ms, now_ms)
        return text.encode()

    def _say_books(self, tickers: Sequence[str], command_id: int | None = None) -> None:
        for ticker in tickers:
            msg: dict[str, object] = {"market_ticker": ticker, "clock": 0}
            for name, first, step in (("yes_dollars_fp", BEST_CENTS, -1), ("no_dollars_fp", ASK_CENTS, 1)):
                cents = range(first, first + step * LEVELS, step)
                sizes = [(at, self._sizes[ticker, at]) for at in cents]
                msg[name] = [[f"0.{at}00", f"{size}.00"] for at, size in sizes if size]
            frame = {"type": "orderbook_snapshot", "sid": SIDS["orderbook_delta"], "seq": self._next_seq()}
            self._say(frame | {"msg": msg} | ({} if command_id is None else {"id": command_id}))

    # --- commands -----------------------------------------------------------------------------------

    def _obey_benchmark(self, due_ns: int) -> bool:
        try:
            what, value = self._pipe.recv()
        except EOFError:
            return False
        if what == "begin":
            self._rate, self._began_ns = value, due_ns
        elif what == "touch":
            gone = [(value, cents) for cents in range(BEST_CENTS, TOUCHED_CENTS, -1)]
            self._levels = [level for level in self._levels if level not in gone]  # they stay empty
            frames = [self._delta(value, cents, -self._sizes[value, cents]) for _, cents in gone]
            now_ns = time.monotonic_ns()
            self._send(frames)
            self._pipe.send(now_ns)
        else:
            self._rate = 0
            seconds = (time.monotonic_ns() - self._began_ns) / NS_PER_S
            sent = Sent(
                frames=self._frames, seconds=seconds, marks_ns=self._marks, most_behind_s=self._behind_s
            )
            self._pipe.send(sent)
        return True

    def _obey(self, command: dict[str, Any]) -> None:
        command_id, params = command["id"], command["params"]
        tickers = params.get("market_tickers", ())
        if command["cmd"] == "subscribe":
            (channel,) = params["channels"]
            self._channels.append(channel)
            sid = SIDS.get(channel, OTHER_SID + len(self._channels))
            self._say({"type": "subscribed", "id": command_id, "msg": {"channel": channel, "sid": sid}})
            self._show(sid, tickers)
        elif command["cmd"] == "unsubscribe":
            for sid in params["sids"]:
                self._say({"type": "unsubscribed", "id": command_id, "sid": sid, "seq": self._seq_of(sid)})
        elif params["action"] == "get_snapshot":
            self._say_books(tickers, command_id)
        else:
            sid = params["sid"]
            self._say({"type": "ok", "id": command_id, "sid": sid, "seq": self._seq_of(sid)})
            if params["action"] == "add_markets":
                self._show(sid, tickers)

    def _show(self, sid: int, tickers: Sequence[str]) -> None:
        """The first data of a market."""
        if sid == SIDS["orderbook_delta"]:
            self._say_books(tickers)
        elif sid == SIDS["ticker"]:
            for ticker in tickers:
                self._say(json.loads(self._ticker(ticker, NO_MARK)))

    def _seq_of(self, sid: int) -> int | None:
        return self._next_seq() if sid == SIDS["orderbook_delta"] else None
