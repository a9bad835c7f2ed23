"""Whether a journal can be kept where it is to stand: ours, writable, on a disk of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from base.errors import ConfigError

# WAL needs memory that all openers share, and a sync that reaches a disk. See: sqlite.org/wal.html.
NETWORK = frozenset({
    "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs",
    "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb2", "smb3", "smbfs",
})  # fmt: skip
_MOUNTS = Path("/proc/self/mountinfo")


def make_ready(path: Path) -> None:
    """Make folder and file, for this user only.

    Raises:
        ConfigError: No journal can be kept there; the sentence says what to do.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _refuse_foreign(path.parent)
        _refuse_network(path.parent)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            _refuse_foreign(path)
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as e:
        at = e.filename or path
        raise ConfigError("", f"{at}: {e.strerror}; set paths.data to a folder of yours") from e


def _refuse_foreign(path: Path) -> None:
    owner = path.stat().st_uid
    if owner != os.geteuid():
        raise ConfigError(
            "", f"{path} belongs to user {owner}, this is user {os.geteuid()}: run as its owner, or move it"
        )


def _refuse_network(folder: Path) -> None:
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return  # not Linux: nothing says what kind of disk it is
    kind = file_system_of(folder.resolve(), mounts)
    if kind in NETWORK:
        raise ConfigError(
            "", f"{folder} lies on a network ({kind}), where it may be lost: set paths.data to a local disk"
        )


def file_system_of(path: Path, mounts: str) -> str | None:
    """The kind of file system ``path`` lies on, by the text of mountinfo. See: man proc_pid_mountinfo(5)."""
    depth, kind = 0, None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        if len(before.split()) < 5 or not after:
            continue
        mounted = Path(_plain(before.split()[4]))
        if path.is_relative_to(mounted) and len(mounted.parts) >= depth:
            # Of two on one point the later hides the first.
            depth, kind = len(mounted.parts), after.split()[0]
    return kind


def _plain(written: str) -> str:
    for code, sign in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        written = written.replace(code, sign)
    return written
