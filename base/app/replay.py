"""`replay`: recorded frames through the same decision core as the live monitor. No network, no sleep.

Time is the recording's own ``recv_ns``; the same input gives the same bytes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from base.app.capture import BrokenLine, Note, RecordedFrame, read_capture
from base.app.replay_feed import NANO, ReplayedFeed
from base.errors import ConfigError, WireError
from base.kalshi.messages import UnknownFrame, decode
from base.model import Position, Side
from base.risk.decide import Decision, Exit, Hold, Moment, NoBid, Unknown, follow, is_safe
from base.risk.rules import Impossible, Rule, Stop, make_stop
from base.units import COUNT_STEP, ZERO, parse_count, parse_price, price_text

SWEEP_NS = 2 * NANO
_POSITION = re.compile(r"(?P<ticker>[^:\s]+):(?P<side>yes|no):(?P<count>[^@]+)@(?P<entry>.+)")
_PRICES = ("stop", "take_profit", "catastrophe", "max_spread")
_NUMBERS = ("loss_percent", "gain_percent", "trail_cents", "min_size")


@dataclass(slots=True)
class Replayed:
    """One position of the replay."""

    position: Position
    stop: Stop
    is_armed: bool = False
    target_is_armed: bool = False
    is_over: bool = False
    last: tuple[str, str] | None = None


def run_replay(capture: Path, positions: list[str], rules: list[str], out: TextIO, err: TextIO) -> int:
    """Replay ``capture`` and write a row for each decision, then a summary; return the exit status.

    Raises:
        ConfigError: A position or rule cannot be read, contradicts itself, or the file cannot be opened.
    """
    rule = parse_rule(rules)
    replay = _Replay([_replayed(text, rule) for text in positions], out, err)
    replay.run(capture)
    return 0


class _Replay:
    def __init__(self, positions: list[Replayed], out: TextIO, err: TextIO):
        self._positions = positions
        self._out, self._err = out, err
        self._feed = ReplayedFeed()
        self._next_sweep_ns: int | None = None
        self._counts = {"frames": 0, "decoded": 0, "unknown_type": 0, "refused": 0, "decisions": 0}

    def run(self, capture: Path) -> None:
        for line in read_capture(capture):
            if isinstance(line, BrokenLine):
                self._refuse(line.line, line.why)
                continue
            self._sweep_until(line.recv_ns)
            if isinstance(line, Note):
                self._note(line)
            else:
                self._frame(line)
        for replayed in self._positions:
            if replayed.position.ticker not in self._feed.markets:
                self._err.write(f"warning: {replayed.position.ticker} does not appear in {capture}\n")
        self._write({"summary": self._counts})

    def _note(self, note: Note) -> None:
        self._feed.seconds(note.recv_ns)
        try:
            self._feed.apply_note(note)
        except ValueError as e:
            self._err.write(f"line {note.line}: the note is passed over: {e}\n")

    def _frame(self, recorded: RecordedFrame) -> None:
        self._feed.seconds(recorded.recv_ns)
        try:
            frame = decode(recorded.raw)
        except WireError as e:
            self._refuse(recorded.line, str(e))
            return
        self._counts["frames"] += 1
        self._counts["unknown_type" if isinstance(frame, UnknownFrame) else "decoded"] += 1
        ticker = self._feed.apply(frame, recorded.recv_ns)
        if ticker is not None:
            self._evaluate(ticker, recorded.recv_ns)

    def _refuse(self, line: int, why: str) -> None:
        self._counts["frames"] += 1
        self._counts["refused"] += 1
        self._err.write(f"line {line}: refused: {why}\n")

    def _sweep_until(self, recv_ns: int) -> None:
        """Evaluate every two seconds from the first line, up to this moment."""
        if self._next_sweep_ns is None:
            self._next_sweep_ns = recv_ns + SWEEP_NS
        while self._next_sweep_ns < recv_ns:
            for ticker in dict.fromkeys(replayed.position.ticker for replayed in self._positions):
                self._evaluate(ticker, self._next_sweep_ns)
            self._next_sweep_ns += SWEEP_NS

    def _evaluate(self, ticker: str, at_ns: int) -> None:
        market = self._feed.markets.get(ticker)
        if market is None or not market.has_quote:
            return  # nothing was ever seen of it: nothing can be decided
        here = [r for r in self._positions if r.position.ticker == ticker and not r.is_over]
        for replayed in here:
            self._decide(replayed, at_ns, keep=replayed is not here[-1])

    def _decide(self, replayed: Replayed, at_ns: int, *, keep: bool) -> None:
        stop, ticker = replayed.stop, replayed.position.ticker
        now = Moment(self._feed.seconds(at_ns), at_ns // 1_000_000)
        market = self._feed.markets[ticker].facts()
        seen, freshness = self._feed.look(
            ticker,
            stop.side,
            now.boot_s,
            trigger=stop.trigger,
            target=stop.target,
            dwell_s=stop.rule.dwell_s,
            updates=stop.rule.updates,
            keep=keep,
        )
        decision: Decision
        if not market.is_open_at(now.exchange_ms):
            decision = Hold("MARKET_STATE")
        elif seen is None:
            decision = Unknown(freshness.missing or "connection")
        else:
            replayed.stop, decision = follow(stop, seen, market, now)
            if not replayed.is_armed and is_safe(replayed.stop, seen, market, now):
                replayed.is_armed = True
                decision = Hold("ABOVE_TRIGGER")
            self._arm_target(replayed, seen.quote.bid)
        bid = None if seen is None else seen.quote.bid
        self._tell(replayed, decision, bid, at_ns)

    @staticmethod
    def _arm_target(replayed: Replayed, bid: Decimal | None) -> None:
        target = replayed.stop.target
        if target is not None and bid is not None and bid < target:
            replayed.target_is_armed = True

    def _tell(self, replayed: Replayed, decision: Decision, bid: Decimal | None, at_ns: int) -> None:
        """Write a row when (decision, reason) changed and it is not a hold."""
        word, reason, level, is_suspicious = _worded(decision, replayed)
        if isinstance(decision, Exit):
            bid = decision.evidence.bid
        said = (word, reason)
        if said == replayed.last:
            return
        replayed.last = said
        if word == "HOLD":
            return
        self._counts["decisions"] += 1
        self._write(
            {
                "ts_ms": at_ns // 1_000_000,
                "ticker": replayed.position.ticker,
                "side": replayed.stop.side.value,
                "decision": word,
                "reason": reason,
                "bid": None if bid is None else price_text(bid),
                "trigger": None if level is None else price_text(level),
                "suspicious": is_suspicious,
            }
        )
        replayed.is_over = word == "EXIT"

    def _write(self, row: dict[str, Any]) -> None:
        self._out.write(json.dumps(row, separators=(",", ":")) + "\n")


def _worded(decision: Decision, replayed: Replayed) -> tuple[str, str, Decimal | None, bool]:
    """Return (decision, reason, level, suspicious) as the row says it."""
    trigger = replayed.stop.trigger if replayed.stop.trigger is not None else replayed.stop.target
    if isinstance(decision, Hold):
        return "HOLD", decision.reason, trigger, False
    if isinstance(decision, Unknown):
        return "UNKNOWN", decision.reason, trigger, False
    if isinstance(decision, NoBid):
        if not replayed.is_armed:
            return "UNPROTECTED", "no_bid", trigger, False
        return "NO_BID", "NO_BID", trigger, False
    if decision.reason == "TAKE_PROFIT" and replayed.is_armed and not replayed.target_is_armed:
        return "HOLD", "target_not_seen_below", decision.level, False
    if not replayed.is_armed:
        return "UNPROTECTED", "would_fire_now", decision.level, decision.suspicious
    return "EXIT", decision.reason, decision.level, decision.suspicious


def parse_rule(texts: list[str]) -> Rule:
    """Read ``NAME=VALUE`` rules.

    Raises:
        ConfigError: An unknown name, a value out of range, or no rule that could ever fire.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name in values:
            raise ConfigError(f"--rule {text}", "should be NAME=VALUE, each name once")
        values[name] = _rule_value(name, value, text)
    rule = Rule(name="replay", **values)
    if not rule.has_stop and not rule.has_target:
        raise ConfigError(
            "--rule", "needs a stop or a target, e.g. --rule stop=0.40 or --rule loss_percent=50"
        )
    return rule


