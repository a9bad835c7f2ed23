"""Positions and screens as the monitor would show them, for tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from base.feed.freshness import UNHEARD, Freshness, Proof
from base.model import Key, Side, Source
from base.risk.ports import MonitorView, PositionView
from base.ui.screen import Screen

PROVEN = Freshness(
    connection=Proof.PROVEN,
    ack=Proof.PROVEN,
    sequence=Proof.PROVEN,
    lag=Proof.PROVEN,
    life=Proof.NOT_APPLICABLE,
)
STALE = replace(PROVEN, connection=Proof.NOT_PROVEN)
COVERED = PositionView(
    key=Key(0, "KXTEST-26DEC31-A"),
    side=Side.YES,
    count=Decimal("25"),
    entry=Decimal("0.56"),
    bid=Decimal("0.54"),
    executable=Decimal("0.5325"),
    trigger=Decimal("0.28"),
    target=None,
    profit=Decimal("-0.6875"),
    state="ARMED",
    protection="covered",
    freshness=PROVEN,
    source=Source.BOOK,
    age_s=0.4,
    reason="",
)
UNPROTECTED = replace(
    COVERED,
    key=Key(3, "KXTEST-26DEC31-B"),
    side=Side.NO,
    entry=None,
    bid=None,
    executable=None,
    trigger=None,
    profit=None,
    state="UNPROTECTED",
    protection="unprotected",
    freshness=UNHEARD,
    source=None,
    age_s=None,
    reason="no_entry",
)


def screen_of(*positions: PositionView, log: tuple[str, ...] = (), **view: Any) -> Screen:
    """A screen of the embedded exchange with these positions."""
    return Screen(
        environment="simulated",
        execution="live",
        is_connected=True,
        is_halted=False,
        view=MonitorView(positions=positions, **view),
        log=log,
    )
