"""The program as ``python run.py`` starts it, made to die once: ``python -m tests.torture.launcher HOOK NTH MARK …``.

``MARK`` is a file that is made as it dies, so that nothing that is started again after it, be it by a parent
process, dies there a second time. The rest is what run.py takes.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

from base.app.cli import main
from tests.torture.hooks import HOOKS


def dies(nth: int, mark: Path) -> None:
    """Kill this process, and the group it was started in, at the ``nth`` call; once for all."""
    if next(_calls) != nth:
        return
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    os.killpg(0, signal.SIGKILL)


_calls = itertools.count(1)

if __name__ == "__main__":
    hook, nth, mark = sys.argv[1:4]
    if os.getpgrp() != os.getpid():
        raise SystemExit("start it in a session of its own: its whole process group is killed")
    HOOKS[hook].install(lambda: dies(int(nth), Path(mark)))
    raise SystemExit(main(sys.argv[4:]))
