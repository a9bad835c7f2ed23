"""Where a person's word is taken in: it is handed to the monitor, the only writer of state, and waited for.

Called on the control socket's threads; nothing here reads or changes a stop or an exit.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from base.app.control import Answer
from base.app.explained_report import explained_report
from base.clock import Clock
from base.errors import MonitorError
from base.model import Key
from base.risk.explaining import Explained
from base.risk.messages import Heard, Message, PersonAsks, PersonWonders
from base.risk.ports import MonitorView
from base.units import parse_price, typed_name

MONITOR_S = 3.0
"""A monitor that takes longer hangs. Seconds."""
IN_FLIGHT_S = 8.0
"""A cancel waits for the answer to an order in flight: three seconds, and what a busy machine adds."""
SILENT = "silent"
"""The monitor's thread did not answer in time: said in the place of a ``Word``."""


@dataclass(frozen=True, slots=True)
class Desk:
    """``flatten``, ``retry``, ``cancel`` and ``explain`` as the control socket serves them."""

    submit: Callable[[Message], None]
    view: Callable[[], MonitorView]
    own_subaccount: int  # meant where nothing is held and none is named
    clock: Clock

    @property
    def answers(self) -> Mapping[str, Answer]:
        """What is served, by command."""
        return {
            "flatten": self.flatten,
            "retry": self.retry,
            "cancel": self.cancel,
            "explain": self.explain,
        }

    def flatten(self, arguments: Mapping[str, Any]) -> list[dict[str, object]]:
        """Get out of one market, or of all with ``all``; ``floor`` is the worst price, a string.

        Raises:
            ValueError: It is not clear what is meant.
            MonitorError: The floor is no price.
        """
        floor = None if arguments.get("floor") is None else parse_price(arguments["floor"], "--floor")
        if arguments.get("all"):
            keys = [position.key for position in self.view().positions]
        else:
            keys = [self.key_of(arguments)]
        return self._ask("flatten", keys, MONITOR_S, floor=floor)

    def retry(self, arguments: Mapping[str, Any]) -> list[dict[str, object]]:
        """Confirm an unarmed stop that would fire, or try a refused or stuck exit again."""
        return self._ask("retry", [self.key_of(arguments)], MONITOR_S)

    def cancel(self, arguments: Mapping[str, Any]) -> list[dict[str, object]]:
        """Withdraw an exit; ``sure``: though it is not known what its last order did."""
        is_sure = arguments.get("sure") is True
        return self._ask("cancel", [self.key_of(arguments)], IN_FLIGHT_S, is_confirmed=is_sure)

    def explain(self, arguments: Mapping[str, Any]) -> dict[str, object] | None:
        """What is known of one holding now; ``None``: it is not held.

        Raises:
            MonitorError: The monitor does not answer.
        """
        known: queue.SimpleQueue[Explained | None] = queue.SimpleQueue()
        key = self.key_of(arguments)
        self.submit(PersonWonders(key=key, reply=known.put))
        try:
            explained = known.get(timeout=MONITOR_S)
        except queue.Empty:
            raise MonitorError("the monitor does not answer") from None
        return None if explained is None else explained_report(explained)

    def key_of(self, arguments: Mapping[str, Any]) -> Key:
        """The holding that is meant by ``ticker``, and ``subaccount`` where that leaves a doubt.

        Raises:
            ValueError: No ticker, or it is held in several sub-accounts and none is named.
        """
        ticker, subaccount = typed_name(arguments.get("ticker")), arguments.get("subaccount")
        if isinstance(subaccount, int):
            return Key(subaccount, ticker)
        held = [position.key for position in self.view().positions if position.key.ticker == ticker]
        if len(held) > 1:
            numbers = " and ".join(str(key.subaccount) for key in held)
            raise ValueError(f"{ticker} is held in sub-accounts {numbers}: say which with --subaccount")
        return held[0] if held else Key(self.own_subaccount, ticker)

    def _ask(
        self, command: str, keys: list[Key], within_s: float, *,
        floor: Decimal | None = None, is_confirmed: bool = False,
    ) -> list[dict[str, object]]:  # fmt: skip
        said: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        for key in keys:
            asks = PersonAsks(
                key=key, command=command, floor=floor, is_confirmed=is_confirmed, reply=said.put
            )  # fmt: skip
            self.submit(asks)
        deadline_s = self.clock.boot_s() + within_s
        heard: dict[Key, Heard] = {}
        while len(heard) < len(keys):
            try:
                answer = said.get(timeout=max(0.0, deadline_s - self.clock.boot_s()))
            except queue.Empty:
                break
            heard[answer.key] = answer
        return [_report(key, heard.get(key)) for key in keys]


def _report(key: Key, heard: Heard | None) -> dict[str, object]:
    """One answer as JSON writes it."""
    return {
        "ticker": key.ticker,
        "subaccount": key.subaccount,
        "word": SILENT if heard is None else heard.word.value,
        "said": "the monitor does not answer" if heard is None else heard.said,
        "state": None if heard is None else heard.state,
        "intent": None if heard is None else heard.intent_id,
    }
