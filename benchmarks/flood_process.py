"""A feed that sends as fast as it is read, from a process of its own; it knows one client and no market.

Frames are put together from ready-made pieces, so the sender is many times faster than any reader
here. After the last frame it sends a ping: websocket-client answers it when it has read all before it.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

PORTION = 400
ALIVE_EVERY_S = 0.5
SIDS, OTHER_SID = {"ticker": 1, "orderbook_delta": 2}, 10
TICKER = (
    '{"type":"ticker","sid":1,"msg":{"market_ticker":"%s","market_id":"9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1",'
    '"price_dollars":"0.4400","yes_bid_dollars":"%s","yes_ask_dollars":"0.4600","yes_bid_size_fp":"%d.00",'
    '"yes_ask_size_fp":"500.00","last_trade_size_fp":"10.00","volume_fp":"33896.00",'
    '"open_interest_fp":"20422.00","dollar_volume":16948,"dollar_open_interest":10211,"ts":%d,"ts_ms":%d,'
    '"time":"2026-12-01T12:00:00.000Z"},"sending_ts_ms":%d}'
)
DELTA = (
    '{"type":"orderbook_delta","sid":2,"seq":%d,"msg":{"market_ticker":"%s",'
    '"market_id":"9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1","clock":%d,"price_dollars":"%s","delta_fp":"%s",'
    '"side":"%s","ts":"2026-12-01T12:00:00.000Z","ts_ms":%d},"sending_ts_ms":%d}'
)
LEVELS = 15
"""Levels a side; deltas fall on all of them alike, so most of them change the quote's depth."""
_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What is to be sent: ``kind`` ticker or delta, over these markets in turn."""

    kind: str
    tickers: tuple[str, ...]
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooded:
    """How it went: until the last frame was read, and how much of that the sender itself was busy."""

    frames_per_s: float
    sender_busy_share: float


class FloodProcess:
    """The handle on the process: one flood per connection."""

    def __init__(self) -> None:
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self.url = f"ws://127.0.0.1:{self._pipe.recv()}/trade-api/ws/v2"

    def expect(self, flood: Flood) -> None:
        """The next connection is subscribed, and flooded once ``go`` is called."""
        self._pipe.send(flood)

    def go(self) -> None:
        """Begin to flood."""
        self._pipe.send(None)

    def result(self) -> Flooded:
        """Wait until everything was read."""
        found: Flooded = self._pipe.recv()
        return found

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5.0)


def _serve(pipe: Connection) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    pipe.send(listener.getsockname()[1])
    while True:
        try:
            flood: Flood = pipe.recv()
        except EOFError:
            return
        sock, _ = listener.accept()
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            FloodTalk(sock, flood).until_flooded(pipe)


class Talk:
    """The exchange's end of one connection: handshake, pings, sequence numbers. Commands are for others."""

    def __init__(self, sock: socket.socket):
        self._sock = sock
        self._protocol = ServerProtocol(max_size=None)
        self._seq = 0
        self._has_ponged = False
        self._channels: list[str] = []

    def _hear(self) -> bool:
        """Take in what the client says; ``False``: it has gone."""
        try:
            data = self._sock.recv(65536)
        except TimeoutError:
            return True
        except OSError:
            return False
        if not data:
            return False
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if not isinstance(event, Frame):
                self._protocol.send_response(self._protocol.accept(event))
            elif event.opcode is Opcode.TEXT:
                self._obey(json.loads(event.data))
            elif event.opcode is Opcode.PONG and event.data == b"end":
                self._has_ponged = True
        self._sock.sendall(b"".join(self._protocol.data_to_send()))
        return True

    def _obey(self, command: dict[str, Any]) -> None:
        """Carry out one command."""
        raise NotImplementedError

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _say(self, frame: dict[str, object]) -> None:
        self._protocol.send_text(json.dumps(frame).encode())


