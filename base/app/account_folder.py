"""The folder of one account's files: journal, lock, halt switch, control socket.

``data/{environment}-{hash of the key id}/``, so that environments and keys never mix. In ``simulated``
every run has a new key and so a new folder; ``data/simulated-current`` names the newest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from base.app.lock_owner import LockOwner, owner_in
from base.errors import ConfigError
from base.risk.emergency import MEMORY, emergency_path
from base.risk.journal_head import JournalHead

LONGEST_SOCKET_PATH = 100
"""Bytes a socket's path may have: 107 on Linux, 103 on macOS. See: man unix(7), man unix(4)."""
_LONGEST_PATH = 4096
_OF_KALSHI = ("demo", "production")
_POINTER = "simulated-current"
_RUN = re.compile(r"simulated-([0-9a-f]{12}|key-.*)")


class InUse(ConfigError):
    """Another process guards this account."""


class AccountFolder:
    """One account's folder. ``claim`` makes this process its only owner.

    ``machine_lock``: taken as well, so that the account is not guarded from two folders of one machine.
    """

    def __init__(self, path: Path, machine_lock: Path | None = None):
        self.path = path
        self._machine_lock = machine_lock
        self._lock_files: list[int] = []

    @property
    def journal(self) -> Path:
        """The journal."""
        return self.path / "journal.sqlite"

    @property
    def paper_journal(self) -> Path:
        """The journal of paper trading: its decisions never mix with real ones."""
        return self.path / "paper.sqlite"

    def journal_of(self, *, is_live: bool) -> Path:
        """The journal of real or of paper trading."""
        return self.journal if is_live else self.paper_journal

    @property
    def holds(self) -> Path:
        """What was looked at and left as it was; unlike the journal it may be lost."""
        return self.path / "holds.jsonl"

    @property
    def paper_holds(self) -> Path:
        """The same of paper trading."""
        return self.path / "paper-holds.jsonl"

    @property
    def paper_trades(self) -> Path:
        """What was bought and sold on paper."""
        return self.path / "paper.json"

    @property
    def halt_switch(self) -> Path:
        """While this file exists, no entry goes out. Exits are never held by it."""
        return self.path / "HALT"

    @property
    def socket(self) -> Path:
        """The control socket, or a link to it where the path would be too long for one."""
        return self.path / "control.sock"

    @property
    def heartbeat(self) -> Path:
        """Written every second by the process that guards the account; see heartbeat_file.py."""
        return self.path / "heartbeat"

    @property
    def lock(self) -> Path:
        """The lock's file: who owns the folder, or owned it last."""
        return self.path / "lock"

    @property
    def exchange(self) -> Path:
        """Where the embedded exchange of this account listens, in ``simulated`` only."""
        return self.path / "exchange.json"

    @property
    def is_halted(self) -> bool:
        """Whether the halt switch is set."""
        return self.halt_switch.exists()

    def set_halted(self, is_halted: bool) -> None:
        """Set or clear the halt switch.

        Raises:
            ConfigError: The folder cannot be written.
        """
        try:
            if is_halted:
                self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.halt_switch.touch(mode=0o600)
            else:
                self.halt_switch.unlink(missing_ok=True)
        except OSError as e:
            raise ConfigError("paths.data", f"{self.halt_switch} cannot be written: {e.strerror}") from e

    def claim(self) -> None:
        """Create the folder and take its lock; the kernel drops the lock when this process ends.

        Raises:
            InUse: Another process guards this account.
            ConfigError: The folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.chmod(0o700)
            lock = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise ConfigError("paths.data", f"{self.path} cannot be written: {e.strerror}") from e
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = owner_in(lock)
            os.close(lock)
            who = "?" if owner is None else owner.pid
            raise InUse(
                "paths.data", f"a monitor already guards this account (process {who}): stop it first"
            ) from None
        LockOwner.this_process().write(lock)
        self._lock_files.append(lock)
        if self._machine_lock is not None:
            self._claim_machine(self._machine_lock)

    def _claim_machine(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            lock = os.open(path, flags, 0o600)
        except OSError as e:
            self.release()
            raise ConfigError("paths.data", f"{path}, a lock, cannot be opened: {e.strerror}") from e
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            where = os.pread(lock, _LONGEST_PATH, 0).decode(errors="replace").strip() or "another folder"
            os.close(lock)
            self.release()
            raise InUse(
                "paths.data",
                f"a monitor guards this account already, from {where}: stop it first",
            ) from None
        self._lock_files.append(lock)
        with contextlib.suppress(OSError):  # no room: the lock holds all the same
            os.ftruncate(lock, 0)
            os.pwrite(lock, os.fsencode(self.path.absolute()), 0)

    def owner(self) -> LockOwner | None:
        """Who took the lock last; ``None``: nobody, or it cannot be read. It may have ended since."""
        try:
            lock = os.open(self.lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return owner_in(lock)
        finally:
            os.close(lock)

    @property
    def is_owned(self) -> bool:
        """Whether a process that lives guards this account."""
        owner = self.owner()
        return owner is not None and owner.holds(self.lock)

    def release(self) -> None:
        """Let another process own the folder."""
        while self._lock_files:
            os.close(self._lock_files.pop())

    def socket_to_bind(self) -> Path:
        """Where to bind the control socket: in the folder, or linked from there if the path is too long."""
        self.socket.unlink(missing_ok=True)  # we hold the lock: what stands there is of a dead process
        # Commands may be typed elsewhere, with the whole path.
        if len(os.fsencode(self.socket.absolute())) <= LONGEST_SOCKET_PATH:
            return self.socket
        real = Path(tempfile.mkdtemp(prefix="stop-loss-")) / self.socket.name
        self.socket.symlink_to(real)
        return real

    def remove_socket(self) -> None:
        """Take the socket away, with the folder it may have been linked from."""
        if self.socket.is_symlink():
            real = Path(os.readlink(self.socket))
            real.unlink(missing_ok=True)
            real.parent.rmdir()
        self.socket.unlink(missing_ok=True)


def folder_of(data: Path, environment: str, account_hash: str, *, is_live: bool = False) -> AccountFolder:
    """The folder of one account in one environment. One that trades at Kalshi is guarded once a machine."""
    name = f"{environment}-{account_hash}"
    is_once = is_live and environment in _OF_KALSHI
    return AccountFolder(data / name, _machine_lock(name) if is_once else None)


def _machine_lock(name: str) -> Path:
    """The lock of one user's account, wherever its folder lies."""
    memory = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
    return memory / f"kalshi-stop-loss-{os.geteuid()}-{name}.lock"


