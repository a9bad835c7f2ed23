"""Is this price true now? Five proofs; what is not proven is UNKNOWN. Pure: given ``now_s``.

connection: a frame or a pong within 5 s on the current connection · ack: subscription
acknowledged and first data seen on it · sequence: no gap open on the book's subscription ·
lag: transport lag proven within 3 s · life: for held markets, a message of the market or a
probe that equalled the local book within max(5 s, n/20 s) for n held markets.
See stops-and-exits.md, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CONNECTION_S = 5.0
MAX_LAG_S = 3.0
LIFE_S = 5.0
PROBES_PER_S = 20


class Proof(StrEnum):
    """Whether one of the five things is known to be so."""

    PROVEN = "proven"
    NOT_PROVEN = "not_proven"
    NOT_APPLICABLE = "n/a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """A measured transport lag: the truth lies within ``value_s ± error_s``."""

    value_s: float
    error_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFacts:
    """What is known of the WebSocket connection as a whole."""

    epoch: int  # counts connections, 0 before the first
    is_connected: bool
    heard_s: float | None  # newest frame, pong included
    lag: Lag | None  # newest measurement; None: never measured on this connection


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """What is known of one market's subscription."""

    epoch: int  # connection on which it was acknowledged and its first data seen; 0: on none
    has_sequence: bool  # a book is the quote; a ticker has no sequence to prove
    in_sequence: bool
    is_held: bool
    alive_s: float | None  # newest message of this market, or probe that equalled the local book


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """The five proofs of one market at one moment."""

    connection: Proof
    ack: Proof
    sequence: Proof
    lag: Proof
    life: Proof

    @property
    def missing(self) -> str | None:
        """Name of the first proof that is not there, ``None`` when the evidence is fresh."""
        for name in ("connection", "ack", "sequence", "lag", "life"):
            if getattr(self, name) is Proof.NOT_PROVEN:
                return name
        return None

    @property
    def is_proven(self) -> bool:
        """Whether every proof that applies is there."""
        return self.missing is None


UNHEARD = Freshness(
    connection=Proof.NOT_PROVEN,
    ack=Proof.NOT_PROVEN,
    sequence=Proof.NOT_PROVEN,
    lag=Proof.NOT_PROVEN,
    life=Proof.NOT_PROVEN,
)
"""Nothing is known: no connection, no subscription."""


def life_window_s(held_markets: int) -> float:
    """How long a held market may be silent.

    At 20 probes a second n quiet markets are probed once in n/20 s; a tenth more covers the way
    there and back, or the last ones in the round would lose their proof each time.
    """
    return max(LIFE_S, held_markets / PROBES_PER_S * 1.1)


def judge(
    connection: ConnectionFacts, market: MarketFacts | None, held_markets: int, now_s: float
) -> Freshness:
    """Say which proofs hold at ``now_s``."""
    if market is None:
        return UNHEARD
    heard = connection.heard_s
    is_up = connection.is_connected and heard is not None and now_s - heard <= CONNECTION_S
    life_s = life_window_s(held_markets)
    return Freshness(
        connection=_proof(is_up),
        ack=_proof(market.epoch == connection.epoch != 0),
        sequence=_proof(market.in_sequence) if market.has_sequence else Proof.NOT_APPLICABLE,
        lag=_lag_proof(connection.lag),
        life=(
            _proof(market.alive_s is not None and now_s - market.alive_s <= life_s)
            if market.is_held
            else Proof.NOT_APPLICABLE
        ),
    )


def _lag_proof(lag: Lag | None) -> Proof:
    # Between the two bounds the truth is not known: that is not a proof either.
    return _proof(lag is not None and lag.value_s + lag.error_s <= MAX_LAG_S)


def _proof(holds: bool) -> Proof:
    return Proof.PROVEN if holds else Proof.NOT_PROVEN
