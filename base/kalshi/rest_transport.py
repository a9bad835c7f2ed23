"""One signed HTTP call with one deadline: bytes out, bytes in, errors in our words.

See: docs.kalshi.com/getting_started/quick_start_authenticated_requests, read 2026-11-20.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
import urllib3

from base.clock import Clock, boot_ms
from base.errors import OutcomeUnknown, TransportError
from base.feed.clock_offset import ClockOffset
from base.kalshi.auth import Signer, stamp_ms
from base.kalshi.deadline_sockets import DeadlineAdapter
from base.kalshi.dialing import Dialer
from base.model import AT_ONCE, Departure

MOST_BYTES = 8 << 20
"""An answer beyond this is not read. Bytes."""
_CHUNK = 1 << 16
USER_AGENT = "kalshi-stop-loss/1"
_LIBRARY_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)

Query = Mapping[str, str | int | Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    body: bytes
    started_s: float  # boot clock, before the first byte left
    before_ms: int  # our UTC around the call
    after_ms: int


class RestTransport:
    """Connections to one base address; safe for several threads."""

    def __init__(self, rest_url: str, signer: Signer, clock: Clock, offset: ClockOffset):
        self._url = rest_url
        self._signer = signer
        self._clock = clock
        self._offset = offset
        self._adapter = DeadlineAdapter(clock, Dialer(clock))
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies, .netrc or bundles out of the environment
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.mount("http://", self._adapter)
        self._session.mount("https://", self._adapter)

    def call(
        self,
        method: str,
        path: str,
        deadline_s: float,
        query: Query | None = None,
        body: bytes | None = None,
        departure: Departure = AT_ONCE,
    ) -> Answer:
        """Send one request, once, and read the whole answer by ``deadline_s`` (boot clock).

        It is made ready at once, and leaves when ``departure`` allows it, or not at all: connecting may
        take longer than what the request was decided on stays true.

        Raises:
            TransportError: If no byte of the request left us.
            OutcomeUnknown: If bytes left and no whole answer came back.
        """
        seam = self._adapter.seam
        seam.deadline_s, seam.bytes_left, seam.departure = deadline_s, False, departure
        started_s, before_ms = self._clock.boot_s(), boot_ms(self._clock)
        try:
            request = self._prepared(method, path, query, body)
            with self._session.send(
                request,
                stream=True,
                allow_redirects=False,
                timeout=max(0.001, deadline_s - started_s),
                proxies={},
                verify=True,
            ) as response:
                content = self._content(response, deadline_s)
        except TransportError:
            raise
        except OutcomeUnknown:
            raise
        except _LIBRARY_ERRORS as e:
            raise self._translated(e) from None
        answer = Answer(
            status=response.status_code,
            body=content,
            started_s=started_s,
            before_ms=before_ms,
            after_ms=boot_ms(self._clock),
        )
        self._measure_clock(answer, response.headers)
        return answer

    def note_exchange_ms(self, answer: Answer, exchange_ms: int) -> None:
        """An answer says when it was made: that measures the exchange's clock."""
        self._offset.note(answer.before_ms, answer.after_ms, exchange_ms, exchange_ms)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _prepared(
        self, method: str, path: str, query: Query | None, body: bytes | None
    ) -> requests.PreparedRequest:
        request = requests.PreparedRequest()
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request.prepare(method=method, url=self._url + path, headers=headers, params=query, data=body)
        # Signed last and per call, over the path as it goes over the wire.
        signed_path = urlsplit(request.url or "").path
        now_ms = stamp_ms(self._clock, self._offset)
        request.headers.update(self._signer.headers(method, str(signed_path), now_ms))
        return request

    def _content(self, response: requests.Response, deadline_s: float) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise OutcomeUnknown("the answer is compressed, and we had not allowed it")
        parts: list[bytes] = []
        size = 0
        while chunk := response.raw.read(_CHUNK, decode_content=False):
            size += len(chunk)
            if size > MOST_BYTES:
                raise OutcomeUnknown(f"an answer of more than {MOST_BYTES} bytes")
            if self._clock.boot_s() > deadline_s:
                raise OutcomeUnknown("the answer dripped in too slowly")
            parts.append(chunk)
        return b"".join(parts)

    def _translated(self, error: Exception) -> TransportError | OutcomeUnknown:
        # The library's texts quote addresses and headers; the kind of error says enough.
        why = type(error).__name__
        if self._adapter.seam.bytes_left:
            return OutcomeUnknown(f"no whole answer: {why}")
        return TransportError(f"no connection: {why}")

    def _measure_clock(self, answer: Answer, headers: Mapping[str, str]) -> None:
        """``Date`` is cut to seconds, or rounded, and some servers write it up to a second late."""
        stamp = headers.get("Date")
        if stamp is None or headers.get("Age", "0") != "0":
            return  # an answer out of a cache carries an old date
        try:
            date_ms = round(email.utils.parsedate_to_datetime(stamp).timestamp() * 1000)
        except (ValueError, TypeError, OverflowError):
            return
        self._offset.note(answer.before_ms, answer.after_ms, date_ms - 500, date_ms + 2000)
