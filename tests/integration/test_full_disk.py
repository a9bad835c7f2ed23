"""A disk that is really full: a small file system of memory, in a name space where it may be mounted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration import full_disk
from tests.reference import ROOT

IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def _may_mount() -> bool:
    try:
        return subprocess.run([*IN_A_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(
    not _may_mount(), reason="needs Linux, and a user who may mount in a name space of his own"
)
@pytest.mark.parametrize(
    "check", [full_disk.start_on_a_full_disk, full_disk.app_on_a_full_disk, full_disk.lock_on_a_full_disk]
)
def test_full_disk(tmp_path: Path, check: object) -> None:
    """(D1, D13) See full_disk.py."""
    name = check.__name__  # type: ignore[attr-defined]
    run = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -m tests.integration.full_disk "$3" "$1"'
    done = subprocess.run(
        [*IN_A_NAMESPACE, "sh", "-c", run, "sh", str(tmp_path), sys.executable, name],
        cwd=ROOT, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
