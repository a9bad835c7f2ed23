"""The ``msg`` part of the CF Benchmarks channels' frames.

See: asyncapi.yaml of 2026-10, payload schemas.
"""

from __future__ import annotations

from base.simulator.indices import Average, Averages, Tick
from base.simulator.rest.shapes import Json
from base.simulator.stream.frames import encode


def second_msg(tick: Tick, averages: Averages) -> bytes:
    """Encode a ``cfbenchmarks_value``."""
    body: Json = {
        "index_id": tick.index_id,
        "received_at": tick.received_ms,
        "data": _raw(tick),
        "avg_60s_data": _average_json(averages.trailing),
    }
    if averages.closing is not None:
        body["last_60s_windowed_average_15min"] = _average_json(averages.closing)
    return encode(body)


def five_hz_msg(tick: Tick) -> bytes:
    """Encode a ``cfbenchmarks_value_5hz``."""
    return encode(
        {
            "index_id": tick.index_id,
            "value_usd": f"{tick.value:.8f}",
            "source_ts_ms": tick.source_ms,
            "received_at": tick.received_ms,
            "data": _raw(tick),
        }
    )


def _raw(tick: Tick) -> str:
    """Return what stands for the upstream frame. ``synthetic`` is ours: nobody may take it for real."""
    frame = {
        "type": "value",
        "id": tick.index_id,
        "time": tick.source_ms,
        "value": f"{tick.value:.2f}",
        "synthetic": True,
    }
    return encode(frame).decode()


def _average_json(average: Average) -> Json:
    return {
        "value": f"{average.value:.8f}",
        "window_size": average.size,
        "window_start_ts_ms": average.start_ms,
        "window_end_ts_exclusive": average.end_ms,
    }
