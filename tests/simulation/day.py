"""What happens to the market, the member, the network and the machine in one run."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random

from base.simulator.engine import lifecycle, pauses
from base.simulator.engine.grid import GRIDS
from base.simulator.engine.orders import OrderRequest, Prevention, Side
from base.simulator.engine.refusal import Refused
from base.simulator.venue import MEMBER
from tests.simulation import persons, threads
from tests.simulation.exchange import SimulatedExchange
from tests.simulation.faults import Faults
from tests.simulation.network import Network
from tests.simulation.persons import Persons
from tests.simulation.plan import Holding, Plan
from tests.simulation.program import Program
from tests.simulation.scheduler import Machine, Scheduler

D = Decimal
CENT = D("0.01")
ONE = D(1)
EVENING_BID = D("0.36")
"""Under every fixed trigger, inside every floor but the tightest."""


class Ladder:
    """The house's book of one market, from the side held."""

    def __init__(self, holding: Holding, random: Random):
        self.holding = holding
        self.bid: Decimal | None = holding.safe
        self.spread = D("0.02")
        self.size = random.choice((D(30), D(200), D("40.50")))
        self.has_asks = True
        self.is_thin = False
        self.ask_alone = D("0.05")  # less the spread, while nobody bids
        self._random = random

    def levels(self) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
        """Return bids and asks on the YES scale."""
        mine: dict[Decimal, Decimal] = {}
        theirs: dict[Decimal, Decimal] = {}
        if self.bid is not None:
            top = D(1) if self.is_thin else self.size + self._random.choice((0, 1, 2))
            mine = {
                self.bid: top,
                max(CENT, self.bid - 2 * CENT): self.size,
                max(CENT, self.bid - 6 * CENT): self.size,
            }
        if self.has_asks:
            ask = min(D("0.99"), (self.bid if self.bid is not None else self.ask_alone) + self.spread)
            theirs = {ask: self.size}
        if self.holding.is_yes:
            return mine, theirs
        flip = {ONE - price: count for price, count in theirs.items()}
        return flip, {ONE - price: count for price, count in mine.items()}


