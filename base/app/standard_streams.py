"""Standard streams that are closed, full, left by their reader, or cannot show a character.

None of it is a crash: a command that cannot say what it found ends with one sentence, where one can be said.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys

from base.app.bare_output import take_standard_descriptors

LEFT = 128 + signal.SIGPIPE
"""Exit status of a command whose reader left, as in ``| head``: what a shell shows for the signal."""


_OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


class ClosedOutput(io.TextIOBase):
    """In the place of a standard output that was closed before we began: whoever needs it is told."""

    def __init__(self) -> None:
        self._is_needed = False

    def write(self, text: str) -> int:
        """Fail, as the descriptor would.

        Raises:
            OSError: Always.
        """
        self._is_needed = True
        self.flush()
        return 0

    def flush(self) -> None:
        """Fail, if anything was to be written.

        Raises:
            OSError: Something was.
        """
        if self._is_needed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def prepare() -> None:
    """Before a command: nothing gets a closed stream's number, and no character is an error."""
    take_standard_descriptors()
    if sys.stdout is None:
        sys.stdout = ClosedOutput()
    if sys.stderr is None:  # print() would take stdout instead, and spoil what a program reads there
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it lives as long as we
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # also what a screen draws goes through these two


def do_without_output() -> None:
    """For what does its work unseen, too: with a closed output ``print`` writes nothing from here on."""
    if isinstance(sys.stdout, ClosedOutput):
        sys.stdout = None


def why_unwritable(error: BaseException) -> str | None:
    """A sentence, if ``error`` is that what was printed did not go out; ``None``: it is another one."""
    # An error of a file that we opened has its name.
    if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_ERRORS:
        return f"the output cannot be written: {error.strerror}"
    return None


def settle_output() -> None:
    """Write what stands in the buffer, or let it go."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        give_up_output()


def give_up_output() -> None:
    """Let what still stands in a buffer go nowhere: the interpreter would complain of it at its end."""
    do_without_output()
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def is_left(error: BaseException | None) -> bool:
    """Whether our reader left; the libraries that print for us turn that into an exit."""
    return isinstance(error, BrokenPipeError) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
    )
