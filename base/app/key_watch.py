"""Whether our API key may still do what exits need: looked at every five minutes, and after a refusal."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection
from typing import Protocol, TextIO, cast

from base.app.stderr import CurrentStderr
from base.clock import Clock, utc_text
from base.errors import MonitorError, RequestRefused
from base.feed.worker import Worker
from base.kalshi.account_terms import AccountLimits, KeyTerms
from base.model import PositionsRead
from base.risk.messages import AlarmChanged, ElsewhereSeen, Message

LOOK_EVERY_S = 300.0
"""A write scope that was taken away shows in nothing else until an exit is refused. Seconds."""
RETRY_S = 60.0
"""What is wrong is looked at again this often, never more: a banned address is not freed by asking."""
TICK_S = 1.0
BETWEEN_READS_S = 0.5
WARN_BEFORE_MS = 72 * 3_600_000
KEY_REFUSED, NO_WRITE_SCOPE, EXPIRES = "key_refused", "no_write_scope", "attestation_expires"
DIED = "key_watch_died"
_log = logging.getLogger(__name__)


class KeyPort(Protocol):
    """The exchange's client, as far as it speaks of the key. Every call raises ``MonitorError``."""

    def limits(self) -> AccountLimits:
        """A read that every key may do."""

    def api_keys(self) -> KeyTerms | None:
        """What this key may do."""

    def has_write_scope(self, ticker: str) -> bool:
        """Prove it by cancelling what does not exist."""

    def subaccounts(self) -> frozenset[int]:
        """Every sub-account the key may see."""

    def positions(self, subaccount: int) -> PositionsRead:
        """What a sub-account holds."""


