"""Alarms reach somebody: through the first channel that takes them, whatever the others do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from base.clock import SystemClock
from base.errors import ConfigError
from base.model import Key, Side
from base.risk.messages import AlarmChanged, Line, Message
from base.ui import alerts as alerts_module
from base.ui import bulletins
from base.ui.alerts import MOST_WAITING, Alerts
from base.ui.bulletins import Bulletin
from base.ui.channels import TALKATIVE, open_channels
from tests.support import eventually
from tests.ui.receivers import Receiver, answer, fail, hang, receiving

DEAD = "json://127.0.0.1:1/TOKEN-SECRET"


class Desk:
    """A sender on channels of this machine, and a monitor that rings what it is told to."""

    def __init__(self, *urls: str):
        self.ringing: tuple[str, ...] = ()
        self.submitted: list[Message] = []
        self.alerts = Alerts(
            open_channels(urls, allow_private=False),
            SystemClock(),
            "demo",
            lambda: self.ringing,
            self.submitted.append,
        )

    def ring(self, ticker: str, reason: str, **fields: object) -> None:
        """An alarm rings, and goes on."""
        self.ringing = (*self.ringing, f"{ticker}:{reason}")
        key = Key(0, ticker)
        self.alerts.hear(Line(event="ALARM", key=key, side=Side.YES, fields={"reason": reason, **fields}))

    @property
    def changes(self) -> list[tuple[str, bool]]:
        """What was said of the channels."""
        return [(m.reason, m.is_on) for m in self.submitted if isinstance(m, AlarmChanged)]


@contextmanager
def desk(*urls: str) -> Iterator[Desk]:
    """A desk at work."""
    made = Desk(*urls)
    made.alerts.start()
    try:
        yield made
    finally:
        made.alerts.stop(1.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of seconds in tenths."""
    monkeypatch.setattr(bulletins, "PACE_S", 0.2)
    monkeypatch.setattr(bulletins, "RETRY_S", 0.3)
    monkeypatch.setattr(bulletins, "OVER_S", 0.3)
    monkeypatch.setattr(alerts_module, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(alerts_module, "SEND_S", 0.4)
    monkeypatch.setattr(alerts_module, "REST_S", 1.0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def test_an_alarm_is_told_and_so_is_its_end(receiver: Receiver) -> None:
    """Over real HTTP, with side and severity; once each."""
    with desk(receiver.url) as at:
        at.ring("KXT", "stuck", count=3)
        eventually(lambda: receiver.messages)
        at.ringing = ()
        eventually(lambda: len(receiver.messages) == 2)
    assert [m["title"] for m in receiver.messages] == [
        "Stop-loss demo: 1 alarm",
        "Stop-loss demo: over: 1 alarm",
    ]
    assert [m["type"] for m in receiver.messages] == ["failure", "success"]
    assert receiver.bodies[0].endswith("- side=yes count=3")
    assert at.submitted == []


def test_other_lines_of_the_log_are_no_alarms(receiver: Receiver) -> None:
    """Only ALARM rings."""
    with desk(receiver.url) as at:
        at.alerts.hear(Line(event="ARMED", key=None, side=None, fields={"reason": "default"}))
        at.ring("KXT", "stuck")
        eventually(lambda: receiver.messages)
    assert "default" not in receiver.bodies[0]


@pytest.mark.parametrize("manner", [None, fail, hang], ids=["refuses connections", "breaks", "hangs"])
def test_when_one_channel_fails_the_next_is_used(receiver: Receiver, manner: object) -> None:
    """Within a second, and the failure is an alarm of its own, told by the channel that works."""
    with ExitStack() as stack:
        first = DEAD if manner is None else stack.enter_context(receiving(manner)).url  # type: ignore[arg-type]
        at = stack.enter_context(desk(first, receiver.url))
        at.ring("KXT", "stuck")
        eventually(lambda: receiver.messages, timeout_s=2)
        eventually(lambda: ("alert_channel_failed", True) in at.changes)
        failed = next(m for m in at.submitted if isinstance(m, AlarmChanged))
        assert failed.details.startswith("alerts.urls[0] (json): ")
        assert "SECRET" not in failed.details


def test_a_hanging_channel_holds_up_only_the_first_message(receiver: Receiver) -> None:
    """It is asked last for a while, and never given a second message on top of the one it hangs in."""
    with receiving(hang) as hanging, desk(hanging.url, receiver.url) as at:
        at.ring("KXT", "stuck")
        eventually(lambda: receiver.messages)
        began_s = time.monotonic()
        at.ring("KXU", "stuck")
        eventually(lambda: len(receiver.messages) == 2)
        assert time.monotonic() - began_s < 0.4  # less than one wait for the hanging one
        assert len(hanging.paths) == 1


def test_a_channel_that_fails_is_asked_last_for_a_while(receiver: Receiver) -> None:
    """Each message would wait for it first."""
    with receiving(fail) as first, desk(first.url, receiver.url) as at:
        for n in range(3):
            at.ring(f"KX{n}", "stuck")
            eventually(lambda n=n: len(receiver.messages) > n)
        assert len(first.paths) == 1


def test_a_channel_that_hangs_gets_no_second_message() -> None:
    """However often it is tried, one thread waits for it."""
    with receiving(hang) as hanging, desk(hanging.url) as at:
        at.ring("KXT", "stuck")
        eventually(lambda: len([m for m in at.changes if m == ("alert_channel_failed", True)]) >= 3)
        assert len(hanging.paths) == 1


def test_a_channel_that_works_again_ends_its_alarm(receiver: Receiver) -> None:
    """Tried again after its rest with the next message."""
    with receiving(fail) as first, desk(first.url, receiver.url) as at:
        at.ring("KXT", "stuck")
        eventually(lambda: ("alert_channel_failed", True) in at.changes)
        first.manner = lambda r, request: answer(request, 200)
        threading.Event().wait(1.0)
        at.ring("KXU", "stuck")
        eventually(lambda: at.changes[-1] == ("alert_channel_failed", False))


def test_all_channels_failing_is_said_and_tried_again(receiver: Receiver) -> None:
    """No recursion: its own alarm makes no message of its own about a message that was not taken."""
    receiver.manner = fail
    with desk(receiver.url) as at:
        at.ring("KXT", "stuck")
        eventually(lambda: at.changes)
        at.ring("-", "alert_channel_failed")  # the monitor rings it, as it does for everybody
        threading.Event().wait(0.7)
        assert 2 <= len(receiver.paths) <= 6
        receiver.manner = Receiver().manner
        eventually(lambda: receiver.messages)
    assert receiver.bodies[0].startswith("ALARM KXT:stuck")


def test_a_storm_is_grouped(receiver: Receiver) -> None:
    """Hundreds at once, from several threads: a message or two of one screen, what found no room counted."""
    with desk(receiver.url) as at:

        def storm(first: int) -> None:
            for n in range(first, first + 200):
                reason = "stuck" if n % 2 else "strategy_failed"
                at.alerts.hear(
                    Line(event="ALARM", key=Key(0, f"KX{n}"), side=None, fields={"reason": reason})
                )

        threads = [threading.Thread(target=storm, args=(n * 200,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: receiver.messages)
        threading.Event().wait(0.6)
    assert len(receiver.messages) <= 4
    assert all(len(body.split("\n")) <= 23 for body in receiver.bodies)


def test_the_worst_and_newest_find_room_while_the_thread_is_busy(receiver: Receiver) -> None:
    """A full inbox lets go of what matters least, and says how many that were."""
    at = Desk(receiver.url)  # not started: nothing is taken out
    for n in range(MOST_WAITING):
        at.ring(f"KX{n}", "strategy_failed")
    for n in range(3):
        at.ring(f"KXM{n}", "stuck")
    at.ring("KXLAST", "strategy_failed")
    at.ringing = ()
    at.alerts.start()
    eventually(lambda: receiver.messages)
    at.alerts.stop(1.0)
    body = receiver.bodies[0]
    assert body.startswith("ALARM KXM")
    assert [f"KXM{n}:stuck" in body for n in range(3)] == [True] * 3
    assert body.endswith("and 4 that were too many to keep: logs/stop_loss.log has them")


def test_whoever_rings_waits_for_nothing(receiver: Receiver) -> None:
    """The monitor's thread leaves an alarm and goes on, however its channels hang."""
    with receiving(hang) as hanging, desk(hanging.url) as at:
        at.ring("KXT", "stuck")
        eventually(lambda: hanging.paths)
        began_s = time.monotonic()
        for n in range(1_000):
            at.alerts.hear(Line(event="ALARM", key=Key(0, f"KX{n}"), side=None, fields={"reason": "stuck"}))
        assert time.monotonic() - began_s < 0.5


def test_last_words_are_sent(receiver: Receiver) -> None:
    """What waits at the end, and how many positions nobody guards from then on."""
    at = Desk(receiver.url)
    at.ring("KXT", "stuck")
    at.alerts.stop(1.0, unguarded=2)
    (message,) = receiver.messages
    assert message["title"] == "Stop-loss demo: ended"
    assert message["message"].split("\n")[0] == "The monitor ended: 2 positions are now UNPROTECTED"
    assert "KXT:stuck" in message["message"]


def test_nothing_is_said_at_an_end_with_nothing_to_say(receiver: Receiver) -> None:
    """No position, no alarm."""
    Desk(receiver.url).alerts.stop(1.0)
    assert receiver.messages == []


def test_a_mistake_of_ours_rings_and_the_next_tick_goes_on(receiver: Receiver) -> None:
    """The thread that tells of deaths must not die quietly itself."""
    at = Desk(receiver.url)

    def raises() -> tuple[str, ...]:
        raise RuntimeError(DEAD)

    at.alerts._ringing = raises
    at.alerts.start()
    eventually(lambda: ("alerts_failed", True) in at.changes)
    at.alerts._ringing = lambda: ("KXT:stuck",)
    eventually(lambda: receiver.messages)
    eventually(lambda: ("alerts_failed", False) in at.changes)
    at.alerts.stop(1.0)
    assert "SECRET" not in str(at.submitted)


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    """What is said goes where the settings say and nowhere else, even if they ask for it."""
    with receiving(
        lambda r, request: answer(request, 307, Location=receiver.url.replace("json", "http"))
    ) as first:
        (channel,) = open_channels([first.url + "?redirect=yes"], allow_private=False)
        assert channel.send(Bulletin("t", "b"), 2.0) == "the service did not take it"
    assert receiver.paths == []


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("nonsense-SECRET", "is no alert channel"),
        ("nosuch://SECRET", "is no alert channel"),
        ("tgram://SECRET", "is no alert channel"),
        ("json://10.0.0.1/SECRET", "should be https"),
        ("jsons://10.0.0.1/SECRET", "private network"),
        ("xmls://169.254.169.254/SECRET", "private network"),
        ("form://alerts.example/SECRET", "should be https"),
        ("jsons://alerts.example/SECRET?verify=no", "verify=no"),
    ],
)
def test_an_address_that_may_not_be_used_is_refused_without_showing_it(url: str, refusal: str) -> None:
    """It is named by its place in the settings."""
    with pytest.raises(ConfigError, match=refusal) as refused:
        open_channels(["json://127.0.0.1/ok", url], allow_private=False)
    assert refused.value.where == "alerts.urls[1]"
    assert "SECRET" not in str(refused.value)


def test_no_log_shows_an_address(receiver: Receiver, capfd: pytest.CaptureFixture[str]) -> None:
    """Libraries write whole addresses at debug level and in warnings: not here, at any level."""
    records: list[str] = []

    class Everything(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(self.format(record))

    root, handler = logging.getLogger(), Everything()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    try:
        for url in (
            receiver.url,
            receiver.url + "?retry=1&wait=0",
            DEAD,
            "json://nosuch.invalid/TOKEN-SECRET",
        ):
            try:
                open_channels([url], allow_private=True)[0].send(Bulletin("t", "b"), 3.0)
            except ConfigError as e:
                records.append(str(e))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert len(receiver.messages) == 2
    out, err = capfd.readouterr()
    assert "SECRET" not in "".join(records) + out + err
    assert all(not logging.getLogger(name).isEnabledFor(logging.CRITICAL) for name in TALKATIVE)
