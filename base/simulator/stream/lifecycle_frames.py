"""The ``msg`` part of the lifecycle channels' frames. All ``*_ts`` here are whole seconds.

See: asyncapi.yaml of 2026-10, payload schemas.
"""

from __future__ import annotations

from base.simulator.engine.events import EventFeesChanged, EventListed, MarketChanged
from base.simulator.engine.grid import Grid
from base.simulator.engine.market import Market, is_combo
from base.simulator.engine.money import dollars
from base.simulator.rest.shapes import Json, ranges_json
from base.simulator.stream.frames import encode


def lifecycle_msg(market: Market, event: MarketChanged) -> bytes:
    """Encode a ``market_lifecycle_v2``. All ``*_ts`` are whole seconds."""
    body: Json = {"market_ticker": event.ticker, "event_type": event.kind}
    if event.kind == "created":
        body["exchange_index"] = market.exchange_index
        body |= {"open_ts": market.spec.open_ms // 1000, "additional_metadata": _metadata(market)}
    if event.kind in ("activated", "deactivated"):
        body["is_deactivated"] = event.kind == "deactivated"
    if event.yes_sub_title is not None:
        body["yes_sub_title"] = event.yes_sub_title
    if event.close_ms is not None:
        body["close_ts"] = event.close_ms // 1000
    if event.kind == "determined" and event.settlement_value is not None:
        body["determination_ts"] = event.now_ms // 1000
        body["result"] = event.result
        body["settlement_value"] = dollars(event.settlement_value)
    if event.kind == "settled":
        body["settled_ts"] = event.now_ms // 1000
    if event.grid is not None and not is_combo(event.ticker):
        body |= _grid(event.grid)
    return encode(body)


def _metadata(market: Market) -> Json:
    spec = market.spec
    return {
        "name": spec.title,
        "title": spec.title,
        "yes_sub_title": spec.yes_sub_title,
        "no_sub_title": spec.no_sub_title,
        "rules_primary": spec.rules,
        "rules_secondary": "",
        "can_close_early": spec.can_close_early,
        "event_ticker": spec.event,
        "expected_expiration_ts": spec.close_ms // 1000,
    }


def _grid(grid: Grid) -> Json:
    return {"price_level_structure": grid.label, "price_ranges": ranges_json(grid)}


def event_msg(event: EventListed) -> bytes:
    """Encode an ``event_lifecycle``."""
    return encode(
        {
            "event_ticker": event.event_ticker,
            "exchange_index": event.exchange_index,
            "title": event.title,
            "subtitle": event.subtitle,
            "collateral_return_type": event.collateral_return_type,
            "series_ticker": event.series_ticker,
        }
    )


def event_fees_msg(event: EventFeesChanged) -> bytes:
    """Encode an ``event_fee_update``; null where the override was cleared."""
    multiplier = event.multiplier
    return encode(
        {
            "event_ticker": event.event_ticker,
            "fee_type_override": event.fee_type,
            "fee_multiplier_override": None if multiplier is None else float(multiplier),  # a JSON number
        }
    )
