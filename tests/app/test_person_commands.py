"""``flatten``, ``retry``, ``cancel`` as a person types them: on a live monitor, a hung one, and on none."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from base.simulator.server import SimulatorServer
from tests.app.loopback import OTHER, TICKER
from tests.app.shells import Shells
from tests.support import eventually


@pytest.mark.end_to_end
def test_flatten_sells_once_however_often_it_is_pressed(shells: Shells, held: SimulatorServer) -> None:
    """O3: two shells at once: both are told flat, one intent; then nothing is held, which is said."""
    with shells.monitor():
        held.set_book(TICKER, yes=[], no=[("0.36", "500")])
        pressed = [shells.start("flatten", TICKER, "--floor", "0.60", "--yes") for _ in range(2)]
        for process in pressed:
            assert process.stderr is not None
            assert "STUCK (no_bid_inside_floor)" in process.stderr.readline()
        held.set_book(TICKER, yes=[("0.62", "500")], no=[("0.36", "500")])
        for process in pressed:
            out, err = process.communicate(timeout=30)
            assert (process.returncode, out.strip()) == (0, f"{TICKER}: flat"), err
        assert held.position(TICKER) == 0
        assert shells.events.count("TRIGGERED") == 1
        again = shells.type("flatten", TICKER, "--yes")
        assert (again.returncode, again.stdout) == (0, f"{TICKER}: flat\n")  # another press of the same wish
        other = shells.type("flatten", "KXOTHER", "--yes")
        assert (other.returncode, other.stdout) == (1, "KXOTHER: KXOTHER is not held in sub-account 0\n")
        everything = shells.type("flatten", "--all", "--yes")
        assert (everything.returncode, everything.stdout) == (0, f"{OTHER}: flat\n")
        assert shells.type("flatten", "--all", "--yes").stderr == "nothing is held\n"


@pytest.mark.end_to_end
def test_flatten_of_a_hung_monitor_takes_its_place(shells: Shells, held: SimulatorServer) -> None:
    """O2: it stands still; status says so within three seconds, flatten kills it and sells, in one intent.

    Its parent starts another one meanwhile, which waits for the account and guards what is left.
    """
    with shells.monitor():
        hung = shells.guard
        os.kill(hung, signal.SIGSTOP)
        began_s = time.monotonic()
        status = shells.type("status")
        assert time.monotonic() - began_s < 6.0  # two for the answer, the rest for Python's own start
        assert (status.returncode, "does not answer" in status.stderr) == (1, True)
        pressed = [shells.start("flatten", TICKER, "--yes") for _ in range(2)]
        for process in pressed:
            out, err = process.communicate(timeout=50)
            assert (process.returncode, out.strip()) == (0, f"{TICKER}: flat"), err
        assert not Path(f"/proc/{hung}").exists()
        eventually(lambda: shells.json("positions") != [], timeout_s=30)
    assert held.position(TICKER) == 0
    assert shells.events.count("TRIGGERED") == 1
    assert held.position(OTHER) == 10


@pytest.mark.end_to_end
def test_commands_work_where_nothing_runs(shells: Shells, held: SimulatorServer) -> None:
    """A stuck exit of a killed monitor: cancelled from the journal, then flattened, without any process."""
    with shells.monitor() as monitor:
        held.set_book(TICKER, yes=[("0.05", "500")], no=[("0.94", "500")])
        eventually(lambda: "STUCK" in shells.events, timeout_s=15)
        assert shells.type("retry", TICKER).stdout == f"{TICKER}: trying again\n"
        monitor.kill()
    done = shells.type("cancel", TICKER)
    assert (done.returncode, done.stdout.startswith(f"{TICKER}: its exit is cancelled")) == (0, True), (
        done.stderr
    )
    assert "CANCELLED" in shells.events
    assert "unguarded until it runs" in done.stderr
    assert shells.json("cancel", TICKER)[0]["word"] == "done"  # said again, as of then
    (flat,) = shells.json("flatten", TICKER, "--floor", "0.03", "--yes")
    assert (flat["flat"], held.position(TICKER)) == (True, 0)


@pytest.mark.end_to_end
def test_interrupted_flatten_leaves_its_exit_open(shells: Shells, held: SimulatorServer) -> None:
    """Ctrl-C: the sentence says so, the exit stands, and cancel ends it."""
    with shells.monitor():
        held.set_book(TICKER, yes=[], no=[("0.36", "500")])
        process = shells.start("flatten", TICKER, "--floor", "0.60", "--yes")
        assert process.stderr is not None
        assert "STUCK" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        said = f"the exit goes on; `cancel {TICKER}` ends it"
        assert (process.returncode, out, err.strip()) == (130, "", said)
        assert shells.type("cancel", TICKER).returncode == 0
    assert held.position(TICKER) == 10


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param(["flatten", TICKER], 2, "--yes: is needed where no terminal is", id="no terminal"),
        pytest.param(["flatten"], 2, "name one market, or --all", id="nothing named"),
        pytest.param(["flatten", TICKER, "--all"], 2, "name one market, or --all", id="both named"),
    ],
)
def test_command_that_is_not_meant_so_does_nothing(
    tmp_path: Path, held: SimulatorServer, words: list[str], status: int, said: str
) -> None:
    """O4: without a person who types, and without --yes, nothing is sold."""
    done = Shells(tmp_path, held).type(*words)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
    assert not (tmp_path / "data").exists()
