"""What our key may do, looked at while the monitor runs: said once, rung while it lasts, never hammered."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from base.app.key_watch import EXPIRES, KEY_REFUSED, NO_WRITE_SCOPE, KeyWatch
from base.errors import MonitorError, OutcomeUnknown, RequestRefused
from base.kalshi.account_terms import AccountLimits, KeyTerms
from base.kalshi.rate_budget import BucketLimit
from base.model import Position, PositionsRead, Side
from base.risk.messages import AlarmChanged, ElsewhereSeen, Message
from tests.support import FakeClock

LIMITS = AccountLimits(usage_tier="basic", read=BucketLimit(200, 200), write=BucketLimit(100, 100))
HOUR_MS = 3_600_000


@dataclass
class Account:
    """The exchange's word on the key, as the test wants it."""

    terms: KeyTerms | None = field(
        default_factory=lambda: KeyTerms(scopes=("read", "write"), subaccount=None, region_expires_ms=None)
    )
    refusal: MonitorError | None = None
    keys_refusal: MonitorError | None = None
    has_scope: bool = True
    elsewhere: dict[int, list[str]] = field(default_factory=dict)
    looks: int = 0
    proofs: list[str] = field(default_factory=list)

    def limits(self) -> AccountLimits:
        self.looks += 1
        if self.refusal is not None:
            raise self.refusal
        return LIMITS

    def api_keys(self) -> KeyTerms | None:
        if self.keys_refusal is not None:
            raise self.keys_refusal
        return self.terms

    def has_write_scope(self, ticker: str) -> bool:
        self.proofs.append(ticker)
        return self.has_scope

    def subaccounts(self) -> frozenset[int]:
        return frozenset({0, *self.elsewhere})

    def positions(self, subaccount: int) -> PositionsRead:
        held = tuple(
            Position(ticker=t, side=Side.YES, count=Decimal(1), entry=None, subaccount=subaccount)
            for t in self.elsewhere[subaccount]
        )
        return PositionsRead(subaccount=subaccount, positions=held, as_of_ms=None, started_s=0.0)


