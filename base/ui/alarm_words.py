"""What each alarm means, for somebody who reads it on a telephone; see docs/operations.md. Pure."""

from __future__ import annotations

from enum import IntEnum


class Severity(IntEnum):
    """What is at stake; the lowest number is told first."""

    MONEY = 0  # contracts that nothing covers, or an exit that does not go on
    GUARD = 1  # the guard itself is weaker than it should be
    BESIDE = 2  # something beside the guard


MONEY, GUARD, BESIDE = Severity
WORDS: dict[str, tuple[Severity, str]] = {
    "unprotected_added": (MONEY, "contracts were bought during an exit: nothing covers them until it ends"),
    "unprotected_would_fire_now": (MONEY, "found below its stop: not sold unasked, you decide"),
    "unprotected_no_entry": (MONEY, "no entry price is known, so no stop can be made"),
    "unprotected_no_rule": (MONEY, "no rule protects it"),
    "unprotected_off_grid": (MONEY, "its rule names a price that no order of this market may carry"),
    "unprotected_can_never_fire": (MONEY, "its rule would never fire at this entry price"),
    "unprotected_contradicts": (MONEY, "its rule's stop is not below its target"),
    "unprotected_no_bid": (MONEY, "nobody bids, so its stop cannot be armed"),
    "unprotected_no_evidence": (MONEY, "no proven price, so its stop cannot be armed"),
    "unprotected_not_armed": (MONEY, "its stop could not be armed yet"),
    "unprotected_closed_but_held": (MONEY, "the strategy says closed, the exchange says held"),
    "unprotected_cancelled": (MONEY, "its exit was cancelled: nothing covers it until it is seen safe"),
    "blind": (MONEY, "its stop is armed and no proven price is seen"),
    "unconfirmed": (MONEY, "the stop is touched, but nothing confirms the price"),
    "no_bid": (MONEY, "the stop is reached and nobody bids"),
    "stuck": (MONEY, "the exit waits: nobody bids inside its floor"),
    "waiting": (MONEY, "the exit waits: the market takes no orders"),
    "refused": (MONEY, "the exchange refused the exit order"),
    "flipped": (MONEY, "the position turned over during its exit: a person must look"),
    "unknown": (MONEY, "it is not known what became of an exit order"),
    "blind_exit": (MONEY, "the exit waits for a proven price"),
    "not_sent": (MONEY, "the exit order did not leave; it is tried again"),
    "answer_overdue": (MONEY, "no answer to an exit order for ten seconds"),
    "order_rests": (MONEY, "a part of an exit order rests; it is being cancelled"),
    "paced": (MONEY, "too many exit orders in a minute: the next one waits"),
    "unconfirmed_end": (MONEY, "all is sold, but the exchange does not confirm it"),
    "exit_unfinished": (MONEY, "the exit has been open for ten seconds"),
    "reports_contradict": (MONEY, "the exchange no longer lists it, and no trade says why"),
    "many_attempts": (MONEY, "more than sixty exit orders in a minute on the account"),
    "key_refused": (MONEY, "the exchange refuses this API key: no exit can be sent"),
    "no_write_scope": (MONEY, "this API key may only read: no exit can be sent"),
    "crash_loop": (GUARD, "it died too often: it only protects now, start it anew"),
    "restarted": (GUARD, "the monitor had died and was started again"),
    "no_parent": (GUARD, "nothing starts the monitor again if it dies"),
    "journal_old": (GUARD, "the journal is an old one: look at your positions"),
    "journal_failed": (GUARD, "the journal's disk fails"),
    "emergency_failed": (GUARD, "an order was noted nowhere: journal and emergency file failed"),
    "journal_corrupt": (GUARD, "the journal was damaged; a new one was begun"),
    "attestation_expires": (GUARD, "the account's location attestation ends soon: renew it"),
    "key_watch_died": (GUARD, "nobody looks at the API key any more: restart"),
    "config_refused": (BESIDE, "config.yaml was changed and is refused; the old settings hold"),
    "config_watch_died": (BESIDE, "changes of config.yaml are not seen any more: restart"),
    "clock_wrong": (BESIDE, "this machine's clock is wrong: so are the times in logs, not the exits"),
    "strategy_failed": (BESIDE, "the strategy raises"),
    "alert_channel_failed": (GUARD, "an alert channel takes no messages"),
    "alerts_failed": (GUARD, "alerts cannot be put together; alarms are in the log"),
}
_FAMILIES: tuple[tuple[str, Severity, str], ...] = (
    ("unprotected_subaccount_", MONEY, "held in a sub-account that is not guarded"),
    ("unprotected_", MONEY, "nothing covers it"),
    ("read_failed_", GUARD, "the exchange's reports cannot be read"),
)


def words_of(reason: str) -> tuple[Severity, str]:
    """Say how severe an alarm is and what it means. One nobody wrote words for is not taken lightly."""
    if reason in WORDS:
        return WORDS[reason]
    family = next((found for found in _FAMILIES if reason.startswith(found[0])), None)
    return (MONEY, "") if family is None else (family[1], family[2])
