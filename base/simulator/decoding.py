"""JSON that others wrote."""

from __future__ import annotations

import msgspec

# What decoding raises for bytes that are no JSON, no UTF-8, or nested without end.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
