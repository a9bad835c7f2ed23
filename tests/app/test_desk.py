"""The desk that takes a person's word in: which holding is meant, and a monitor that does not answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from base.app.desk import Desk
from base.clock import SystemClock
from base.errors import MonitorError
from base.model import Key
from base.risk.messages import Heard, PersonAsks, Word
from base.risk.ports import MonitorView
from tests.app.views import COVERED

TICKER = COVERED.key.ticker
OTHER = replace(COVERED, key=Key(3, TICKER))
THIRD = replace(COVERED, key=Key(0, "KXTHIRD"))


def answered(message: Any) -> None:
    """A monitor that takes everything on."""
    heard = Heard(key=message.key, word=Word.DONE, said="exiting", state="TRIGGERED", intent_id="i")
    message.reply(heard if isinstance(message, PersonAsks) else None)


def desk(*held: Any, submit: Any = answered, own: int = 0) -> Desk:
    """A desk in front of a monitor that holds these."""
    return Desk(submit, lambda: MonitorView(positions=held), own, SystemClock())


@pytest.mark.parametrize(
    ("held", "own", "arguments", "meant"),
    [
        pytest.param((COVERED, THIRD), 0, {}, Key(0, TICKER), id="held once"),
        pytest.param((OTHER,), 0, {}, Key(3, TICKER), id="held in another sub-account"),
        pytest.param((COVERED, OTHER), 0, {"subaccount": 3}, Key(3, TICKER), id="named"),
        pytest.param((), 7, {}, Key(7, TICKER), id="not held: the guarded one is meant"),
    ],
)
def test_holding_that_is_meant(held: Any, own: int, arguments: dict[str, Any], meant: Key) -> None:
    """The ticker says it all, but where it is held twice."""
    assert desk(*held, own=own).key_of({"ticker": TICKER, **arguments}) == meant


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"ticker": TICKER}, "held in sub-accounts 0 and 3: say which with --subaccount", id="held twice"),
        pytest.param({}, "is no name of a market", id="no ticker"),
        pytest.param({"ticker": "a b"}, "is no name of a market", id="no name"),
        pytest.param({"ticker": TICKER, "subaccount": 0, "floor": "cheap"}, "--floor cannot be 'cheap'", id="no price"),
        pytest.param({"ticker": TICKER, "subaccount": 0, "floor": 0.4}, "--floor cannot be 0.4", id="a float"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused(arguments: dict[str, Any], said: str) -> None:
    """Nothing is guessed, and nothing is asked of the monitor."""
    asked: list[object] = []
    with pytest.raises((ValueError, MonitorError)) as refused:
        desk(COVERED, OTHER, submit=asked.append).flatten(arguments)
    assert said in str(refused.value)
    assert asked == []


def test_everything_is_each_holding_once() -> None:
    """``--all`` asks for all at once and answers for each."""
    answers = desk(COVERED, OTHER, THIRD).flatten({"all": True})
    assert [(answer["ticker"], answer["subaccount"]) for answer in answers] == [
        (TICKER, 0), (TICKER, 3), ("KXTHIRD", 0)
    ]  # fmt: skip
    assert {answer["word"] for answer in answers} == {"done"}
    assert desk().flatten({"all": True}) == []


def test_monitor_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hangs: the caller takes over, and ``explain`` says so."""
    monkeypatch.setattr("base.app.desk.MONITOR_S", 0.05)
    silent = desk(
        COVERED, THIRD, submit=lambda message: answered(message) if message.key == THIRD.key else None
    )
    answers = silent.flatten({"all": True})
    assert [answer["word"] for answer in answers] == ["silent", "done"]
    with pytest.raises(MonitorError, match="does not answer"):
        silent.explain({"ticker": TICKER})
    assert silent.explain({"ticker": "KXTHIRD"}) is None
