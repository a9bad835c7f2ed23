"""Holds a run against the invariants. It knows the true position after every fill, and every byte.

The ids I1 to I20 are those of docs/safety.md. The judge never speaks to the program; of the program's
own state it reads the journal's file and, once a second, the view that screens show.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections import defaultdict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

from base.errors import IllegalTransition
from base.risk.emergency import emergency_path
from base.risk.journal_chain import broken_link
from base.risk.journal_replay import replay
from base.risk.messages import Line
from base.simulator.engine.events import (
    BookChanged,
    BookCleared,
    Event,
    Filled,
    HoldingChanged,
    TopChanged,
)
from base.simulator.engine.orders import Side as BookSide
from tests.simulation.day import Day
from tests.simulation.exchange import BASE_MS, SimulatedExchange
from tests.simulation.network import Watch
from tests.simulation.plan import Plan
from tests.simulation.program import Program
from tests.simulation.scheduler import Scheduler

D = Decimal
ZERO = D(0)
BestPrices = tuple[D | None, D, D | None, D]
"""Best bid and its size, best ask and its size."""
ORDERS_PATH = "/portfolio/events/orders"
FIRE_WITHIN_S = 2.0
LAG_S = 3.0
SLACK_S = 0.05
MARGIN_MS = 5_000
LOWEST = D("0.01")
"""No floor lies under the lowest price of the coarsest grid."""
MARKET = re.compile(rb'"market_ticker":"([^"]+)"')
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
SILENT_LIMITS_S = {
    "UNKNOWN": 3.0, "STUCK": 0.0, "REFUSED": 0.0, "FLIPPED": 0.0, "WAITING": 0.0, "TRIGGERED": 10.0,
    "IN_FLIGHT": 10.0, "CONFIRMING": 10.0, "UNPROTECTED": 5.0,
}  # fmt: skip
"""How long a state may last before an alarm has to ring within five seconds more."""
ALARM_S = 5.0
LOOK_S = 1.0
THAW_S = 2.0
"""What a view shows so soon after a stop may be from before it."""
QUIET_S = 15.0
"""So long after the last line of the log, and the lag of reads, nothing more is going to happen."""
RECONCILED_S = 33.0
"""After the last fault the program's picture agrees with the exchange within this."""
PACED_S = 70.0
"""A pace that holds an exit lets it go within this."""
REFUSED_S = 60.0
"""An order that is refused left within this, even if the program was stopped meanwhile."""
WRITTEN_S = 2.0
"""A journal whose disk takes rows again has them after this."""
SHOWN_S = LAG_S + 2.5
"""A view is half a second old, its price may have lagged, and the lag is measured to a second or so."""


class PlannedDeath(Exception):
    """A thread that the day killed on purpose."""


@dataclass(slots=True)
class Attempt:
    """One order id as the judge sees it. Times are true seconds."""

    client_id: str
    ticker: str
    intent_id: str
    quantity: Decimal
    side: str
    reason: str
    level: Decimal
    floor: Decimal
    left_s: float
    count: Decimal
    made_floor: Decimal  # before any flatten lowered it
    is_settled: bool = False
    reads_after: int = 0  # complete order reads that could prove its absence
    filled: Decimal = ZERO


@dataclass(slots=True)
class Tops:
    """The true top of a market, by time, on the YES scale.

    One action may change many levels, and each change is a frame: who has read half of them sees a top
    that stood between two of them.
    """

    at: deque[tuple[float, BestPrices]] = field(default_factory=lambda: deque(maxlen=4000))
    levels: defaultdict[BookSide, dict[D, D]] = field(default_factory=lambda: defaultdict(dict))

    def changed(self, change: BookChanged, now_s: float) -> None:
        """Apply one change of one level."""
        levels = self.levels[change.side]
        levels[change.price] = levels.get(change.price, ZERO) + change.delta
        if levels[change.price] == 0:
            del levels[change.price]
        bids, asks = self.levels[BookSide.BID], self.levels[BookSide.ASK]
        bid, ask = max(bids, default=None), min(asks, default=None)
        self.at.append(
            (now_s, (bid, ZERO if bid is None else bids[bid], ask, ZERO if ask is None else asks[ask]))
        )

    def bids(self, side: str, from_s: float, to_s: float) -> list[tuple[Decimal | None, Decimal]]:
        """Every best bid on ``side``, with its size, that stood at some moment of the window."""
        found: list[tuple[Decimal | None, Decimal]] = []
        standing: BestPrices | None = None
        for at_s, top in self.at:
            if at_s < from_s:
                standing = top
            elif at_s <= to_s:
                found.append(_bid_of(top, side))
        if standing is not None:
            found.append(_bid_of(standing, side))
        return found


def _bid_of(top: BestPrices, side: str) -> tuple[Decimal | None, Decimal]:
    bid, bid_size, ask, ask_size = top
    return (bid, bid_size) if side == "yes" else (None if ask is None else 1 - ask, ask_size)


