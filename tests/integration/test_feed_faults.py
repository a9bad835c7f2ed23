"""The line breaks, the feed dies, a frame is lost: no touch is missed and nothing fires on old prices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.rig import Rig
from tests.support import eventually


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A rig whose stop is armed."""
    with Rig(tmp_path) as rig:
        rig.hold()
        rig.start()
        rig.armed()
        yield rig
        assert rig.deaths == []


def _epoch(rig: Rig) -> int:
    parts = rig.app._parts
    assert parts is not None
    return parts.cache.connection().epoch


def test_a_cut_line_is_reconnected_and_everything_resubscribed(rig: Rig) -> None:
    """(G) A new connection, a new epoch, the same subscriptions; then the stop still fires."""
    before = _epoch(rig)
    rig.sim.cut_connections()
    eventually(lambda: _epoch(rig) > before, 10)
    rig.armed()
    rig.slide("0.52", "0.38")
    rig.closed()


def test_a_touch_while_the_line_is_down_is_seen_by_rest(rig: Rig) -> None:
    """The socket cannot come back: books are read by REST and the stop fires on them."""
    rig.sim.refuse_connections(503)
    rig.sim.cut_connections()
    rig.slide("0.52", "0.40")
    rig.closed(15)
    assert len(rig.orders) == 1


def test_a_dead_feed_is_not_called_quiet(rig: Rig) -> None:
    """The socket is open and silent: noticed within 5 s, REST in charge, the stop fires."""
    rig.sim.mute(pings=False)
    eventually(lambda: rig.position is not None and not rig.position.freshness.is_proven, 6)
    rig.slide("0.52", "0.38")
    rig.closed(15)


@pytest.mark.slow
def test_a_quiet_market_is_not_called_stale(rig: Rig) -> None:
    """Nothing changes for eight seconds: probes keep the proof, no price is read by REST."""
    rig.sim.forget_requests()
    for _ in range(16):
        eventually(lambda: rig.position is not None and rig.position.freshness.is_proven, 2)
        _wait(0.5)
    books = [request for request in rig.sim.requests if "orderbook" in request.path]
    assert len(books) <= 1
    assert "BLIND" not in rig.events


def test_a_skipped_counter_is_repaired_before_anything_is_decided(rig: Rig) -> None:
    """A lost frame distrusts the book until a snapshot is back; then the stop works as before."""
    rig.sim.skip_seq("orderbook_delta")
    rig.slide("0.52", "0.40")
    rig.closed(15)
    assert len(rig.orders) == 1


def test_both_lines_down_holds_and_alarms_and_fires_when_rest_is_back(rig: Rig) -> None:
    """Blind: nothing is sold on memory; with fresh evidence the exit goes."""
    rig.sim.refuse_connections(503, rest=True)
    rig.sim.cut_connections()
    rig.slide("0.52", "0.38")
    eventually(lambda: "BLIND" in rig.events and "ALARM" in rig.events, 10)
    assert rig.orders == []
    rig.sim.accept_connections()
    rig.closed(20)


def _wait(seconds: float) -> None:
    from threading import Event

    Event().wait(seconds)
