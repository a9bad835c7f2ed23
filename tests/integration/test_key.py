"""Keys that are revoked, narrowed or locked, and positions outside our sub-accounts, on real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from base.app import key_watch
from base.errors import ConfigError
from base.model import Key
from base.risk.messages import PersonAsks
from tests.integration.rig import TICKER, Rig
from tests.support import eventually

SOON_S = 0.5


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A rig that holds a position; a minute of the key watch lasts half a second."""
    monkeypatch.setattr(key_watch, "RETRY_S", SOON_S)
    monkeypatch.setattr(key_watch, "TICK_S", 0.1)
    with Rig(tmp_path) as rig:
        rig.hold()
        yield rig
        assert rig.deaths == []


def use_key(rig: Rig, **terms: object) -> tuple[str, str]:
    """Settings that make the app use another key of the account."""
    pair = rig.sim.add_key(**terms)  # type: ignore[arg-type]
    return f"exchange.key_id={pair.key_id}", f"exchange.private_key_path={pair.private_key_path}"


def test_a_key_whose_write_scope_is_taken_away_rings_until_it_is_back(rig: Rig) -> None:
    """Found by the refused exit; the position is sold once the key may trade again."""
    rig.start()
    rig.armed()
    rig.sim.set_scopes("read")
    rig.slide("0.52", "0.38")
    eventually(lambda: rig.state == "REFUSED")
    eventually(lambda: "no_write_scope" in rig.view.alarms)
    assert len(rig.orders) == 1
    rig.sim.set_scopes("read", "write")
    eventually(lambda: "no_write_scope" not in rig.view.alarms)
    rig.app._parts.monitor.submit(PersonAsks(key=Key(0, TICKER), command="retry"))  # type: ignore[union-attr]  # a person; by itself after a minute
    rig.closed()


def test_a_revoked_key_is_said_and_not_hammered(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """The alarm and one sentence; what is asked meanwhile stays a handful of requests a second."""
    rig.start()
    rig.armed()
    rig.sim.revoke_key()
    rig.app._parts.reconciler._sweep()  # type: ignore[union-attr]  # the next scheduled report, now
    eventually(lambda: "key_refused" in rig.view.alarms)
    rig.sim.forget_requests()
    began_s = time.monotonic()
    eventually(lambda: time.monotonic() - began_s > 2, 3)
    keys = [request for request in rig.sim.requests if "/account/limits" in request.path]
    assert len(keys) <= 2 / SOON_S + 2
    assert capsys.readouterr().err.count("no longer accepts this API key") == 1


def test_a_restricted_keys_own_subaccount_is_guarded(rig: Rig) -> None:
    """Read from the exchange at the start; [0] stands in the file where nobody chose."""
    rig.sim.deposit("100", exchange_index=2, subaccount=3)
    rig.sim.set_position(TICKER, "7", "0.55", subaccount=3)
    rig.start(*use_key(rig, subaccount=3))
    eventually(lambda: [view.key for view in rig.view.positions] == [Key(3, TICKER)])
    eventually(lambda: rig.view.positions[0].state == "ARMED")
    rig.sim.external_fill(TICKER, "5", "0.53", subaccount=3)  # its pushes are ours as well
    eventually(lambda: rig.view.positions[0].count == 12)
    rig.slide("0.52", "0.38")
    eventually(lambda: rig.sim.position(TICKER, 3) == 0)
    eventually(lambda: rig.view.closed == 1)
    assert "unprotected_subaccount_3" not in rig.view.alarms
    assert (rig.held, {order["subaccount"] for order in rig.orders}) == (Decimal(10), {3})


def test_a_restricted_key_for_another_subaccount_is_refused(rig: Rig) -> None:
    """Written on purpose, and not reachable: a person must decide."""
    with pytest.raises(ConfigError, match=r"write \[3\]"):
        rig.start(*use_key(rig, subaccount=3), "exchange.subaccounts=[4]")


def test_a_read_only_key_is_refused_at_the_start(rig: Rig) -> None:
    """Not at the first exit."""
    with pytest.raises(ConfigError, match="write::trade"):
        rig.start(*use_key(rig, scopes=("read",)))


def test_positions_in_a_subaccount_that_is_not_guarded_ring(rig: Rig) -> None:
    """Held there before the start, when no push tells of it."""
    rig.sim.deposit("5", subaccount=2)
    rig.sim.set_position(TICKER, "4", "0.50", subaccount=2)
    rig.start()
    eventually(lambda: "unprotected_subaccount_2" in rig.view.alarms)
    assert {view.key.subaccount for view in rig.view.positions} == {0}


def test_the_end_of_the_attestation_rings(rig: Rig) -> None:
    """Seen at the start."""
    rig.sim.attest_until(int(time.time()) + 3600)
    rig.start()
    eventually(lambda: "attestation_expires" in rig.view.alarms)


def test_the_write_scope_is_proven_without_an_order(rig: Rig) -> None:
    """A cancel of what does not exist, in a market that is held."""
    rig.start()
    eventually(lambda: any(request.method == "DELETE" for request in rig.sim.requests))
    (proof,) = [request for request in rig.sim.requests if request.method == "DELETE"]
    assert proof.query["market_ticker"] == [TICKER]
    assert rig.orders == []
