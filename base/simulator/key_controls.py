"""What a test may do to the member's keys while a client uses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from base.simulator.running import Running
from base.simulator.wires import reset

T = TypeVar("T")


class KeyControls:
    """Revoke a key, narrow it, lock it. Without ``key_id`` it is the RSA key of every test."""

    @property
    def running(self) -> Running:
        """Return the running server."""
        raise NotImplementedError

    @property
    def key_id(self) -> str:
        """Return the id of the RSA key."""
        raise NotImplementedError

    def _call(self, act: Callable[[], T]) -> T:
        raise NotImplementedError

    def revoke_key(self, key_id: str = "", *, cuts_sockets: bool = True) -> None:
        """Delete a key as if on the web site: from now on 401 ``NOT_FOUND``.

        Whether sockets that it opened stay open is not known; ``cuts_sockets`` decides.
        """
        revoked = key_id or self.key_id

        def revoke() -> None:
            self.running.venue.keys.pop(revoked)
            for socket in list(self.running.wires.sockets) if cuts_sockets else ():
                if socket.key_id == revoked:
                    reset(socket.transport)

        self._call(revoke)

    def set_scopes(self, *scopes: str, key_id: str = "") -> None:
        """Give a key other scopes, e.g. ``"read"`` alone; open sockets feel it at their next command."""
        self._call(lambda: self._change(key_id or self.key_id, scopes=scopes))

    def lock_key(self, subaccount: int | None, key_id: str = "") -> None:
        """Restrict a key to one sub-account; None frees it."""
        self._call(lambda: self._change(key_id or self.key_id, subaccount=subaccount))

    def _change(self, key_id: str, **fields: Any) -> None:
        venue = self.running.venue
        changed = venue.keys[key_id] = replace(venue.keys[key_id], **fields)
        for session in self.running.gateway.hub.sessions:
            if session.key.key_id == key_id:
                session.key = changed

    def attest_until(self, unix_s: int | None) -> None:
        """Set when the location attestation ends, as ``GET /api_keys`` shows it."""

        def attest() -> None:
            self.running.venue.region_expiration_s = unix_s

        self._call(attest)
