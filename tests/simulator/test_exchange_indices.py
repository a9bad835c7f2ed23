"""Channels of reference values: what they answer, what they carry, and that it is marked as made up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from base.simulator.clock import ManualClock
from base.simulator.rate_limits import UNLIMITED
from base.simulator.scenarios.catalogue import find
from base.simulator.scenarios.stage import Stage
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from base.simulator.venue import Venue
from tests.simulator.loopback import Feed
from tests.simulator.published_spec import check_frame, needs_spec

SECOND, FAST, PYTH = "cfbenchmarks_value", "cfbenchmarks_value_5hz", "pyth_value"
QUARTER_MS = 1_795_050_000_000  # a quarter of an hour begins


def update(feed: Feed, action: str, **params: Any) -> dict[str, Any]:
    """Update subscription 1; return the answer."""
    return feed.reply("update_subscription", sid=1, action=action, **params)


@pytest.mark.parametrize(
    ("channel", "member", "verb", "missing"),
    [
        pytest.param(SECOND, "index_ids", "indices", 24, id="one a second"),
        pytest.param(FAST, "index_ids", "indices", 24, id="five a second"),
        pytest.param(PYTH, "underlying_tickers", "underlyings", 28, id="pyth"),
    ],
)
@needs_spec
def test_a_selection_grows_shrinks_and_is_acknowledged(
    feed: Feed, channel: str, member: str, verb: str, missing: int
) -> None:
    """It may begin empty; ``all`` lies over the single ids and leaves them; a list is required."""
    assert feed.subscribe(channel)["msg"] == {"channel": channel, "sid": 1}
    for action, ids, shown in (
        (f"subscribe_{verb}", ["B", "A"], ["A", "B"]),
        (f"unsubscribe_{verb}", ["B"], ["A"]),
        (f"subscribe_{verb}", ["all"], ["all"]),
        (f"unsubscribe_{verb}", ["X"], ["all"]),
        (f"unsubscribe_{verb}", ["all"], ["A"]),
    ):
        assert update(feed, action, **{member: ids})["msg"] == {member: shown}
    merged = feed.subscribe(channel, **{member: ["C"]})
    assert (merged["type"], merged["msg"], merged["seq"]) == ("ok", {member: ["A", "C"]}, 6)
    for action in (f"subscribe_{verb}", f"unsubscribe_{verb}"):
        assert update(feed, action)["msg"]["code"] == missing
    for action in ("add_markets", "get_snapshot"):
        assert update(feed, action, market_tickers=["A"])["msg"]["code"] == 13
    for frame in feed.seen:
        check_frame(frame)


@needs_spec
def test_lists_say_what_streams(sim: SimulatorServer, feed: Feed) -> None:
    """Only the five fast coins on the fast channel; nothing on Pyth's."""
    feed.subscribe(SECOND, FAST, PYTH)
    feed.reply("list_subscriptions")
    for index_id in ("BRTI", "ADAUSD_RTI"):
        sim.tick_index("1.5", index_id=index_id)
    answers = [
        feed.reply("update_subscription", sid=sid, action=action)
        for sid, action in ((1, "indexlist"), (2, "indexlist"), (3, "underlying_list"))
    ]
    assert [a["type"] for a in answers] == [
        f"{SECOND}_indexlist",
        f"{FAST}_indexlist",
        f"{PYTH}_underlying_list",
    ]
    assert [next(iter(a["msg"].values())) for a in answers] == [["ADAUSD_RTI", "BRTI"], ["BRTI"], []]
    for frame in feed.seen:
        check_frame(frame)


def test_communications_acknowledges_and_stays_silent(sim: SimulatorServer, feed: Feed) -> None:
    """Requests for quotes are not traded here; a second subscription merges."""
    for factor in (1, 100):
        answer = feed.subscribe("communications", user_filter="self", shard_factor=factor, shard_key=0)
    assert (answer["type"], answer["sid"], answer["msg"]) == ("ok", 1, {})
    assert update(feed, "add_markets", market_tickers=["A"])["msg"]["code"] == 13