class Day:
    """Plays a plan: prices all the time, events when they are due."""

    def __init__(
        self,
        plan: Plan,
        scheduler: Scheduler,
        machine: Machine,
        exchange: SimulatedExchange,
        network: Network,
        faults: Faults,
        program: Program,
        disk: Disk,
    ):
        self.plan, self.scheduler, self.machine = plan, scheduler, machine
        self.exchange, self.network, self.faults, self.program, self.disk = (
            exchange,
            network,
            faults,
            program,
            disk,
        )
        self.random = Random(f"day {plan.seed}")
        self.is_evening, self.evening_s = False, 0.0
        self.ladders: dict[str, Ladder] = {}
        self.noted: Callable[[str], None] = lambda what: None
        self.shown: Callable[[str], None] = lambda ticker: None
        self.persons = Persons(plan.seed, scheduler, program, [h.ticker for h in plan.holdings])
        self.persons.noted = self._heard
        self.persons.kill = lambda why: self.kill(why, 0.01)
        self.persons.falls = lambda ticker, bid: self._price(self.ladders[ticker], bid)
        self._old_journal: bytes | None = None
        self.touched_by_hand: set[str] = set()

    # --- beginning and end ----------------------------------------------------------------------

    def open(self) -> None:
        """List the markets, let the member hold what the plan says, start the program."""
        for holding in self.plan.holdings:
            self.exchange.list_market(holding.ticker, holding.shard, holding.grid, 3600.0)
            ladder = self.ladders[holding.ticker] = Ladder(holding, self.random)
            self.exchange.show(holding.ticker, *ladder.levels())
            signed = holding.count if holding.is_yes else -holding.count
            self.exchange.assign(holding.ticker, signed, holding.entry)
            self.shown(holding.ticker)
            self._move_later(ladder)
        self.program.start()
        for at_s, name in self.plan.events:
            self.scheduler.at(at_s, lambda name=name: self._happen(name))  # type: ignore[misc]
        self.scheduler.at(self.plan.day_s, self._evening)

    def _evening(self) -> None:
        """In a liveness run the faults end and the price stays where every stop is touched."""
        self.is_evening, self.evening_s = True, self.scheduler.now_s
        self.noted("evening")
        if not self.plan.is_liveness:
            self.scheduler.after(1.0, self._tick)
            return
        self.faults.is_on = False
        self.faults.rest_is = self.faults.feed_is = "up"
        self.faults.feed_is_silent, self.faults.feed_lag_s = False, 0.0
        self.disk.heal()
        self.network.before_order = None
        self.machine.wall_error_ms = 0
        state = self.exchange.venue.exchange.state
        for index in state.shards:
            pauses.set_trading(state, index, self.exchange.now_ms, is_active=True)
        pauses.set_exchange(state, self.exchange.now_ms, is_active=True)
        for ticker in self.ladders:
            if self.exchange.market(ticker).status == "inactive":
                lifecycle.activate(state, self.exchange.market(ticker), self.exchange.now_ms)
        self.exchange.venue.publish()
        self.program.start()
        self._tick()

    def _tick(self) -> None:
        """Once a second in the evening: the same touched price, with a bid for everything."""
        for ticker, ladder in self.ladders.items():
            if self.plan.is_liveness:
                wants_up = set(ladder.holding.rule) <= {"take_profit"}
                ladder.bid, ladder.has_asks, ladder.is_thin = (
                    D("0.90") if wants_up else EVENING_BID,
                    True,
                    False,
                )
                ladder.spread, ladder.size = D("0.02"), D(500)
            self._show(ticker)
        self.scheduler.after(1.0, self._tick)

    # --- prices ---------------------------------------------------------------------------------

    def _move_later(self, ladder: Ladder) -> None:
        self.scheduler.after(self.random.uniform(0.4, 1.6), lambda: self._move(ladder))

    def _move(self, ladder: Ladder) -> None:
        if self.is_evening:
            return
        if ladder.bid is not None:
            step = self.random.choice((-2, -1, -1, 0, 1, 1, 2)) * CENT
            ladder.bid = min(D("0.95"), max(D("0.02"), ladder.bid + step))
        self._show(ladder.holding.ticker)
        self._move_later(ladder)

    def _show(self, ticker: str) -> None:
        try:
            self.exchange.show(ticker, *self.ladders[ticker].levels())
        except Refused:
            self.noted("house refused")  # paused or closed: the book stands
        self.shown(ticker)

    def _price(self, ladder: Ladder, bid: Decimal | None) -> None:
        ladder.bid = bid
        self._show(ladder.holding.ticker)

    # --- events ---------------------------------------------------------------------------------

    def _heard(self, what: str) -> None:
        """A person was told something."""
        self.noted(what)
        self.faults.note(what)

    def _happen(self, name: str) -> None:
        if self.is_evening:
            return
        self.noted(name)
        self.faults.note(name)
        if name in persons.EVENTS:
            self.persons.happen(name)
            return
        ladder = self.random.choice(list(self.ladders.values()))
        do = getattr(self, "_" + _method(name))
        try:
            do(ladder)
        except Refused as e:
            self.noted(f"{name}: {e.code}")
        self.exchange.venue.publish()
        self.shown(ladder.holding.ticker)

    def _later(self, do: Callable[[], object], least_s: float, most_s: float) -> None:
        """Undo within the day; the evening heals by itself."""

        def unless_evening() -> None:
            if not self.is_evening or not self.plan.is_liveness:
                do()
                self.exchange.venue.publish()

        self.scheduler.after(self.random.uniform(least_s, most_s), unless_evening)

    def _crash(self, ladder: Ladder) -> None:
        self._price(
            ladder, self.random.choice((D("0.40"), D("0.39"), D("0.36"), D("0.31"), D("0.22"), D("0.10")))
        )

    def _wick(self, ladder: Ladder) -> None:
        before = ladder.bid
        self._price(ladder, self.random.choice((D("0.38"), D("0.30"), D("0.12"))))
        self._later(lambda: self._price(ladder, before), 0.05, 2.5)

    def _rally(self, ladder: Ladder) -> None:
        self._price(ladder, self.random.choice((D("0.80"), D("0.86"), D("0.92"))))

    def _thin(self, ladder: Ladder) -> None:
        ladder.is_thin = True
        self._price(ladder, self.random.choice((D("0.35"), D("0.50"))))

    def _ghost(self, ladder: Ladder) -> None:
        """One contract bid for far above everything else, for a moment: nobody's price."""
        before = ladder.bid
        ladder.is_thin = True
        self._price(ladder, D("0.90"))

        def vanish() -> None:
            ladder.is_thin = False
            self._price(ladder, before)

        self._later(vanish, 0.1, 1.5)

    def _no_bids(self, ladder: Ladder) -> None:
        before = ladder.bid
        self._price(ladder, None)
        self._later(lambda: self._price(ladder, self.random.choice((before, D("0.34")))), 0.5, 6.0)

    def _offers_only(self, ladder: Ladder) -> None:
        """Nobody bids, and who wants out comes down: asks where the bid was, then under the trigger."""
        if ladder.bid is None:
            return
        ladder.ask_alone = ladder.bid
        self._no_bids(ladder)

        def fall() -> None:
            ladder.ask_alone = max(D("0.30"), ladder.ask_alone - D("0.05"))
            self._show(ladder.holding.ticker)
            if ladder.bid is None:
                self._later(fall, 0.2, 0.6)

        fall()

    def _bids_flee(self, ladder: Ladder) -> None:
        """Whoever bids is gone when an order comes, and back a moment later."""

        def flee(ticker: str) -> None:
            if ticker == ladder.holding.ticker and ladder.bid is not None:
                bid = ladder.ask_alone = ladder.bid
                self._price(ladder, None)
                ladder.bid = bid
                self.scheduler.after(0.03, lambda: self._show(ticker))

        def stay() -> None:
            self.network.before_order = None

        self.network.before_order = flee
        self._later(stay, 2.0, 9.0)

    def _nobody_at_all(self, ladder: Ladder) -> None:
        ladder.has_asks = False
        self._no_bids(ladder)

    def _wide(self, ladder: Ladder) -> None:
        ladder.spread = D("0.20")
        self._price(ladder, self.random.choice((D("0.37"), D("0.55"))))

    def _e16_shard_paused(self, ladder: Ladder) -> None:
        state, shard = self.exchange.venue.exchange.state, ladder.holding.shard
        pauses.set_trading(state, shard, self.exchange.now_ms, is_active=False)
        self._later(lambda: pauses.set_trading(state, shard, self.exchange.now_ms, is_active=True), 0.5, 8.0)

    def _e16_exchange_paused(self, ladder: Ladder) -> None:
        state = self.exchange.venue.exchange.state
        pauses.set_exchange(state, self.exchange.now_ms, is_active=False)
        self._later(lambda: pauses.set_exchange(state, self.exchange.now_ms, is_active=True), 0.5, 8.0)

    def _e16_market_paused(self, ladder: Ladder) -> None:
        state, market = self.exchange.venue.exchange.state, self.exchange.market(ladder.holding.ticker)
        if market.status != "active":
            return
        lifecycle.deactivate(state, market, self.exchange.now_ms)

        def resume() -> None:
            if market.status == "inactive":
                lifecycle.activate(state, market, self.exchange.now_ms)

        self._later(resume, 0.5, 8.0)

    def _e17_market_closes(self, ladder: Ladder) -> None:
        market = self.exchange.market(ladder.holding.ticker)
        if market.status == "active":
            lifecycle.move_close(
                self.exchange.venue.exchange.state, market, self.exchange.now_ms + 1500, self.exchange.now_ms
            )

    def _e17_market_determined(self, ladder: Ladder) -> None:
        state, market = self.exchange.venue.exchange.state, self.exchange.market(ladder.holding.ticker)
        if market.status != "active":
            return
        market.close_ms = self.exchange.now_ms
        self.exchange.venue.advance()
        result = self.random.choice(("yes", "no"))

        def determine() -> None:
            if market.status == "closed":
                lifecycle.determine(state, market, result, self.exchange.now_ms)

        self._later(determine, 0.2, 2.0)

    def _e19_grid_changes(self, ladder: Ladder) -> None:
        state, market = self.exchange.venue.exchange.state, self.exchange.market(ladder.holding.ticker)
        lifecycle.set_grid(state, market, GRIDS["deci_cent"], self.exchange.now_ms)

    def _by_hand(self, ladder: Ladder, signed: Decimal) -> None:
        ticker = ladder.holding.ticker
        if signed and self.exchange.market(ticker).status == "active":
            self.touched_by_hand.add(ticker)
            self.exchange.trade_elsewhere(ticker, signed, D("0.50"))

    def _e11_sold_by_hand(self, ladder: Ladder) -> None:
        held = self.exchange.held(ladder.holding.ticker)
        part = self.random.choice((ONE, D("0.5")))
        self._by_hand(ladder, -(held * part).quantize(CENT))

    def _e12_added_by_hand(self, ladder: Ladder) -> None:
        more = D(5) if self.exchange.held(ladder.holding.ticker) >= 0 else D(-5)
        self._by_hand(ladder, more)

    def _e12_turned_by_hand(self, ladder: Ladder) -> None:
        self._by_hand(ladder, -2 * self.exchange.held(ladder.holding.ticker))

    def _t7_rests_an_order(self, ladder: Ladder) -> None:
        """A take profit that the user left in the book by hand."""
        held = self.exchange.held(ladder.holding.ticker)
        if not held:
            return
        price = D("0.93") if held > 0 else D("0.07")
        request = OrderRequest(
            ticker=ladder.holding.ticker, side=Side.ASK if held > 0 else Side.BID, count=abs(held), price=price,
            prevention=Prevention.TAKER,
        )  # fmt: skip
        self.exchange.venue.exchange.submit(MEMBER, request, self.exchange.now_ms)

    def _w9_moved_while_away(self, ladder: Ladder) -> None:
        """A stop is touched, the feed goes and REST is silent; when both are back the price is, too."""
        before, away_s = ladder.bid, self.random.uniform(5.5, 8.0)
        self._price(ladder, self.random.choice((D("0.38"), D("0.45"))))

        def leave() -> None:
            if self.is_evening:
                return
            self.faults.rest_is = "silent"
            self._feed("silent", away_s, away_s)
            self._price(ladder, before)
            self._later(lambda: setattr(self.faults, "rest_is", "up"), away_s, away_s + 1.0)

        self.scheduler.after(self.random.uniform(0.0, 2 * self.plan.latency_s + 0.02), leave)

    def _n1_half_open(self, ladder: Ladder) -> None:
        self.network.cut_links("half-open", silently=True)

    def _n13_flaps(self, ladder: Ladder) -> None:
        for n in range(4):
            self.scheduler.after(0.7 * n, lambda: self.network.cut_links("reset by peer"))

    def _feed(self, how: str | int, least_s: float, most_s: float) -> None:
        self.faults.feed_is = how
        self.network.cut_links("gone")
        self._later(lambda: setattr(self.faults, "feed_is", "up"), least_s, most_s)

    def _n6_feed_refused(self, ladder: Ladder) -> None:
        self._feed("refused", 2.0, 10.0)

    def _n6_feed_silent(self, ladder: Ladder) -> None:
        self._feed("silent", 2.0, 10.0)

    def _w17_feed_401(self, ladder: Ladder) -> None:
        self._feed(401, 1.0, 3.0)

    def _w17_feed_429(self, ladder: Ladder) -> None:
        self._feed(429, 1.0, 3.0)

    def _n4_feed_lags(self, ladder: Ladder) -> None:
        self.faults.feed_lag_s = self.random.choice((1.0, 4.0, 8.0))
        self._later(lambda: setattr(self.faults, "feed_lag_s", 0.0), 2.0, 8.0)

    def _w1_pings_only(self, ladder: Ladder) -> None:
        self.faults.feed_is_silent = True
        self._later(lambda: setattr(self.faults, "feed_is_silent", False), 1.0, 8.0)

    def _w10_command_refused(self, ladder: Ladder) -> None:
        codes = [
            self.random.choice((1, 7, 8, 9, 11, 14, 18, 26, 27)) for _ in range(self.random.choice((1, 3)))
        ]
        self.exchange.venue.faults.command_errors.extend(codes)
        self.network.cut_links("so that commands follow")

    def _w11_overflow(self, ladder: Ladder) -> None:
        code = self.random.choice((10, 25))
        for link in self.network.links:
            for subscription in list(link.session.by_channel.values()):
                if subscription.channel in ("orderbook_delta", "ticker"):
                    link.session.fail(subscription, code)

    def _w12_closed_with_a_code(self, ladder: Ladder) -> None:
        code = self.random.choice((1000, 1001, 1006, 1008, 1011, 1013))
        self.network.cut_links(f"closed by the exchange ({code})")

    def _n7_rest_refuses(self, ladder: Ladder) -> None:
        self.faults.rest_is = "refuses"
        self._later(lambda: setattr(self.faults, "rest_is", "up"), 1.0, 10.0)

    def _n7_rest_silent(self, ladder: Ladder) -> None:
        self.faults.rest_is = "silent"
        self._later(lambda: setattr(self.faults, "rest_is", "up"), 1.0, 10.0)

    def _e30_order_rests(self, ladder: Ladder) -> None:
        self.faults.rests_orders = True
        self._later(lambda: setattr(self.faults, "rests_orders", False), 2.0, 8.0)

    def _c1_clock_jumps(self, ladder: Ladder) -> None:
        self.machine.wall_error_ms = self.random.choice((-3_600_000, 3_600_000, -4_000, 4_000))
        self._later(lambda: setattr(self.machine, "wall_error_ms", 0), 1.0, 6.0)

    def _c3_suspend(self, ladder: Ladder) -> None:
        """The lid is closed just as a stop is touched; when it is opened the price is back, the link dead."""
        before, seconds = ladder.bid, self.random.choice((2.0, 12.0, 45.0))
        self._price(ladder, D("0.38"))

        def close() -> None:
            self.network.cut_links("asleep", silently=True)
            self.scheduler.freeze(self.machine, seconds, counts_as_sleep=True)

        self.scheduler.after(self.random.uniform(0.0, 3 * self.plan.latency_s + 0.05), close)
        self._later(lambda: self._price(ladder, before), 0.5, 1.5)

    def _c4_stopped(self, ladder: Ladder) -> None:
        self.scheduler.freeze(self.machine, self.random.choice((1.5, 6.0, 30.0)), counts_as_sleep=False)

    def _k_killed(self, ladder: Ladder) -> None:
        self.kill("by the day", self.random.uniform(0.2, 5.0))

    def kill(self, why: str, for_s: float) -> None:
        """Kill the program; its parent starts it again."""
        self.scheduler.after(for_s, self.program.start)
        self.program.kill(why)

    def _k9_killed_again(self, ladder: Ladder) -> None:
        for n in range(5):
            self.scheduler.after(
                n * self.random.uniform(0.1, 1.2), lambda: self.kill("during recovery", 0.05)
            )

    def _o1_halted(self, ladder: Ladder) -> None:
        if self.program.is_running and self.program.parts is not None:
            self.program.journal_path.parent.joinpath("HALT").touch()

    def _o9_old_journal(self, ladder: Ladder) -> None:
        self.disk.restore_old_journal(self)

    def _d1_disk_full(self, ladder: Ladder) -> None:
        self.disk.is_full = True
        self._later(self.disk.heal, 1.0, 6.0)

    def _d2_slow_disk(self, ladder: Ladder) -> None:
        self.disk.slow_s = self.random.choice((0.1, 0.4, 10.0))
        self._later(self.disk.heal, 1.0, 6.0)

    def _k15_second_instance(self, ladder: Ladder) -> None:
        self.disk.try_second_instance(self)

    def _k12_thread_dies(self, ladder: Ladder) -> None:
        self.disk.break_next_round = True

    def _r6_budget_drained(self, ladder: Ladder) -> None:
        budget = self.exchange.venue.budget(MEMBER)
        for bucket in (budget.write, *budget.by_shard.values()):
            bucket.drain()


