"""``flatten``, ``retry``, ``cancel``: typed by a person, done whether the monitor runs, hangs or is gone."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from base.app.account_settings import account_settings
from base.app.cli import DONE, NOT_SO, Common
from base.app.control import NotRunning
from base.app.reach import LIVE, Reach
from base.app.show import account_folder
from base.errors import ConfigError, MonitorError
from base.risk.messages import Word
from base.ui.screen import plain

FLAT_S = 60.0
"""What flatten waits for all to be sold and confirmed. Seconds."""
SOON_S = 15.0
"""What is asked again while a price or a market is not known yet. Seconds."""
EVERY_S = 0.25
LASTED_S = 1.5
"""A view is half a second old: what it shows for longer is so."""
IDLE = frozenset({"ARMED", "UNPROTECTED"})
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
Answers = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What a person's command is about."""

    ticker: str | None  # None: everything
    subaccount: int | None = None
    is_sure: bool = False

    @property
    def arguments(self) -> dict[str, object]:
        """As the control socket takes it."""
        return {"ticker": self.ticker, "subaccount": self.subaccount, "all": self.ticker is None}


def flatten(common: Common, meant: Meant, floor: str | None, *, as_json: bool) -> int:
    """Get out now; 0 once all is sold and the exchange agrees."""
    arguments = {**meant.arguments, "floor": floor}
    what = "all that is held" if meant.ticker is None else f"all that is held in {meant.ticker}"
    with _reach(common) as reach:
        if not meant.is_sure:
            sells = "sells" if reach.execution() == LIVE else "sells, on paper,"
            sure_of(f"This {sells} {what}.", meant.ticker or "all", meant)
        deadline_s = reach.clock.boot_s() + FLAT_S
        answers: Answers = []
        try:
            answers = _ask(reach, "flatten", arguments)
            waits = _Waiting(
                reach, [answer for answer in answers if answer["word"] in (Word.DONE, Word.SOON)]
            )
            waits.until(deadline_s)
        except KeyboardInterrupt:
            _tell("")  # the terminal shows ^C where the cursor stood
            _tell(_goes_on(reach, answers, meant.ticker or "TICKER"))
            return INTERRUPTED
        for answer in answers:
            answer["flat"] = (answer["ticker"], answer["subaccount"]) in waits.over
        _print(answers, as_json, lambda answer: _flat(answer) if answer["flat"] else _left(answer, waits))
        if not answers:
            print("nothing is held", file=sys.stderr)
    return DONE if all(answer["flat"] for answer in answers) else NOT_SO


def retry(common: Common, meant: Meant, *, as_json: bool) -> int:
    """Confirm a stop that would fire, or try a stuck or refused exit again."""
    with _reach(common) as reach:
        answers = _ask(reach, "retry", meant.arguments)
        done = [answer for answer in answers if answer["word"] == Word.DONE]
        if reach.has_taken_over:  # nobody else goes on with it when we leave
            _Waiting(reach, done).until(reach.clock.boot_s() + FLAT_S)
        _print(answers, as_json, lambda answer: answer["said"])
    return DONE if done else NOT_SO


def cancel(common: Common, meant: Meant, *, as_json: bool) -> int:
    """Withdraw an exit; its stop arms again once it is seen safe."""
    with _reach(common) as reach:
        answers = _ask(reach, "cancel", {**meant.arguments, "sure": meant.is_sure})
        if any(answer["word"] == Word.TYPED for answer in answers):
            sure_of(f"{answers[0]['ticker']}: {answers[0]['said']}.", str(meant.ticker), meant)
            answers = _ask(reach, "cancel", {**meant.arguments, "sure": True})
        _print(answers, as_json, lambda answer: answer["said"])
    return DONE if all(answer["word"] == Word.DONE for answer in answers) else NOT_SO


