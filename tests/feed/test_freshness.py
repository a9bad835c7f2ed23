"""Five proofs; what is not proven is unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from base.feed.freshness import (
    CONNECTION_S,
    UNHEARD,
    ConnectionFacts,
    Lag,
    MarketFacts,
    Proof,
    judge,
    life_window_s,
)

NOW = 1_000.0
UP = ConnectionFacts(epoch=3, is_connected=True, heard_s=NOW, lag=Lag(value_s=0.1, error_s=0.1))
BOOK = MarketFacts(epoch=3, has_sequence=True, in_sequence=True, is_held=True, alive_s=NOW)


def test_everything_proven():
    """A held market with a book has all five proofs."""
    found = judge(UP, BOOK, 1, NOW)
    assert found.is_proven
    assert found.missing is None


@pytest.mark.parametrize(
    ("connection", "market", "missing"),
    [
        pytest.param(replace(UP, is_connected=False), BOOK, "connection", id="link lost"),
        pytest.param(replace(UP, heard_s=None), BOOK, "connection", id="never heard"),
        pytest.param(replace(UP, heard_s=NOW - CONNECTION_S - 0.01), BOOK, "connection", id="silent"),
        pytest.param(UP, replace(BOOK, epoch=2), "ack", id="acknowledged on an older connection"),
        pytest.param(replace(UP, epoch=0), replace(BOOK, epoch=0), "ack", id="no connection yet"),
        pytest.param(UP, replace(BOOK, in_sequence=False), "sequence", id="gap"),
        pytest.param(replace(UP, lag=None), BOOK, "lag", id="never measured"),
        pytest.param(replace(UP, lag=Lag(value_s=3.1, error_s=0.0)), BOOK, "lag", id="late"),
        pytest.param(replace(UP, lag=Lag(value_s=2.0, error_s=1.5)), BOOK, "lag", id="perhaps late"),
        pytest.param(replace(UP, lag=Lag(value_s=2.0, error_s=1.0)), BOOK, None, id="just in time"),
        pytest.param(UP, replace(BOOK, alive_s=None), "life", id="never alive"),
        pytest.param(UP, replace(BOOK, alive_s=NOW - 5.01), "life", id="silent market"),
        pytest.param(UP, replace(BOOK, alive_s=NOW - 5.0), None, id="alive five seconds ago"),
        pytest.param(UP, replace(BOOK, is_held=False, alive_s=None), None, id="not held: no life needed"),
        pytest.param(
            UP, replace(BOOK, has_sequence=False, in_sequence=False), None, id="a ticker has no sequence"
        ),
    ],
)
def test_first_missing_proof(connection: ConnectionFacts, market: MarketFacts, missing: str | None):
    """Each proof can fail alone."""
    assert judge(connection, market, 1, NOW).missing == missing


def test_unknown_market_has_no_proof():
    """Nobody subscribed it."""
    assert judge(UP, None, 0, NOW) is UNHEARD
    assert UNHEARD.connection is Proof.NOT_PROVEN


@pytest.mark.parametrize(("held", "seconds"), [(0, 5), (90, 5), (1_000, 55)])
def test_window_of_life_leaves_time_for_every_probe(held: int, seconds: float):
    """At twenty probes a second a thousand quiet markets are one round in fifty seconds."""
    assert life_window_s(held) == pytest.approx(seconds)
    assert life_window_s(held) >= held / 20