class Desk:
    """A key watch without its thread."""

    def __init__(self, *, must_trade: bool = True, held: tuple[str, ...] = ("KXA",)):
        self.account, self.clock, self.out = Account(), FakeClock(), io.StringIO()
        self.told: list[Message] = []
        self.held = list(held)
        self.watch = KeyWatch(
            self.account, self.clock, must_trade=must_trade, guarded=(0,), held=lambda: self.held,
            submit=self.told.append, out=self.out,
        )  # fmt: skip
        self.watch._worker.stop(0)  # no pauses either

    def pass_s(self, seconds: int) -> Desk:
        """Time passes; the thread ticks once a second."""
        self.watch.look_if_due()
        for _ in range(seconds):
            self.clock.advance(1)
            self.watch.look_if_due()
        return self

    @property
    def ringing(self) -> set[str]:
        """Alarms that ring now."""
        state = {m.reason: m.is_on for m in self.told if isinstance(m, AlarmChanged)}
        return {reason for reason, is_on in state.items() if is_on}

    @property
    def said(self) -> list[str]:
        """Sentences for people."""
        return self.out.getvalue().splitlines()


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A live monitor that holds KXA, with a good key."""
    return Desk()


def test_a_good_key_is_looked_at_every_five_minutes(desk: Desk) -> None:
    """Scopes and the write proof: at the start and from then on, no word."""
    desk.pass_s(3 * 300 - 1)
    assert (desk.account.looks, desk.account.proofs, desk.ringing, desk.said) == (3, ["KXA"] * 3, set(), [])


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        pytest.param(RequestRefused(401, "authentication_error", "NOT_FOUND"), "no longer accepts this API key", id="revoked"),
        pytest.param(RequestRefused(401, "header_timestamp_expired"), "clock is wrong", id="clock"),
        pytest.param(RequestRefused(403, "", ""), "bars this machine's address", id="address banned"),
        pytest.param(RequestRefused(403, "forbidden", "suspended"), "forbidden suspended", id="forbidden"),
    ],
)  # fmt: skip
def test_a_refused_key_rings_and_is_tried_once_a_minute(
    desk: Desk, refusal: RequestRefused, words: str
) -> None:
    """One sentence, one alarm, a try a minute however much else is refused; over when it works again."""
    desk.pass_s(0)
    desk.account.refusal = refusal
    for _ in range(600):
        desk.watch.doubt()
        desk.pass_s(1)
    assert 9 <= desk.account.looks <= 12
    assert desk.ringing == {KEY_REFUSED}
    assert len(desk.said) == 1
    assert words in desk.said[0]
    desk.account.refusal = None
    desk.pass_s(61)
    assert (desk.ringing, len(desk.said)) == (set(), 2)


def test_doubt_about_a_good_key_is_settled_by_one_look(desk: Desk) -> None:
    """A 403 on one market is no reason to ask twice a minute, nor to ring."""
    desk.pass_s(120)
    for _ in range(59):
        desk.watch.doubt()
        desk.pass_s(1)
    assert (desk.account.looks, desk.ringing) == (2, set())


@pytest.mark.parametrize("listed", [True, False])
def test_a_key_that_lost_its_write_scope_rings(desk: Desk, listed: bool) -> None:
    """Whether the list of keys says it or only the proof; over when the scope is back."""
    desk.pass_s(0)
    desk.account.has_scope = False
    if listed:
        desk.account.terms = KeyTerms(scopes=("read",), subaccount=None, region_expires_ms=None)
    desk.watch.doubt()
    desk.pass_s(61)
    assert desk.ringing == {NO_WRITE_SCOPE}
    assert "write::trade" in desk.said[0]
    desk.account.has_scope = True
    desk.account.terms = None
    desk.pass_s(61)
    assert desk.ringing == set()


def test_on_paper_a_key_may_be_read_only() -> None:
    """Nothing is sent, so nothing is proven and nothing rings."""
    desk = Desk(must_trade=False)
    desk.account.terms = KeyTerms(scopes=("read",), subaccount=None, region_expires_ms=None)
    assert (desk.pass_s(10).ringing, desk.account.proofs) == (set(), [])


def test_the_write_scope_is_proven_once_something_is_held() -> None:
    """With no position there is no market to prove it with; the first one is the occasion."""
    desk = Desk(held=())
    desk.pass_s(200)
    assert (desk.account.looks, desk.account.proofs) == (1, [])
    desk.held.append("KXB")
    desk.pass_s(2)
    assert desk.account.proofs == ["KXB"]


def test_a_key_that_may_not_list_keys_is_judged_by_the_proof(desk: Desk) -> None:
    """403 on the list alone: narrow scopes, not a refused key."""
    desk.account.keys_refusal = RequestRefused(403, "forbidden")
    assert desk.pass_s(5).ringing == set()
    assert desk.account.proofs == ["KXA"]


@pytest.mark.parametrize(
    ("hours", "rings"),
    [
        pytest.param(73, False, id="three days and more"),
        pytest.param(71, True, id="less than three days"),
        pytest.param(-1, True, id="over"),
        pytest.param(None, False, id="never attested"),
    ],
)
def test_the_end_of_the_attestation_rings_72_hours_before(desk: Desk, hours: int | None, rings: bool) -> None:
    """Known in time; it is looked at as seldom as ever, for asking more often renews nothing."""
    ends_ms = None if hours is None else desk.clock.utc_ms() + hours * HOUR_MS
    desk.account.terms = KeyTerms(scopes=("read", "write"), subaccount=None, region_expires_ms=ends_ms)
    desk.pass_s(250)
    assert desk.ringing == ({EXPIRES} if rings else set())
    assert desk.account.looks == 1


def test_an_exchange_that_does_not_answer_says_nothing_about_the_key(desk: Desk) -> None:
    """No alarm of ours begins or ends; asked again after a minute."""
    desk.account.refusal = OutcomeUnknown("HTTP 503")
    desk.pass_s(59)
    assert (desk.ringing, desk.said, desk.account.looks) == (set(), [], 1)
    desk.account.refusal = None
    desk.pass_s(2)
    assert desk.account.looks == 2


def test_positions_in_other_subaccounts_are_reported(desk: Desk) -> None:
    """Each that is not guarded is read; an empty one too, for what was there may be gone."""
    desk.account.elsewhere = {3: ["KXB"], 5: []}
    desk.pass_s(0)
    seen = [m for m in desk.told if isinstance(m, ElsewhereSeen)]
    assert [(m.subaccount, set(m.tickers)) for m in seen] == [(3, {"KXB"}), (5, set())]
