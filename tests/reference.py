"""Reference files (recordings, specifications) that tests need but the project does not carry."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def reference_file(name: str) -> Path:
    """Return the file below REFERENCE_DIR (default ``../shared``); skip the test where it is missing."""
    path = (ROOT / os.environ.get("REFERENCE_DIR", "../shared") / name).resolve()
    if not path.exists():
        pytest.skip(f"needs the reference file {name}: set REFERENCE_DIR to the folder that holds it")
    return path
