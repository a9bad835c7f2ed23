"""Bugs planted one at a time, each into a copy of the program: the battery must catch every one.

``python -m tests.torture.planted``; ``--only`` for those whose name holds something.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.planted import BUGS, Bug, plant

COPIED = (
    "tests/torture", "tests/reference.py", "tests/risk/journal_v1.sql", "benchmarks", "run.py", "config.yaml",
)  # fmt: skip
KNOWN = {bug.name: bug for bug in BUGS}


@dataclass(frozen=True, slots=True)
class Hunt:
    """A bug, the rounds that have to catch it, and as what: the word that stands in front of what is broken."""

    bug: Bug
    only: str
    caught_as: str
    first: int = 0
    rounds: int = 2


HUNTS = (
    Hunt(KNOWN["send before journal"], "killed: attempt journalled", "lost"),
    Hunt(KNOWN["new client id on resend"], "late orders", "duplicate", first=3, rounds=1),
    Hunt(KNOWN["HTTP layer repeats a POST"], "lost answers", "duplicate"),
    Hunt(KNOWN["lost answer = rejected"], "lost answers, dead feed", "duplicate"),
    Hunt(KNOWN["an adopted breached stop fires unasked"], "damaged journal", "failed"),
    Hunt(
        Bug(
            "no recovery",
            "risk/stop_loss.py",
            "            recovering.recover(self._guards, self._journal.recovered(), self._moment())\n",
            "",
        ),
        "killed: bytes sent",
        "lost",
    ),
    Hunt(
        Bug(
            "an open order is sent again after a restart",
            "risk/recovering.py",
            "    if guard.state is State.IN_FLIGHT:\n        guard.move(Event.LOST, ",
            "    if guard.state is State.IN_FLIGHT:\n        guard.move(Event.NOT_SENT, ",
        ),
        "killed: bytes sent",
        "duplicate",
    ),
    Hunt(
        Bug(
            "what a read found sold is forgotten at a restart",
            "risk/recovering.py",
            "        reported=attempt.settled,\n",
            "",
        ),
        "killed: attempt settled",
        "duplicate",
        first=1,
        rounds=13,
    ),
    Hunt(
        Bug(
            "nothing is kept for an emergency",
            "risk/writing_down.py",
            "    if sends and not journal.keep(",
            "    if sends and not bool(",
        ),
        "disk full",
        "lost",
    ),
    Hunt(
        Bug(
            "a lock that locks nobody out",
            "app/account_folder.py",
            "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
            "fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        ),
        "two instances",
        "failed",
    ),
    Hunt(
        Bug(
            "an old journal is not migrated",
            "risk/journal_file.py",
            '"".join(STEPS[version:])',
            '"".join(STEPS[len(STEPS) if version else 0 :])',
        ),
        "journal of version 1",
        "lost",
    ),
    Hunt(
        Bug("a dead feed is waited for", "feed/freshness.py", "CONNECTION_S = 5.0", "CONNECTION_S = 500.0"),
        "half-open feed",
        "failed",
    ),
    Hunt(
        Bug(
            "what waited in the socket is news",
            "kalshi/websocket_client.py",
            "            if now_s - heard_s > CONNECTION_S:\n"
            '                raise LinkLost("nothing heard for 5 s")\n'
            "            if message is not None:\n"
            "                heard_s = now_s\n"
            "                self._take(message[0], message[1], now_s, is_new_read=now_s != self._measured_s)\n",
            "            if message is None and now_s - heard_s > CONNECTION_S:\n"
            '                raise LinkLost("nothing heard for 5 s")\n'
            "            if message is not None:\n"
            "                heard_s = now_s\n"
            "                self._take(message[0], message[1], now_s, is_new_read=self._stats.frames < 12)\n",
        ),
        "SIGSTOP 12 s",
        "failed",
        first=1,
        rounds=1,
    ),
    Hunt(
        Bug(
            "nothing is ever cancelled",
            "risk/exit_executor.py",
            "order_ids = tuple(dict.fromkeys(work.order_ids))",
            "order_ids = tuple(dict.fromkeys(work.order_ids[:0]))",
        ),
        "killed: cancel sent",
        "failed",
        rounds=1,
    ),
    Hunt(
        Bug(
            "an exit that never ends",
            "risk/settling.py",
            "    if guard.is_flat or intent.filled_by_fills >= intent.quantity:\n        endings.close(",
            "    if False:\n        endings.close(",
        ),
        "killed: answer journalled",
        "lost",
        rounds=1,
    ),
    Hunt(
        Bug(
            "a start that dawdles",
            "app/starting.py",
            "    parts.reconciler.run_once()\n",
            "    parts.reconciler.run_once()\n    threading.Event().wait(11.0)\n",
        ),
        "killed: closed",
        "slow",
    ),
)


def hunt(planted: Hunt) -> str | None:
    """Return what the battery said first of the kind that was looked for; ``None``: nothing."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        plant(planted.bug, Path(folder), COPIED)
        command = [sys.executable, "-m", "tests.torture", "--exactly", "--only", planted.only]
        command += ["--first", str(planted.first), "--rounds", str(planted.rounds)]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if "restarts_measured" not in ran.stdout:
        raise RuntimeError(f"{planted.bug.name}: the battery did not run: {ran.stderr[-2000:]}")
    found = [line for line in ran.stderr.splitlines() if f": {planted.caught_as}: " in line]
    return found[0] if ran.returncode == 1 and found else None


def main() -> int:
    """Hunt them all; 0: every one was caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.planted", description=__doc__)
    parser.add_argument("--only", default="", help="those whose name holds this")
    only = parser.parse_args().only
    hunted = [planted for planted in HUNTS if only in planted.bug.name]
    escaped = 0
    for planted in hunted:
        said = hunt(planted)
        escaped += said is None
        print(f"{'ESCAPED' if said is None else 'caught '}  {planted.bug.name}: {said or '-'}", flush=True)
    print(f"{len(hunted) - escaped} of {len(hunted)} planted bugs caught")
    return 1 if escaped else 0


if __name__ == "__main__":
    raise SystemExit(main())