@needs_spec
def test_values_come_to_whoever_selected_them(sim: SimulatorServer, feed: Feed) -> None:
    """Five a second on one channel, the first of each second on the other; old ones are dropped."""
    feed.subscribe(SECOND, index_ids=["BRTI"])
    feed.subscribe(FAST, index_ids=["all"])
    for source_ms, value in ((0, "100"), (200, "101"), (100, "7"), (200, "7"), (1000, "102"), (1000, "7")):
        sim.tick_index(value, source_ms=QUARTER_MS + source_ms)
    sim.tick_index("1", index_id="ETHUSD_RTI", source_ms=QUARTER_MS)
    frames = [feed.receive() for _ in range(6)]
    for frame in frames:
        check_frame(frame)
        assert json.loads(frame["msg"]["data"])["synthetic"] is True
    fast = [f["msg"] for f in frames if f["type"] == FAST]
    assert [(m["index_id"], m["value_usd"]) for m in fast] == [
        ("BRTI", "100.00000000"),
        ("BRTI", "101.00000000"),
        ("BRTI", "102.00000000"),
        ("ETHUSD_RTI", "1.00000000"),
    ]
    slow = [f["msg"] for f in frames if f["type"] == SECOND]
    assert [m["avg_60s_data"]["value"] for m in slow] == ["100.00000000", "100.00000000"]
    assert [m["avg_60s_data"]["window_size"] for m in slow] == [0, 1]


def test_averages_over_the_minute_and_at_the_end_of_a_quarter(sim: SimulatorServer, feed: Feed) -> None:
    """:01 counts 1, :59 counts 59, the close 60; outside the last minute there is none."""
    feed.subscribe(SECOND, index_ids=["BRTI"])
    for second in range(-61, 2):
        sim.tick_index(str(1000 + second), source_ms=QUARTER_MS + second * 1000)
    shown = {second: feed.receive()["msg"] for second in range(-61, 2)}
    sizes = {s: m.get("last_60s_windowed_average_15min", {}).get("window_size") for s, m in shown.items()}
    assert {s: sizes[s] for s in (-61, -60, -59, -1, 0, 1)} == {
        -61: None,
        -60: None,
        -59: 1,
        -1: 59,
        0: 60,
        1: None,
    }
    closing = shown[0]["last_60s_windowed_average_15min"]
    assert (closing["value"], closing["window_start_ts_ms"]) == ("970.50000000", QUARTER_MS - 60_000)
    trailing = shown[1]["avg_60s_data"]
    assert (trailing["window_size"], trailing["value"]) == (60, "970.50000000")
    assert trailing["window_end_ts_exclusive"] == QUARTER_MS + 1000


@pytest.mark.parametrize(("name", "streams"), [("demo", ["BRTI"]), ("calm", ["BRTI"]), ("empty", [])])
def test_plays_have_a_seeded_index(name: str, streams: list[str]) -> None:
    """The same seed, the same path, five a second at any speed."""

    def path(seed: int, speed: float) -> list[Any]:
        clock = ManualClock(QUARTER_MS)
        venue = Venue(Semantics(), clock, UNLIMITED, salt=0)
        ticks: list[Any] = []
        venue.indices.listeners.append(lambda tick, _: ticks.append((tick.source_ms, tick.value)))
        stage, play = Stage(venue, seed, speed), find(name)
        play.open(stage)
        for step in range(50):
            clock.advance(0.1)
            play.play(stage, (step + 1) * 0.1 * speed)
        assert venue.indices.streamed_on(SECOND) == streams
        return ticks

    first = path(1, 1.0)
    assert len(first) == (26 if streams else 0)  # both ends of five seconds
    assert first == path(1, 10.0)
    assert not streams or first != path(2, 1.0)
