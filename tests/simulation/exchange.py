"""The embedded exchange without sockets: bytes in, bytes out, in virtual time. It is the judge's truth."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from base.simulator.clock import http_date
from base.simulator.engine.exchange import HOUSE
from base.simulator.engine.grid import GRIDS
from base.simulator.engine.market import Market, MarketSpec
from base.simulator.engine.money import ONE, ZERO
from base.simulator.engine.orders import Side
from base.simulator.engine.refusal import Refused
from base.simulator.keys import ApiKey, verify
from base.simulator.rate_limits import Tier
from base.simulator.rest.call import Answer, Call
from base.simulator.rest.pipeline import answer, error_json
from base.simulator.rest.routes import PREFIX, RULES, Rule
from base.simulator.semantics import Semantics
from base.simulator.stream.hub import Hub
from base.simulator.stream.session import Session
from base.simulator.venue import MEMBER, Venue
from tests.simulation.scheduler import Scheduler

BASE_MS = 1_795_000_000_000
"""True Unix time at the start of every run, ms."""
KEY_ID = "5e1f0000-0000-4000-8000-000000000001"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
FEED_PATH = "/trade-api/ws/v2"
_ROUTES = [
    (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", PREFIX + path)), [r for r in RULES if r.path == path])
    for path in dict.fromkeys(rule.path for rule in RULES)
]
Levels = dict[Decimal, Decimal]


class TrueClock:
    """The exchange's clock: virtual time."""

    def __init__(self, scheduler: Scheduler):
        self._scheduler = scheduler

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        return BASE_MS + round(self._scheduler.now_s * 1000)


class SimulatedExchange:
    """A venue and its protocol front."""

    def __init__(self, scheduler: Scheduler, semantics: Semantics, tier: Tier, salt: int):
        self.venue = Venue(semantics, TrueClock(scheduler), tier, salt)
        self.hub = Hub(self.venue)
        self.venue.keys[KEY_ID] = ApiKey(key_id=KEY_ID, public_key=KEY.public_key(), account_id=MEMBER)
        for shard in self.venue.exchange.state.shards:
            self.venue.exchange.deposit(MEMBER, Decimal(10_000), self.venue.now_ms(), exchange_index=shard)

    # --- REST -----------------------------------------------------------------------------------

    def answer(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """Carry out one request."""
        parts = urlsplit(url)
        rule, params = self._route(method, parts.path)
        if rule is None:
            return Answer(404, {"error": {"code": "not_found", "message": "not found"}})
        call = Call(
            method=method,
            path=parts.path,
            params=params,
            query=parse_qs(parts.query, keep_blank_values=True),
            body=body,
            now_ms=self.venue.advance(),
        )
        return answer(self.venue, rule, call, headers)

    def encoded(self, reply: Answer) -> tuple[int, dict[str, str], bytes]:
        """Return an answer as status, headers and body."""
        content = b"" if reply.body is None else msgspec.json.encode(reply.body)
        return reply.status, {"Date": http_date(self.venue.now_ms()), **reply.headers}, content

    def _route(self, method: str, path: str) -> tuple[Rule | None, dict[str, str]]:
        for pattern, rules in _ROUTES:
            if (match := pattern.fullmatch(path)) is not None:
                return next((r for r in rules if r.method == method), None), match.groupdict()
        return None, {}

    # --- the feed -------------------------------------------------------------------------------

    def accept(self, headers: dict[str, str], send: Callable[[bytes], None]) -> Session:
        """Begin a session. Raises: Refused."""
        semantics = self.venue.semantics
        lowered = {name.lower(): value for name, value in headers.items()}
        key = verify(self.venue.keys, lowered, "GET", FEED_PATH, self.venue.now_ms(), semantics)
        session = Session(self.venue, key, send)
        self.hub.sessions.append(session)
        return session

    def refusal(self, refused: Refused) -> tuple[int, bytes]:
        """Return a refused handshake as status and body."""
        return refused.status, msgspec.json.encode({"error": error_json(refused)})

    def hang_up(self, session: Session) -> None:
        """Forget a session."""
        if session in self.hub.sessions:
            self.hub.sessions.remove(session)

    # --- what the run does to it ----------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """The true time."""
        return self.venue.now_ms()

    def list_market(self, ticker: str, shard: int, grid: str, closes_in_s: float) -> None:
        """List an open market."""
        spec = MarketSpec(
            ticker=ticker,
            title=ticker,
            open_ms=self.now_ms - 3_600_000,
            close_ms=self.now_ms + round(closes_in_s * 1000),
            exchange_index=shard,
            grid=GRIDS[grid],
        )
        self.venue.exchange.add_market(spec, self.now_ms)

    def market(self, ticker: str) -> Market:
        """One market."""
        return self.venue.exchange.state.markets[ticker]

    def show(self, ticker: str, bids: Levels, asks: Levels) -> None:
        """Make the house's liquidity exactly this, on the YES scale.

        What is in the way leaves first, what is new comes next, what is left over goes last: a book
        that moves is never empty in between.
        """
        if self.market(ticker).status != "active":
            return
        lowest_ask, highest_bid = min(asks, default=ONE), max(bids, default=ZERO)
        lowest_own_ask = min(self._own_levels(ticker, Side.ASK), default=ONE)
        later: list[tuple[Side, Decimal, Decimal]] = []
        for side, levels in ((Side.BID, bids), (Side.ASK, asks)):
            for price in self._own_levels(ticker, side):
                if price >= lowest_ask if side is Side.BID else price <= highest_bid:
                    self._set(ticker, side, price, ZERO)
            for price, count in levels.items():
                if side is Side.BID and price >= lowest_own_ask:
                    later.append((side, price, count))
                else:
                    self._set(ticker, side, price, count)
        for level in later:
            self._set(ticker, *level)
        for side, levels in ((Side.BID, bids), (Side.ASK, asks)):
            for price in self._own_levels(ticker, side):
                if price not in levels:
                    self._set(ticker, side, price, ZERO)
        self.venue.publish()

    def _own_levels(self, ticker: str, side: Side) -> list[Decimal]:
        ladder = self.market(ticker).book.ladder(side)
        return [
            price
            for price, _ in ladder.levels()
            if any(o.account_id == HOUSE for o in ladder.orders_at(price))
        ]

    def _set(self, ticker: str, side: Side, price: Decimal, count: Decimal) -> None:
        self.venue.exchange.set_level(ticker, side, price, count, self.now_ms)

    def best(self, ticker: str, *, is_yes: bool) -> Decimal | None:
        """The true best bid on a side."""
        top = self.market(ticker).book.best(Side.BID if is_yes else Side.ASK)
        if top is None:
            return None
        return top[0] if is_yes else ONE - top[0]

    def held(self, ticker: str, subaccount: int = 0) -> Decimal:
        """The true signed position."""
        holding = self.venue.exchange.state.account(MEMBER).holdings.get((subaccount, ticker))
        return holding.count if holding is not None else ZERO

    def assign(self, ticker: str, signed: Decimal, entry: Decimal) -> None:
        """Let the member hold this from the beginning; all reads know it."""
        self.venue.exchange.assign_position(MEMBER, ticker, signed, entry, self.now_ms)
        self.venue.publish()
        self.venue.reads.show_everything(self.now_ms)

    def trade_elsewhere(self, ticker: str, signed: Decimal, price: Decimal) -> None:
        """The member trades by hand: buys, or sells when negative, YES at a YES price."""
        self.venue.exchange.trade_elsewhere(MEMBER, ticker, signed, price, self.now_ms)
        self.venue.publish()
