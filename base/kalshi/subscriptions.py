"""What is wanted against what is acknowledged on this connection, for all channels. Pure.

It says which commands to send and matches replies by ``id``: commands are carried out
concurrently over there, so replies come in any order, and a channel's second ``subscribe`` is
answered by ``ok``. See: section 6 of the protocol page.
"""

from __future__ import annotations

from collections import deque

from base.kalshi import commands
from base.kalshi.channel import COMMAND_TIMEOUT_S, Channel
from base.kalshi.commands import ACCOUNT_CHANNELS, BOOK, TICKER, TRADE
from base.kalshi.messages import ErrorFrame, Ok, Subscribed, Unsubscribed

SNAPSHOT_BATCH = 100


class Subscriptions:
    """All channels of one connection. Times are seconds on the boot clock."""

    def __init__(self) -> None:
        self.ticker = Channel(TICKER)
        self.book = Channel(BOOK)
        self.trade = Channel(TRADE)
        self._follows_trades = False
        self._channels = {
            channel.name: channel
            for channel in (self.ticker, self.book, self.trade, *map(Channel, ACCOUNT_CHANNELS))
        }
        self._next_id = 1
        self._snapshot_ids: deque[int] = deque(maxlen=1000)
        self._listing_id: int | None = None
        self._listing_s = float("-inf")
        self.errors: dict[int, int] = {}  # by code, since the start

    def connected(self) -> None:
        """Begin a new connection: nothing is acknowledged, ids start over."""
        for channel in self._channels.values():
            channel.connected()
        self._next_id = 1
        self._snapshot_ids.clear()
        self._listing_id, self._listing_s = None, float("-inf")

    def want(self, tickers: set[str], books: set[str]) -> None:
        """Say for which markets ticker and book are wanted from now on."""
        self.ticker.wanted = set(tickers)
        self.book.wanted = set(books)
        self.trade.wanted = set(tickers) if self._follows_trades else set()

    def follow_trades(self) -> None:
        """Public trades are wanted as well, of every market from now on. No price of ours comes from them."""
        self._follows_trades = True
        self.trade.wanted = set(self.ticker.wanted)

    def due(self, now_s: float) -> list[str]:
        """Return the commands to send now."""
        texts = [channel.next_command(now_s, self._new_id) for channel in self._channels.values()]
        return [text for text in texts if text is not None]

    def snapshot_commands(self, tickers: list[str]) -> list[str]:
        """Return the commands that ask for the books of ``tickers``; none without a subscription."""
        sid = self.book.sid
        if sid is None:
            return []
        texts = []
        for at in range(0, len(tickers), SNAPSHOT_BATCH):
            batch = tickers[at : at + SNAPSHOT_BATCH]
            command_id = self._new_id()
            self._snapshot_ids.append(command_id)
            texts.append(commands.get_snapshot(command_id, sid, batch))
        return texts

    def channel_of(self, sid: int | None) -> Channel | None:
        """The channel that ``sid`` belongs to, ``None`` if we know of none."""
        if sid is None:
            return None
        for channel in self._channels.values():
            if channel.sid == sid:
                return channel
        return None

    @property
    def unanswered(self) -> int:
        """Commands given up on, on this connection."""
        return sum(channel.unanswered for channel in self._channels.values())

    # --- replies --------------------------------------------------------------------------------

    def on_subscribed(self, frame: Subscribed) -> None:
        """A channel's first subscription was accepted."""
        if (channel := self._channels.get(frame.channel)) is not None:
            channel.on_subscribed(frame.sid, frame.id)

    def on_ok(self, frame: Ok, now_s: float) -> None:
        """A command was carried out."""
        if frame.subscriptions is not None:
            self._adopt(frame.subscriptions)
            return
        if frame.id in self._snapshot_ids:
            return  # some servers also say ok to get_snapshot
        channel = self._waiting_for(frame.id) or (self.channel_of(frame.sid) if frame.id is None else None)
        if channel is not None:
            channel.on_ok(frame.sid, frame.market_tickers, now_s)

    def on_unsubscribed(self, frame: Unsubscribed) -> None:
        """A subscription has ended."""
        if (channel := self.channel_of(frame.sid)) is not None:
            channel.on_unsubscribed()

    def on_error(self, frame: ErrorFrame, now_s: float) -> str | None:
        """A command or a subscription failed; return a command that follows from it, if one does."""
        self.errors[frame.code] = self.errors.get(frame.code, 0) + 1
        if frame.id in self._snapshot_ids:
            if frame.code == 7:
                self.book.on_error(7, (), now_s, is_ours=False)
            return None
        channel = self._waiting_for(frame.id)
        is_ours = channel is not None
        channel = channel or self.channel_of(frame.sid)
        if channel is None:
            return None
        channel.on_error(frame.code, frame.market_tickers, now_s, is_ours=is_ours)
        return self._list(now_s) if frame.code == 6 else None  # "already subscribed": find out how

    def _list(self, now_s: float) -> str | None:
        if now_s - self._listing_s < COMMAND_TIMEOUT_S:
            return None
        self._listing_s = now_s
        self._listing_id = self._new_id()
        return commands.list_subscriptions(self._listing_id)

    def _adopt(self, listed: tuple[tuple[str, int], ...]) -> None:
        for name, sid in listed:
            channel = self._channels.get(name)
            if channel is not None and channel.sid != sid:
                channel.adopt(sid)

    def _waiting_for(self, command_id: int | None) -> Channel | None:
        if command_id is None:
            return None
        for channel in self._channels.values():
            if channel.pending is not None and command_id in channel.pending.ids:
                return channel
        return None

    def _new_id(self) -> int:
        command_id, self._next_id = self._next_id, self._next_id + 1
        return command_id