def _rule_value(name: str, value: str, text: str) -> Decimal | float | int:
    where = f"--rule {text}"
    try:
        if name in _PRICES:
            return parse_price(value, name)
        if name in _NUMBERS:
            number = parse_count(value, name)
            if number == ZERO:
                raise WireError(name, value)
            return number
        if name == "dwell_s":
            return float(parse_count(value, name))
        if name == "updates":
            if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 1_000_000):
                raise WireError(name, value)
            return int(value)
    except WireError:
        raise ConfigError(where, "is not a value it can take; prices are dollars like 0.40") from None
    names = ", ".join((*_PRICES, *_NUMBERS, "dwell_s", "updates"))
    raise ConfigError(where, f"is not a rule; names are {names}")


def _replayed(text: str, rule: Rule) -> Replayed:
    where = f"--position {text}"
    match = _POSITION.fullmatch(text)
    if match is None:
        raise ConfigError(where, "should be TICKER:yes|no:COUNT@ENTRY, e.g. KXBTC15M-X:yes:10@0.60")
    try:
        count, entry = parse_count(match["count"], "count"), parse_price(match["entry"], "entry")
    except WireError as e:
        raise ConfigError(where, f"{e}: counts and prices are plain numbers, e.g. 10@0.60") from None
    if count == ZERO or count % COUNT_STEP:
        raise ConfigError(where, "the count must be above 0, in steps of 0.01 contracts")
    position = Position(ticker=match["ticker"], side=Side(match["side"]), count=count, entry=entry)
    try:
        return Replayed(position, make_stop(rule, position.side, count, entry, None))
    except Impossible as e:
        raise ConfigError(where, f"the rule cannot protect it: {e.reason}") from None
