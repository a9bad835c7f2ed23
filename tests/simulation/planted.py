"""Thirty-one small bugs, each planted alone: the judge must catch every one. ``make planted``.

They are the ways in which such programs lose money. A bug is a text that stands once in one file, and
what stands there instead; a text that is no longer there fails the run, so that the table stays true.
"""

from __future__ import annotations

import argparse
import datetime
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WITHIN = 2_000
"""Seeds within which a bug must be caught."""
SLICE = 5
_CAUGHT = re.compile(r"caught after (\d+) seeds by (\w+)")


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug: ``old`` in ``file`` becomes ``new``."""

    name: str
    file: str
    old: str
    new: str
    is_rare: bool = False  # it takes hundreds of days to show: hunted by ``make planted`` alone


BUGS = (
    Bug(
        "no reduce_only",
        "kalshi/order_writes.py",
        "        reduce_only=True,\n",
        "        reduce_only=False,\n",
    ),
    Bug(
        "send before journal",
        "risk/stop_loss.py",
        "        if effects:\n            write_down(",
        "        written.set()\n        threading.Event().wait(0.1)\n"
        "        if effects:\n            write_down(",
    ),
    Bug(
        "HTTP layer repeats a POST",
        "kalshi/rest_calls.py",
        "            answer = self._transport.call(method, path, deadline_s, query, body, departure)\n        except MonitorError:\n",
        "            try:\n"
        "                answer = self._transport.call(method, path, deadline_s, query, body, departure)\n"
        "            except OutcomeUnknown:\n"
        "                answer = self._transport.call(method, path, deadline_s, query, body, departure)\n"
        "        except MonitorError:\n",
    ),
    Bug(
        "sequence gap ignored",
        "kalshi/sequence.py",
        "            self._last, self._was_reply, self._back = seq, is_reply, None\n            return Step.GAP\n        return",
        "            self._last, self._was_reply, self._back = seq, is_reply, None\n            return Step.NEXT\n        return",
    ),
    Bug(
        "old delta applied",
        "kalshi/sequence.py",
        "            return Step.DUPLICATE\n        if seq > last:",
        "            return Step.NEXT\n        if seq > last:",
    ),
    Bug(
        "NO compared in YES space",
        "risk/stop_loss.py",
        "            guard.side,\n            trigger=None if stop is None else stop.trigger,\n",
        "            type(guard.side).YES,\n            trigger=None if stop is None else stop.trigger,\n",
    ),
    Bug(
        "empty positions read as flat",
        "risk/news.py",
        "            if key in listed or not settling.is_contradicted(guard, ctx):\n",
        "            if True:\n",
    ),
    Bug(
        "remaining_count == 0 read as filled",
        "risk/answers.py",
        "        attempt.answered = outcome.filled\n",
        "        attempt.answered = attempt.order.count - outcome.remaining\n",
    ),
    Bug(
        "monotonic instead of boot time",
        "clock.py",
        "        return time.clock_gettime(_BOOT_CLOCK)\n",
        "        return time.monotonic()\n",
    ),
    Bug(
        "STP taker_at_cross",
        "kalshi/order_writes.py",
        '        self_trade_prevention_type="maker",\n',
        '        self_trade_prevention_type="taker_at_cross",\n',
    ),
    Bug(
        "default price for a missing field",
        "kalshi/wire_frames.py",
        "    price_dollars: str\n    delta_fp: str\n    side: str\n",
        '    delta_fp: str\n    side: str\n    price_dollars: str = "0.5000"\n',
    ),
    Bug(
        "page 2 unread",
        "kalshi/pages.py",
        "        if not page.cursor:\n",
        "        if True:\n",
    ),
    Bug(
        "new client id on resend",
        "risk/selling.py",
        "    if attempt.order.count <= left and grid.contains(attempt.order.price):\n        return attempt\n",
        "",
    ),
    Bug(
        "lost answer = rejected",
        "risk/answers.py",
        "    else:\n        lost(guard, ctx, attempt, outcome.why)\n\n\ndef lost",
        "    else:\n        after_count(guard, ctx, attempt)\n\n\ndef lost",
    ),
    Bug(
        "lost answer = done",
        "risk/answers.py",
        "    else:\n        lost(guard, ctx, attempt, outcome.why)\n\n\ndef lost",
        "    else:\n        attempt.answered = attempt.order.count\n        after_count(guard, ctx, attempt)\n\n\ndef lost",
    ),
    Bug(
        "409 = success without look-up",
        "risk/answers.py",
        "        lost(guard, ctx, attempt, code)  # the first one arrived: evidence says what it did\n",
        "        attempt.answered = attempt.order.count\n        after_count(guard, ctx, attempt)\n",
        is_rare=True,
    ),
    Bug(
        "a fill counted from two sources",
        "risk/counting.py",
        "        return max(self.answered or ZERO, self.reported or ZERO, self.filled_by_fills)\n",
        "        return max(self.answered or ZERO, self.reported or ZERO) + self.filled_by_fills\n",
    ),
    Bug(
        "positions override newer fills",
        "risk/counting.py",
        "        return self.last_fill_ms is None or as_of_ms > self.last_fill_ms + AS_OF_MARGIN_MS\n",
        "        return True\n",
        is_rare=True,
    ),
    Bug(
        "live before acknowledgement and data",
        "kalshi/market_feed.py",
        "            epoch=epoch if is_live else 0,\n            has_sequence=by_book,\n            in_sequence=self.is_trusted or not by_book,\n",
        "            epoch=epoch,\n            has_sequence=by_book,\n            in_sequence=True,\n",
    ),
    Bug(
        "the close read as a crash",
        "risk/decide.py",
        '    if quote.bid is None and quote.ask is None:\n        return Unknown("NO_MARKET")\n',
        "    if quote.bid is None and quote.ask is None:\n"
        "        quote = replace(quote, bid=Decimal(0), bid_size=Decimal(1000), ask=Decimal('0.01'))\n"
        "        seen = replace(seen, quote=quote, lowest=quote)\n",
        is_rare=True,
    ),
    Bug(
        "ask used for an empty bid",
        "risk/decide.py",
        "    quote, trigger = seen.quote, stop.trigger\n",
        "    quote, trigger = seen.quote, stop.trigger\n"
        "    if quote.bid is None and quote.ask is not None:\n"
        "        quote = replace(quote, bid=quote.ask - Decimal('0.02'), bid_size=quote.ask_size)\n"
        "        seen = replace(seen, quote=quote, lowest=quote)\n",
        is_rare=True,
    ),
    Bug(
        "NaN accepted",
        "kalshi/numbers.py",
        '        value = parse_price(wire, "price")\n        found = value if ZERO < value < ONE else None\n',
        "        value = Decimal(wire.strip())\n        found = value\n",
    ),
    Bug(
        "grid snap to the wrong side",
        "risk/ladder.py",
        "    return snapped if snapped >= floor else grid.snap_up(price)\n",
        "    return snapped\n",
    ),
    Bug(
        "floor from the current bid",
        "risk/selling.py",
        "        level, floor, last_floor = _levels_of_stop(guard, ctx)\n    else:\n",
        "        level, floor, last_floor = _levels_of_stop(guard, ctx)\n"
        "        assert ctx.market is not None\n"
        "        floor = floor_of(\n"
        "            evidence.bid or level, ctx.settings.max_slippage, ctx.market.grid_of(guard.side)\n"
        "        )\n    else:\n",
    ),
    Bug(
        "a take profit blocks the stop",
        "risk/selling.py",
        '    if intent.is_take_profit:\n        endings.withdraw(guard, ctx, "missed")\n        return\n',
        "",
        is_rare=True,
    ),
    Bug(
        "trailing peak from a ghost book",
        "risk/decide.py",
        "    if quote.bid is None or blocking_quote_filter(stop.rule, quote) is not None:\n        return None\n    return seen.sustained_bid",
        "    if quote.bid is None:\n        return None\n    return seen.sustained_bid",
        is_rare=True,
    ),
    Bug(
        "halt blocks exits",
        "app/wiring.py",
        "        self.executor = ExitExecutor(self.orders, clock, crashed=crashed)\n",
        "        place = self.orders.place_exit\n"
        "        self.orders.place_exit = lambda order, *rest: (  # type: ignore[method-assign]\n"
        "            Refused(client_order_id=order.client_order_id, status=423, code='halted', details='')\n"
        "            if folder.is_halted else place(order, *rest)\n"
        "        )\n"
        "        self.executor = ExitExecutor(self.orders, clock, crashed=crashed)\n",
    ),
    Bug(
        "a pace limit that never lets go",
        "risk/limits.py",
        "            waits.append(self._ids[-most] + WINDOW_S)\n",
        "            waits.append(now_s + WINDOW_S)\n",
        is_rare=True,
    ),
    Bug(
        "what a person cancelled fires again unseen",
        "risk/endings.py",
        "    guard.was_armed = guard.target_is_armed = False\n    guard.is_cancelled = True\n",
        "    guard.was_armed = True\n",
    ),
    Bug(
        "a flatten raises the floor it joins",
        "risk/person.py",
        "    lowest = intent.floor if floor is None else min(floor, intent.floor)\n",
        "    lowest = intent.floor if floor is None else floor\n",
    ),
    Bug(
        "an adopted breached stop fires unasked",
        "risk/arming.py",
        "    elif guard.was_armed:\n",
        "    elif True:\n",
    ),
)


def plant(bug: Bug, into: Path, also: Sequence[str] = ("tests/simulation",)) -> None:
    """Make a copy of the program with the bug in it, and of the files and folders that are to catch it.

    Raises:
        ValueError: The text is not there exactly once: the table is out of date.
    """
    for name in ("base", *also):
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, into / name)
    (into / "tests/__init__.py").touch()
    path = into / "base" / bug.file
    text = path.read_text()
    if not bug.old or text.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: its text stands {text.count(bug.old)} times in base/{bug.file}")
    path.write_text(text.replace(bug.old, bug.new))


def hunt(bug: Bug, seeds: int) -> tuple[int, str] | None:
    """Return after how many seeds the bug was caught, and by which invariant; ``None``: it was not."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        plant(bug, Path(folder))
        ran = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seeds", str(seeds), "--until-failure"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    caught = _CAUGHT.search(ran.stdout)
    if caught is None and "seeds," not in ran.stdout:
        raise RuntimeError(f"{bug.name}: the simulation did not run: {ran.stderr[-2000:]}")
    return None if caught is None else (int(caught[1]), caught[2])


def main() -> int:
    """Hunt all bugs, or today's slice of them; 0: every one was caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.planted", description=__doc__)
    parser.add_argument("--slice", action="store_true", help=f"{SLICE} of them, others every day")
    parser.add_argument("--only", help="those whose name holds this")
    options = parser.parse_args()
    bugs = [bug for bug in BUGS if not options.only or options.only in bug.name]
    if options.slice:
        bugs = [bug for bug in bugs if not bug.is_rare]
        first = datetime.date.today().toordinal() * SLICE % len(bugs)
        bugs = [(bugs * 2)[first + number] for number in range(SLICE)]
    escaped = 0
    for bug in bugs:
        found = hunt(bug, WITHIN)
        escaped += found is None
        print(
            f"{'ESCAPED' if found is None else f'{found[0]:5d} seeds, {found[1]:4s}'}  {bug.name}", flush=True
        )
    print(f"{len(bugs) - escaped} of {len(bugs)} planted bugs caught within {WITHIN} seeds each")
    return 1 if escaped else 0


if __name__ == "__main__":
    raise SystemExit(main())
