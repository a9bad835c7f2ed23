"""What ``status --json`` and the control socket say: prices with four decimals, counts two, absent null."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from base.risk.ports import PositionView
from base.ui.screen import Screen
from base.units import count_text, price_text

PROOFS = ("connection", "ack", "sequence", "lag", "life")


def status_report(screen: Screen) -> dict[str, Any]:
    """The whole state as one object."""
    return {
        "environment": screen.environment,
        "execution": screen.execution,
        "connected": screen.is_connected,
        "halted": screen.is_halted,
        "exits_open": screen.view.exits_open,
        "alarms": list(screen.view.alarms),
        "positions": [position_report(position) for position in screen.view.positions],
    }


def position_report(position: PositionView) -> dict[str, Any]:
    """One position as one object. Prices and distance in dollars per contract, profit in dollars."""
    return {
        "ticker": position.key.ticker,
        "subaccount": position.key.subaccount,
        "side": position.side.value,
        "count": count_text(position.count),
        "entry": price_or_none(position.entry),
        "bid": price_or_none(position.bid),
        "executable": price_or_none(position.executable),
        "trigger": price_or_none(position.trigger),
        "distance": price_or_none(position.distance),
        "profit": price_or_none(position.profit),
        "state": position.state,
        "protection": position.protection,
        "freshness": {proof: str(getattr(position.freshness, proof)) for proof in PROOFS},
        "source": None if position.source is None else position.source.value,
        "age_ms": None if position.age_s is None else round(position.age_s * 1000),
        "reason": position.reason,
    }


def is_all_well(report: Mapping[str, Any]) -> bool:
    """Whether every position is protected and no alarm rings."""
    return not report["alarms"] and all(p["protection"] != "unprotected" for p in report["positions"])


def price_or_none(price: Decimal | None) -> str | None:
    return None if price is None else price_text(price)
