"""Rounds about files: a full disk, a damaged journal, one whose tail was lost, one of an older version."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from base.kalshi.auth import load_signer
from base.risk.journal_tables import digest_of
from tests.reference import ROOT
from tests.torture.judge import Case
from tests.torture.kills import KILLED_S, MID_EXIT
from tests.torture.scene import Scene

VERSION_1 = ROOT / "tests/risk/journal_v1.sql"
NEWEST_MS = 1_795_001_188_030
"""The newest time in it."""
TABLES = ("intents", "attempts", "outcomes", "transitions")
OLD = {"KXOLD-26DEC31-ARMED": 10, "KXOLD-26DEC31-BACK": 10, "KXOLD-26DEC31-EXITING": 6}
"""What is still held of the markets in it: of the last, four of ten were sold."""
DISK_BYTES = 512 * 1024
ALARM_S = 10.0
ARRIVED_S = 0.5
"""What was sent before a death has arrived, and its rows were looked for, before the journal is damaged."""


# --- a full disk --------------------------------------------------------------------------------------


def mount_small_disk(folder: Path) -> None:
    """Put a disk of half a megabyte where the journal will lie. Only in a mount namespace of our own."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    options = f"size={DISK_BYTES},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(data)], check=True)


def disk_full(round_: Scene) -> None:
    """The disk is full as the stop is touched: the order goes, is known after a kill, and the alarm rings."""
    round_.start_armed()
    undo = _fill(round_)
    round_.touch(thin=False)
    program = round_.program
    program.wait(lambda: round_.exchange.do("sold"), "sold on a full disk", KILLED_S)
    program.wait(lambda: "journal_failed" in "".join(program.events()), "said", ALARM_S)
    # Where files may not grow, the error is another one, after which the program does not write there again.
    if round_.number % 2 or not os.path.ismount(program.folder / "data"):
        program.kill()
        undo()
        round_.restart()
    else:
        undo()
    sent = {order.client_id for order in round_.seen().orders}
    program.wait(lambda: sent <= program.intents().attempts, "written down after all", KILLED_S)
    round_.finish()


def _fill(round_: Scene) -> Callable[[], object]:
    """Leave no byte free; return what gives them back. Without a disk of our own, files may not grow."""
    data = round_.program.folder / "data"
    if not os.path.ismount(data):
        journal = round_.program.journals()[0]
        size = max(path.stat().st_size for path in (journal, Path(f"{journal}-wal")) if path.exists())
        before = resource.prlimit(round_.program.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        def free() -> None:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(round_.program.pid, resource.RLIMIT_FSIZE, before)

        return free
    filler = data / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as e:
            if e.errno != errno.ENOSPC:
                raise
    return filler.unlink


# --- a damaged journal ----------------------------------------------------------------------------------


def damaged(round_: Scene) -> None:
    """Nothing of the journal can be read after a kill: what is still held rings, and nothing is sold unasked."""
    _die(round_)
    for path in round_.program.journals():
        path.write_bytes(b"not a database " * 1000)
    program = round_.program
    program.start()
    program.wait(lambda: _rings(round_, "journal_corrupt"), "said", KILLED_S)
    sold_before = len(round_.seen().orders)
    program.wait(lambda: _all_known(round_), "all holdings known", KILLED_S)
    time.sleep(2.0)
    if len(round_.seen().orders) > sold_before:
        round_.verdict.failures.append("it sold by a stop that it had never seen safe")
    still_held = [ticker for ticker in round_.doomed if round_.seen().held[ticker]]
    if round_.number % 2 == 0:
        round_.judge(Case(began_with=round_.held, must_sell=(), may_sell=round_.doomed, is_forgotten=True))
        return
    round_.exchange.do("recover", still_held)  # seen safe, then touched: now it has to sell
    round_.note_protected()
    round_.verdict.protected_s.clear()  # that waited for the price
    round_.touch(thin=False)
    round_.finish(is_forgotten=True)


def lost_tail(round_: Scene) -> None:
    """The machine lost power: what the disk had not yet kept, the newest rows, is gone. The position is not."""
    _die(round_)
    for path in round_.program.journals():
        if path.name.endswith("-wal"):
            os.truncate(path, path.stat().st_size * (1 + round_.number % 8) // 9)
    round_.program.start()
    round_.program.wait(lambda: _all_known(round_), "all holdings known", KILLED_S)
    if _unprotected(round_):  # it may have forgotten that the stop was armed, and then asks before it sells
        round_.exchange.do("recover", round_.doomed)
        round_.program.wait(lambda: not _unprotected(round_), "armed", KILLED_S)
        round_.touch(thin=False)
    round_.finish(is_forgotten=True)


def _die(round_: Scene) -> None:
    hook = MID_EXIT[round_.number % len(MID_EXIT)]
    round_.start_armed(hook)
    round_.touch()
    round_.program.wait_dead(hook, KILLED_S)
    time.sleep(ARRIVED_S)


def _rings(round_: Scene, alarm: str) -> bool:
    status = round_.program.status()
    return status is not None and alarm in status["alarms"]


def _all_known(round_: Scene) -> bool:
    """Whether each holding is covered, exiting, or rings."""
    status = round_.program.status()
    if status is None:
        return False
    shown = {position["ticker"]: position for position in status["positions"]}
    for ticker, count in round_.seen().held.items():
        if count and ticker not in shown:
            return False
    return all(
        position["protection"] != "unprotected" or position["reason"] == "would_fire_now"
        for position in shown.values()
    )


def _unprotected(round_: Scene) -> list[str]:
    status = round_.program.status() or {"positions": []}
    return [each["ticker"] for each in status["positions"] if each["protection"] == "unprotected"]


# --- a journal of an older version --------------------------------------------------------------------


def old_version(round_: Scene) -> None:
    """The first start after an upgrade: an exit is open, an order's answer was lost, and stops are touched."""
    address = round_.exchange.address
    account = load_signer(address.key_id, address.private_key_path).account_hash
    journal = round_.program.folder / "data" / f"custom-{account}" / "journal.sqlite"
    journal.parent.mkdir(parents=True, mode=0o700)
    write_old_journal(journal, round_.exchange.do("now_ms") - 60_000)
    round_.touch(thin=False)
    round_.restart()
    round_.finish()


def write_old_journal(path: Path, newest_ms: int) -> None:
    """Write a journal as version 1 of its tables did, its newest row of then."""
    with closing(sqlite3.connect(path)) as journal, journal:
        journal.executescript(VERSION_1.read_text())
        rows = sorted(
            (seq, table) for table in TABLES for (seq,) in journal.execute(f"SELECT seq FROM {table}")
        )
        digest = ""
        for seq, table in rows:
            moved = f"UPDATE {table} SET at_ms = at_ms + ? WHERE seq = ?"
            journal.execute(moved, (newest_ms - NEWEST_MS, seq))
            _, _, *cells = journal.execute(f"SELECT * FROM {table} WHERE seq = ?", (seq,)).fetchone()
            digest = digest_of(digest, table, seq, cells)
            journal.execute(f"UPDATE {table} SET chain = ? WHERE seq = ?", (digest, seq))
    path.chmod(0o600)