def sure_of(sentence: str, word: str, meant: Meant) -> None:
    """Have a person type ``word``, unless they said that they are sure.

    Raises:
        ConfigError: Nobody sits at a terminal.
        MonitorError: Something else was typed.
    """
    if meant.is_sure:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigError("--yes", "is needed where no terminal is: nothing was done")
    print(f"{plain(sentence)} Type {plain(word)} to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != word:
        raise MonitorError("not confirmed: nothing was done")


def _reach(common: Common) -> Reach:
    settings = account_settings(common.config, common.overrides)
    return Reach(settings.config, account_folder(settings.config), _tell, refused=settings.refused)


def _tell(sentence: str) -> None:
    with contextlib.suppress(OSError):  # an exit under way is not left because nobody reads of it
        print(plain(sentence), file=sys.stderr, flush=True)


def _ask(reach: Reach, command: str, arguments: Mapping[str, object]) -> Answers:
    """Ask, and again what cannot be said yet, for a while."""
    answers: Answers = reach.ask(command, arguments)
    deadline_s = reach.clock.boot_s() + SOON_S
    while (soon := [a for a in answers if a["word"] == Word.SOON]) and reach.clock.boot_s() < deadline_s:
        reach.pause(2 * EVERY_S)
        for answer in soon:
            one = {"all": False, "ticker": answer["ticker"], "subaccount": answer["subaccount"]}
            answer.update(reach.ask(command, {**arguments, **one})[0])
    execution = reach.execution()
    for answer in answers:
        answer["execution"] = execution
    return answers


@dataclass(slots=True)
class _Waiting:
    """Waits until exits have ended; tells what they stand in meanwhile."""

    reach: Reach
    asked: Answers
    over: set[tuple[str, int]] = field(default_factory=set)  # nothing of it is held any more
    shown: dict[tuple[str, int], str] = field(default_factory=dict)
    idle_s: dict[tuple[str, int], float] = field(default_factory=dict)  # no exit of it is open since

    def until(self, deadline_s: float) -> None:
        """Look until all is over, no exit is open any more, or the time is."""
        wanted = {(answer["ticker"], answer["subaccount"]) for answer in self.asked}
        while wanted - self.over and self.reach.clock.boot_s() < deadline_s:
            try:
                held = {(p["ticker"], p["subaccount"]): p for p in self.reach.ask("positions", {})}
            except NotRunning:
                held = None
            if held is not None:
                self.over = wanted - set(held)
                if all(self._is_idle(key, held[key]) for key in sorted(wanted - self.over)):
                    return
            self.reach.pause(EVERY_S)

    def _is_idle(self, key: tuple[str, int], position: Mapping[str, Any]) -> bool:
        now_s = self.reach.clock.boot_s()
        if position["state"] not in IDLE:
            self.idle_s.pop(key, None)
            self._show(key, position)
            return False
        has_lasted = now_s - self.idle_s.setdefault(key, now_s) > LASTED_S
        if has_lasted:
            self._show(key, position)
        return has_lasted

    def _show(self, key: tuple[str, int], position: Mapping[str, Any]) -> None:
        text = position["state"] + (f" ({position['reason']})" if position["reason"] else "")
        if self.shown.get(key) != text:
            self.shown[key] = text
            _tell(f"{key[0]} {text}")


def _flat(answer: Mapping[str, Any]) -> str:
    """On paper the position on the exchange stands as it stood: whoever wanted out must know."""
    return "flat" if answer["execution"] == LIVE else "flat on paper: nothing was sold on the exchange"


def _goes_on(reach: Reach, answers: Answers, name: str) -> str:
    """What a person must know who does not wait: leaving takes nothing back."""
    if not answers:
        return f"nobody has answered yet: `explain {name}` says whether the exit was taken on"
    if reach.has_taken_over:
        return f"the exit goes on with the next `python run.py`; `cancel {name}` ends it"
    return f"the exit goes on; `cancel {name}` ends it"


def _left(answer: Mapping[str, Any], waits: _Waiting) -> str:
    """Why it is not flat."""
    shown = waits.shown.get((answer["ticker"], answer["subaccount"]))
    return answer["said"] if shown is None else f"not flat: {shown}; {answer['said']}"


def _print(answers: Iterable[Mapping[str, Any]], as_json: bool, sentence: Any) -> None:
    for answer in answers:
        print(json.dumps(answer) if as_json else plain(f"{answer['ticker']}: {sentence(answer)}"))
