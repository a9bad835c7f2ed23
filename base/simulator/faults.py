"""Faults on request: what the server does wrong, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["drop_reply", "delay_reply", "delay_execute", "fail_next", "fail_after_execute"]


@dataclass(slots=True, kw_only=True)
class Fault:
    """One planned fault for the next ``left`` matching requests."""

    kind: Kind
    left: int
    path_contains: str = ""
    method: str = ""
    status: int = 0
    body: object = None
    seconds: float = 0.0
    hang: bool = False

    def hits(self, method: str, path: str) -> bool:
        """Say whether the fault applies to this request."""
        return self.left > 0 and self.path_contains in path and self.method in ("", method)


@dataclass(slots=True)
class Faults:
    """All planned faults. Mutable; touched only on the server's own thread."""

    planned: list[Fault] = field(default_factory=list)
    refuse_status: int | None = None  # new WebSocket connections get this status
    refuse_rest: bool = False  # and so does every REST request
    is_mute: bool = False
    mute_pings: bool = False
    drops_acks: bool = False
    command_errors: list[int] = field(default_factory=list)  # codes for the next commands
    skip_seq: dict[str, int] = field(default_factory=dict)  # channel -> numbers to leave out
    duplicate_seq: dict[str, int] = field(default_factory=dict)  # channel -> frames to send twice

    def take(self, kind: Kind, method: str, path: str) -> Fault | None:
        """Use up the first planned fault of this kind that applies, if any."""
        for fault in self.planned:
            if fault.kind == kind and fault.hits(method, path):
                fault.left -= 1
                if not fault.left:
                    self.planned.remove(fault)
                return fault
        return None

    def take_command_error(self) -> int | None:
        """Use up the error planned for the next WebSocket command, if any."""
        return self.command_errors.pop(0) if self.command_errors else None

    def clear(self) -> None:
        """Behave again."""
        self.planned.clear()
        self.skip_seq.clear()
        self.command_errors.clear()
        self.duplicate_seq.clear()
        self.refuse_status, self.refuse_rest = None, False
        self.is_mute = self.mute_pings = self.drops_acks = False
