"""All that the embedded exchanges of this process say and hear, held against Kalshi's documents."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec
import pytest

from base.simulator import application
from base.simulator.request_log import RecordedRequest, RequestLog
from base.simulator.rest.call import Answer, Call
from base.simulator.rest.routes import PREFIX, Rule
from base.simulator.stream import frames
from base.simulator.stream.session import Session
from base.simulator.venue import Venue
from tests.simulator.published_spec import (
    check_answer,
    check_command,
    check_error,
    check_frame,
    check_request,
)

T = TypeVar("T")
KEPT = 200  # of each kind in one test: a busy feed says the same thing again and again


class Wiretap:
    """What went over the wire, in the order of its kinds. Faults put on the wire are not in it."""

    def __init__(self) -> None:
        self.answers: dict[Rule, list[Answer]] = defaultdict(list)
        self.frames: dict[str, list[bytes]] = defaultdict(list)
        self.requests: dict[tuple[str, str], list[RecordedRequest]] = defaultdict(list)
        self.commands: list[str | bytes] = []

    def note_answer(self, venue: Venue, rule: Rule, call: Call, headers: dict[str, str]) -> Answer:
        """Stand where answers are made."""
        reply = _answer(venue, rule, call, headers)
        _keep(self.answers[rule], reply)
        return reply

    def note_frame(self, kind: str, msg: bytes | None, sending_ms: int, **numbers: int | None) -> bytes:
        """Stand where frames are put together."""
        frame = _envelope(kind, msg, sending_ms, **numbers)
        _keep(self.frames[kind], frame)
        return frame

    def note_request(self, log: RequestLog, request: RecordedRequest) -> None:
        """Stand where requests are recorded."""
        _note(log, request)
        _keep(self.requests[request.method, request.path], request)

    def note_command(self, session: Session, frame: str | bytes) -> None:
        """Stand where commands are read."""
        _keep(self.commands, frame)
        _receive(session, frame)

    def check_exchange(self) -> None:
        """Raise unless all that was said is documented."""
        for rule, answers in self.answers.items():
            for reply in answers:
                body = None if reply.body is None else json.loads(msgspec.json.encode(reply.body))
                if reply.status >= 400:  # also of the dead paths, which the document no longer has
                    check_error(reply.status, body)
                else:
                    check_answer(rule.method, PREFIX + rule.path, reply.status, body)
        for said in self.frames.values():
            for frame in said:
                check_frame(json.loads(frame))

    def check_client(self) -> None:
        """Raise unless all that was asked is documented."""
        for asked in self.requests.values():
            for request in asked:
                if not request.is_upgrade:
                    check_request(request.method, request.path, request.query, request.body)
        for command in self.commands:
            check_command(json.loads(command))


def _keep(kept: list[T], item: T) -> None:
    if len(kept) < KEPT:
        kept.append(item)


_answer, _envelope, _note, _receive = (
    application.answer,
    frames.envelope,
    RequestLog.note,
    Session.receive,
)


@contextmanager
def listening() -> Iterator[Wiretap]:
    """Listen to every exchange that this process runs."""
    tap = Wiretap()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "answer", tap.note_answer)
        patch.setattr(frames, "envelope", tap.note_frame)
        patch.setattr(RequestLog, "note", lambda log, request: tap.note_request(log, request))
        patch.setattr(Session, "receive", lambda session, frame: tap.note_command(session, frame))
        yield tap
