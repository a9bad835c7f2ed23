"""One WebSocket connection's conversation, without the socket.

Acknowledgement first, then snapshots, then deltas: all of a command's frames are sent before
anything else happens, so the order needs no further care.
"""

from __future__ import annotations

from collections.abc import Callable

from base.simulator.keys import ApiKey
from base.simulator.stream import first_data, frames
from base.simulator.stream.commands import COMMANDS, TEXTS, Command, CommandError, CommandRate, Params, decode
from base.simulator.stream.selection import NAMING, Selection
from base.simulator.stream.subscription import CHANNELS, FILTERED, Subscription
from base.simulator.venue import Venue

Send = Callable[[bytes], None]
USER_FILTERS = ("", "self")


class Session:
    """Subscriptions and replies of one connection. ``send`` takes a finished frame."""

    def __init__(self, venue: Venue, key: ApiKey, send: Send) -> None:
        self.venue = venue
        self.key = key
        self.by_channel: dict[str, Subscription] = {}
        self._send = send
        self._last_sid = 0
        self._rate = CommandRate()

    def sees(self, account_id: str, subaccount: int) -> bool:
        """Say whether what is private to this sub-account may be shown to the key."""
        return self.key.account_id == account_id and self.key.subaccount in (None, subaccount)

    def push(
        self,
        subscription: Subscription,
        kind: str,
        msg: bytes,
        *,
        command_id: int | None = None,
        counts: bool = True,
    ) -> None:
        """Send one data frame of a subscription. Planned sequence faults happen here."""
        faults, channel = self.venue.faults, subscription.channel
        seq = None
        if subscription.is_sequenced:
            subscription.seq += faults.skip_seq.pop(channel, 0)
            seq = subscription.next_seq() if counts else subscription.seq
        frame = frames.envelope(
            kind,
            msg,
            self.venue.now_ms(),
            sid=subscription.sid,
            seq=seq,
            command_id=command_id or None,  # 0 is "no id"
        )
        for _ in range(1 + faults.duplicate_seq.pop(channel, 0)):
            self._send(frame)

    def _acknowledge(self, subscription: Subscription, command_id: int | None) -> None:
        """Send ``ok`` with the whole list; on a sequenced channel it uses up a number."""
        has_seq = subscription.is_sequenced or self.venue.semantics.seq_on_unsequenced
        seq = subscription.next_seq() if has_seq else None
        msg: dict[str, list[str]] = {}
        if subscription.selection is not None:
            msg = subscription.selection.shown()
        elif not subscription.skip_ticker_ack and subscription.tickers is not None:
            msg["market_tickers"] = sorted(subscription.tickers)
            if subscription.shows_ids:
                msg["market_ids"] = self._ids_of(subscription.tickers)
        self._reply("ok", frames.encode(msg), command_id, sid=subscription.sid, seq=seq)

    def _reply(
        self,
        kind: str,
        msg: bytes | None,
        command_id: int | None,
        *,
        sid: int | None = None,
        seq: int | None = None,
    ) -> None:
        if self.venue.faults.drops_acks and kind != "error":
            return
        now_ms = self.venue.now_ms()
        self._send(frames.envelope(kind, msg, now_ms, sid=sid, seq=seq, command_id=command_id))

    def fail(self, subscription: Subscription, code: int) -> None:
        """End a subscription with a terminal error; the socket stays."""
        self.by_channel.pop(subscription.channel, None)
        seq = subscription.next_seq() if subscription.is_sequenced else None
        msg = frames.encode({"code": code, "msg": TEXTS[code]})
        self._reply("error", msg, None, sid=subscription.sid, seq=seq)

    def receive(self, frame: str | bytes) -> None:
        """Carry out one command and send its replies."""
        command_id = None
        try:
            command = decode(frame)
            command_id = command.id
            self._rate.count(self.venue.now_ms(), self.venue.semantics.commands_per_s)
            if (code := self.venue.faults.take_command_error()) is not None:
                raise CommandError(code)
            self._dispatch(command)
        except CommandError as problem:
            self._refuse(problem, command_id)

    def _refuse(self, problem: CommandError, command_id: int | None) -> None:
        msg = frames.encode({"code": problem.code, "msg": TEXTS[problem.code]})
        own = next((s for s in self.by_channel.values() if s.sid == problem.sid), None)
        seq = own.next_seq() if own is not None and own.is_sequenced else None
        self._reply("error", msg, command_id, sid=problem.sid, seq=seq)

    def _dispatch(self, command: Command) -> None:
        if command.cmd not in COMMANDS:
            raise CommandError(5)
        if command.cmd == "list_subscriptions":
            listed = sorted(self.by_channel.values(), key=lambda s: s.sid)
            body = [{"channel": s.channel, "sid": s.sid} for s in listed]
            self._reply("ok", frames.encode(body), command.id)
        elif command.cmd == "subscribe":
            self._subscribe(command, command.params())
        elif command.cmd == "unsubscribe":
            self._unsubscribe(command, command.params())
        else:
            self._update(command, command.params())

    def _subscribe(self, command: Command, params: Params) -> None:
        if not params.channels:
            raise CommandError(3)
        params.check_shards()
        for channel in dict.fromkeys(params.channels):
            try:
                self._subscribe_one(command, params, channel)
            except CommandError as problem:
                self._refuse(problem, command.id)

    def _subscribe_one(self, command: Command, params: Params, channel: str) -> None:
        wanted = self._filter(params, channel)
        existing = self.by_channel.get(channel)
        if existing is not None:
            self._merge(command, params, existing, wanted)
            return
        self._last_sid += 1
        subscription = Subscription(self._last_sid, channel, set() if wanted is not None else None)
        subscription.use_yes_price = (
            self.venue.semantics.use_yes_price_default
            if params.use_yes_price is None
            else params.use_yes_price
        )
        if channel in NAMING:
            subscription.selection = Selection(NAMING[channel])
            subscription.selection.add(NAMING[channel].named(params))
        subscription.skip_ticker_ack = bool(params.skip_ticker_ack)
        subscription.shows_ids = bool(params.ids())
        if wanted is not None:
            self._check_limit(wanted, None)
            subscription.tickers = set(wanted)
        self.by_channel[channel] = subscription
        msg = frames.encode({"channel": channel, "sid": subscription.sid})
        self._reply("subscribed", msg, command.id)
        first_data.send(self, subscription, wanted, params.send_initial_snapshot)

    def _merge(
        self, command: Command, params: Params, existing: Subscription, wanted: list[str] | None
    ) -> None:
        if params.skip_ticker_ack is not None:
            existing.skip_ticker_ack = params.skip_ticker_ack
        if existing.selection is not None:
            existing.selection.add(existing.selection.naming.named(params))
        fresh: list[str] | None = []
        if wanted is None or existing.tickers is None:
            existing.tickers = None
        else:
            self._check_limit(wanted, existing)
            repeats = self.venue.semantics.duplicate_subscribe_snapshot
            fresh = [t for t in wanted if repeats or t not in existing.tickers]
            existing.tickers |= set(wanted)
        self._acknowledge(existing, command.id)
        first_data.send(self, existing, fresh, params.send_initial_snapshot)

    def _filter(self, params: Params, channel: str) -> list[str] | None:
        """Return the tickers asked for, None for all markets. Raises: CommandError."""
        if channel not in CHANNELS:
            raise CommandError(8)
        if not self.key.may("read"):
            raise CommandError(9)
        if params.user_filter not in USER_FILTERS:
            raise CommandError(11)
        tickers, ids = params.tickers(), params.ids()
        if channel == "orderbook_delta" and (ids or not tickers):
            raise CommandError(14)
        if ids and (channel != "ticker" or tickers):
            raise CommandError(11)
        if channel not in FILTERED or not (tickers or ids):
            return None
        return list(dict.fromkeys(tickers or self._tickers_of(ids)))

    def _check_limit(self, wanted: list[str], existing: Subscription | None) -> None:
        held = existing.tickers or set() if existing else set()
        if len(held | set(wanted)) > self.venue.semantics.markets_per_subscription:
            raise CommandError(26, existing.sid if existing else None)

    def _unsubscribe(self, command: Command, params: Params) -> None:
        if not params.sids:
            raise CommandError(4)
        for sid in params.sids:
            try:
                subscription = self._by_sid(sid)
            except CommandError as problem:
                self._refuse(problem, command.id)
                continue
            del self.by_channel[subscription.channel]
            self._reply("unsubscribed", None, command.id, sid=sid, seq=subscription.next_seq())

    def _update(self, command: Command, params: Params) -> None:
        sids = [*([params.sid] if params.sid is not None else []), *(params.sids or [])]
        if len(sids) != 1:
            raise CommandError(12)
        subscription = self._by_sid(sids[0])
        if not params.action:
            raise CommandError(15, subscription.sid)
        if params.action == "get_snapshot" and subscription.channel == "orderbook_delta":
            self._get_snapshot(command, params, subscription)
        elif params.action in ("add_markets", "delete_markets") and subscription.channel in FILTERED:
            self._change_markets(command, params, subscription)
        elif subscription.selection is not None:
            self._select(command, params, subscription, subscription.selection)
        else:
            raise CommandError(13, subscription.sid)

    def _select(
        self, command: Command, params: Params, subscription: Subscription, selection: Selection
    ) -> None:
        naming = selection.naming
        if params.action == naming.show:
            msg = frames.encode({naming.member: self.venue.indices.streamed_on(subscription.channel)})
            kind = subscription.channel + naming.shown_as
            self.push(subscription, kind, msg, command_id=command.id)
            return
        if params.action not in (naming.add, naming.remove):
            raise CommandError(13, subscription.sid)
        named = naming.named(params)
        if not named:
            raise CommandError(naming.missing, subscription.sid)
        (selection.add if params.action == naming.add else selection.remove)(named)
        self._acknowledge(subscription, command.id)

    def _get_snapshot(self, command: Command, params: Params, subscription: Subscription) -> None:
        if params.market_ticker or params.market_id or params.market_ids:
            raise CommandError(11, subscription.sid)
        if not params.market_tickers:
            raise CommandError(14, subscription.sid)
        for ticker in params.market_tickers:
            first_data.push_snapshot(self, subscription, ticker, command.id or 0)
        if self.venue.semantics.ok_after_get_snapshot:
            self._acknowledge(subscription, command.id)

    def _change_markets(self, command: Command, params: Params, subscription: Subscription) -> None:
        ids = params.ids() if subscription.channel == "ticker" else []
        tickers = params.tickers() or self._tickers_of(ids)
        if not tickers and not ids:
            raise CommandError(14, subscription.sid)
        if params.action == "add_markets":
            self._check_limit(tickers, subscription)
            held = subscription.tickers
            fresh = [t for t in dict.fromkeys(tickers) if held is None or t not in held]
            subscription.tickers = None if held is None else held | set(tickers)
            self._acknowledge(subscription, command.id)
            first_data.send(self, subscription, fresh, params.send_initial_snapshot)
            return
        if subscription.tickers is not None:
            subscription.tickers -= set(tickers)
            empty_means_all = self.venue.semantics.delete_last_market == "all"
            if not subscription.tickers and empty_means_all:
                subscription.tickers = None
        self._acknowledge(subscription, command.id)

    def _by_sid(self, sid: int) -> Subscription:
        for subscription in self.by_channel.values():
            if subscription.sid == sid:
                return subscription
        raise CommandError(7)

    def _tickers_of(self, ids: list[str]) -> list[str]:
        known = {m.market_id: m.ticker for m in self.venue.exchange.state.markets.values()}
        return [known[i] for i in ids if i in known]

    def _ids_of(self, tickers: set[str]) -> list[str]:
        markets = self.venue.exchange.state.markets
        return sorted(markets[t].market_id for t in tickers if t in markets)
