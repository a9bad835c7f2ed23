"""One running server: sockets, event loop, and the clock that drives venue and scenario."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import time
from collections.abc import Iterator
from typing import cast

import uvicorn

from base.simulator.application import Gateway
from base.simulator.engine import lifecycle
from base.simulator.engine.market import Status
from base.simulator.scenarios.stage import Empty, Scenario, Stage
from base.simulator.venue import Venue
from base.simulator.wires import Wires

TICK_S = 0.02
SLICE_S = 0.25  # scenario time
LONGEST_STEP_S = 0.02  # real time; then it is the sockets' turn
STOP_CHECK_S = 0.02
GOING_AWAY = 1001  # WebSocket close code


class QuietServer(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever started it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield

    async def main_loop(self) -> None:
        """Wait to be told to stop; there is nothing else to do between requests here."""
        while not self.should_exit:
            await asyncio.sleep(STOP_CHECK_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close at once: connections were cut before, so there is nobody to be graceful to."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Drop uvicorn's word on an upgrade that was refused: that is an answer here, not a mistake."""
    return "without completing handshake" not in record.getMessage()


class Running:
    """Serve ``venue`` on ``listener`` and play ``scenario`` at ``speed``."""

    def __init__(
        self, venue: Venue, scenario: Scenario, listener: socket.socket, *, seed: int, speed: float
    ) -> None:
        self.venue = venue
        semantics = venue.semantics
        self.wires = Wires(semantics.ping_interval_s, semantics.pong_deadline_s)
        self.gateway = Gateway(venue, self.wires, seed)
        self.stage = Stage(venue, seed, speed)
        self._scenario = scenario
        self._listener = listener
        self._speed = speed
        self._played_s = 0.0
        self._was_in_weekly_pause = False
        logging.getLogger("uvicorn.error").addFilter(_is_worth_saying)
        self._server = QuietServer(self._config())
        scenario.open(self.stage)
        venue.publish()
        venue.reads.show_everything(venue.now_ms())

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self.gateway.app(),
            http=self.wires.http_class(),
            ws=self.wires.socket_class(),
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            date_header=False,
            server_header=False,
            timeout_keep_alive=60,
        )

    @property
    def port(self) -> int:
        """Return the port in use."""
        return cast(int, self._listener.getsockname()[1])

    @property
    def is_accepting(self) -> bool:
        """Say whether connections are accepted."""
        return self._server.started

    async def serve(self) -> None:
        """Run until ``stop``. Raises what the scenario raised, if that is why it ended."""
        driver = asyncio.create_task(self._drive())
        driver.add_done_callback(lambda _: self.stop())  # without a driver time stands still
        try:
            await self._server.serve(sockets=[self._listener])
        finally:
            driver.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await driver

    def stop(self) -> None:
        """End soon: open connections are cut rather than waited for."""
        self._server.should_exit = True
        self.wires.reset_all()

    async def _drive(self) -> None:
        while True:
            self.step()
            await asyncio.sleep(TICK_S)

    def step(self) -> None:
        """Let time act on the engine and on the play."""
        now_ms = self.venue.advance()
        self._drop_sockets_in_the_weekly_pause()
        if type(self._scenario) is not Empty:  # a test's clock may jump; its markets stay where they are
            self._play_what_is_due(now_ms)
        self.venue.publish()

    def _play_what_is_due(self, now_ms: int) -> None:
        due_s = self.stage.at_s(now_ms)
        ends_s = time.monotonic() + LONGEST_STEP_S
        while self._played_s < due_s and time.monotonic() < ends_s:
            self._played_s = min(due_s, self._played_s + SLICE_S)
            self._scenario.play(self.stage, self._played_s)
            self.venue.publish()
        self._slip(math.ceil((due_s - self._played_s) / self._speed * 1000))

    def _slip(self, late_ms: int) -> None:
        """Slow the play down where this machine is too slow for it, and every open and close with it.

        Requests are answered in between, and no recorded frame comes after its market's close.
        """
        if late_ms <= 0:
            return
        self.stage.opened_ms += late_ms  # markets that the play lists from now on come later as well
        state = self.venue.exchange.state
        for market in state.markets.values():
            if market.status in (Status.INITIALIZED, Status.ACTIVE):
                lifecycle.delay(state, market, late_ms, self.venue.now_ms())

    def _drop_sockets_in_the_weekly_pause(self) -> None:
        is_on = self.venue.exchange.state.shards[0].in_weekly_pause
        if is_on and not self._was_in_weekly_pause and self.venue.semantics.weekly_pause_drops_sockets:
            self.wires.close_all(GOING_AWAY)
        self._was_in_weekly_pause = is_on
