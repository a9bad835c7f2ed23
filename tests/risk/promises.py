"""What a monitor promises about its orders and about the end of a day; a true exchange is the judge."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from base.model import Side
from base.risk.exit_lifecycle import State
from base.risk.messages import Effect, Line, Row, Send
from base.units import ONE
from tests.risk.true_exchange import ZERO, TrueExchange
from tests.risk.world import KEY, TICKER, World

OLDEST_EVIDENCE_S = 2.0001
SLOWEST_EXIT_S = 75


class Violation(Exception):
    """A promise that was not kept."""


class Promises:
    """What must be true of every order, checked as its effects come out."""

    def __init__(self, world: World, exchange: TrueExchange):
        self.unanswered: list[Send] = []
        self.sent_s: dict[str, float] = {}  # newest sending of an id
        self._world = world
        self._exchange = exchange
        self._journalled: set[str] = set()
        self._intents: dict[str, dict[str, Any]] = {}
        self._last_row_s = 0.0

    def check(self, effect: Effect) -> None:
        """Remember a row; hold an order against the rows before it and against the truth."""
        if isinstance(effect, Row):
            self._last_row_s = effect.values.get("now_s", self._last_row_s)  # type: ignore[assignment]
            if effect.table == "intents":
                self._intents[str(effect.values["intent_id"])] = dict(effect.values)
            elif effect.table == "attempts":
                self._journalled.add(str(effect.values["client_order_id"]))
            elif effect.values.get("event") == "flatten":
                self._lower(self._intents[str(effect.values["intent_id"])], effect.values["inputs"])
        elif isinstance(effect, Send):
            self._check_order(effect)
            self.unanswered.append(effect)
            self.sent_s[effect.order.client_order_id] = self._world.now_s
        elif isinstance(effect, Line) and effect.event == "FLIPPED":
            must(self._exchange.has_turned, "FLIPPED though the other side was never held")

    def check_sold(self, intent_id: str) -> None:
        """Hold what an intent truly sold against the quantity fixed at its trigger."""
        sold, quantity = self._exchange.sold[intent_id], self._intents[intent_id]["quantity"]
        must(sold <= quantity, f"{sold} of {quantity} were sold")

    def _check_order(self, send: Send) -> None:
        order, intent = send.order, self._intents[send.intent_id]
        must(not self.unanswered, "single flight: an order is sent while another is unanswered")
        must(order.client_order_id in self._journalled, "an order is sent that is not in the journal")
        must(order.price >= self._floor(intent), f"{order.price} is under the floor {self._floor(intent)}")
        age_s = self._last_row_s - send.evidence_s
        must(age_s <= OLDEST_EVIDENCE_S, f"the evidence is {age_s} s old")
        grid = self._world.guards.markets[TICKER].grid_of(order.side)
        must(grid.contains(order.price), f"{order.price} is off the grid")
        must(order.side.value == intent["side"], f"an intent for {intent['side']} sells {order.side}")
        if order.client_order_id not in self._exchange.ids:  # else a repeat, which sells nothing
            asked = self._exchange.sold[send.intent_id] + order.count
            must(asked <= intent["quantity"], f"{asked} of {intent['quantity']} would be sold")

    @staticmethod
    def _lower(intent: dict[str, Any], inputs: Any) -> None:
        must(inputs["floor"] <= intent["floor"], "a flatten raised the floor")
        intent["floor"] = inputs["floor"]

    def _floor(self, intent: dict[str, Any]) -> Decimal:
        floor: Decimal = intent["floor"]
        last_floor = self._world.guards.terms.settings.last_floor
        if last_floor is None or intent["reason"] in ("TAKE_PROFIT", "FLATTEN"):
            return floor
        return min(floor, last_floor)

    def check_the_end(self) -> None:
        """Hold what the monitor believes, and what it left open, against what is true."""
        guard, held = self._world.guards.by_key.get(KEY), self._exchange.held
        if guard is None:
            must(held == ZERO, f"{held} held and nobody guards them")
            return
        believed = guard.holding.signed * (1 if self._world.side is Side.YES else -1)
        must(believed == held, f"{believed} believed and {held} held in {guard.state}")
        must(guard.state is not State.WAITING, "WAITING in an open market")
        must(guard.state is not State.ARMED or not guard.alarms, f"ARMED with alarms {sorted(guard.alarms)}")
        if (intent := guard.intent) is None or guard.state in (State.REFUSED, State.FLIPPED):
            return  # watched, or a person's turn
        if guard.state is State.STUCK:
            bid = self._exchange.best_for(guard.side)
            highest = ONE if intent.is_flatten else intent.level
            has_room = intent.unlocked and bid is not None and intent.floor <= bid <= highest
            must(not has_room, f"STUCK though a bid of {bid} lies between floor and level")
            return
        open_s = self._world.now_s - intent.began_s
        must(open_s <= SLOWEST_EXIT_S or guard.reason == "paced", f"still {guard.state}: {guard.reason}")


def must(condition: bool, otherwise: str) -> None:
    """Raise ``Violation`` unless ``condition``."""
    if not condition:
        raise Violation(otherwise)
