"""Reads the heartbeat that heartbeat_file.py writes: whether the process that guards an account lives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from base.app.lock_owner import LockOwner


@dataclass(frozen=True, slots=True)
class Beat:
    """What the file says: this process lived at ``boot_s`` (boot clock)."""

    boot_s: float
    owner: LockOwner


def newest_beat(path: Path) -> Beat | None:
    """Read the file; ``None``: nobody writes it, or it is none."""
    try:
        boot_s, boot_id, pid = path.read_text(encoding="ascii").split()
        return Beat(float(boot_s), LockOwner(int(pid), "" if boot_id == "-" else boot_id))
    except (OSError, ValueError):
        return None
