"""``explain``: what a holding waits for, in every state it can stand in; asking changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from base.model import Key
from base.risk.decide import Exit, Hold, NoBid, Unknown
from base.risk.explaining import Explained
from base.risk.messages import PersonWonders, Tell
from base.risk.rules import Rule
from tests.risk.test_person import STOP, ask, paused, stuck, turned, unknown
from tests.risk.world import KEY, World, armed

D = Decimal
TRAIL = Rule(name="default", trail_cents=D(10), trail_activation_cents=D(20), catastrophe=D("0.05"))


def explained(world: World, key: Key = KEY) -> Explained | None:
    """Ask, and see that nothing else came of it."""
    world.effects.clear()
    world.tell(PersonWonders(key=key, reply=lambda known: None))
    (told,) = world.effects
    assert isinstance(told, Tell)
    assert told.heard is None or isinstance(told.heard, Explained)
    return told.heard


@pytest.mark.parametrize(
    ("world", "said", "decision"),
    [
        pytest.param(armed, "it fires at a bid of or under 0.4000", Hold, id="armed"),
        pytest.param(
            lambda: armed(replace(STOP, take_profit=D("0.80"))),
            "it fires at a bid of or under 0.4000 or at a bid of or above 0.8000", Hold, id="with a target",
        ),
        pytest.param(
            lambda: armed(replace(STOP, dwell_s=5)).bid("0.39"),
            "it fires at a bid of or under 0.4000, once DWELL no longer holds it", Hold, id="held by a filter",
        ),
        pytest.param(lambda: armed(TRAIL), "it fires at a bid of or under, without waiting, 0.0500", Hold, id="trail not active"),
        pytest.param(
            lambda: armed(replace(TRAIL, catastrophe=None)), "it fires once its trail is active", Hold, id="no level yet"
        ),
        pytest.param(
            lambda: World(STOP).hold().bid("0.35"),
            "being seen where it would not fire (would_fire_now); it would fire at a bid of or under 0.4000", Hold,
            id="unprotected, and not confirmed",
        ),
        pytest.param(
            lambda: World(STOP, adopt_default=False).hold().bid("0.52"), "no stop covers it (no_rule)", type(None), id="no rule"
        ),
        pytest.param(lambda: World(STOP).hold(), "no stop covers it", type(None), id="not seen"),
        pytest.param(lambda: armed().bid("0.40"), "the answer to order 1", Exit, id="in flight"),
        pytest.param(lambda: armed().bid("0.40").not_sent(), "the next moment in which it may sell down to 0.3000", Exit, id="triggered"),
        pytest.param(unknown, "the exchange's lists of orders and trades: they must show order 1", Exit, id="unknown"),
        pytest.param(lambda: armed().bid("0.40").answer("10"), "the exchange's trades or positions", Exit, id="sold"),
        pytest.param(stuck, "a bid of 0.3000 or more", Exit, id="stuck"),
        pytest.param(lambda: armed().bid(None, "0.60"), "a bid of 0.3000 or more", NoBid, id="no bid"),
        pytest.param(
            lambda: paused(armed().bid("0.40").not_sent()).quiet(1), "the market to take orders again (market_closed)", Hold,
            id="waiting",
        ),
        pytest.param(
            lambda: armed().bid("0.40").refuse(400, "bad_request"), "a person: the exchange refused its order (bad_request)", Exit,
            id="refused",
        ),
        pytest.param(turned, "a person: the other side is held now", Exit, id="turned over"),
        pytest.param(lambda: armed().pass_s(9), "it fires at a bid of or under 0.4000", Unknown, id="blind"),
    ],
)  # fmt: skip
def test_every_state_says_what_it_waits_for(world: Callable[[], World], said: str, decision: type) -> None:
    """One sentence, and the decision that the core makes at this moment."""
    known = explained(world())
    assert known is not None
    assert known.waits_for.startswith(said)
    assert isinstance(known.decision, decision)


def test_an_open_exit_is_shown_with_its_orders() -> None:
    """Quantity, the floor that a flatten lowered, what was sent and sold, and what rings."""
    world = armed().bid("0.40").answer("3", "0.39").quiet(0.5, step_s=0.1).refuse(400, "bad_request")
    ask(world, "flatten", floor=D("0.20"))
    known = explained(world.refuse(400, "bad_request"))
    assert known is not None
    assert known.exit is not None
    assert (known.exit.reason, known.exit.quantity, known.exit.floor) == ("STOP", D(10), D("0.20"))
    assert known.exit.is_joined
    assert [(order.number, order.filled) for order in known.exit.orders][:2] == [(1, D(3)), (2, D(0))]
    assert known.alarms == ("refused",)


def test_what_is_not_held_is_nothing_to_explain() -> None:
    """The caller looks into the journal then."""
    assert explained(armed(), Key(0, "KXOTHER")) is None