class Judge(Watch):
    """One run's judge. ``violations`` is what went wrong."""

    def __init__(self, plan: Plan, scheduler: Scheduler, exchange: SimulatedExchange, program: Program):
        self.plan, self._scheduler, self._exchange, self._program = plan, scheduler, exchange, program
        self.day: Day | None = None
        self.violations: list[str] = []
        self.diary: list[str] | None = None
        self.reached_states: set[str] = set()
        self.trace = hashlib.sha256()
        self.attempts: dict[str, Attempt] = {}
        self._tops: dict[str, Tops] = defaultdict(Tops)
        self._held: dict[str, Decimal] = defaultdict(Decimal)
        self._was_flat_s: dict[str, float] = {}
        self._sent_s: dict[str, deque[tuple[float, bool]]] = defaultdict(deque)
        self._sold: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._unknown_ids: set[str] = set()  # left while the journal could not be written
        self._as_of_ms = 0
        self.lost_before_ms = 0.0  # when an older journal was put back
        self._linked_s = 0.0
        self._heard: set[str] = set()  # markets that a frame of the newest connection named
        self._alarms: dict[str, float] = {}
        self._turned_s: dict[str, float] = {}
        self._cancelled_s: dict[str, float] = {}
        self._paced_since: dict[str, float] = {}
        self._bad_since: dict[tuple[str, str], float] = {}
        self._journal: tuple[int, sqlite3.Connection] | None = None
        self.journal_is_doubtful = False  # it was replaced or could not be written: it need not know all
        self.stages: dict[str, int] = defaultdict(int)
        self.kill: Any = None
        self.is_over = False
        self._said_s = 0.0
        exchange.venue.listeners.append(self._on_event)

    # --- what is said ---------------------------------------------------------------------------

    def told(self, text: str) -> None:
        """The program started, or was killed."""
        self._said_s = self._scheduler.now_s
        self.note(text)

    def note(self, text: str) -> None:
        """Write into trace and diary."""
        entry = f"{self._scheduler.now_s:.4f} {text}"
        self.trace.update(entry.encode())
        if self.diary is not None:
            self.diary.append(entry)

    def violated(self, invariant: str, why: str) -> None:
        """An invariant does not hold."""
        text = f"{invariant}: {why}"
        self.note(f"VIOLATED {text}")
        self.violations.append(text)

    # --- the exchange's truth -------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        now_s = self._scheduler.now_s
        if isinstance(event, TopChanged):
            top = event.top
            self._tops[event.ticker].at.append((now_s, (top.bid, top.bid_size, top.ask, top.ask_size)))
        elif isinstance(event, BookChanged):
            self._tops[event.ticker].changed(event, now_s)
        elif isinstance(event, BookCleared):
            self._tops[event.ticker].levels.clear()
        elif isinstance(event, HoldingChanged):
            ticker = event.holding.ticker
            self._held[ticker] = event.holding.count
            if event.holding.count == 0:
                self._was_flat_s[ticker] = now_s
        elif isinstance(event, Filled):
            self._on_fill(event)

    def _on_fill(self, fill: Filled) -> None:
        signed = fill.count if fill.side is BookSide.BID else -fill.count
        before, after = fill.post_position - signed, fill.post_position
        self.note(f"fill {fill.ticker} {signed}@{fill.price} {fill.client_order_id} {before}->{after}")
        if after == 0 or after * before < 0:
            self._was_flat_s[fill.ticker] = self._scheduler.now_s
        attempt = self.attempts.get(fill.client_order_id)
        if attempt is None:
            if (fill.client_order_id or "").startswith(
                "sl-"
            ) and fill.client_order_id not in self._unknown_ids:
                self.violated("I2", f"{fill.client_order_id} filled and was never seen leaving")
            return
        attempt.filled += fill.count
        self._sold[attempt.intent_id] += fill.count
        if self._sold[attempt.intent_id] > attempt.quantity:
            self.violated(
                "I1", f"intent {attempt.intent_id} sold {self._sold[attempt.intent_id]} of {attempt.quantity}"
            )
        turns = after * before < 0 or before == 0 or abs(after) > abs(before)
        if turns and self.plan.semantics.reduce_only == "honoured" and not self._is_rested(fill):
            self.violated("I1", f"a fill of ours took {fill.ticker} from {before} to {after}")
        elif turns:
            self._turned_s.setdefault(fill.ticker, self._scheduler.now_s)

    def _is_rested(self, fill: Filled) -> bool:
        """E30: the exchange let an order rest that was to be immediate and reduce-only."""
        return self.plan_rests

    @property
    def plan_rests(self) -> bool:
        """Whether this day lets orders rest."""
        return any(name.startswith("E30") for _, name in self.plan.events)

    # --- bytes ----------------------------------------------------------------------------------

    def stage(self, name: str, method: str, path: str) -> None:
        """Where the plan says so, the program is killed exactly here."""
        if method == "POST" and path.endswith(ORDERS_PATH):
            self.stages[name] += 1
            self.note(f"order {name}")
            if self.plan.kill_at == (name, self.stages[name]) and self.kill is not None:
                self.reached_states.add(f"killed at {name}")
                self.kill(f"at {name}")

    def request(self, method: str, url: str, body: bytes | str) -> None:
        """Bytes left the program."""
        raw = body.encode() if isinstance(body, str) else body
        self.note(f"{method} {url[30:]} {raw[:300]!r}")
        if method == "POST" and url.endswith(ORDERS_PATH):
            self._order_left(json.loads(raw))

    def _order_left(self, order: dict[str, Any]) -> None:
        client_id, ticker, now_s = order["client_order_id"], order["ticker"], self._scheduler.now_s
        self._paced_since.pop(ticker, None)
        known = self.attempts.get(client_id)
        row = self._journal_row(client_id)
        if row is None and known is None:
            if not self.journal_is_doubtful:
                self.violated("I2", f"{client_id} left before it was durable")
            self._unknown_ids.add(client_id)
            return
        if known is None and row is not None:
            known = self.attempts[client_id] = Attempt(
                client_id=client_id, ticker=ticker, intent_id=row[0], quantity=D(row[1]), side=row[2],
                reason=row[3], level=D(row[4]), floor=D(row[5]), left_s=now_s, count=D(order["count"]),
                made_floor=D(row[5]),
            )  # fmt: skip
            is_new = True
        else:
            is_new = False
        assert known is not None
        self._heed_person(known)
        self._check_form(order, known)
        self._check_pace(ticker, is_new)
        self._check_single_flight(known)
        self._check_evidence(known)
        known.left_s, known.is_settled, known.reads_after = now_s, False, 0

    def _heed_person(self, attempt: Attempt) -> None:
        """A person's flatten that joined the exit before this order: its floor only went down."""
        joined = self._joined_floors(attempt.intent_id)
        floors = [floor for floor, _ in joined]
        if not floors:
            if self._forgets and self.day is not None and attempt.ticker in self.day.persons.flattened:
                attempt.reason = "FLATTEN"  # its row may be lost
            return
        self.reached_states.add("an order of a joined exit")
        if any(later > earlier for earlier, later in pairwise([attempt.made_floor, *floors])):
            self.violated("I13", f"a flatten raised the floor of {attempt.intent_id}: {floors}")
        if floors[-1] != attempt.made_floor:
            self._check_ordered_floor(attempt.ticker, attempt.side, floors[-1], joined[-1][1])
        attempt.reason, attempt.floor = "FLATTEN", floors[-1]

    def _check_ordered_floor(
        self, ticker: str, side: str, floor: Decimal, level: Decimal | None = None
    ) -> None:
        """I13: what a person named, or a bid that was, or a stop that was touched, less the slippage allowed."""
        slippage = D(self.plan.settings.get("max_slippage", "0.10"))
        bids = {bid for bid, _ in self._tops[ticker].bids(side, 0.0, self._scheduler.now_s)}
        named = set() if self.day is None else self.day.persons.floors[ticker]
        is_stops = level is not None and (
            floor >= level - slippage or floor == D(self.plan.settings.get("last_floor", "-1"))
        )
        if is_stops and any(bid is not None and bid <= level for bid in bids):
            self.reached_states.add("a flatten goes as low as the stop")
            return
        if floor not in named and floor + slippage not in bids and floor > LOWEST:
            self.violated(
                "I13", f"a flatten of {ticker} goes down to {floor}: nobody named it, nor bid that much"
            )

    def _joined_floors(self, intent_id: str) -> list[tuple[Decimal, Decimal | None]]:
        """The floors that flattens gave the exit, in the journal and after it in the emergency file.

        And the trigger of the stop whose floor it is, if it is one's.
        """
        found: list[tuple[int, str]] = []
        if (connection := self._reader()) is not None:
            query = (
                "SELECT at_ms, inputs FROM transitions WHERE intent_id = ? AND event = 'flatten' ORDER BY seq"
            )
            found += connection.execute(query, (intent_id,)).fetchall()
        for row in self._emergency_rows("transitions"):
            if row["intent_id"] == intent_id and row["event"] == "flatten":
                inputs = row["inputs"]
                found.append((row["at_ms"], inputs if isinstance(inputs, str) else json.dumps(inputs)))
        floors = [
            (D(said["floor"]), D(said["level"]) if "level" in said else None)
            for said in (json.loads(inputs) for _, inputs in dict.fromkeys(found))
        ]
        # A kept intent is as it was when its order left, after the flatten that lowered it.
        lowest = floors[-1][0] if floors else None
        for row in self._emergency_rows("intents"):
            if row["intent_id"] == intent_id and (lowest is None or D(row["floor"]) < lowest):
                if lowest is not None or self._intent_row(intent_id) is not None:
                    slippage = D(self.plan.settings.get("max_slippage", "0.10"))
                    floors.append((D(row["floor"]), D(row["floor"]) + slippage))
                lowest = D(row["floor"])
        return floors

    def _check_form(self, order: dict[str, Any], attempt: Attempt) -> None:
        """I13: collar. I20: the id."""
        wanted = {
            "time_in_force": "immediate_or_cancel",
            "reduce_only": True,
            "self_trade_prevention_type": "maker",
        }
        for name, value in wanted.items():
            if order.get(name) != value:
                self.violated("I13", f"{name} is {order.get(name)!r}")
        if not CLIENT_ID.fullmatch(attempt.client_id):
            self.violated("I20", f"the id {attempt.client_id} is not allowed")
        if order["side"] != ("ask" if attempt.side == "yes" else "bid"):
            self.violated("I13", f"side {order['side']} to sell {attempt.side}")
        price = D(order["price"]) if attempt.side == "yes" else 1 - D(order["price"])
        floor = min(attempt.floor, D(self.plan.settings.get("last_floor", attempt.floor)))
        if price < floor and attempt.reason != "TAKE_PROFIT":
            self.violated("I13", f"sells at {price} under the floor {floor}")
        if price < attempt.floor and attempt.reason == "TAKE_PROFIT":
            self.violated("I13", f"takes a profit at {price} under its target {attempt.floor}")
        if D(order["count"]) > attempt.quantity or D(order["count"]) <= 0:
            self.violated("I13", f"count {order['count']} of {attempt.quantity}")
        if D(order["count"]) > abs(self._held[attempt.ticker]) and self._counts_are_known(attempt.ticker):
            self.violated("I13", f"count {order['count']}, held {self._held[attempt.ticker]}")

    def _counts_are_known(self, ticker: str) -> bool:
        """Whether nobody else trades the market and no order may still arrive: all that fills is known."""
        is_late = any(kind.startswith(("E5", "E-dup")) for kind in self.plan.kinds)
        was_touched = self.day is not None and ticker in self.day.touched_by_hand
        rests = any(name[:3] in ("E30", "T7 ", "O9 ") for _, name in self.plan.events)
        return not (is_late or was_touched or rests)

    def _check_pace(self, ticker: str, is_new: bool) -> None:
        """I12: at most 6 new ids and 12 requests in any 60 s."""
        sent = self._sent_s[ticker]
        sent.append((self._scheduler.now_s, is_new))
        while sent[0][0] <= self._scheduler.now_s - 60.0:
            sent.popleft()
        if not self.journal_is_doubtful and (len(sent) > 12 or sum(new for _, new in sent) > 6):
            self.violated("I12", f"{len(sent)} requests, {sum(new for _, new in sent)} ids within 60 s")

    def _check_single_flight(self, attempt: Attempt) -> None:
        """I7: the one before it is answered, found, or proven absent."""
        for other in self.attempts.values():
            if other is attempt or other.ticker != attempt.ticker or other.is_settled:
                continue
            if other.reads_after < 2:
                self.violated("I7", f"{attempt.client_id} left while {other.client_id} was open")
            elif self._would_fit(other) and other.intent_id == attempt.intent_id:
                self.violated("I20", f"{other.client_id} was absent and goes again as {attempt.client_id}")

    def _would_fit(self, attempt: Attempt) -> bool:
        """Whether the same bytes could go again: the holding and the grid still fit."""
        was_touched = self.day is not None and attempt.ticker in self.day.touched_by_hand
        has_new_grid = any(name.startswith("E19") for _, name in self.plan.events)
        return not was_touched and not has_new_grid and abs(self._held[attempt.ticker]) >= attempt.count

    def _check_evidence(self, attempt: Attempt) -> None:
        """I3 and I5: the true book satisfied the rule within the evidence's age; a stop was safe before."""
        now_s, level = self._scheduler.now_s, attempt.level
        if attempt.reason in ("RETRY", "FLATTEN"):
            return
        tops = self._tops[attempt.ticker]
        bids = tops.bids(attempt.side, now_s - FIRE_WITHIN_S - LAG_S - SLACK_S, now_s)
        ever = tops.bids(attempt.side, 0.0, now_s)
        if attempt.reason == "TAKE_PROFIT":
            is_true = any(bid is not None and bid >= level for bid, _ in bids)
            was_safe = any(bid is None or bid < level for bid, _ in ever)
        else:
            is_true = any(bid is not None and bid <= level for bid, _ in bids)
            was_safe = any(bid is not None and bid > level for bid, _ in ever)
        if not is_true:
            seen = sorted({str(bid) for bid, _ in bids})
            self.violated("I5", f"{attempt.reason} at {level} of {attempt.ticker} left, bids were {seen}")
        if not was_safe and self._adopts != "exit":
            self.violated("I5", f"{attempt.ticker} was never seen safe and is sold unasked")
        self._check_levels(attempt, ever)

    def _check_levels(self, attempt: Attempt, ever: list[tuple[Decimal | None, Decimal]]) -> None:
        """I13: the floor is the trigger minus the slippage allowed. I5: a trail follows real bids only."""
        slippage = D(self.plan.settings.get("max_slippage", "0.10"))
        if attempt.reason != "TAKE_PROFIT" and attempt.floor < attempt.level - slippage:
            self.violated("I13", f"floor {attempt.floor} of a trigger at {attempt.level}")
        rule = next((h.rule for h in self.plan.holdings if h.ticker == attempt.ticker), {})
        if attempt.reason == "TRAIL" and "trail_cents" in rule:
            least = D(rule.get("min_size", 0))
            peak = max((bid for bid, size in ever if bid is not None and size >= least), default=ZERO)
            if attempt.level > peak - rule["trail_cents"] * D("0.01"):
                self.violated("I5", f"a trail at {attempt.level}, the highest bid was {peak}")

    @property
    def _adopts(self) -> str:
        return str(self.plan.settings.get("adopt", {}).get("already_breached", "ask"))

    def arrived(self, method: str, url: str, body: bytes) -> None:
        """A request reaches the exchange."""
        if method == "POST":
            self.note(f"arrived {body[:200]!r}")

    def answered(self, method: str, url: str, request: bytes, status: int, body: bytes) -> None:
        """The program has a whole answer."""
        self.trace.update(body)
        if self.diary is not None:
            self.note(f"answer {status} {body[:400]!r}")
        if method == "POST" and url.endswith(ORDERS_PATH):
            attempt = self.attempts.get(json.loads(request)["client_order_id"])
            if attempt is not None and self._settles(status, body):
                attempt.is_settled = True
            return
        if "/user_data_timestamp" in url and status == 200:
            self._note_as_of(body)
        if "/portfolio/" in url and status == 200:
            self._see(body)
        if "/portfolio/orders" in url and status == 200 and b'"cursor":""' in body:
            for attempt in self.attempts.values():
                sent_ms = BASE_MS + attempt.left_s * 1000
                if self._as_of_ms > sent_ms + MARGIN_MS and f"ticker={attempt.ticker}" in url:
                    attempt.reads_after += 1
        if "/portfolio/positions" in url and status == 200 and self.lost_before_ms:
            # An older journal names no such orders: what became of them shows in what is held.
            for attempt in self.attempts.values():
                sent_ms = BASE_MS + attempt.left_s * 1000
                if sent_ms < self.lost_before_ms and self._as_of_ms > self.lost_before_ms + MARGIN_MS:
                    attempt.is_settled = True

    @staticmethod
    def _settles(status: int, body: bytes) -> bool:
        if status >= 500 or (status == 409 and b"order_already_exists" in body):
            return False
        try:
            answer = json.loads(body)
        except ValueError:
            return False
        return status >= 400 or (isinstance(answer, dict) and "order_id" in answer)

    def _note_as_of(self, body: bytes) -> None:
        from datetime import datetime

        try:
            text = json.loads(body)["as_of_time"]
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except (ValueError, KeyError):
            return
        self._as_of_ms = max(self._as_of_ms, round(moment.timestamp() * 1000))

    def _see(self, body: bytes) -> None:
        """Evidence: our id stands in what the program reads."""
        if b"sl-" in body:
            for attempt in self.attempts.values():
                if attempt.client_id.encode() in body:
                    attempt.is_settled = True

    def linked(self) -> None:
        """A new feed connection: nothing of it has told a price yet."""
        self._linked_s = self._scheduler.now_s
        self._heard.clear()

    def frame(self, frame: bytes) -> None:
        """The program reads a frame."""
        self.trace.update(frame)
        if (named := MARKET.search(frame)) is not None:
            self._heard.add(named[1].decode())
        if self.diary is not None:
            self.note(f"frame {frame[:260]!r}")
        if b"sl-" in frame:
            self._see(frame)

    # --- what the program says ------------------------------------------------------------------

    def line(self, line: Line, text: str) -> None:
        """One line of the stop-loss log."""
        self.note(text)
        self.reached_states.add(line.event)
        if line.event != "ALARM":
            self._said_s = self._scheduler.now_s  # what rings rings again every minute
        else:
            self._alarms[str(line.fields.get("reason"))] = self._scheduler.now_s
        if line.event == "CLOSED" and line.key is not None:
            self._check_flat(line)
        if line.event == "CANCELLED" and line.key is not None:
            self._cancelled(line)
        if (
            line.event in ("EXTERNAL", "RETIRED", "CLOSED")
            and line.key is not None
            and "price" not in line.fields
        ):
            self._cancelled_s.pop(line.key.ticker, None)  # its epoch has ended
        if line.event == "TRIGGERED" and line.key is not None:
            self._check_triggered(line)
        if line.event == "REFUSED":
            intent_id = str(line.fields.get("intent"))
            left_s = [a.left_s for a in self.attempts.values() if a.intent_id == intent_id]
            if self._scheduler.now_s - max(left_s, default=-REFUSED_S) >= REFUSED_S and not self._unknown_ids:
                self.violated("I11", f"an exit was refused before it left: {line.fields.get('reason')}")
        if line.event == "STUCK":
            intent_id = str(line.fields.get("intent"))
            if any(a.intent_id == intent_id and a.reason == "TAKE_PROFIT" for a in self.attempts.values()):
                self.violated("I6", "a take profit is stuck: the stop cannot take over")

    def _cancelled(self, line: Line) -> None:
        """A person took the exit over, sure of it where its last order was not settled."""
        assert line.key is not None
        self._cancelled_s[line.key.ticker] = self._scheduler.now_s
        for attempt in self.attempts.values():
            if attempt.intent_id == str(line.fields["intent"]):
                attempt.is_settled = True

    def _check_seen_safe(self, ticker: str, side: str, reason: str, level: Decimal) -> None:
        """I5: what a person cancelled fires no more before it was seen where it would not fire."""
        cancelled_s = self._cancelled_s.get(ticker)
        if cancelled_s is None or self._forgets:
            return
        since_s = cancelled_s - FIRE_WITHIN_S - LAG_S - SLACK_S
        bids = [bid for bid, _ in self._tops[ticker].bids(side, since_s, self._scheduler.now_s)]
        if reason == "TAKE_PROFIT":
            was_safe = any(bid is None or bid < level for bid in bids)
        else:
            was_safe = any(bid is not None and bid > level for bid in bids)
        if not was_safe:
            self.violated("I5", f"{reason} of {ticker} fired after a cancel, and was not seen safe since")

    @property
    def _forgets(self) -> bool:
        """Whether a row of this day may be lost: an old journal is put back, or the disk fails."""
        return self.journal_is_doubtful or any(name[:2] in ("O9", "D1", "D2") for _, name in self.plan.events)

    def _check_triggered(self, line: Line) -> None:
        """I5: what made the intent was true within the age of its evidence; an empty book is no crash."""
        assert line.key is not None
        reason, level, now_s = (
            str(line.fields["reason"]),
            D(str(line.fields["trigger"])),
            self._scheduler.now_s,
        )
        tops = self._tops[line.key.ticker].bids(
            str(line.side), now_s - FIRE_WITHIN_S - LAG_S - SLACK_S, now_s
        )
        bids = [bid for bid, _ in tops]
        is_true = {
            "RETRY": True,
            "FLATTEN": True,
            "NO_BID": None in bids,
            "TAKE_PROFIT": any(bid is not None and bid >= level for bid in bids),
        }.get(reason, any(bid is not None and bid <= level for bid in bids))
        if not is_true:
            seen = sorted({str(bid) for bid in bids})
            self.violated("I5", f"{reason} at {level} of {line.key.ticker} triggered, bids were {seen}")
        if reason == "FLATTEN":
            self._check_ordered_floor(line.key.ticker, str(line.side), D(str(line.fields["floor"])))
        elif reason != "RETRY":
            self._check_seen_safe(line.key.ticker, str(line.side), reason, level)

    def _check_flat(self, line: Line) -> None:
        """I8: closed only when all of it was sold, or nothing was held."""
        assert line.key is not None
        intent_id = str(line.fields.get("intent"))
        quantities = [a.quantity for a in self.attempts.values() if a.intent_id == intent_id]
        has_sold_all = bool(quantities) and self._sold[intent_id] >= quantities[0]
        if not has_sold_all and line.key.ticker not in self._was_flat_s:
            self.violated("I8", f"CLOSED {line.key.ticker} with {self._held[line.key.ticker]} held")

    def crashed(self, name: str, error: BaseException | None) -> None:
        """A thread died."""
        if isinstance(error, PlannedDeath):
            self.reached_states.add("thread died")
            return
        at = ""
        trace = None if error is None else error.__traceback__
        while trace is not None:
            at = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
            trace = trace.tb_next
        kind = "I14" if isinstance(error, IllegalTransition) else "I17"
        self.violated(kind, f"thread {name} died: {type(error).__name__} {error} at {at}")

    # --- once a second --------------------------------------------------------------------------

    def look(self) -> None:
        """I9 and I16: bad states ring; no price that cannot be."""
        self._scheduler.after(LOOK_S, self.look)
        self._note_quiet()
        parts, now_s = self._program.parts, self._scheduler.now_s
        if parts is None or not self._program.is_guarding or self._program.process is None:
            self._bad_since.clear()
            return
        machine = self._program.process.machine
        if machine.is_frozen or now_s - machine.thawed_s < THAW_S:
            self._bad_since.clear()
            return
        view = parts.monitor.view()
        standing = set()
        alarms = set(view.alarms) - {"clock_wrong"}  # of no holding
        for position in view.positions:
            self.reached_states.add(f"state {position.state}")
            self._check_prices(position)
            self._check_goes_on(position, view.alarms)
            limit_s = SILENT_LIMITS_S.get(position.state)
            if position.state == "ARMED" and not position.freshness.is_proven and position.source != "rest":
                limit_s = 5.0
            if position.state == "UNPROTECTED" and position.reason == "market_state":
                limit_s = None
            if position.reason == "would_fire_now" and self._adopts == "hold":
                limit_s = None
            if position.reason == "MARKET_STATE":
                limit_s = None
            key = (position.key.ticker, position.state)
            if limit_s is not None and not alarms:
                standing.add(key)
                since_s = self._bad_since.setdefault(key, now_s)
                if now_s - since_s > limit_s + ALARM_S + 2 * LOOK_S:
                    self.violated(
                        "I9",
                        f"{position.key.ticker} {position.state} {position.reason} for {now_s - since_s:.0f} s, silent",
                    )
                    self._bad_since[key] = now_s + 1e9
        for ticker in set(self._paced_since) - {position.key.ticker for position in view.positions}:
            del self._paced_since[ticker]
        for key in set(self._bad_since) - standing:
            del self._bad_since[key]

    def _check_goes_on(self, position: Any, alarms: tuple[str, ...]) -> None:
        """I12: an exit that sold too often waits, and goes on by itself."""
        ticker = position.key.ticker
        if f"{ticker}:paced" not in alarms or position.state != "TRIGGERED":
            self._paced_since.pop(ticker, None)
            return
        since_s = self._paced_since.setdefault(ticker, self._scheduler.now_s)
        if self._scheduler.now_s - since_s > PACED_S:
            self.violated("I12", f"{ticker} has waited for its pace for {PACED_S:.0f} s")
            self._paced_since[ticker] = self._scheduler.now_s + 1e9

    def _check_prices(self, position: Any) -> None:
        for price in (position.bid, position.executable):
            if price is not None and not 0 <= price <= 1:
                self.violated("I16", f"{position.key.ticker} shows a price of {price}")
        if position.bid is not None and not 0 < position.bid < 1:
            self.violated("I16", f"{position.key.ticker} shows a bid of {position.bid}")
        if not position.freshness.is_proven:
            return
        now_s, side = self._scheduler.now_s, str(position.side)
        if position.key.ticker not in self._heard and now_s - self._linked_s > THAW_S:
            self.violated("I3", f"{position.key.ticker} is proven, and this connection told nothing of it")
        window_s = SHOWN_S + (position.age_s or 0.0)
        if position.bid not in {
            bid for bid, _ in self._tops[position.key.ticker].bids(side, now_s - window_s, now_s)
        }:
            self.violated("I16", f"{position.key.ticker} shows a proven bid of {position.bid} that never was")

    # --- the end --------------------------------------------------------------------------------

    def _note_quiet(self) -> None:
        """In a liveness evening: over once all is sold, or nothing has happened for long enough."""
        if self.day is None or not self.day.is_evening or not self.plan.is_liveness:
            return
        semantics, now_s = self.plan.semantics, self._scheduler.now_s
        if self._program.process is not None and self._program.process.machine.is_frozen:
            self._said_s = now_s
        if self._paced_since:
            return  # it has to go on by itself
        longest_s = max(semantics.read_lag_s, semantics.position_lag_s or 0.0)
        parts = self._program.parts
        if parts is None or not self._program.is_guarding:
            return
        shown = {
            p.key.ticker: p.count if p.side == "yes" else -p.count for p in parts.monitor.view().positions
        }
        held = {h.ticker: self._exchange.held(h.ticker) for h in self.plan.holdings}
        agrees = all(shown.get(ticker, ZERO) == count for ticker, count in held.items())
        lasted_s = now_s - self.day.evening_s
        is_quiet = now_s - self._said_s > QUIET_S + longest_s and lasted_s > QUIET_S
        written_s = now_s - max(self.day.evening_s, self.day.disk.busy_until_s)
        is_done = agrees and not shown and written_s > WRITTEN_S
        if is_done or (agrees and is_quiet) or (is_quiet and lasted_s > RECONCILED_S + 2 * longest_s):
            self.is_over = True

    def end(self) -> None:
        """Check what must hold when the faults have been over for a while."""
        self._note_transitions()
        self._check_reconstructible()
        if self.day is not None and self.day.disk.second_instance_ran:
            self.violated("I18", "a second instance got the lock")
        if self.plan.is_liveness:
            self._check_end_of_faults()

    def _check_reconstructible(self) -> None:
        """I4: the journal's rows are chained, and the pure core decides on them as it did."""
        if (connection := self._reader()) is None:
            return
        if (broken := broken_link(connection, newest=None)) is not None:
            self.violated("I4", f"the journal's chain: {broken}")
        decisions, different = replay(self._program.journal_path)
        if decisions:
            self.reached_states.add("decisions replayed")
        if different:
            self.violated("I4", f"decided otherwise when replayed: {different[0]}")

    def _check_end_of_faults(self) -> None:
        parts = self._program.parts
        if parts is None or not self._program.is_guarding:
            self.violated("I10", "the program does not guard")
            return
        view = parts.monitor.view()
        shown = {p.key.ticker: p for p in view.positions}
        for holding in self.plan.holdings:
            held, market = self._exchange.held(holding.ticker), self._exchange.market(holding.ticker)
            position = shown.pop(holding.ticker, None)
            if market.status != "active":
                continue
            if position is None:
                if held != 0:
                    self.violated("I10", f"{holding.ticker}: {held} held and not shown")
                continue
            signed = position.count if position.side == "yes" else -position.count
            if signed != held and any("reports_contradict" in alarm for alarm in view.alarms):
                self.reached_states.add("reports contradict each other")
            elif signed != held:
                self.violated("I10", f"{holding.ticker}: shown {signed}, held {held} in {position.state}")
            elif held != 0 and position.state == "ARMED":
                self._check_fired(holding.ticker, position)
            elif (
                held != 0
                and not view.alarms
                and not (position.reason == "would_fire_now" and self._adopts == "hold")
            ):
                since_s = self._bad_since.get((holding.ticker, position.state), self._scheduler.now_s)
                limit_s = SILENT_LIMITS_S.get(position.state, 0.0) + ALARM_S
                if self._scheduler.now_s - since_s > limit_s:
                    self.violated("I9", f"{holding.ticker} {position.state} {position.reason}, no alarm")
        self._check_intents()

    def _check_fired(self, ticker: str, position: Any) -> None:
        """I6: a touched stop does not stay armed."""
        bid = self._exchange.best(ticker, is_yes=position.side == "yes")
        if bid is not None and position.trigger is not None and bid <= position.trigger:
            self.violated(
                "I6", f"{ticker} is armed at {position.trigger} with a bid of {bid}: {position.reason}"
            )

    def _note_transitions(self) -> None:
        """I14: within an intent the attempt number only grows, and nothing follows its end."""
        if (connection := self._reader()) is None:
            return
        newest: dict[str, int] = {}
        ended: set[str] = set()
        open_of: dict[str, str] = {}
        rows = connection.execute(
            "SELECT intent_id, attempt, to_state, event, ticker FROM transitions ORDER BY seq"
        )
        for intent_id, number, state, event, ticker in rows:
            self.reached_states.add(f"to {state}")
            if event == "flatten":
                self.reached_states.add("a flatten joined an exit")
            if intent_id is None:
                continue
            before = open_of.setdefault(ticker, intent_id)
            if before != intent_id and before not in ended and not self._forgets:
                self.violated("T10", f"intent {intent_id} of {ticker} began while {before} was open")
            open_of[ticker] = intent_id
            if intent_id in ended or (number or 0) < newest.get(intent_id, 0):
                self.violated("I14", f"intent {intent_id} went on to {state}, attempt {number}")
            newest[intent_id] = number or 0
            if state in ("CLOSED", "RETIRED", "CANCELLED", "WITHDRAWN"):
                ended.add(intent_id)

    def _check_intents(self) -> None:
        """I2: after the faults no intent is open but those that stand with their alarm."""
        if self.journal_is_doubtful or (connection := self._reader()) is None:
            return
        rows = connection.execute(
            "SELECT intent_id, to_state, ticker FROM transitions WHERE seq IN"
            " (SELECT max(seq) FROM transitions WHERE intent_id IS NOT NULL GROUP BY intent_id)"
        ).fetchall()
        parts = self._program.parts
        alarms = () if parts is None else parts.monitor.view().alarms
        ends = {"CLOSED", "RETIRED", "CANCELLED", "WITHDRAWN", "STUCK", "WAITING", "REFUSED", "FLIPPED"}
        for intent_id, state, ticker in rows:
            is_paced = state == "TRIGGERED" and f"{ticker}:paced" in alarms
            if state not in ends and not is_paced and self._exchange.market(ticker).status == "active":
                self.violated("I2", f"intent {intent_id} of {ticker} is still {state}")

    # --- the journal's file ---------------------------------------------------------------------

    def _journal_row(self, client_id: str) -> tuple[Any, ...] | None:
        connection = self._reader()
        if connection is None:
            return self._emergency_row(client_id)
        try:
            found: tuple[Any, ...] | None = connection.execute(
                "SELECT i.intent_id, i.quantity, i.side, i.reason, i.level, i.floor FROM attempts a"
                " JOIN intents i USING (intent_id) WHERE a.client_order_id = ?",
                (client_id,),
            ).fetchone()
        except sqlite3.Error as e:
            self.note(f"journal unreadable: {e}")
            return None
        return found if found is not None else self._emergency_row(client_id)

    def _emergency_row(self, client_id: str) -> tuple[Any, ...] | None:
        """What the emergency file says: its lines are length, checksum and JSON."""
        attempt = next(
            (row for row in self._emergency_rows("attempts") if row["client_order_id"] == client_id), None
        )
        if attempt is None:
            return None
        # As it was made, if the journal has it: what is kept of it may be of after a flatten.
        intent = self._intent_row(attempt["intent_id"])
        if intent is None:
            kept = (r for r in self._emergency_rows("intents") if r["intent_id"] == attempt["intent_id"])
            intent = next(kept, None)
        if intent is None:
            return None
        self.reached_states.add("kept in the emergency file")
        return tuple(intent[name] for name in ("intent_id", "quantity", "side", "reason", "level", "floor"))

    def _emergency_rows(self, table: str) -> list[dict[str, Any]]:
        path = emergency_path(self._program.journal_path, None)
        if not path.exists():
            return []
        lines = path.read_bytes().rstrip(b"\0").splitlines()
        return [row["values"] for line in lines for row in json.loads(line[18:]) if row["table"] == table]

    def _intent_row(self, intent_id: str) -> dict[str, Any] | None:
        if (connection := self._reader()) is None:
            return None
        names = ("intent_id", "quantity", "side", "reason", "level", "floor")
        found = connection.execute(
            "SELECT intent_id, quantity, side, reason, level, floor FROM intents WHERE intent_id = ?",
            (intent_id,),
        ).fetchone()
        return None if found is None else dict(zip(names, found, strict=True))

    def _reader(self) -> sqlite3.Connection | None:
        path = self._program.journal_path
        if not path.exists():
            return None
        inode = path.stat().st_ino
        if self._journal is None or self._journal[0] != inode:
            self.close()
            self._journal = (inode, sqlite3.connect(f"file:{path}?mode=ro", uri=True))
        return self._journal[1]

    def close(self) -> None:
        """Free the file."""
        if self._journal is not None:
            self._journal[1].close()
            self._journal = None
