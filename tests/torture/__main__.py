"""``python -m tests.torture``; see ``--help`` and docs/torture.md."""

from __future__ import annotations

from tests.torture.battery import main

if __name__ == "__main__":
    raise SystemExit(main())
