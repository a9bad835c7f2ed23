"""What a person types, and what a command makes of the answers: a monitor that is scripted, a real socket."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from base.app import person_commands
from base.app.account_folder import AccountFolder, note_current
from base.app.cli import Common, LogLevel
from base.app.control import ControlServer
from base.app.person_commands import Meant, cancel, flatten, retry, sure_of
from base.app.reach import Reach
from base.errors import ConfigError, MonitorError

Play = Callable[..., Common]
MEANT = Meant(ticker="KXA", is_sure=True)


class Typed(io.StringIO):
    """A terminal at which this is typed."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """A process that guards and answers what it is told to, one after the other."""
    monkeypatch.setattr(person_commands, "LASTED_S", 0.1)
    folder = AccountFolder(tmp_path / "data" / "simulated-0123456789ab")
    folder.claim()
    note_current(tmp_path / "data", folder)
    servers: list[ControlServer] = []

    def begin(*, positions: list[Any] = [], **answers: list[Any]) -> Common:  # noqa: B006
        def next_of(script: list[Any]) -> Any:
            return lambda arguments: script.pop(0) if len(script) > 1 else script[0]

        table = {name: next_of(script) for name, script in answers.items()}
        servers.append(ControlServer(folder, {**table, "positions": next_of([*positions, []])}))
        servers[0].start()
        config = tmp_path / "config.yaml"
        config.write_text(f"paths: {{data: {tmp_path}/data, logs: {tmp_path}/logs}}\n")
        return Common(config=config, overrides=(), log_level=LogLevel.INFO)

    yield begin
    for server in servers:
        server.stop(2.0)
    folder.release()


def answer(word: str, said: str = "so", **more: Any) -> list[dict[str, Any]]:
    """One answer for one market."""
    return [
        {"ticker": "KXA", "subaccount": 0, "word": word, "said": said, "state": None, "intent": None, **more}
    ]


def position(state: str, reason: str = "") -> list[dict[str, Any]]:
    """What ``positions`` shows."""
    return [{"ticker": "KXA", "subaccount": 0, "state": state, "reason": reason}]


def test_right_word_has_to_be_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """O4: the ticker, or ``all``; anything else, and no terminal, is a no."""
    meant = Meant(ticker="KXA")
    monkeypatch.setattr("sys.stdin", Typed("KXA\n"))
    sure_of("This sells all.", "KXA", meant)
    assert capsys.readouterr().err == "This sells all. Type KXA to go on: "
    monkeypatch.setattr("sys.stdin", Typed("KXB\n"))
    with pytest.raises(MonitorError, match="nothing was done"):
        sure_of("This sells all.", "KXA", meant)
    monkeypatch.setattr("sys.stdin", io.StringIO("KXA\n"))
    with pytest.raises(ConfigError, match="needed where no terminal is"):
        sure_of("This sells all.", "KXA", meant)


def test_price_that_is_not_known_yet_is_asked_for_again(
    play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then the exit is followed until nothing is held; on the way its state is told."""
    common = play(
        flatten=[answer("soon"), answer("soon"), answer("done")],
        positions=[position("ARMED"), position("STUCK", "no_bid_inside_floor"), position("CONFIRMING")],
    )
    assert flatten(common, MEANT, None, as_json=False) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("KXA: flat\n", "KXA STUCK (no_bid_inside_floor)\nKXA CONFIRMING\n")


def test_what_is_sold_on_paper_only_is_said(
    play: Play, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the question and the answer, as the process that guards has it; these settings say live."""
    monkeypatch.setattr("sys.stdin", Typed("KXA\n"))
    common = play(flatten=[answer("done")], status=[{"execution": "paper"}])
    assert flatten(common, Meant(ticker="KXA"), None, as_json=False) == 0
    out, err = capsys.readouterr()
    assert out == "KXA: flat on paper: nothing was sold on the exchange\n"
    assert err == "This sells, on paper, all that is held in KXA. Type KXA to go on: "
    flatten(common, MEANT, None, as_json=True)
    assert json.loads(capsys.readouterr().out)["execution"] == "paper"


@pytest.mark.parametrize("command", ["flatten", "retry", "cancel"])
def test_how_it_executes_is_told_to_programs(
    play: Play, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Where the process does not say, the settings do: the embedded exchange's account is live."""
    common = play(**{command: [answer("done")]})
    if command == "flatten":
        flatten(common, MEANT, None, as_json=True)
    else:
        {"retry": retry, "cancel": cancel}[command](common, MEANT, as_json=True)
    assert json.loads(capsys.readouterr().out)["execution"] == "live"


def test_exit_that_a_person_cancels_elsewhere_is_not_waited_for(
    play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not flat, and the command says in what it stands."""
    shown = [position("TRIGGERED"), *[position("UNPROTECTED", "cancelled")] * 9]
    assert flatten(play(flatten=[answer("done")], positions=shown), MEANT, None, as_json=False) == 1
    assert capsys.readouterr().out == "KXA: not flat: UNPROTECTED (cancelled); so\n"


def test_exit_that_does_not_end_is_left_after_a_minute(
    play: Play, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit goes on; the command does not."""
    monkeypatch.setattr(person_commands, "FLAT_S", 0.5)
    shown = [position("WAITING", "market_closed")] * 99
    assert flatten(play(flatten=[answer("done")], positions=shown), MEANT, None, as_json=True) == 1
    assert '"flat": false' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        pytest.param(["done"], "the exit goes on; `cancel KXA` ends it", id="while it waits"),
        pytest.param(["soon"], "`explain KXA` says whether the exit was taken on", id="before the answer"),
    ],
)
def test_person_who_does_not_wait_is_told_that_the_exit_goes_on(
    play: Play,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: list[str],
    said: str,
) -> None:
    """Ctrl-C ends the command, not the exit: exit status 130."""

    def interrupted(reach: Reach, seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Reach, "pause", interrupted)
    common = play(flatten=[answer(word) for word in answers], positions=[position("TRIGGERED")])
    assert flatten(common, MEANT, None, as_json=False) == 130
    out, err = capsys.readouterr()
    assert (out, err.count(said), err[-1]) == ("", 1, "\n")


@pytest.mark.parametrize(
    ("word", "status"),
    [("floor", 1), ("refused", 1), ("nothing", 1)],
)
def test_flatten_that_is_not_taken_on_says_why(
    play: Play, capsys: pytest.CaptureFixture[str], word: str, status: int
) -> None:
    """The monitor's own sentence."""
    assert flatten(play(flatten=[answer(word, "because")]), MEANT, None, as_json=False) == status
    assert capsys.readouterr().out == "KXA: because\n"


def test_cancel_of_what_is_unknown_is_typed(
    play: Play, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked without being sure, then with."""
    monkeypatch.setattr("sys.stdin", Typed("KXA\n"))
    common = play(cancel=[answer("typed", "it is not known"), answer("done", "cancelled")])
    assert cancel(common, Meant(ticker="KXA"), as_json=False) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("KXA: cancelled\n", "KXA: it is not known. Type KXA to go on: ")


@pytest.mark.parametrize(("word", "status"), [("done", 0), ("nothing", 1), ("refused", 1)])
def test_retry_is_done_or_says_that_there_is_nothing_to(
    play: Play, capsys: pytest.CaptureFixture[str], word: str, status: int
) -> None:
    """A process that lives goes on with it by itself: nothing is waited for."""
    assert retry(play(retry=[answer(word)]), MEANT, as_json=False) == status
    assert capsys.readouterr().out == "KXA: so\n"