class Disk:
    """What is wrong with the program's disk and with the program itself."""

    def __init__(self, program: Program):
        self._program = program
        self.is_full = False
        self.slow_s = 0.0
        self.busy_until_s = 0.0  # a write that it is slow with comes back then, healed or not
        self.break_next_round = False
        self.second_instance_ran = False

    def heal(self) -> None:
        """Work again."""
        self.is_full, self.slow_s = False, 0.0

    def restore_old_journal(self, day: Day) -> None:
        """Keep the journal as it is now, and put it back when the program is started later."""
        if not self._program.journal_path.exists():
            return
        kept = {p: p.read_bytes() for p in self._program.journal_path.parent.glob("journal.sqlite*")}

        def put_back() -> None:
            if day.is_evening:
                return
            self._program.told("an old journal is put back")
            threads.RUN.judge.journal_is_doubtful = True
            threads.RUN.judge.lost_before_ms = day.exchange.now_ms
            with_restart = self._program.is_running
            if with_restart and self._program.process is not None:
                self._program.kill("restored from a backup")
            for path in self._program.journal_path.parent.glob("journal.sqlite*"):
                path.unlink()
            for path, content in kept.items():
                path.write_bytes(content)
            day.scheduler.after(0.5, self._program.start)

        day.scheduler.after(3.0, put_back)

    def try_second_instance(self, day: Day) -> None:
        """Start a second program on the same folder: it must refuse."""
        from base.app.account_folder import AccountFolder
        from base.errors import ConfigError

        if not self._program.is_guarding:
            return
        other = AccountFolder(self._program.journal_path.parent)
        try:
            other.claim()
        except ConfigError:
            return
        self.second_instance_ran = True
        other.release()


def _method(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")
