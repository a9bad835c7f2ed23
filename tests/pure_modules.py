"""The files of the pure modules, as coverage takes them: from pyproject.toml's contract, so that no list is kept twice.

Run with: python -m tests.pure_modules
"""

from __future__ import annotations

import tomllib

from tests.reference import ROOT


def files() -> list[str]:
    """Their paths from the root of the repository."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (pure,) = (c for c in settings["tool"]["importlinter"]["contracts"] if c["id"] == "pure")
    return [f"{module.replace('.', '/')}.py" for module in pure["source_modules"]]


if __name__ == "__main__":
    print(",".join(files()))
