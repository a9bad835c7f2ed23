"""What a person asks of one holding: flatten, retry, cancel. Pure.

A word is joined to what is open, never doubled: two shells that press at once, or a press while the stop
fires, make one intent. What is on its way stays; the next order heeds the word.
See stops-and-exits.md, sections 5 and 7.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from base.model import Key
from base.risk import deciding, endings, selling
from base.risk.decide import Exit, NoBid, Unknown, missing_proof
from base.risk.exit_lifecycle import Event, State
from base.risk.guard import Context, Guard
from base.risk.intent import Intent
from base.risk.ladder import floor_of
from base.risk.messages import ConfirmPrice, Heard, Outbox, PersonAsks, ProbeFeed, ReadMarket, Tell, Word
from base.units import ZERO, price_text

Said = tuple[Word, str]
ASK_EVERY_S = 0.5
CANCELLED = "its exit is cancelled; its stop is armed again once it is seen safe"
JUST_MS = 60_000
"""A flatten so soon after the exit that sold everything is another press of the same wish. Milliseconds."""


def hear(guard: Guard, ctx: Context, asks: PersonAsks) -> None:
    """Do what a person asks, if it can be done, and tell them what became of it."""
    match asks.command:
        case "flatten":
            _tell(guard, asks, _flatten(guard, ctx, asks.floor))
        case "retry":
            _tell(guard, asks, _retry(guard, ctx))
        case "cancel" if guard.state is State.IN_FLIGHT and guard.intent is not None:
            guard.intent.cancels.append(asks)
        case "cancel":
            _tell(guard, asks, _cancel(guard, ctx, is_confirmed=asks.is_confirmed))
        case _:
            _tell(guard, asks, (Word.REFUSED, f"there is no command {asks.command!r}"))


def go_on(guard: Guard, ctx: Context) -> None:
    """Withdraw what was in flight when a person asked for it, now that its answer is here."""
    intent = guard.intent
    if intent is None or not intent.cancels or guard.state is State.IN_FLIGHT:
        return
    waiting, intent.cancels = intent.cancels, []
    if guard.state is State.CONFIRMING:
        said = Word.NOTHING, "everything was sold before it could be cancelled"
    else:
        said = _cancel(guard, ctx, is_confirmed=any(asks.is_confirmed for asks in waiting))
    for asks in waiting:
        _tell(guard, asks, said)


def not_held(asks: PersonAsks, foreign: Collection[Key], sold_ms: int | None, out: Outbox) -> None:
    """Nothing is guarded under that key: say so, and where its contracts are if we know.

    ``sold_ms``: how long ago an exit of it ended, milliseconds; ``None``: none that is remembered.
    """
    ticker = asks.key.ticker
    elsewhere = sorted(key.subaccount for key in foreign if key.ticker == ticker)
    word = Word.NOTHING
    if asks.command == "flatten" and sold_ms is not None and sold_ms < JUST_MS:
        word, said = Word.DONE, f"{ticker} has just been sold"  # a second press that came after the end
    elif elsewhere:
        said = f"{ticker} is held in sub-account {elsewhere[0]}, which exchange.subaccounts does not name"
    else:
        said = f"{ticker} is not held in sub-account {asks.key.subaccount}"
    if asks.reply is not None:
        heard = Heard(key=asks.key, word=word, said=said, state=None, intent_id=None)
        out.put(Tell(asks.reply, heard))


def _tell(guard: Guard, asks: PersonAsks, said: Said) -> None:
    if asks.reply is None:
        return
    word, sentence = said
    intent_id = None if guard.intent is None else guard.intent.id
    heard = Heard(key=guard.key, word=word, said=sentence, state=guard.state.value, intent_id=intent_id)
    guard.put(Tell(asks.reply, heard))


# --- flatten ------------------------------------------------------------------------------------------


def _flatten(guard: Guard, ctx: Context, typed: Decimal | None) -> Said:
    if guard.state is State.FLIPPED:
        return Word.REFUSED, "it turned over while its exit was open: cancel that exit first"
    if guard.intent is None and guard.count == ZERO:
        return Word.NOTHING, "nothing of it is held"
    if ctx.market is None or ctx.seen is None:
        _look(guard, ctx)
        return Word.SOON, "its market has not been seen yet"
    grid = ctx.market.grid_of(guard.side)
    if typed is not None and not grid.contains(typed):
        near = f"{price_text(grid.snap_down(typed))} and {price_text(grid.snap_up(typed))}"
        return Word.REFUSED, f"no order may carry a price of {typed}: the nearest are {near}"
    missing = missing_proof(ctx.seen, ctx.now.boot_s)
    bid = ctx.seen.quote.bid if missing is None else None
    floor = typed if typed is not None or bid is None else floor_of(bid, ctx.settings.max_slippage, grid)
    is_too_high = typed is not None and bid is not None and typed > bid
    if is_too_high and (guard.intent is None or guard.intent.is_take_profit):
        # It would stand there with the market's only exit, and no stop would sell.
        return Word.REFUSED, (
            f"nobody bids {price_text(typed or ZERO)}, the best bid is {price_text(bid or ZERO)}: "
            "nothing was begun, what protects it goes on"
        )
    if guard.intent is not None:
        guard.intent.is_limited |= typed is not None
        said = _join(guard, ctx, guard.intent, floor)
        # Joined it is. Asked again once a price is proven, it may go lower.
        return (Word.SOON, said) if floor is None and missing is not None else (Word.DONE, said)
    if floor is None and missing is not None:
        _look(guard, ctx)
        return Word.SOON, f"its price is not proven (no {missing})"
    if floor is None:
        return Word.FLOOR, "nobody bids: name the worst price you take with --floor"
    level = floor if bid is None else bid
    selling.begin_at(
        guard, ctx, "FLATTEN", ctx.seen.quote, ctx.now.boot_s,
        level=level, floor=floor, is_limited=typed is not None,
    )  # fmt: skip
    return Word.DONE, _stands(guard)


def _join(guard: Guard, ctx: Context, intent: Intent, floor: Decimal | None) -> str:
    """The exit that is open becomes the person's as well; its floor only ever goes down."""
    lowest = intent.floor if floor is None else min(floor, intent.floor)
    guard.move(Event.FLATTEN, ctx, floor=lowest, before=intent.floor)
    intent.floor, intent.is_joined, intent.unlocked = lowest, True, True
    for asks in intent.cancels:
        _tell(guard, asks, (Word.REFUSED, "a flatten came after it: the exit goes on"))
    intent.cancels = []
    guard.hush("no_bid")
    if guard.state is State.REFUSED:
        _try_again(guard, ctx)
    return f"the exit that is open is joined, down to {price_text(lowest)}: {_stands(guard)}"