def note_current(data: Path, folder: AccountFolder) -> None:
    """Remember the newest run on the embedded exchange, for commands typed in another shell."""
    new = data / f"{_POINTER}.{os.getpid()}"
    new.write_text(folder.path.name + "\n", encoding="utf-8")
    new.replace(data / _POINTER)


def current_folder(data: Path) -> AccountFolder | None:
    """The folder of the newest run on the embedded exchange that still runs, or else of the newest at all.

    ``None``: there was none.
    """
    newest = _newest_run(data)
    if newest is None or newest.is_owned:
        return newest
    runs = sorted(_runs(data), key=lambda run: run.stat().st_mtime, reverse=True)
    return next((run for run in map(AccountFolder, runs) if run.is_owned), newest)


def _newest_run(data: Path) -> AccountFolder | None:
    try:
        name = (data / _POINTER).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    is_plain_name = name.startswith("simulated-") and "/" not in name
    return AccountFolder(data / name) if is_plain_name else None


def connectable(socket_path: Path) -> Path | None:
    """The path to connect to; ``None``: nothing listens there."""
    try:
        target = Path(os.readlink(socket_path)) if socket_path.is_symlink() else socket_path
        return target if stat.S_ISSOCK(target.stat().st_mode) else None
    except OSError:
        return None


def _runs(data: Path) -> list[Path]:
    return [path for path in data.glob("simulated-*") if _RUN.fullmatch(path.name) and path.is_dir()]


def drop_old_runs(data: Path, emergency: str | None = None, keep: int = 5) -> None:
    """Remove what old runs on the embedded exchange left: each had a key and an account of its own."""
    for path in sorted(_runs(data), key=lambda run: run.stat().st_mtime)[:-keep]:
        folder = AccountFolder(path)
        with contextlib.suppress(ConfigError):  # still in use by another process
            folder.claim()
            for journal in (folder.journal, folder.paper_journal):
                kept = emergency_path(journal, emergency)
                for path_kept in (kept, JournalHead(kept).path):
                    path_kept.unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)
            folder.release()