class KeyWatch:
    """A thread that asks what the key may do, rings while it is too little, and says so in one sentence.

    Args:
        account: The exchange.
        clock: Time.
        must_trade: Whether exits are sent; on paper a key may be read-only.
        guarded: The sub-accounts that are guarded.
        held: Markets held now; the write scope is proven with one of them.
        submit: Takes alarms, and what is held elsewhere.
        out: Where people read the sentence.
    """

    def __init__(
        self,
        account: KeyPort,
        clock: Clock,
        *,
        must_trade: bool,
        guarded: Collection[int],
        held: Callable[[], Collection[str]],
        submit: Callable[[Message], None],
        out: TextIO | None = None,
    ):
        self._account, self._clock = account, clock
        self._must_trade, self._guarded, self._held = must_trade, frozenset(guarded), held
        self._submit = submit
        self._out = out or cast(TextIO, CurrentStderr())
        self._worker = Worker("key watch", self.look_if_due, TICK_S, self._crashed)
        # Set from any thread, taken by this one:
        self._is_doubted = False
        # Owned by the thread:
        self._next_s = float("-inf")
        self._next_doubt_s = float("-inf")
        self._ringing: set[str] = set()
        self._is_scope_untried = must_trade

    def start(self) -> None:
        """Look at once, then on schedule."""
        self._worker.start()

    def stop(self, timeout_s: float) -> bool:
        """End; ``False``: a read was still under way after ``timeout_s`` seconds."""
        return self._worker.stop(timeout_s)

    def doubt(self) -> None:
        """Something was refused: look now. However often this is called, that happens once a minute."""
        self._is_doubted = True

    def look_if_due(self) -> None:
        """Look now if it is time."""
        now_s = self._clock.boot_s()
        is_doubted, self._is_doubted = self._is_doubted, False
        if is_doubted and now_s >= self._next_doubt_s and not self._ringing & {KEY_REFUSED, NO_WRITE_SCOPE}:
            self._next_s, self._next_doubt_s = now_s, now_s + RETRY_S
        if self._is_scope_untried and self._held():
            self._is_scope_untried, self._next_s = False, now_s  # the first market to prove it with
        if now_s < self._next_s:
            return
        try:
            is_well = self._look()
        except MonitorError as e:  # no word about the key: what rang goes on ringing
            _log.info("key_not_looked_at why=%s", e)
            is_well = False
        self._next_s = now_s + (LOOK_EVERY_S if is_well else RETRY_S)

    def _look(self) -> bool:
        """Ask; return whether nothing is wrong."""
        try:
            self._account.limits()
        except RequestRefused as e:
            if e.status not in (401, 403):
                raise
            self._ring(KEY_REFUSED, explain(e), e.code or f"http_{e.status}")
            return False
        self._hush(KEY_REFUSED, "the exchange accepts this API key again")
        terms = self._terms()
        self._check_attestation(terms)
        self._check_scope(terms)
        self._look_elsewhere()
        return not self._ringing - {EXPIRES}

    def _terms(self) -> KeyTerms | None:
        try:
            return self._account.api_keys()
        except RequestRefused as e:
            if e.status != 403:
                raise
            return None  # a key with narrow scopes may not list keys, and trade all the same

    def _check_attestation(self, terms: KeyTerms | None) -> None:
        """After it ends some markets cannot be traded. See: changelog of 2026-08-16."""
        ends_ms = None if terms is None else terms.region_expires_ms
        if ends_ms is None or ends_ms - self._clock.utc_ms() >= WARN_BEFORE_MS:
            self._hush(EXPIRES, "the location attestation was renewed")
            return
        end = utc_text(ends_ms)
        self._ring(
            EXPIRES, f"the account's location attestation ends {end}: renew it on the exchange's site", end
        )

    def _check_scope(self, terms: KeyTerms | None) -> None:
        if not self._must_trade:
            return
        may_trade = terms is None or not terms.scopes or terms.may_trade
        ticker = next(iter(self._held()), None)
        if may_trade and ticker is not None:
            may_trade = self._account.has_write_scope(ticker)
        if may_trade:
            self._hush(NO_WRITE_SCOPE, "this API key may trade again")
        else:
            self._ring(
                NO_WRITE_SCOPE,
                "this API key may only read, so no exit can be sent: give it the scope write::trade",
                "write::trade",
            )

    def _look_elsewhere(self) -> None:
        """Positions in sub-accounts that are not guarded: nobody sells them, somebody must know."""
        with contextlib.suppress(RequestRefused):  # a key that may not list them cannot see them either
            for number in sorted(self._account.subaccounts() - self._guarded):
                read = self._account.positions(number)
                tickers = frozenset(position.ticker for position in read.positions)
                self._submit(ElsewhereSeen(subaccount=number, tickers=tickers))
                self._worker.pause(BETWEEN_READS_S)  # 63 of them must not use up the read budget

    def _ring(self, reason: str, sentence: str, details: str) -> None:
        self._submit(AlarmChanged(reason=reason, is_on=True, details=details))
        if reason not in self._ringing:
            self._ringing.add(reason)
            self._say(sentence)

    def _hush(self, reason: str, sentence: str) -> None:
        if reason in self._ringing:
            self._ringing.discard(reason)
            self._submit(AlarmChanged(reason=reason, is_on=False))
            self._say(sentence)

    def _say(self, sentence: str) -> None:
        self._out.write(f"exchange.key_id: {sentence}\n")
        self._out.flush()

    def _crashed(self, name: str, error: BaseException) -> None:
        _log.error("the %s crashed", name, exc_info=error)
        self._submit(AlarmChanged(reason=DIED, is_on=True, details=type(error).__name__))


def explain(refused: RequestRefused) -> str:
    """Say in one sentence why the exchange no longer lets us in, and what to do."""
    said = " ".join(word for word in (refused.code, refused.details) if word)
    again = "it is tried again every minute"
    if refused.status == 401 and "timestamp" in said:
        return f"this machine's clock is wrong by seconds, so every signature is refused: set it; {again}"
    if refused.status == 401:
        return (
            f"the exchange no longer accepts this API key ({said}), so no exit can be sent: "
            f"make a new one and restart with it; {again}"
        )
    if not refused.code:
        return f"the exchange bars this machine's address (403), so no exit can be sent; {again}"
    return f"the exchange no longer lets this API key in (403 {said}), so no exit can be sent; {again}"
