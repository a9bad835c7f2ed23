"""The newest row the journal ever had, kept beside the emergency file: an older journal is noticed.

Who puts a journal back from a backup takes back what it knew of orders, not the orders. It lies in
memory: after a reboot it is gone, and so is the lag of the exchange's reads that it is there for.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".head"
_MOST_BYTES = 200
_log = logging.getLogger(__name__)


class Head(NamedTuple):
    """A row: its number, and the digest of the chain up to it."""

    seq: int
    digest: str


class JournalHead:
    """A small file that is written after every commit. Owned by the journal's thread."""

    def __init__(self, emergency: Path):
        self.path = emergency.with_name(emergency.name + SUFFIX)
        self._file: int | None = None

    def open(self) -> Head | None:
        """Return what an earlier run left; ``None``: nothing that can be read."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(self.path, flags, 0o600)
            found = os.fstat(self._file)
            if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
                self.close()
                raise PermissionError(f"it belongs to user {found.st_uid}")
            words = os.pread(self._file, _MOST_BYTES, 0).decode("ascii").split()
            return Head(int(words[0]), words[1]) if len(words) == 2 else None
        except (OSError, ValueError) as e:
            _log.warning("journal_head_unreadable path=%s why=%s", self.path, ascii(str(e)))
            return None

    def write(self, head: Head) -> None:
        """Remember the newest row. What cannot be written is missed by nobody but a restored backup."""
        if self._file is not None:
            try:
                os.pwrite(self._file, b"%020d %64b\n" % (head.seq, head.digest.encode()), 0)
            except OSError as e:
                _log.warning("journal_head_failed why=%s", ascii(str(e)))
                self.close()

    def remove(self) -> None:
        """Close it and take it away: the run ended in order."""
        if self._file is not None:
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close it and leave it for the next start."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
