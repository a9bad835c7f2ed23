"""When to try the next connection, and why a handshake was turned away."""

from __future__ import annotations

import pytest

from base.kalshi.handshake import Refusal, refused
from base.kalshi.reconnecting import Reconnecting


@pytest.mark.parametrize(
    ("is_held", "refusal", "longest_s"),
    [
        pytest.param(True, None, 3, id="positions wait"),
        pytest.param(False, None, 60, id="nobody waits"),
        pytest.param(True, Refusal.OTHER, 3, id="503"),
        pytest.param(True, Refusal.CLOCK, 3, id="our timestamp"),
        pytest.param(True, Refusal.FORBIDDEN, 60, id="403"),
        pytest.param(True, Refusal.LIMITED, 60, id="429"),
    ],
)
def test_delay_doubles_to_its_cap(is_held: bool, refusal: Refusal | None, longest_s: float):
    """3 s with positions held; 60 s otherwise and after the exchange turned us away."""
    reconnecting = Reconnecting()
    delays = [reconnecting.delay_s(0.999999, is_held=is_held, refusal=refusal) for _ in range(10)]
    assert delays[:2] == pytest.approx([1, 2], rel=1e-4)
    assert max(delays) == pytest.approx(longest_s, rel=1e-4)
    assert reconnecting.delay_s(0.0, is_held=is_held, refusal=refusal) == 0


def test_wrong_key_is_tried_rarely_from_the_start():
    """It will not be accepted a second later."""
    assert Reconnecting().delay_s(0.0, is_held=True, refusal=Refusal.KEY) == 30


def test_rest_success_shortens_the_wait_unless_we_were_turned_away():
    """The exchange is reachable; but if it does not want us, that changes nothing."""
    reconnecting = Reconnecting()
    for _ in range(8):
        reconnecting.delay_s(0.5, is_held=False)
    assert reconnecting.shortened_s(0.5) == 0.5
    assert reconnecting.failures == 0
    reconnecting.delay_s(0.5, is_held=False, refusal=Refusal.LIMITED)
    assert reconnecting.shortened_s(0.5) == float("inf")
    reconnecting.connected()
    assert reconnecting.shortened_s(0.5) == 0.5
    reconnecting.delay_s(0.5, is_held=False)
    reconnecting.succeeded()
    assert reconnecting.failures == 0


@pytest.mark.parametrize(
    ("status", "body", "refusal"),
    [
        pytest.param(401, b'{"error":{"code":"header_timestamp_expired"}}', Refusal.CLOCK, id="clock"),
        pytest.param(
            401,
            b'{"error":{"code":"authentication_error","details":"INCORRECT_API_KEY_SIGNATURE"}}',
            Refusal.KEY,
            id="signature",
        ),
        pytest.param(
            401, b'{"error":{"code":"authentication_error","details":"NOT_FOUND"}}', Refusal.KEY, id="id"
        ),
        pytest.param(401, b"", Refusal.KEY, id="401 without a body"),
        pytest.param(403, b"<html>", Refusal.FORBIDDEN, id="403"),
        pytest.param(429, b'{"error":"too many requests"}', Refusal.LIMITED, id="429"),
        pytest.param(503, b"[" * 99_999, Refusal.OTHER, id="503"),
    ],
)
def test_handshake_answers_are_classed(status: int, body: bytes, refusal: Refusal):
    """By status and the exchange's own word."""
    error = refused(status, body)
    assert error.refusal is refusal
    assert str(status) in str(error)
