"""Reading a capture: JSON Lines of recorded frames and notes, ``.gz`` welcome.

``{"recv_ns": …, "frame": {…}}`` a frame exactly as received; ``{"recv_ns": …, "note": "…", "data": {…}}``
what the recorder did. Unix nanoseconds. A line that is neither is told apart, never guessed at.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from base.errors import ConfigError, WireError


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFrame:
    """One frame as it stood in the file, byte for byte."""

    line: int
    recv_ns: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Context: market, close time, a new connection."""

    line: int
    recv_ns: int
    name: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLine:
    """A line that is no capture line, and why."""

    line: int
    why: str


class _Line(msgspec.Struct):
    recv_ns: int
    frame: msgspec.Raw = msgspec.Raw(b"")  # empty: the line has none
    note: str | None = None
    data: dict[str, Any] = msgspec.field(default_factory=dict)


_decode = msgspec.json.Decoder(_Line).decode


def read_capture(path: Path) -> Iterator[RecordedFrame | Note | BrokenLine]:
    """Yield the file's lines in order.

    Raises:
        ConfigError: The file cannot be opened.
    """
    try:
        file = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115
    except OSError as e:
        raise ConfigError(str(path), f"the capture cannot be read: {e.strerror}") from e
    number = 0
    with file:
        try:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield _parse(number, text)
        except (OSError, EOFError, zlib.error) as e:
            yield BrokenLine(line=number + 1, why=f"the file breaks off: {e}")


def _parse(number: int, text: bytes) -> RecordedFrame | Note | BrokenLine:
    try:
        line = _decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as e:
        return BrokenLine(line=number, why=str(e))
    if line.recv_ns <= 0:
        return BrokenLine(line=number, why="recv_ns is not a time")
    if raw := bytes(line.frame):
        return RecordedFrame(line=number, recv_ns=line.recv_ns, raw=raw)
    if line.note is not None:
        return Note(line=number, recv_ns=line.recv_ns, name=line.note, data=line.data)
    return BrokenLine(line=number, why=str(WireError("line", "neither frame nor note")))
