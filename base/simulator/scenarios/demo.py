"""``demo``: five open markets, a YES and a NO position, and one crash with depth.

With a stop at half the entry price the YES position is first seen safe (bid 0.54, trigger
0.28), then crosses its trigger step by step some 17 seconds after the start. The NO position
only sways, and the third market drifts up for whoever buys it.
"""

from __future__ import annotations

from base.simulator.scenarios.play import Play, Role, drift, fall, sway
from base.simulator.scenarios.stage import Scenario

CRASH_AT_S = 14.0
DEEP = (150, 400)  # contracts at one level: well above the position

CRASH = Role(
    ticker="KXDEMO-26DEC31-CRASH",
    title="Demo: falls after fourteen seconds",
    bid="0.54",
    path=fall(sway("0.54", 1, 8.0), CRASH_AT_S, 2, "0.08"),
    shard=2,
    size=DEEP,
    count="25",
    entry="0.56",
)
HARMLESS = Role(
    ticker="KXDEMO-26DEC31-CALM",
    title="Demo: sways, held as NO",
    bid="0.35",
    path=sway("0.35", 2, 20.0),
    shard=2,
    size=DEEP,
    count="-40",
    entry="0.62",
)
RISING = Role(
    ticker="KXDEMO-26DEC31-UP",
    title="Demo: drifts up",
    bid="0.44",
    path=drift("0.44", 8.0, "0.70"),
    shard=2,
)
TAPERED = Role(
    ticker="KXDEMO-26DEC31-EDGE",
    title="Demo: tapered price grid",
    bid="0.93",
    path=sway("0.93", 1, 12.0),
    spread="0.004",
    grid="tapered_deci_cent",
)
DEFAULT = Role(
    ticker="KXDEMO-26DEC31-ZERO",
    title="Demo: on shard 0",
    bid="0.61",
    path=sway("0.61", 3, 30.0),
    spread="0.01",
)


def demo() -> Scenario:
    """Return the play."""
    return Play((CRASH, HARMLESS, RISING, TAPERED, DEFAULT), {0: "2500", 2: "5000"})