class FloodTalk(Talk):
    """The one connection of a flood."""

    def __init__(self, sock: socket.socket, flood: Flood):
        super().__init__(sock)
        self._flood = flood

    def until_flooded(self, pipe: Connection) -> None:
        self._sock.settimeout(0.02)
        next_s = 0.0
        while not pipe.poll():
            self._hear()
            if "ticker" in self._channels and time.monotonic() >= next_s:
                next_s = time.monotonic() + ALIVE_EVERY_S
                self._show_life()
        pipe.recv()
        self._sock.settimeout(30.0)
        pipe.send(self._send_all())
        while self._hear():
            pass

    def _send_all(self) -> Flooded:
        began_s, busy_s = time.monotonic(), 0.0
        frames = _frames(self._flood, self._seq)
        for _ in range(self._flood.frames // PORTION):
            before_s = time.monotonic()
            portion = b"".join([framed(next(frames)) for _ in range(PORTION)])
            busy_s += time.monotonic() - before_s
            self._sock.sendall(portion)
        self._sock.sendall(b"\x89\x03end")
        while not self._has_ponged and self._hear():
            pass
        took_s = time.monotonic() - began_s
        return Flooded(frames_per_s=self._flood.frames / took_s, sender_busy_share=busy_s / took_s)

    def _obey(self, command: dict[str, Any]) -> None:
        """Answer a subscription. Floods of tickers refuse the book, so that the ticker is the quote."""
        params = command["params"]
        if command["cmd"] == "subscribe":
            (channel,) = params["channels"]
            if channel == "orderbook_delta" and self._flood.kind == "ticker":
                refusal = {"code": 8, "msg": "Unknown channel name"}
                self._say({"type": "error", "id": command["id"], "msg": refusal})
                return
            self._channels.append(channel)
            about = {"channel": channel, "sid": SIDS.get(channel, OTHER_SID + len(self._channels))}
            self._say({"type": "subscribed", "id": command["id"], "msg": about})
        elif params["action"] == "add_markets":
            channel = "orderbook_delta" if params["sid"] == SIDS["orderbook_delta"] else "ticker"
            seq = self._next_seq() if channel == "orderbook_delta" else None
            self._say({"type": "ok", "id": command["id"], "sid": params["sid"], "seq": seq})
        else:
            return
        if channel == "orderbook_delta":
            for ticker in params["market_tickers"]:
                self._say(_snapshot(ticker, self._next_seq()))

    def _show_life(self) -> None:
        """A market without any message is probed; one ticker each now and then spares that."""
        now_ms = time.time_ns() // 1_000_000
        for ticker in self._flood.tickers:
            self._protocol.send_text((TICKER % (ticker, "0.4400", 1, 0, now_ms, now_ms)).encode())
        self._sock.sendall(b"".join(self._protocol.data_to_send()))


def _snapshot(ticker: str, seq: int) -> dict[str, object]:
    yes = [[f"0.{44 - n:02}00", "1000.00"] for n in range(LEVELS)]
    no = [[f"0.{46 + n:02}00", "1000.00"] for n in range(LEVELS)]
    msg = {"market_ticker": ticker, "clock": 0, "yes_dollars_fp": yes, "no_dollars_fp": no}
    return {"type": "orderbook_snapshot", "sid": SIDS["orderbook_delta"], "seq": seq, "msg": msg}


def _frames(flood: Flood, seq: int) -> Iterator[bytes]:
    """Yield frames without end; the time in them is taken once per portion."""
    chance = random.Random(0)
    at = 0
    while True:
        now_ms = time.time_ns() // 1_000_000
        for _ in range(PORTION):
            ticker = flood.tickers[at % len(flood.tickers)]
            at += 1
            if flood.kind == "ticker":
                bid = "0.4400" if at % 2 else "0.4300"
                yield (TICKER % (ticker, bid, at % 9 + 1, now_ms // 1000, now_ms, now_ms)).encode()
                continue
            level, is_yes = chance.randrange(LEVELS), chance.random() < 0.5
            price = f"0.{44 - level if is_yes else 46 + level:02}00"
            change = "-1.00" if chance.random() < 0.5 else "1.00"
            side = "yes" if is_yes else "no"
            yield (DELTA % (seq + at, ticker, seq + at, price, change, side, now_ms, now_ms)).encode()


def framed(payload: bytes) -> bytes:
    # Every payload here is between 126 and 65,535 bytes long.
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload
