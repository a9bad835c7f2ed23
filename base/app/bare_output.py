"""Output without a thread and without waiting, for the parent process; stderr.py is for all others."""

from __future__ import annotations

import contextlib
import os
import select
import sys


def take_standard_descriptors() -> None:
    """Started with a closed output: no file or pipe of ours must get its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def flush() -> None:
    """Empty the buffers: what stands in a buffer at a fork is written twice."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()


def tell(sentence: str) -> None:
    """Say one sentence on stderr, or nothing if that would have to wait."""
    put(2, f"{sentence}\n".encode())


def put(descriptor: int, text: bytes) -> None:
    """Write, unless that would have to wait: a paused terminal must not hold up a parent."""
    with contextlib.suppress(OSError, ValueError):
        if text and select.select([], [descriptor], [], 0)[1]:
            os.write(descriptor, text)