def _look(guard: Guard, ctx: Context) -> None:
    """Ask for what is missing; whoever asked asks again."""
    ticker = guard.key.ticker
    if ctx.market is None:
        guard.ask(ReadMarket(ticker), ctx, every_s=ASK_EVERY_S)
    guard.ask(ProbeFeed(ticker), ctx, every_s=ASK_EVERY_S)
    guard.ask(ConfirmPrice(ticker), ctx, every_s=ASK_EVERY_S)


def _stands(guard: Guard) -> str:
    """What an exit waits for, in a few words."""
    floor = "its floor" if guard.intent is None else price_text(guard.intent.floor)
    match guard.state:
        case State.STUCK:
            return f"nobody bids {floor} or more; it goes on when somebody does"
        case State.WAITING:
            return f"the market takes no orders ({guard.reason}); it goes on when it does"
        case State.UNKNOWN:
            return "whether its last order sold anything is being found out"
        case State.CONFIRMING:
            return "all is sold; the exchange's reports confirm it"
        case _:
            return "exiting"


# --- retry --------------------------------------------------------------------------------------------


def _retry(guard: Guard, ctx: Context) -> Said:
    """Confirm an unarmed stop that would fire, or try a refused or stuck exit again."""
    if guard.state in (State.REFUSED, State.STUCK):
        _try_again(guard, ctx)
        return Word.DONE, "trying again"
    if guard.state is State.WAITING and guard.intent is not None:
        guard.intent.not_before_s = 0.0  # a person may know what no event told
        return Word.DONE, "trying again as soon as the market is seen open"
    if guard.state is not State.UNPROTECTED:
        return Word.NOTHING, f"there is nothing to retry in {guard.state}"
    if ctx.seen is None or ctx.market is None:
        _look(guard, ctx)
        return Word.SOON, "its market has not been seen yet"
    if guard.stop is None:
        return Word.REFUSED, f"no stop covers it ({guard.reason}): flatten sells it"
    decision = deciding.anew(guard, ctx)
    if isinstance(decision, Exit):
        target = decision.level if decision.reason == "TAKE_PROFIT" else None
        selling.begin(guard, ctx, "RETRY", decision.evidence, decision.at_s, target)
        return Word.DONE, "exiting"
    if isinstance(decision, NoBid):
        selling.begin(guard, ctx, "NO_BID", decision.evidence, ctx.seen.confirmed_s)
        return Word.DONE, "exiting as soon as somebody bids"
    if isinstance(decision, Unknown):
        _look(guard, ctx)
        return Word.SOON, f"its price is not proven (no {decision.reason})"
    return Word.NOTHING, f"its stop would not fire now ({decision.reason})"


def _try_again(guard: Guard, ctx: Context) -> None:
    guard.move(Event.RETRY, ctx)
    selling.restart_ladder(guard)
    selling.press(guard, ctx)


# --- cancel -------------------------------------------------------------------------------------------


def _cancel(guard: Guard, ctx: Context, *, is_confirmed: bool) -> Said:
    if guard.intent is None and guard.is_cancelled:
        return Word.DONE, CANCELLED
    if guard.intent is None:
        return Word.NOTHING, "no exit of it is open"
    if guard.state is State.CONFIRMING:  # what it sold may not be taken off what is held yet
        return Word.NOTHING, "everything is sold already: there is nothing to cancel"
    if guard.state is State.UNKNOWN and not is_confirmed:
        return Word.TYPED, "whether its last order sold anything is not known yet"
    endings.cancel(guard, ctx)
    return Word.DONE, CANCELLED
