"""Output that is closed, full, left by its reader, or cannot show a character: a sentence, and no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.app.account_folder import AccountFolder, note_current
from base.app.control import ControlServer

ROOT = Path(__file__).resolve().parents[2]
REPORT = {
    "environment": "simulated", "execution": "live", "connected": True, "halted": False,
    "exits_open": 0, "alarms": ["é—漢"], "positions": [],
}  # fmt: skip
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full: Linux")


@pytest.fixture(autouse=True)
def monitor(tmp_path: Path) -> Iterator[None]:
    """A process that guards and says how things stand; one of its alarms is not ASCII."""
    folder = AccountFolder(tmp_path / "data" / "simulated-0123456789ab")
    folder.claim()
    note_current(tmp_path / "data", folder)
    server = ControlServer(folder, {"status": lambda _: REPORT, "positions": lambda _: []})
    server.start()
    yield
    server.stop(2.0)
    folder.release()


def typed(folder: Path, line: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Type ``line``, with its redirections, into a shell; ``run.py`` stands for the program."""
    config = ROOT / "config.yaml"
    line = line.replace("run.py", f"'{sys.executable}' '{ROOT}/run.py' --config '{config}'")
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], cwd=folder, capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, **environ},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("run.py status >&-", 1, "the output cannot be written: Bad file descriptor\n"),
        ("run.py positions >&-", 1, "the output cannot be written: Bad file descriptor\n"),
        ("run.py config show >&-", 1, "the output cannot be written: Bad file descriptor\n"),
        pytest.param(
            "run.py status >/dev/full", 1, "the output cannot be written: No space left on device\n",
            marks=needs_full,
        ),
        pytest.param(
            "run.py config reference >/dev/full", 1, "the output cannot be written: No space left on device\n",
            marks=needs_full,
        ),
        pytest.param("run.py status >/dev/full 2>&1", 1, "", marks=needs_full),
        ("run.py status >&- 2>&-", 1, ""),
        (
            "run.py flatten KXA <&-", 2,
            "--yes: is needed where no terminal is: nothing was done\n",
        ),
    ],
)  # fmt: skip
def test_output_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, line: str, status: int, said: str
) -> None:
    """As far as anybody can be told."""
    done = typed(tmp_path, line)
    assert (done.returncode, done.stderr, done.stdout) == (status, said, "")


def test_closed_error_stream_leaves_the_output_as_it_is(tmp_path: Path) -> None:
    """Complaints must not turn up among the lines of JSON."""
    done = typed(tmp_path, "run.py halt --config none.yaml 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.mark.parametrize(
    "line",
    ["run.py config reference | (exec <&-; sleep 2)", "run.py status | (exec <&-; sleep 3)"],
)
def test_reader_that_leaves_is_no_error(tmp_path: Path, line: str) -> None:
    """As the shell shows a signal that nobody complains of."""
    done = typed(tmp_path, line)
    assert (done.returncode, done.stdout, done.stderr) == (141, "", "")


@pytest.mark.parametrize("stream", ["", " 2>&1 >/dev/null"])
def test_character_that_cannot_be_shown_is_no_error(tmp_path: Path, stream: str) -> None:
    """Neither on standard output nor in a complaint: a question mark stands for it."""
    line = "run.py status" if not stream else f"run.py status --config 'none—.yaml'{stream}"
    done = typed(tmp_path, line, PYTHONIOENCODING="ascii")
    assert ("none?.yaml" if stream else "ALARM ???\n") in done.stdout
    assert (done.returncode, done.stderr) == (2 if stream else 1, "")


@pytest.mark.end_to_end
@pytest.mark.parametrize("is_terminal", [False, True])
def test_screen_is_drawn_with_what_the_encoding_has(tmp_path: Path, is_terminal: bool) -> None:
    """Dashes stand for absent prices; without them in the encoding, the screen goes on to its end."""
    line = "run.py run --for 7 --set paths.data=own"
    environ = {"PYTHONIOENCODING": "ascii", "TERM": "xterm"}
    if is_terminal:
        line = f'script -qec "{line}" /dev/null'
        if shutil.which("script") is None:
            pytest.skip("needs script(1) for a terminal")
    done = typed(tmp_path, line, **environ)
    assert done.returncode == 0
    assert "no_screen" not in done.stderr + done.stdout
    assert "UnicodeEncodeError" not in done.stderr + done.stdout
    assert "ARMED" in done.stdout
    assert done.stdout.isascii()


@needs_full
@pytest.mark.end_to_end
def test_run_whose_output_is_full_guards_and_says_so_at_the_end(tmp_path: Path) -> None:
    """One sentence, once: its child ends as it should and is not taken for a dead one."""
    done = typed(tmp_path, "run.py run --for 6 --set paths.data=own >/dev/full")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "died" not in done.stderr
    assert done.stderr.endswith("cannot be written: No space left on device\n")
    assert " ARMED " in (tmp_path / "logs" / "stop_loss.log").read_text()
