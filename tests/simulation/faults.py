"""What goes wrong on the way, drawn from the seed. Ids are those of the fault catalogue in docs/safety.md.

A run switches each kind on with a quarter's chance; while faults are on, an occasion of a kind that
is switched on brings it about with the chance beside it. ``reached`` counts what really happened.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websocket import ABNF

Reply = tuple[int, dict[str, str], bytes]

REQUEST_KINDS = {
    "E-dup delivered twice": 0.50,
    "R1 refused": 0.10,
    "N8 name unanswered": 0.05,
    "N14 slow connect": 0.15,
    "N15 reset after execution": 0.20,
    "R2 answer lost": 0.20,
    "R3 drip": 0.08,
    "R4 5xx before": 0.12,
    "R4 5xx after": 0.15,
    "R6 429": 0.10,
    "R7 401 timestamp": 0.08,
    "R9 truncated": 0.08,
    "R9 not JSON": 0.08,
    "E4 request lost": 0.12,
    "E5 late execution": 0.25,
    "N4 slow REST": 0.15,
}
"""Per request; those that lose or repeat an order count for orders only."""
REPORT_KINDS = {
    "E14 empty positions": 0.25,
    "E15 cursor loops": 0.15,
    "Q2 row without a field": 0.15,
}
FRAME_KINDS = {
    "W3 gap": 0.03,
    "W4 duplicate": 0.05,
    "W5 seq restarts": 0.02,
    "W6 out of order": 0.03,
    "W8 negative level": 0.03,
    "W9 reply lost": 0.25,
    "W15 binary": 0.02,
    "W19 foreign market": 0.05,
    "W20 old frame": 0.03,
    "Q1 no number": 0.04,
    "Q2 field missing": 0.03,
    "Q3 cents": 0.03,
    "N3 reset mid-frame": 0.01,
}
_ORDERS = "/portfolio/events/orders"
_SEQ = re.compile(rb'"seq":(\d+)')
_DELTA = re.compile(rb'"delta_fp":"[^"]*"')
_NUMBER = re.compile(rb'"(price_dollars|delta_fp|yes_bid_dollars|yes_ask_dollars)":"[^"]*"')
_TICKER = re.compile(rb'"market_ticker":"[^"]*"')
NO_NUMBERS = (
    b'"NaN"',
    b'"Infinity"',
    b'"1e999"',
    b"NaN",
    b"null",
    b"true",
    b'"0.5600 "',
    b'"-0.01"',
    b"0.41",
)
MOST_KEPT = 20


@dataclass(slots=True)
class Fate:
    """What becomes of one request. Delays in seconds."""

    connect_s: float
    arrives_s: tuple[float, ...]
    back_s: float
    never_connects: bool = False
    answers_instead: Reply | None = None
    executes: bool = True
    resets: bool = False
    loses_reply: bool = False
    answers_last: bool = False  # of several arrivals, only the last one's answer comes back
    drips: bool = False
    truncates: bool = False


class Faults:
    """The faults of one run.

    Args:
        random: Their own dice.
        kinds: Those that are switched on.
        latency_s: One way, on a good day.
        page: What a page of a list holds at most; ``None``: as asked for.
    """

    def __init__(self, random: Random, kinds: frozenset[str], latency_s: float, page: int | None):
        self.reached: Counter[str] = Counter()
        self.is_on = True
        self.rest_is: str = "up"  # up | refuses | silent
        self.feed_is: str | int = "up"  # up | refused | silent, or an HTTP status: for new connections
        self.feed_is_silent = False  # W1: pings come, data does not
        self.feed_lag_s = 0.0
        self.rests_orders = False
        self._random, self._kinds, self._latency_s, self._page = random, kinds, latency_s, page
        self._held_back: bytes | None = None
        self._old: list[bytes] = []

    def happens(self, kind: str, probability: float) -> bool:
        """Whether a fault of this kind comes about now."""
        if not self.is_on or kind not in self._kinds or self._random.random() >= probability:
            return False
        self.reached[kind] += 1
        return True

    def note(self, what: str) -> None:
        """Something happened that must happen sometimes."""
        self.reached[what] += 1

    # --- requests -------------------------------------------------------------------------------

    def fate_of(self, method: str, path: str) -> Fate:
        """Draw what becomes of a request."""
        delay = self._delay_s
        fate = Fate(connect_s=delay(), arrives_s=(delay(),), back_s=delay())
        if self.rest_is != "up":
            self.note(f"N7 REST {self.rest_is}")
            fate.never_connects = True
            fate.connect_s = 0.01 if self.rest_is == "refuses" else 60.0
            return fate
        for kind, probability in REQUEST_KINDS.items():
            is_order = method == "POST" and path.endswith(_ORDERS)
            if kind.startswith("E") and not is_order:
                continue
            if self.happens(kind, probability if is_order or kind[0] != "N" else probability / 3):
                self._bend(fate, kind)
                break
        return fate

    def _bend(self, fate: Fate, kind: str) -> None:
        nested = b'{"error":{"code":"header_timestamp_expired","message":"header timestamp expired"}}'
        match kind:
            case "R1 refused":
                fate.never_connects, fate.connect_s = True, 0.01
            case "N8 name unanswered":
                fate.never_connects, fate.connect_s = True, 60.0
            case "N14 slow connect":
                fate.connect_s = self._random.uniform(0.5, 2.8)
            case "N15 reset after execution":
                fate.resets = True
            case "R2 answer lost":
                fate.loses_reply = True
            case "R3 drip":
                fate.drips = True
            case "R4 5xx before":
                fate.answers_instead, fate.executes = (503, {}, b"upstream connect error"), False
            case "R4 5xx after":
                fate.answers_instead = (502, {}, b'{"error":{"code":"bad_gateway"}}')
            case "R6 429":
                fate.answers_instead, fate.executes = (429, {}, b'{"error":"too many requests"}'), False
            case "R7 401 timestamp":
                fate.answers_instead, fate.executes = (401, {}, nested), False
            case "R9 truncated":
                fate.truncates = True
            case "R9 not JSON":
                fate.answers_instead = (200, {}, b"<html>hello</html>")
            case "E4 request lost":
                fate.arrives_s, fate.loses_reply = (), True
            case "E5 late execution":
                fate.arrives_s = (self._random.uniform(4.0, 20.0),)
            case "N4 slow REST":
                fate.arrives_s = (self._random.uniform(0.5, 2.5),)
            case _:
                fate.arrives_s = (fate.arrives_s[0], fate.arrives_s[0] + self._random.uniform(0.0, 2.0))
                fate.answers_last = self._random.random() < 0.75

    def _delay_s(self) -> float:
        return self._latency_s * self._random.uniform(0.5, 1.5)

    def rewrite(self, method: str, url: str, body: bytes) -> tuple[str, bytes]:
        """What reaches the exchange: lists come in smaller pages, an order may lose its time in force."""
        if method == "GET" and self._page is not None and "limit=" in url:
            parts = urlsplit(url)
            query = [(k, str(self._page) if k == "limit" else v) for k, v in parse_qsl(parts.query)]
            return urlunsplit(parts._replace(query=urlencode(query))), body
        if self.rests_orders and self.is_on and method == "POST" and b"immediate_or_cancel" in body:
            self.note("E30 order rests")
            rested = body.replace(b"immediate_or_cancel", b"good_till_canceled")
            return url, rested.replace(b'"reduce_only":true', b'"reduce_only":false')
        return url, body

    def garble(self, method: str, path: str, reply: Reply) -> Reply:
        """What comes back of an answer."""
        status, headers, body = reply
        if method != "GET" or status != 200:
            return reply
        is_positions = path.endswith("/portfolio/positions")
        if is_positions and self.happens("E14 empty positions", REPORT_KINDS["E14 empty positions"]):
            return status, headers, b'{"cursor":"","market_positions":[],"event_positions":[]}'
        if b'"cursor":""' in body and self.happens("E15 cursor loops", REPORT_KINDS["E15 cursor loops"]):
            return status, headers, body.replace(b'"cursor":""', b'"cursor":"again"')
        if is_positions and self.happens("Q2 row without a field", REPORT_KINDS["Q2 row without a field"]):
            return status, headers, body.replace(b'"position_fp"', b'"position"')
        return reply

    # --- the feed -------------------------------------------------------------------------------

    def handshake(self) -> tuple[float, str | int]:
        """How long a handshake takes, and how it ends: ``ok``, ``refused``, ``silent`` or a status."""
        if self.feed_is != "up":
            self.note(f"N6 feed {self.feed_is}")
            return self._delay_s(), self.feed_is
        return self._delay_s(), "ok"

    def feed_delay_s(self) -> float:
        """One way of a frame."""
        return self._delay_s() + self.feed_lag_s

    def frames(self, frame: bytes) -> Iterator[tuple[int, bytes, float]]:
        """What comes of one frame: opcode, payload, delay."""
        delay_s = self.feed_delay_s()
        kind = next((k for k, p in FRAME_KINDS.items() if k in self._kinds and self._fits(k, frame, p)), None)
        if len(self._old) < MOST_KEPT and b'"orderbook_delta"' in frame:
            self._old.append(frame)
        parts = [(ABNF.OPCODE_TEXT, frame)] if kind is None else list(self._bent(kind, frame))
        if self._held_back is not None and kind != "W6 out of order":
            parts.append((ABNF.OPCODE_TEXT, self._held_back))
            self._held_back = None
        for opcode, payload in parts:
            yield opcode, payload, delay_s

    def _fits(self, kind: str, frame: bytes, probability: float) -> bool:
        if not self.is_on or self._random.random() >= probability:
            return False
        is_delta = b'"orderbook_delta"' in frame
        is_data = is_delta or b'"type":"ticker"' in frame
        fits = {
            "W8 negative level": is_delta,
            "W9 reply lost": b'"type":"subscribed"' in frame or b'"type":"ok"' in frame,
            "W19 foreign market": b'"type":"ticker"' in frame,
            "W20 old frame": bool(self._old),
            "Q1 no number": is_data,
            "Q2 field missing": is_data,
            "Q3 cents": is_data,
            "W5 seq restarts": is_delta,
        }.get(kind, is_data)
        if fits:
            self.reached[kind] += 1
        return fits

    def _bent(self, kind: str, frame: bytes) -> Iterator[tuple[int, bytes]]:
        text, draw = ABNF.OPCODE_TEXT, self._random
        match kind:
            case "W3 gap" | "W9 reply lost":
                return
            case "W4 duplicate":
                yield text, frame
                yield text, frame
            case "W5 seq restarts":
                yield text, _SEQ.sub(b'"seq":1', frame, count=1)
            case "W6 out of order":
                if self._held_back is not None:
                    yield text, self._held_back
                self._held_back = frame
            case "W8 negative level":
                yield text, _DELTA.sub(b'"delta_fp":"-999999.00"', frame, count=1)
            case "W15 binary":
                yield ABNF.OPCODE_BINARY, frame
            case "W19 foreign market":
                yield text, _TICKER.sub(b'"market_ticker":"KXFOREIGN-1"', frame, count=1)
                yield text, frame
            case "W20 old frame":
                yield text, draw.choice(self._old)
                yield text, frame
            case "Q1 no number":
                wrong = draw.choice(NO_NUMBERS)
                yield text, _NUMBER.sub(lambda m: b'"' + m[1] + b'":' + wrong, frame, count=1)
            case "Q2 field missing":
                yield text, _NUMBER.sub(lambda m: b'"renamed":"0.5000"', frame, count=1)
            case "Q3 cents":
                yield text, _NUMBER.sub(lambda m: b'"' + m[1] + b'":"56"', frame, count=1)
            case _:
                yield ABNF.OPCODE_CLOSE, b""
